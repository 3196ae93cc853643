/* For implementers of network back ends. A back end embeds struct net_backend as its first member
 * and fills in `ops`, `n_pairs` and `offloads`, all its descriptors non-blocking; net.c does the
 * watching. */
#ifndef NET_NET_PROVIDER_H
#define NET_NET_PROVIDER_H

#include <stdatomic.h>

#include "net/net.h"

struct net_backend_ops {
    const char *name;
    /* The descriptor whose readiness is the pair's: readable exactly when recv() has something to
     * do, writable when a send() or flush() that returned -EAGAIN has a chance. */
    int (*fd)(const struct net_backend *nb, unsigned pair);
    /* As net_send() and net_recv(). A pair that is lost for good returns -EPIPE and says why by
     * net_lost(). -EBADFD means "not attached", which is no fault of an inactive pair; of an active
     * one alive() decides. */
    int (*send)(struct net_backend *nb, unsigned pair, const struct iovec *iov, unsigned n_iov,
                size_t bytes);
    ssize_t (*recv)(struct net_backend *nb, unsigned pair, const struct iovec *iov, unsigned n_iov);
    /* Needed if -EBADFD is ever returned: whether the pair is attached to its interface now. */
    bool (*alive)(const struct net_backend *nb, unsigned pair);
    /* Optional: sends what send() took but could not pass on. Returns 0 when nothing is left,
     * -EAGAIN when something is; called when the descriptor is writable. */
    int (*flush)(struct net_backend *nb, unsigned pair);
    /* Optional; NULL refuses anything but none. */
    int (*set_offloads)(struct net_backend *nb, uint32_t offloads, struct err *err);
    /* Optional: takes a pair into the spreading of frames, or out of it. Any thread. */
    int (*set_pair_active)(struct net_backend *nb, unsigned pair, bool active, struct err *err);
    /* Closes and frees; no pair is started. */
    void (*destroy)(struct net_backend *nb);
};

struct net_pair {
    struct net_backend *nb;
    struct loop *loop; /* NULL while not started */
    struct loop_fd watch;
    const struct net_events *events;
    void *opaque;
    bool want_read, want_write, user_waits, lost;
    struct err lost_why;
};

struct net_backend {
    const struct net_backend_ops *ops;
    unsigned n_pairs;
    uint32_t offloads;
    _Atomic unsigned active_pairs;
    struct net_pair pairs[NET_PAIRS_MAX];
};

/* Sets up the common part of a zeroed back end with its first pair active. */
void net_backend_init(struct net_backend *nb, const struct net_backend_ops *ops, unsigned n_pairs);

/* Records that a pair is gone for good. Returns -EPIPE. */
int net_lost(struct net_backend *nb, unsigned pair, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Asks for flush() when the descriptor becomes writable: send() took more than it could pass on. */
void net_flush_later(struct net_backend *nb, unsigned pair);

#endif
