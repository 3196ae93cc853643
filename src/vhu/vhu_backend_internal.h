/* Shared by the files of the back end: vhu_backend.c (connection, rings), vhu_backend_msg.c (one
 * function a message) and vhu_backend_mem.c (the peer's memory). */
#ifndef VHU_VHU_BACKEND_INTERNAL_H
#define VHU_VHU_BACKEND_INTERNAL_H

#include "vhu/vhu_backend.h"
#include "vhu/vhu_inflight.h"
#include "vhu/vhu_msg.h"

struct vhu_ring {
    struct vhu_backend *backend;
    unsigned index;
    uint32_t num, base;
    struct vhu_vring_addr addr;
    bool have_addr, started, enabled;
    bool live;     /* the user may take requests */
    bool stopping; /* it may not, but has some */
    bool attached; /* vq is valid */
    bool fresh;    /* live since this message: requests may wait */
    bool last_was_replay;
    int kick_fd, call_fd, err_fd;
    struct virtq vq;
    struct vhu_inflight_queue inflight;
    struct loop_fd kick;
};

struct vhu_mapping {
    uint64_t user_addr;
    void *map;
    size_t map_bytes;
};

struct vhu_backend {
    struct loop *loop;
    struct vhu_backend_config config;
    int fd, channel_fd;
    struct loop_fd watch;
    struct vhu_rx rx;
    uint64_t features, protocol_features; /* accepted */
    struct virtq_xlate xlate;
    struct vhu_mapping mappings[VHU_REGIONS_MAX]; /* of xlate.regions, same order */
    _Atomic uint8_t *log;                         /* NULL: nothing is logged */
    size_t log_bytes;
    struct vhu_inflight inflight;
    int stop_reply; /* ring whose GET_VRING_BASE waits for an answer, -1 */
    bool closing, closed_told;
    struct err why;
    struct loop_timer closed;
    struct vhu_ring rings[VHU_BACKEND_RINGS_MAX];
};

/* vhu_backend_msg.c: carries out one checked message and answers it. An error ends the connection.
 */
int vhu_backend_handle(struct vhu_backend *b, struct vhu_msg *msg, struct err *err);
/* Answers the GET_VRING_BASE that waited for `ring`. */
int vhu_backend_answer_stop(struct vhu_backend *b, const struct vhu_ring *ring, struct err *err);

/* vhu_backend_mem.c */
int vhu_backend_mem_set(struct vhu_backend *b, struct vhu_msg *msg, struct err *err);
void vhu_backend_mem_drop(struct vhu_backend *b);
int vhu_backend_log_set(struct vhu_backend *b, struct vhu_msg *msg, struct err *err);
void vhu_backend_log_drop(struct vhu_backend *b);
/* The guest address that the front end calls `user_addr`. Errors: EFAULT. */
int vhu_backend_mem_gpa(const struct vhu_backend *b, uint64_t user_addr, uint64_t *gpa);

/* vhu_backend.c: rings. Update brings a ring to the state its flags ask for. */
int vhu_backend_ring_update(struct vhu_backend *b, struct vhu_ring *ring, struct err *err);
/* Takes a live ring from the user. Returns true if nothing is in flight any more. */
bool vhu_backend_ring_quiesce(struct vhu_ring *ring);
void vhu_backend_ring_forget(struct vhu_ring *ring);

#endif
