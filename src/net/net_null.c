#include "net/net_null.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/util.h"
#include "net/net_provider.h"

struct net_null {
    struct net_backend nb;
    bool loop;
    _Atomic uint32_t offloads;
    int fds[NET_PAIRS_MAX], peers[NET_PAIRS_MAX];
};

static struct net_null *null_of(const struct net_backend *nb)
{
    return container_of(nb, struct net_null, nb);
}

static int null_fd(const struct net_backend *nb, unsigned pair)
{
    return null_of(nb)->fds[pair];
}

static int null_send(struct net_backend *nb, unsigned pair, const struct iovec *iov, unsigned n_iov,
                     size_t bytes)
{
    struct net_null *n = null_of(nb);
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov};
    if (sendmsg(n->loop ? n->peers[pair] : n->fds[pair], &msg, MSG_NOSIGNAL) >= 0)
        return 0;
    if (errno == EPIPE || errno == ECONNRESET)
        return net_lost(nb, pair, "the peer hung up");
    /* In loop mode the queue is our own receive queue: full means that a frame is lost. */
    return n->loop && errno == EAGAIN ? -ENOBUFS : -errno;
}

static ssize_t null_recv(struct net_backend *nb, unsigned pair, const struct iovec *iov,
                         unsigned n_iov)
{
    ssize_t n = readv(null_of(nb)->fds[pair], iov, (int)n_iov);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return net_lost(nb, pair, "the peer hung up");
    return n < 0 ? -errno : n;
}

static int null_set_offloads(struct net_backend *nb, uint32_t offloads, struct err *err)
{
    atomic_store(&null_of(nb)->offloads, offloads);
    return 0;
}

static void null_destroy(struct net_backend *nb)
{
    struct net_null *n = null_of(nb);
    for (unsigned i = 0; i < nb->n_pairs; i++) {
        close(n->fds[i]);
        close(n->peers[i]);
    }
    free(n);
}

static const struct net_backend_ops null_ops = {
    .name = "null",
    .fd = null_fd,
    .send = null_send,
    .recv = null_recv,
    .set_offloads = null_set_offloads,
    .destroy = null_destroy,
};

struct net_backend *net_null_create(unsigned n_pairs, uint32_t offloads, unsigned flags,
                                    struct err *err)
{
    struct net_null *n = n_pairs && n_pairs <= NET_PAIRS_MAX ? calloc(1, sizeof(*n)) : NULL;
    if (!n) {
        err_set(err, ENOMEM, "could not make a null back end of %u pairs", n_pairs);
        return NULL;
    }
    net_backend_init(&n->nb, &null_ops, 0);
    n->nb.offloads = offloads;
    n->loop = flags & NET_NULL_LOOP;
    for (; n->nb.n_pairs < n_pairs; n->nb.n_pairs++) {
        int sv[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0) {
            err_sys(err, errno, "could not make a socket pair");
            null_destroy(&n->nb);
            return NULL;
        }
        n->fds[n->nb.n_pairs] = sv[0];
        n->peers[n->nb.n_pairs] = sv[1];
    }
    return &n->nb;
}

int net_null_peer_fd(const struct net_backend *nb, unsigned pair)
{
    return null_of(nb)->peers[pair];
}

uint32_t net_null_offloads(const struct net_backend *nb)
{
    return atomic_load(&null_of(nb)->offloads);
}
