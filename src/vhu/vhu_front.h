/* The front end of one vhost-user connection: requests to a back end and their replies. The
 * virtio devices whose queues another process serves (dev/virtio/vhu_device.h) stand on it.
 *
 * Every request waits for its answer, but never beyond the deadline that the caller set last with
 * vhu_front_deadline(): a peer that is slow, silent or dribbles bytes costs at most that. All that
 * a peer says is checked for size and sense. After an error other than EREMOTEIO (the back end
 * refused this one request) question and answer may be out of step: the connection is dead and all
 * that is left is vhu_front_close().
 *
 * Threads: one at a time. */
#ifndef VHU_VHU_FRONT_H
#define VHU_VHU_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vhu/vhu_msg.h"

/* Guest address 0 is told to back ends as this "user address": not our own pointers, which are
 * nobody's business, and never 0, which some take for "not set". */
#define VHU_FRONT_USER_BASE (UINT64_C(1) << 44)

struct vhu_front {
    int fd;
    int channel_fd; /* what the back end asks of us; -1 without */
    struct vhu_rx rx, channel_rx;
    uint64_t features;          /* what the back end offers */
    uint64_t protocol_features; /* agreed on */
    unsigned n_queues_max;      /* as the back end says; 0 if it does not */
    int64_t deadline_ns;
    bool config_changed; /* the back end said so; the user clears it */
};

struct vhu_front_region {
    uint64_t gpa, size_bytes, fd_offset;
    int fd;
};

struct vhu_front_ring {
    unsigned index;
    uint16_t size;
    uint64_t desc, driver, device; /* gpa of the three areas */
    uint32_t base;                 /* virtq_get_base() */
    int kick_fd, call_fd;
    bool log; /* log writes to the used ring */
};

/* Memory in which a back end notes requests it has taken and not completed, kept here so that its
 * successor finds them. */
struct vhu_front_inflight {
    int fd;
    uint64_t size_bytes, offset;
    uint16_t n_queues, queue_size;
};
#define VHU_FRONT_INFLIGHT_MAX_BYTES (UINT64_C(16) << 20)

/* Introduces us to the back end on the connected stream socket `fd` and learns what it can do.
 * `protocol_features` (VHU_PF_*) are those the caller knows to use. Owns: takes `fd`, also when it
 * fails. Errors: ETIMEDOUT, EPROTO, ECONNRESET. Blocks: up to `timeout_ms`. */
int vhu_front_open(struct vhu_front *f, int fd, uint64_t protocol_features, unsigned timeout_ms,
                   struct err *err);
/* Safe on a zeroed-but-for-fds-of-minus-one or closed object. */
void vhu_front_close(struct vhu_front *f);
/* A front end without a connection: what vhu_front_close() leaves behind. */
#define VHU_FRONT_CLOSED ((struct vhu_front){.fd = -1, .channel_fd = -1})

/* All requests from here on together take at most `timeout_ms`. */
void vhu_front_deadline(struct vhu_front *f, unsigned timeout_ms);

/* Tells the accepted virtio features; the bit that enables protocol features is added. */
int vhu_front_set_features(struct vhu_front *f, uint64_t features, struct err *err);
/* Shares guest memory. At most VHU_REGIONS_MAX regions. */
int vhu_front_set_mem_table(struct vhu_front *f, const struct vhu_front_region *regions, unsigned n,
                            struct err *err);
/* Starts a ring, disabled if protocol features were agreed on: see vhu_front_ring_enable(). */
int vhu_front_ring_start(struct vhu_front *f, const struct vhu_front_ring *ring, struct err *err);
/* Only the addresses again, when logging begins or ends. */
int vhu_front_ring_addr(struct vhu_front *f, const struct vhu_front_ring *ring, struct err *err);
int vhu_front_ring_enable(struct vhu_front *f, unsigned index, bool enable, struct err *err);
/* Stops a ring; on return the back end has left it and *base is where it stands. */
int vhu_front_ring_stop(struct vhu_front *f, unsigned index, uint32_t *base, struct err *err);

/* Device configuration space. Need VHU_PF_CONFIG. `off + len` at most VHU_CONFIG_MAX. */
int vhu_front_get_config(struct vhu_front *f, uint32_t off, void *buf, uint32_t len,
                         struct err *err);
int vhu_front_set_config(struct vhu_front *f, uint32_t off, const void *buf, uint32_t len,
                         struct err *err);

/* Asks for a fresh in-flight area, and hands one (back). Need VHU_PF_INFLIGHT_SHMFD. Owns: the
 * caller closes in->fd. */
int vhu_front_get_inflight(struct vhu_front *f, uint16_t n_queues, uint16_t queue_size,
                           struct vhu_front_inflight *in, struct err *err);
int vhu_front_set_inflight(struct vhu_front *f, const struct vhu_front_inflight *in,
                           struct err *err);

/* Where the back end notes the guest pages it writes: one bit a page from guest address 0.
 * Needs VHU_PF_LOG_SHMFD. */
int vhu_front_set_log(struct vhu_front *f, int fd, uint64_t size_bytes, struct err *err);

/* NICs. Needs VHU_PF_NET_MTU. */
int vhu_front_set_mtu(struct vhu_front *f, uint16_t mtu, struct err *err);

/* To be called when the socket or the channel is readable while no request runs: notes what the
 * back end asks (config_changed) and finds out whether it has gone. Returns 0 or the reason why the
 * connection is dead. */
int vhu_front_poll(struct vhu_front *f, struct err *err);

#endif
