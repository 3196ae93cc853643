/* One vhost-user message with its file descriptors: bounded receive, size checks, send. Used by
 * both ends, on the socket and on the back end's own channel.
 *
 * A receiver is fed from a non-blocking stream socket and never waits: vhu_rx_read() takes what is
 * there. What it hands out has passed the size check of its request; the descriptors belong to the
 * message until vhu_msg_take_fd(), and vhu_msg_close_fds() closes the rest. */
#ifndef VHU_VHU_MSG_H
#define VHU_VHU_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vhu/vhu_wire.h"

struct vhu_msg {
    struct vhu_header hdr;
    union vhu_payload payload;
    unsigned n_fds;
    int fds[VHU_FDS_MAX];
};

/* Which messages may arrive: requests at a back end, replies at a front end, and the same two on
 * the back end's channel. */
enum vhu_direction { VHU_TO_BACKEND, VHU_TO_FRONTEND, VHU_CHANNEL_TO_FRONTEND };

/* The name of a request for messages to people; "unknown request" if it is none. */
const char *vhu_msg_name(enum vhu_direction dir, uint32_t request);

/* Checks version, flags, payload size and number of descriptors against the request.
 * Errors: EPROTO naming the request, the field and the value. ENOSYS: a request we do not know,
 * of a size that could be skipped. */
int vhu_msg_check(enum vhu_direction dir, const struct vhu_msg *msg, struct err *err);

/* Starts a message with an empty payload of `size` bytes, zeroed. */
void vhu_msg_init(struct vhu_msg *msg, uint32_t request, uint32_t flags, uint32_t size);
/* Takes descriptor `i` out of the message, or -1. */
int vhu_msg_take_fd(struct vhu_msg *msg, unsigned i);
void vhu_msg_close_fds(struct vhu_msg *msg);

/* Sends the whole message with its descriptors, which stay the caller's. Waits for room in the
 * socket until `deadline_ns` (CLOCK_MONOTONIC). Errors: ETIMEDOUT, EPIPE, those of sendmsg(2). */
int vhu_msg_send(int fd, const struct vhu_msg *msg, int64_t deadline_ns, struct err *err);

/* A message being received. Zero-initialise. */
struct vhu_rx {
    struct vhu_msg msg;
    size_t got_bytes; /* of header and payload together */
};

/* Reads what has arrived. Returns 1 when rx->msg is complete and checked (the next call starts the
 * next message; close or take its descriptors before), 0 when more must arrive, or -errno: EPROTO
 * (malformed), ECONNRESET (end of stream), ENOSYS as vhu_msg_check() - the message is complete
 * then and may be answered. */
int vhu_rx_read(struct vhu_rx *rx, int fd, enum vhu_direction dir, struct err *err);
/* Drops a half-received message and its descriptors. */
void vhu_rx_reset(struct vhu_rx *rx);

#endif
