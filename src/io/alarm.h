/* A timer that any thread may set: what a device register written on a vCPU thread arms, where the
 * timers of io/loop.h belong to the loop's own thread. */
#ifndef IO_ALARM_H
#define IO_ALARM_H

#include <stdint.h>

#include "io/loop.h"

#define ALARM_OFF INT64_MAX

/* Embedded in its user; initialise with alarm_init(). */
struct alarm {
    void (*fired)(struct alarm *a);
    void *opaque;
    struct loop *loop;
    struct loop_timer timer;
    struct loop_post post;
    _Atomic int64_t deadline_ns;
};

void alarm_init(struct alarm *a, struct loop *loop, void (*fired)(struct alarm *a), void *opaque);

/* Sets, moves or (ALARM_OFF) switches off the alarm; an absolute loop_now_ns() time. `fired` runs
 * in the loop's thread with no lock held, once for each time set. Because other threads may be
 * setting it just then, it may also come for a deadline that has just been moved: it takes its
 * user's lock and looks at its user's state. Threads: any. */
void alarm_set(struct alarm *a, int64_t deadline_ns);

/* Afterwards `fired` will not run any more. Waits for the loop's thread, so the caller must not
 * hold a lock that `fired` takes. Safe on a zeroed alarm. */
void alarm_fini(struct alarm *a);

#endif
