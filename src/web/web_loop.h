/* The thread of web servers and WebSocket clients: libwebsockets on a loop of libuv, with posts
 * from other threads and timers. It is not io/loop.h: Debian's libwebsockets has no external poll.
 */
#ifndef WEB_WEB_LOOP_H
#define WEB_WEB_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct web_loop;

struct web_loop *web_loop_create(struct err *err);
/* Until web_loop_stop(). The calling thread becomes the loop's thread. */
void web_loop_run(struct web_loop *l);
/* Ends web_loop_run() after the current callback. Threads: any. */
void web_loop_stop(struct web_loop *l);
/* Closes all connections of servers and clients. After web_loop_run(); before the servers and
 * clients are destroyed. NULL is allowed. */
void web_loop_destroy(struct web_loop *l);

/* WebSockets whose peer was silent for ping_us are sent a ping, those silent for hangup_us are
 * closed; from the next one that opens on. 15 s and 40 s, if nobody calls this. The loop's thread.
 */
void web_loop_silence(struct web_loop *l, int64_t ping_us, int64_t hangup_us);

/* A function to run in the loop's thread; embedded in its user, no allocation. Posting one that
 * is still queued does nothing; it may be posted again once it has begun to run. */
struct web_post {
    void (*run)(struct web_post *p);
    struct web_post *next;
    bool queued;
};
/* Threads: any. */
void web_loop_post(struct web_loop *l, struct web_post *p);

/* Something to be done later in the loop's thread, where create and destroy belong too. Arming
 * one that is armed moves it. Destroy takes NULL. */
struct web_timer;
struct web_timer *web_timer_create(struct web_loop *l, void (*expired)(void *ctx), void *ctx);
void web_timer_arm(struct web_timer *t, int64_t delay_us);
void web_timer_destroy(struct web_timer *t);

#endif
