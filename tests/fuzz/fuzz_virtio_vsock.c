/* virtio-vsock behind a driver that says anything: see virtio_script.h. Its own operation is the
 * host's side: bits 0 to 2 choose, bits 3 and 4 which of its sockets, bits 5 to 7 a size. */
#include "dev/virtio/virtio_vsock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "virtio_script.h"

#define SOCKETS 4

struct vsock_script {
    struct virtio_script s;
    struct sockaddr_un listener;
    socklen_t listener_len;
    int ends[SOCKETS]; /* the host's ends of connections, either way */
    unsigned next_end;
    uint64_t ticket;
};

static void keep(struct vsock_script *v, int fd)
{
    int *slot = &v->ends[v->next_end++ % SOCKETS];
    if (*slot >= 0)
        close(*slot);
    *slot = fd;
}

static int pair(struct vsock_script *v)
{
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return -errno;
    keep(v, sv[1]);
    return sv[0];
}

/* Even ports are connected, ports 1 mod 4 later, the rest refused. */
static int dial(void *opaque, uint32_t port, uint64_t ticket)
{
    struct vsock_script *v = opaque;
    v->ticket = ticket;
    if (port % 2)
        return port % 4 == 1 ? -EINPROGRESS : -ECONNREFUSED;
    return pair(v);
}

/* Listens on a name that the kernel chooses, in no directory. */
static int listen_somewhere(struct vsock_script *v)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    v->listener_len = sizeof(v->listener);
    if (fd < 0 || bind(fd, (void *)&a, sizeof(a.sun_family)) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (void *)&v->listener, &v->listener_len) < 0)
        abort();
    return fd;
}

static struct virtio_device *make(void *opaque)
{
    struct vsock_script *v = opaque;
    struct virtio_vsock_options o = {
        .guest_cid = 3,
        .listen_fd = listen_somewhere(v),
        .loop = v->s.loop,
        .max_connections = 4,
        .connector = {dial, v},
    };
    return virtio_vsock_create(&v->s.mem, &o, NULL);
}

static void join(struct vsock_script *v, const char *line)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (void *)&v->listener, v->listener_len) < 0) {
        close(fd);
        return;
    }
    send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
    keep(v, fd);
}

static void extra(void *opaque, struct virtio_device *dev, uint8_t byte)
{
    static char bulk[8 * 4096];
    struct vsock_script *v = opaque;
    int fd = v->ends[byte >> 3 & 3];
    unsigned size = byte >> 5;
    char line[32];
    switch (byte & 7) {
    case 0:
        send(fd, bulk, size * size * 600 + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case 1:
        recv(fd, bulk, sizeof(bulk), MSG_DONTWAIT);
        break;
    case 2:
        shutdown(fd, (int)(size % 3));
        break;
    case 3:
        keep(v, -1);
        break;
    case 4:
        snprintf(line, sizeof(line), "CONNECT %u\n%s", size, size & 1 ? "data" : "");
        join(v, line);
        break;
    case 5:
        join(v, size & 1 ? "CONNECT 4x\n" : "CONN");
        break;
    case 6:
        virtio_vsock_connected(dev, v->ticket + (size & 1), size & 2 ? pair(v) : -EPERM);
        break;
    default:
        virtio_vsock_counters_get(dev, &(struct virtio_vsock_counters){0});
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virtio_script_hooks hooks = {.extra = extra, .again = make};
    struct vsock_script v = {.ends = {-1, -1, -1, -1}};
    virtio_script_begin(&v.s, data, size);
    virtio_script_run(&v.s, make(&v), &hooks, &v);
    virtio_script_end(&v.s);
    for (int i = 0; i < SOCKETS; i++)
        if (v.ends[i] >= 0)
            close(v.ends[i]);
    return 0;
}
