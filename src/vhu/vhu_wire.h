/* What travels on a vhost-user socket: message numbers, feature bits, payload layouts. All numbers
 * are in the byte order of the machine, both ends being on it.
 *
 * Spec: "Vhost-user Protocol" in QEMU's interoperability documents, version 1. It calls what the
 * back end sends of its own accord SLAVE_*; here it is BACKEND_*, as newer editions have it.
 *
 *   OFFSET  SIZE  MEANING
 *   0       4     request
 *   4       4     flags: version (bits 0-1, value 1), reply (bit 2), reply wanted (bit 3)
 *   8       4     size of the payload
 *   12      n     payload; file descriptors ride as SCM_RIGHTS on the first byte of the message */
#ifndef VHU_VHU_WIRE_H
#define VHU_VHU_WIRE_H

#include <assert.h>
#include <stdint.h>

#define VHU_VERSION         1u
#define VHU_VERSION_MASK    3u
#define VHU_FLAG_REPLY      (1u << 2)
#define VHU_FLAG_NEED_REPLY (1u << 3)

/* Front end to back end. */
enum vhu_request {
    VHU_GET_FEATURES = 1,
    VHU_SET_FEATURES = 2,
    VHU_SET_OWNER = 3,
    VHU_RESET_OWNER = 4,
    VHU_SET_MEM_TABLE = 5,
    VHU_SET_LOG_BASE = 6,
    VHU_SET_LOG_FD = 7,
    VHU_SET_VRING_NUM = 8,
    VHU_SET_VRING_ADDR = 9,
    VHU_SET_VRING_BASE = 10,
    VHU_GET_VRING_BASE = 11,
    VHU_SET_VRING_KICK = 12,
    VHU_SET_VRING_CALL = 13,
    VHU_SET_VRING_ERR = 14,
    VHU_GET_PROTOCOL_FEATURES = 15,
    VHU_SET_PROTOCOL_FEATURES = 16,
    VHU_GET_QUEUE_NUM = 17,
    VHU_SET_VRING_ENABLE = 18,
    VHU_SEND_RARP = 19,
    VHU_NET_SET_MTU = 20,
    VHU_SET_BACKEND_REQ_FD = 21,
    VHU_GET_CONFIG = 24,
    VHU_SET_CONFIG = 25,
    VHU_GET_INFLIGHT_FD = 31,
    VHU_SET_INFLIGHT_FD = 32,
    VHU_RESET_DEVICE = 34,
    VHU_REQUEST_END
};

/* Back end to front end, on the channel of VHU_SET_BACKEND_REQ_FD. */
enum vhu_backend_request {
    VHU_BACKEND_IOTLB_MSG = 1,
    VHU_BACKEND_CONFIG_CHANGE_MSG = 2,
    VHU_BACKEND_VRING_HOST_NOTIFIER_MSG = 3,
    VHU_BACKEND_REQUEST_END
};

/* Besides the virtio feature bits, in GET_FEATURES and SET_FEATURES. */
#define VHU_F_LOG_ALL           (UINT64_C(1) << 26)
#define VHU_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)

#define VHU_PF_MQ             (UINT64_C(1) << 0)
#define VHU_PF_LOG_SHMFD      (UINT64_C(1) << 1)
#define VHU_PF_RARP           (UINT64_C(1) << 2)
#define VHU_PF_REPLY_ACK      (UINT64_C(1) << 3)
#define VHU_PF_NET_MTU        (UINT64_C(1) << 4)
#define VHU_PF_BACKEND_REQ    (UINT64_C(1) << 5)
#define VHU_PF_CONFIG         (UINT64_C(1) << 9)
#define VHU_PF_INFLIGHT_SHMFD (UINT64_C(1) << 12)
#define VHU_PF_RESET_DEVICE   (UINT64_C(1) << 13)

#define VHU_REGIONS_MAX 8
#define VHU_CONFIG_MAX  256 /* bytes of device configuration space in one message */
#define VHU_FDS_MAX     8
#define VHU_LOG_PAGE    4096

/* Of the u64 of SET_VRING_KICK, _CALL, _ERR: the ring, and "no descriptor comes with this". */
#define VHU_VRING_INDEX_MASK 0xffu
#define VHU_VRING_NOFD       (1u << 8)
/* Of vhu_vring_addr.flags: log writes to the used ring. */
#define VHU_VRING_F_LOG 1u

struct vhu_header {
    uint32_t request, flags, size;
};

struct vhu_vring_state {
    uint32_t index, num;
};

struct vhu_vring_addr {
    uint32_t index, flags;
    uint64_t desc, used, avail; /* user addresses, see vhu_mem_region */
    uint64_t log;               /* guest address at which used-ring writes are logged */
};

struct vhu_mem_region {
    uint64_t guest_addr, size_bytes, user_addr, mmap_offset;
};

struct vhu_mem_table {
    uint32_t n_regions, padding;
    struct vhu_mem_region regions[VHU_REGIONS_MAX];
};

struct vhu_log {
    uint64_t size_bytes, offset;
};

struct vhu_config {
    uint32_t offset, size, flags;
    uint8_t data[VHU_CONFIG_MAX];
};

struct vhu_inflight_desc {
    uint64_t mmap_size, mmap_offset;
    uint16_t n_queues, queue_size;
    uint32_t padding;
};

/* SET_MEM_TABLE and the config messages are shorter than their struct when not full. */
#define VHU_MEM_TABLE_HEADER 8
#define VHU_CONFIG_HEADER    12
/* The inflight description without the padding that C puts behind it: peers send either. */
#define VHU_INFLIGHT_BYTES 20

/* In-flight area, one such region a queue, split rings. It survives the death of a back end: what
 * is written there must make sense after every single store. Spec: "Inflight I/O tracking". */
#define VHU_INFLIGHT_VERSION 1
struct vhu_inflight_entry {
    uint8_t inflight, padding[5];
    uint16_t next;    /* earlier entry of the last batch of completions */
    uint64_t counter; /* order in which requests were taken */
};
struct vhu_inflight_region {
    uint64_t features;
    uint16_t version, desc_num;
    uint16_t last_batch_head;
    uint16_t used_idx; /* of the used ring, once the last batch is cleared here */
    struct vhu_inflight_entry desc[];
};

union vhu_payload {
    uint64_t u64;
    struct vhu_vring_state state;
    struct vhu_vring_addr addr;
    struct vhu_mem_table mem;
    struct vhu_log log;
    struct vhu_config config;
    struct vhu_inflight_desc inflight;
    uint8_t bytes[272];
};

static_assert(sizeof(struct vhu_header) == 12, "vhost-user header");
static_assert(sizeof(struct vhu_vring_addr) == 40, "vring address description");
static_assert(sizeof(struct vhu_mem_region) == 32, "memory region description");
static_assert(sizeof(struct vhu_mem_table) == 264, "memory table");
static_assert(sizeof(struct vhu_config) == 268, "config space message");
static_assert(sizeof(struct vhu_inflight_desc) == 24, "inflight description");
static_assert(sizeof(struct vhu_inflight_entry) == 16, "inflight entry");
static_assert(sizeof(struct vhu_inflight_region) == 16, "inflight region header");
static_assert(sizeof(union vhu_payload) == 272, "largest payload");

#endif
