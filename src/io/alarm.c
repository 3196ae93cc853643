#include "io/alarm.h"

#include <stdatomic.h>
#include <stddef.h>

static void expired(struct loop_timer *t)
{
    struct alarm *a = t->opaque;
    int64_t due = t->due.at;
    /* Only if nobody moved it meanwhile: then the post that is on its way arms the timer anew. */
    if (atomic_compare_exchange_strong(&a->deadline_ns, &due, ALARM_OFF))
        a->fired(a);
}

static void arm(struct alarm *a)
{
    int64_t deadline = atomic_load(&a->deadline_ns);
    if (deadline == ALARM_OFF)
        loop_timer_cancel(a->loop, &a->timer);
    else
        loop_timer_arm(a->loop, &a->timer, deadline);
}

static void arm_in_loop(struct loop_post *p)
{
    arm(p->opaque);
}

void alarm_init(struct alarm *a, struct loop *loop, void (*fired)(struct alarm *a), void *opaque)
{
    *a = (struct alarm){.fired = fired, .opaque = opaque, .loop = loop, .deadline_ns = ALARM_OFF};
    a->timer = (struct loop_timer){.expired = expired, .opaque = a};
    a->post = (struct loop_post){.run = arm_in_loop, .opaque = a};
}

void alarm_set(struct alarm *a, int64_t deadline_ns)
{
    if (atomic_exchange(&a->deadline_ns, deadline_ns) == deadline_ns)
        return;
    if (loop_in_thread(a->loop))
        arm(a);
    else
        loop_post(a->loop, &a->post);
}

static void stop_in_loop(void *arg)
{
    struct alarm *a = arg;
    loop_post_cancel(a->loop, &a->post);
    loop_timer_cancel(a->loop, &a->timer);
}

void alarm_fini(struct alarm *a)
{
    if (a->loop)
        loop_call(a->loop, stop_in_loop, a);
    a->loop = NULL;
}
