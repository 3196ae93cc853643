/* Network back ends: what carries the Ethernet frames of a NIC to and from the world. Users see a
 * back end through this header; implementers see net_provider.h. Constructors are in net/tap.h,
 * net/passt.h and net/net_null.h; each takes descriptors that somebody else opened, so that a
 * sandboxed process can use them.
 *
 * A back end has one or more queue pairs. Each pair belongs to the loop it was started on: all
 * calls that name a pair are made in that loop's thread, except where said otherwise, and
 * different pairs may live on different threads.
 *
 * A packet is a 12-byte virtio-net header (struct virtio_net_hdr_v1, little-endian) followed by an
 * Ethernet frame without FCS. It is sent from, and received into, the caller's buffers with no copy
 * in between, so these may be guest memory: a back end reads each of their bytes at most once, and
 * believes none. Spec: virtio 1.2, 5.1.6. */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"
#include "io/loop.h"

#define NET_PAIRS_MAX 16
#define NET_HDR_BYTES 12
/* The longest frame: a 64 KiB datagram or segmentation unit behind an Ethernet header with two
 * VLAN tags, rounded up. */
#define NET_FRAME_MAX_BYTES  65568
#define NET_FRAME_MIN_BYTES  14 /* an Ethernet header */
#define NET_PACKET_MAX_BYTES (NET_HDR_BYTES + NET_FRAME_MAX_BYTES)
#define NET_IOV_MAX          1020 /* buffers of one packet: IOV_MAX, less what a back end adds */

struct net_backend;

/* What a side can handle in the virtio-net header of a packet that it is given. Numbered as
 * TUNSETOFFLOAD does. */
enum net_offload {
    NET_OFFLOAD_CSUM = 1 << 0, /* partial checksums; every other bit needs this one */
    NET_OFFLOAD_TSO4 = 1 << 1,
    NET_OFFLOAD_TSO6 = 1 << 2,
    NET_OFFLOAD_ECN = 1 << 3, /* TSO of segments with ECN */
    NET_OFFLOAD_UFO = 1 << 4,
    NET_OFFLOAD_USO4 = 1 << 5,
    NET_OFFLOAD_USO6 = 1 << 6,
};

/* What a pair tells its user, in its loop's thread. A call into the back end is allowed in each. */
struct net_events {
    /* Frames may wait: net_recv() until -EAGAIN, or less and be told again. Only told while
     * net_want_read() is on. */
    void (*readable)(void *opaque, unsigned pair);
    /* After a net_send() returned -EAGAIN: try again. */
    void (*writable)(void *opaque, unsigned pair);
};

/* Stops what still runs, closes the descriptors, frees. NULL is allowed.
 * Threads: only while no loop runs a started pair, or from the one loop they are all on. */
void net_destroy(struct net_backend *nb);

unsigned net_pairs(const struct net_backend *nb);
/* Offloads of packets sent to it that it can do (0: it wants complete frames, and discards the
 * header), and those that it can be told to use in packets that it delivers. A set of enum
 * net_offload. Threads: any. */
uint32_t net_offloads(const struct net_backend *nb);

/* Says which offloads the receiver of its packets accepts: a subset of net_offloads(). Initially
 * none. Threads: any. Errors: ENOTSUP, those of the system. */
int net_set_offloads(struct net_backend *nb, uint32_t offloads, struct err *err);

/* Has the back end spread frames over the first `n_pairs` pairs only. Initially one. On return the
 * others get no new frames. A failure leaves what was. Threads: any one at a time. */
int net_set_active_pairs(struct net_backend *nb, unsigned n_pairs, struct err *err);
/* Threads: any. */
bool net_pair_active(const struct net_backend *nb, unsigned pair);

/* Gives a pair to `loop`, with reading not wanted. `events` outlives the pair's use.
 * Errors: EBUSY (already started). */
int net_start(struct net_backend *nb, unsigned pair, struct loop *loop,
              const struct net_events *events, void *opaque);
/* Ends it; may be started again, on another loop too. Bytes of a half-received frame are kept. */
void net_stop(struct net_backend *nb, unsigned pair);
/* Whether events->readable is wanted. Level-triggered: a pair that nobody reads should not be
 * wanted. Switching costs a system call. A pair that net_set_active_pairs() switched on must be
 * wanted anew. */
void net_want_read(struct net_backend *nb, unsigned pair, bool want);

/* Sends one packet, header first, of `bytes` bytes in all. Returns 0 when it was taken (a network
 * may lose frames all the same); -EAGAIN when it was not and events->writable will tell when to
 * try again; -EINVAL, -EMSGSIZE and the like when it never will be (too short, too long, a
 * header that makes no sense): drop it; -EPIPE when the other side is gone for good.
 * The pair must be started. */
int net_send(struct net_backend *nb, unsigned pair, const struct iovec *iov, unsigned n_iov,
             size_t bytes);

/* Receives one packet, header first, into `iov`, which should hold NET_PACKET_MAX_BYTES: what does
 * not fit of a packet is lost, and the return value is then the capacity. The header's num_buffers
 * is left for the caller to set. Returns the bytes written; -EAGAIN when none waits; -EPIPE when
 * the other side is gone for good (the pair is no longer watched). Buffers may have been written
 * to whatever is returned. */
ssize_t net_recv(struct net_backend *nb, unsigned pair, const struct iovec *iov, unsigned n_iov);

/* Why the other side is gone, for a log or an event; an empty string while it is not. Valid in the
 * pair's thread. */
const char *net_lost_reason(const struct net_backend *nb, unsigned pair);

#endif
