/* What the files of virtio-net share.
 *
 * Theory of operation. Each queue pair lives in the thread of its loop and is touched by nobody
 * else while it runs. Nothing is copied: the back end writes frames into guest buffers and reads
 * them from there.
 *
 * Receive: the length of a frame is known only after it has been read. So a `window` of guest
 * buffers that have been popped from the ring, but not used, is kept, big enough for the longest
 * frame to be expected; a frame takes buffers from its front and the rest wait for the next frame.
 * Behind the window the read has a buffer of our own, `held`: a frame that turns out longer than
 * the window lands there with its tail, is completed with its head, and is copied to the guest
 * when there are buffers. So no frame is lost for want of buffers, and the ring is parsed once a
 * buffer. With no buffers at all, the back end is not polled until the driver kicks.
 *
 * Transmit: pop, send, push. A back end that is full has the request put back, and says when.
 *
 * Notifications: while a ring is being served the driver is asked not to kick. An empty transmit
 * ring is looked at a few more times, in between which the other users of the loop have their
 * turn, before kicks are enabled again. Completions are published, and the driver interrupted if
 * it wants, in batches.
 *
 * Addresses: of each frame that was sent, the type is looked at; the few that tell which addresses
 * the guest has are copied out of its memory and read. Not saved: after a restore the guest is told
 * to announce itself, and fills the table again. */
#ifndef DEV_VIRTIO_VIRTIO_NET_INTERNAL_H
#define DEV_VIRTIO_VIRTIO_NET_INTERNAL_H

#include <assert.h>
#include <linux/virtio_net.h>
#include <pthread.h>

#include "base/util.h"
#include "dev/virtio/virtio_net.h"
#include "dev/virtio/virtio_provider.h"
#include "dev/virtio/virtio_watch.h"

/* Newer than the headers of Debian 12. */
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO   56
#endif

#define VIRTIO_NET_BIT(n) (UINT64_C(1) << (n))
/* What CTRL_GUEST_OFFLOADS can switch. Spec: 5.1.6.5.6. */
#define VIRTIO_NET_GUEST_OFFLOADS                                                                  \
    (VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_TSO4) |           \
     VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_ECN) |            \
     VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_UFO) | VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_USO4) |            \
     VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_USO6))
#define VIRTIO_NET_QUEUE_SIZE 256
/* A chain has at most as many descriptors as the ring; one may span two regions of memory. */
#define VIRTIO_NET_CHAIN_IOV (VIRTIO_NET_QUEUE_SIZE + 8)
/* A turn, each direction: so many packets, or so many bytes. */
#define VIRTIO_NET_BATCH       64
#define VIRTIO_NET_BATCH_BYTES (256 * 1024)

static_assert(2 * VIRTIO_NET_CHAIN_IOV < NET_IOV_MAX, "a full ring fits one read");

/* Counters have one writer, the pair's thread, and are read by any. */
struct virtio_net_stat {
    _Atomic uint64_t packets, bytes, dropped, stalls, kicks, interrupts;
};

static inline void virtio_net_count(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

/* One direction's limit, shared by all pairs. */
struct virtio_net_limit {
    _Atomic bool on; /* else the lock is not taken */
    pthread_mutex_t lock;
    struct rate_limiter limiter;
};

/* What the guest's frames tell, of all pairs. The lock is a leaf. */
struct virtio_net_sight {
    pthread_mutex_t lock;
    struct net_addresses addresses;
};

struct virtio_net_rx {
    struct loop_fd kick;
    struct loop_timer timer; /* rate limit */
    bool stalled;            /* no buffers: waiting for a kick */
    bool limited;            /* waiting for the timer */
    bool wide;               /* expect frames of any length */
    /* Window: chains[first..end), their iov in iov[iov_first..iov_end). */
    unsigned first, end, iov_first, iov_end;
    size_t window_bytes;
    size_t held_bytes; /* a whole packet in held[], 0 if none */
    unsigned unpublished_bytes, unpublished;
    struct virtio_net_stat stat;
    struct virtq_chain chains[2 * VIRTIO_NET_QUEUE_SIZE];
    struct iovec iov[3 * VIRTIO_NET_CHAIN_IOV];
    uint64_t in_gpa[3 * VIRTIO_NET_CHAIN_IOV];
    uint8_t held[NET_PACKET_MAX_BYTES + 1];
};

struct virtio_net_tx {
    struct loop_fd kick;
    struct loop_timer timer;
    bool blocked; /* the back end is full */
    bool limited;
    bool more;        /* look at the ring again before sleeping */
    unsigned lookups; /* at an empty ring, since it had something */
    struct virtio_net_stat stat;
    struct iovec iov[VIRTIO_NET_CHAIN_IOV];
};

struct virtio_net_pair {
    struct virtio_net *net;
    unsigned index;
    struct loop *loop;
    bool running;
    struct loop_prepare prepare;
    struct loop_post wake; /* switched on by the control queue */
    struct virtio_net_rx rx;
    struct virtio_net_tx tx;
};

struct virtio_net {
    struct virtio_device dev;
    struct net_backend *nb;
    struct virtio_net_options options;
    unsigned n_pairs;
    _Atomic uint64_t mac; /* as config space has it, in the low 6 bytes */
    _Atomic bool cable, back_end;
    _Atomic bool announce;           /* VIRTIO_NET_S_ANNOUNCE: the driver has not yet */
    _Atomic uint64_t guest_offloads; /* feature bits in force: see CTRL_GUEST_OFFLOADS */
    uint16_t active_pairs;           /* as the driver set it; control queue's thread */
    bool promiscuous, all_multicast; /* accepted and remembered; everything is delivered */
    bool announce_due;               /* after a restore: once active */
    struct virtio_net_limit rx_limit, tx_limit;
    struct virtio_net_sight sight;
    struct virtio_watch ctrl;
    struct virtio_net_pair *pairs;
};

static inline struct virtio_net *virtio_net_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_net, dev);
}
static inline bool virtio_net_link_up(struct virtio_net *n)
{
    return atomic_load_explicit(&n->cable, memory_order_relaxed) &&
           atomic_load_explicit(&n->back_end, memory_order_relaxed);
}
static inline struct virtq *virtio_net_vq(struct virtio_net_pair *p, bool tx)
{
    return &p->net->dev.queues[2 * p->index + tx].vq;
}

/* The back end said -EPIPE: the link goes down and the program is told, once. */
void virtio_net_lost(struct virtio_net_pair *p);
/* Which offloads of the back end correspond to the GUEST_ features in `features`. */
uint32_t virtio_net_guest_offloads(uint64_t features);

/* Each in the pair's thread. Start finds the queue's state as reset or stop left it. */
int virtio_net_rx_start(struct virtio_net_pair *p);
/* Puts the window back into the ring. */
void virtio_net_rx_stop(struct virtio_net_pair *p);
/* Moves frames to the guest: up to a batch, until there are none, or until it must wait. */
void virtio_net_rx_serve(struct virtio_net_pair *p);
/* Forgets the held frame too. */
void virtio_net_rx_reset(struct virtio_net_pair *p);

int virtio_net_tx_start(struct virtio_net_pair *p);
void virtio_net_tx_stop(struct virtio_net_pair *p);
void virtio_net_tx_serve(struct virtio_net_pair *p);

/* virtio_net_sight.c: notes what a packet tells that was sent, and is still the device's. */
void virtio_net_sight_look(struct virtio_net_pair *p, const struct virtq_chain *c);
/* Another driver, maybe of another system, comes. */
void virtio_net_sight_reset(struct virtio_net *n);

/* Serves the control queue. A virtio_watch's serve(). */
bool virtio_net_ctrl_serve(struct virtio_watch *w);

/* Whether a packet may pass: 0, or the time at which to ask again. With `bytes` 0 (not known yet)
 * nothing is taken: virtio_net_limit_charge() follows. */
int64_t virtio_net_limit_take(struct virtio_net_limit *l, uint64_t bytes, int64_t now_ns);
void virtio_net_limit_charge(struct virtio_net_limit *l, uint64_t bytes);

#endif
