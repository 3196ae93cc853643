/* virtio-net: a NIC whose frames this process moves, between guest memory and a network back end
 * (net/net.h). For a NIC served by another process see vhu_net.h. Spec: virtio 1.2, 5.1. */
#ifndef DEV_VIRTIO_VIRTIO_NET_H
#define DEV_VIRTIO_VIRTIO_NET_H

#include "base/token_bucket.h"
#include "dev/virtio/virtio.h"
#include "io/loop.h"
#include "mem/guest_mem.h"
#include "net/net.h"
#include "net/net_addresses.h"

struct virtio_net_options {
    uint8_t mac[6];
    uint16_t mtu;        /* announced to the driver; 0: not announced */
    uint32_t speed_mbps; /* announced; 0: unknown */
    /* The loop that serves queue pair i is loops[i % n_loops], the control queue's is loops[0].
     * Loops are borrowed, and outlive the device. */
    struct loop *loops[NET_PAIRS_MAX];
    unsigned n_loops;
    struct rate_limit rx_limit, tx_limit; /* packets and bytes (frames, headers aside) */
    /* Told when the back end is gone for good: the link is then down. `why` is only valid during
     * the call. May be NULL. Threads: called in the thread of a loop. */
    void (*lost)(void *opaque, const char *why);
    /* Told when virtio_net_addresses_get() has something else to say, but not of what only grew too
     * old. May be NULL. Threads: called in the thread of a loop, or of who resets the device. */
    void (*addresses_changed)(void *opaque);
    void *opaque;
};

/* Owns: takes `nb`, also when it fails. `mem` is borrowed. Offers as many queue pairs as the back
 * end has, and the offloads that it has. Errors: EINVAL (a multicast or zero MAC address, MTU, no
 * loop), ENOMEM. */
struct virtio_device *virtio_net_create(struct guest_mem *mem, struct net_backend *nb,
                                        const struct virtio_net_options *options, struct err *err);

/* Pulls the cable or plugs it in. Frames of either direction are discarded while it is out.
 * Threads: any. */
void virtio_net_set_link(struct virtio_device *dev, bool up);

/* Changes the rate limits, at once also for who waits for the old ones. Threads: any, while the
 * device exists. */
void virtio_net_set_limits(struct virtio_device *dev, const struct rate_limit *rx,
                           const struct rate_limit *tx);

struct virtio_net_counters {
    uint64_t rx_packets, rx_bytes, rx_dropped; /* to the guest; bytes of frames */
    uint64_t tx_packets, tx_bytes, tx_dropped; /* from the guest */
    uint64_t rx_stalls;                        /* times that the guest had no buffer for a frame */
    uint64_t tx_stalls;                        /* times that the back end could not take one */
    uint64_t kicks, interrupts;
};

/* Sums over all pairs since creation. Threads: any; each number is right, not all of one moment. */
void virtio_net_counters_get(struct virtio_device *dev, struct virtio_net_counters *out);

/* The addresses that the guest uses, by the frames that were sent for it since the device was last
 * reset or restored. Threads: any. */
void virtio_net_addresses_get(struct virtio_device *dev, struct net_addresses *out);

#endif
