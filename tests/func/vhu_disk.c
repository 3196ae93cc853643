/* vhu-disk FILE SOCKET: a virtio-blk back end over vhost-user for tests of guests. It serves one
 * connection at a time, keeps requests in flight on record, and answers them late and newest first,
 * so that whoever kills it finds requests taken and not answered, and answers out of order. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "io/loop.h"
#include "vhu/vhu_backend.h"

#define CONFIG_BYTES   60
#define HELD_MAX       32
#define IOV_MAX_CHAIN  130
#define ANSWER_EVERY   2000000 /* ns */
#define ANSWERS_A_TIME 8

struct request {
    unsigned ring;
    struct virtq_chain chain;
    struct iovec iov[IOV_MAX_CHAIN];
    uint64_t in_gpa[IOV_MAX_CHAIN];
};

struct server {
    struct loop *loop;
    int file;
    struct loop_fd listener;
    struct loop_timer timer;
    struct vhu_backend *backend; /* NULL: nobody is connected */
    uint8_t config[CONFIG_BYTES];
    struct request held[HELD_MAX];
    unsigned n_held;
};

static void config_read(void *opaque, uint32_t off, void *buf, uint32_t len)
{
    memcpy(buf, ((struct server *)opaque)->config + off, len);
}

/* Moves the data of a read or a write; the header and the status byte are not among it. */
static bool transfer(const struct server *s, const struct virtq_chain *c, bool write, uint64_t at)
{
    unsigned first = write ? 1 : c->n_out, end = write ? c->n_out : c->n_out + c->n_in - 1;
    for (unsigned i = first; i < end; i++) {
        const struct iovec *v = &c->iov[i];
        ssize_t n = write ? pwrite(s->file, v->iov_base, v->iov_len, (off_t)at)
                          : pread(s->file, v->iov_base, v->iov_len, (off_t)at);
        if (n != (ssize_t)v->iov_len)
            return false;
        at += v->iov_len;
    }
    return true;
}

static void complete(struct server *s, struct request *r)
{
    struct virtq_chain *c = &r->chain;
    struct virtio_blk_outhdr hdr = {0};
    uint32_t written = 1;
    uint8_t status = VIRTIO_BLK_S_UNSUPP;
    if (c->n_out && c->iov[0].iov_len == sizeof(hdr) && c->n_in) {
        memcpy(&hdr, c->iov[0].iov_base, sizeof(hdr));
        bool good = hdr.type == VIRTIO_BLK_T_FLUSH
                        ? !fdatasync(s->file)
                        : transfer(s, c, hdr.type == VIRTIO_BLK_T_OUT, hdr.sector * 512);
        if (hdr.type == VIRTIO_BLK_T_FLUSH || hdr.type == VIRTIO_BLK_T_OUT ||
            hdr.type == VIRTIO_BLK_T_IN)
            status = good ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
        for (unsigned i = c->n_out; hdr.type == VIRTIO_BLK_T_IN && i + 1 < c->n_out + c->n_in; i++)
            written += (uint32_t)c->iov[i].iov_len;
        *(uint8_t *)c->iov[c->n_out + c->n_in - 1].iov_base = status;
    }
    vhu_backend_push(s->backend, r->ring, c, written);
    vhu_backend_flush(s->backend, r->ring);
}

static void take(struct server *s, unsigned ring)
{
    while (s->n_held < HELD_MAX) {
        struct request *r = &s->held[s->n_held];
        r->ring = ring;
        r->chain =
            (struct virtq_chain){.iov = r->iov, .in_gpa = r->in_gpa, .iov_max = IOV_MAX_CHAIN};
        if (vhu_backend_pop(s->backend, ring, &r->chain)) {
            s->n_held++;
        } else if (!vhu_backend_ring_live(s->backend, ring) ||
                   !virtq_enable_kicks(vhu_backend_vq(s->backend, ring))) {
            break;
        }
    }
    if (s->n_held)
        loop_timer_arm(s->loop, &s->timer, loop_now_ns(s->loop) + ANSWER_EVERY);
}

static void answer(struct loop_timer *t)
{
    struct server *s = t->opaque;
    for (unsigned i = 0; i < ANSWERS_A_TIME && s->n_held; i++)
        complete(s, &s->held[--s->n_held]);
    if (s->backend && vhu_backend_ring_live(s->backend, 0))
        take(s, 0);
    else if (s->n_held)
        loop_timer_arm(s->loop, &s->timer, loop_now_ns(s->loop) + ANSWER_EVERY);
}

static void kicked(void *opaque, unsigned ring)
{
    take(opaque, ring);
}

static void ring_stopped(void *opaque, unsigned ring)
{
    struct server *s = opaque;
    (void)ring;
    while (s->n_held)
        complete(s, &s->held[--s->n_held]);
}

static void closed(void *opaque, const struct err *why)
{
    struct server *s = opaque;
    fprintf(stderr, "vhu-disk: the connection ended: %s\n", why->msg);
    vhu_backend_destroy(s->backend);
    s->backend = NULL;
}

static void connected(struct loop_fd *w, uint32_t events)
{
    static const struct vhu_backend_ops ops = {.config_read = config_read,
                                               .ring_stop = ring_stopped,
                                               .ring_kick = kicked,
                                               .closed = closed};
    struct server *s = w->opaque;
    struct vhu_backend_config config = {
        .ops = &ops,
        .opaque = s,
        .features = UINT64_C(1) << 32 | UINT64_C(1) << 29 | UINT64_C(1) << 28 |
                    UINT64_C(1) << VIRTIO_BLK_F_FLUSH,
        .n_rings = 1,
        .config_bytes = CONFIG_BYTES,
        .flags = VHU_BACKEND_DEMAND_SEALS | VHU_BACKEND_INFLIGHT,
    };
    struct err err = {0};
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
    (void)events;
    if (fd < 0)
        return;
    if (s->backend) {
        close(fd);
        return;
    }
    s->backend = vhu_backend_create(s->loop, fd, &config, &err);
    if (!s->backend)
        fprintf(stderr, "vhu-disk: %s\n", err.msg);
}

int main(int argc, char **argv)
{
    static struct server s;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    struct err err = {0};
    if (argc != 3 || strlen(argv[2]) >= sizeof(addr.sun_path)) {
        fprintf(stderr, "usage: vhu-disk FILE SOCKET\n");
        return 2;
    }
    strcpy(addr.sun_path, argv[2]);
    unlink(argv[2]);
    s.file = open(argv[1], O_RDWR | O_CLOEXEC);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    s.loop = loop_create(0, &err);
    if (s.file < 0 || fstat(s.file, &st) || listener < 0 || !s.loop ||
        bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1)) {
        perror("vhu-disk");
        return 1;
    }
    le64_write(s.config, (uint64_t)st.st_size / 512);
    s.timer = (struct loop_timer){.expired = answer, .opaque = &s};
    s.listener.ready = connected;
    s.listener.opaque = &s;
    if (loop_fd_add(s.loop, &s.listener, listener, EPOLLIN))
        return 1;
    loop_run(s.loop);
    return 0;
}
