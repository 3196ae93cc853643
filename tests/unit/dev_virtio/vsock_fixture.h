/* virtio-vsock with a guest's driver, a connector of the test's own and clients on its socket. */
#ifndef TESTS_UNIT_VSOCK_FIXTURE_H
#define TESTS_UNIT_VSOCK_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../virtio_driver.h"
#include "dev/virtio/virtio_vsock.h"
#include "dev/virtio/virtio_vsock_path.h"
#include "tap.h"

#define CID   7
#define HDR   sizeof(struct virtio_vsock_hdr)
#define S     INT64_C(1000000000)
#define ALLOC (256 * 1024) /* the guest's own credit */

enum { RX, TX, EVENT };

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct vdrv d;
    char dir[64], path[96];
    struct virtio_vsock_path by_path;
    /* The connector of tests: gives one end of a socket pair and keeps the other. */
    int host_end, n_dials;
    bool refuse, later;
    uint32_t dialled_port;
    uint64_t ticket;
    uint32_t fwd_cnt; /* what the guest says it has consumed */
};

static inline int dial(void *opaque, uint32_t port, uint64_t ticket)
{
    struct rig *r = opaque;
    r->n_dials++;
    r->dialled_port = port;
    r->ticket = ticket;
    if (r->refuse)
        return -ECONNREFUSED;
    if (r->later)
        return -EINPROGRESS;
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return -errno;
    r->host_end = sv[1];
    return sv[0];
}

static inline void settle(struct rig *r)
{
    for (int i = 0, quiet = 0; i < 2000 && quiet < 4; i++)
        quiet = loop_run_once(r->loop, 0) ? 0 : quiet + 1;
}

static inline void post_rx(struct rig *r, unsigned n, uint32_t bytes)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t gpa = vdrv_alloc(&r->d, bytes, NULL);
        struct vdrv_buf b[2] = {{gpa, 44}, {gpa + 44, bytes - 44}};
        if (vdrv_add(&r->d, RX, b, 0, 2, gpa) < 0)
            abort();
    }
    vdrv_kick(&r->d, RX);
    settle(r);
}

static inline struct virtio_device *make(struct rig *r, unsigned max, bool by_path)
{
    struct err err = {0};
    struct virtio_vsock_options o = {
        .guest_cid = CID,
        .loop = r->loop,
        .max_connections = max,
        .listen_fd = virtio_vsock_path_listen(r->path, &err),
        .connector = {by_path ? virtio_vsock_path_connect : dial,
                      by_path ? (void *)&r->by_path : (void *)r},
    };
    return virtio_vsock_create(&r->mem, &o, &err);
}

static inline void open_with(struct rig *r, unsigned flags, unsigned max, bool by_path)
{
    struct err err = {0};
    memset(r, 0, sizeof(*r));
    r->host_end = -1;
    strcpy(r->dir, "/tmp/vsock-test-XXXXXX");
    if (!mkdtemp(r->dir) || guest_mem_init(&r->mem, 64 << 20, 0, NULL))
        abort();
    snprintf(r->path, sizeof(r->path), "%s/v", r->dir);
    r->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    if (virtio_vsock_path_init(&r->by_path, r->path, &err) ||
        !vdrv_open(&r->d, &r->mem, make(r, max, by_path), flags))
        abort();
    settle(r);
}

static inline void open_rig(struct rig *r, unsigned flags)
{
    open_with(r, flags, 0, false);
}

static inline void close_rig(struct rig *r)
{
    vdrv_close(&r->d);
    loop_destroy(r->loop);
    guest_mem_fini(&r->mem);
    virtio_vsock_path_fini(&r->by_path);
    if (r->host_end >= 0)
        close(r->host_end);
    unlink(r->path);
    rmdir(r->dir);
}

/* The guest sends a packet. */
static inline void send_packet(struct rig *r, struct virtio_vsock_hdr h, const void *data)
{
    void *host;
    uint64_t gpa = vdrv_alloc(&r->d, HDR + h.len, &host);
    memcpy(host, &h, HDR);
    if (h.len)
        memcpy((uint8_t *)host + HDR, data, h.len);
    struct vdrv_buf b[2] = {{gpa, HDR}, {gpa + HDR, h.len}};
    CHECK(vdrv_add(&r->d, TX, b, h.len ? 2 : 1, 0, 0) >= 0);
    vdrv_kick(&r->d, TX);
    settle(r);
    int id;
    uintptr_t cookie;
    uint32_t len;
    while (vdrv_ring_used(&r->d.rings[TX], &id, &cookie, &len))
        CHECK(id >= 0 && len == 0);
}

static inline struct virtio_vsock_hdr packet(struct rig *r, uint16_t op, uint32_t guest_port,
                                             uint32_t host_port, uint32_t len)
{
    return (struct virtio_vsock_hdr){
        .src_cid = CID,
        .dst_cid = 2,
        .src_port = guest_port,
        .dst_port = host_port,
        .len = len,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
        .buf_alloc = ALLOC,
        .fwd_cnt = r->fwd_cnt,
    };
}

static inline void say(struct rig *r, uint16_t op, uint32_t guest_port, uint32_t host_port)
{
    send_packet(r, packet(r, op, guest_port, host_port, 0), NULL);
}

static inline void guest_shutdown(struct rig *r, uint32_t flags, uint32_t guest_port,
                                  uint32_t host_port)
{
    struct virtio_vsock_hdr h = packet(r, VIRTIO_VSOCK_OP_SHUTDOWN, guest_port, host_port, 0);
    h.flags = flags;
    send_packet(r, h, NULL);
}

/* The next packet that the guest got; op 0 if none. Payload into `data` (64 KiB) if not NULL. */
static inline struct virtio_vsock_hdr next(struct rig *r, uint8_t *data)
{
    struct virtio_vsock_hdr h = {0};
    int id;
    uintptr_t gpa;
    uint32_t len;
    settle(r);
    if (!vdrv_ring_used(&r->d.rings[RX], &id, &gpa, &len))
        return h;
    CHECK(id >= 0 && len >= HDR);
    memcpy(&h, guest_mem_ptr(&r->mem, gpa, HDR), HDR);
    CHECK_EQ(len, HDR + h.len);
    CHECK_EQ(h.src_cid, 2);
    CHECK_EQ(h.dst_cid, CID);
    if (data)
        memcpy(data, guest_mem_ptr(&r->mem, gpa + HDR, h.len), h.len);
    return h;
}

static inline uint16_t next_op(struct rig *r)
{
    return next(r, NULL).op;
}

/* A connection from guest port 1000 to host port 80 with r->host_end as its other end. */
static inline bool open_from_guest(struct rig *r)
{
    say(r, VIRTIO_VSOCK_OP_REQUEST, 1000, 80);
    struct virtio_vsock_hdr h = next(r, NULL);
    return h.op == VIRTIO_VSOCK_OP_RESPONSE && h.src_port == 80 && h.dst_port == 1000;
}

static inline int client(struct rig *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK_EQ(connect(fd, (void *)&a, sizeof(a)), 0);
    return fd;
}

static inline uint64_t n_open(struct rig *r)
{
    struct virtio_vsock_counters c;
    virtio_vsock_counters_get(r->d.dev, &c);
    return c.open;
}

static inline bool closed(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

#endif
