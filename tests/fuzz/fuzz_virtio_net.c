/* virtio-net behind a driver that says anything: see virtio_script.h. Its own operation is the
 * network's side: bits 0 to 2 choose, bits 3 to 7 are a size or a pair. */
#include "dev/virtio/virtio_net.h"

#include <sys/socket.h>

#include "net/net_null.h"
#include "virtio_script.h"

struct net_script {
    struct virtio_script s;
    struct net_backend *nb;
    uint32_t sum; /* of all bytes sent: reads them */
    uint8_t frame[NET_PACKET_MAX_BYTES + 1];
};

static struct virtio_device *make(void *opaque)
{
    struct net_script *n = opaque;
    struct virtio_net_options o = {
        .mac = {2, 1, 1, 1, 1, 1},
        .mtu = 1500,
        .loops = {n->s.loop},
        .n_loops = 1,
        .tx_limit = {.ops_per_s = 5000, .bytes_per_s = 100000000},
    };
    n->nb = net_null_create(2, 0x7f, 0, NULL);
    return virtio_net_create(&n->s.mem, n->nb, &o, NULL);
}

static void drain(struct net_script *n, int fd)
{
    for (ssize_t got; (got = recv(fd, n->frame, sizeof(n->frame), MSG_DONTWAIT)) > 0;)
        for (ssize_t i = 0; i < got; i++)
            n->sum += n->frame[i];
}

static void extra(void *opaque, struct virtio_device *dev, uint8_t byte)
{
    struct net_script *n = opaque;
    unsigned v = byte >> 3;
    int fd = net_null_peer_fd(n->nb, v & 1);
    struct virtio_net_counters c;
    switch (byte & 7) {
    case 0: /* a short frame arrives */
        send(fd, n->frame, v * 4, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case 1: /* a long one */
        send(fd, n->frame, v * 2115 + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case 2:
        for (unsigned i = 0; i < v; i++)
            send(fd, n->frame, 1514, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case 3:
        drain(n, fd);
        break;
    case 4:
        virtio_net_set_link(dev, v & 2);
        break;
    case 5:
        if (v == 31)
            shutdown(fd, SHUT_RDWR);
        break;
    default:
        virtio_net_counters_get(dev, &c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virtio_script_hooks hooks = {.extra = extra, .again = make};
    static struct net_script n; /* too big for a stack */
    memset(&n, 0, sizeof(n));
    virtio_script_begin(&n.s, data, size);
    virtio_script_run(&n.s, make(&n), &hooks, &n);
    virtio_script_end(&n.s);
    return 0;
}
