/* What all network back ends share: watching a pair's descriptor, and the rule that a pair whose
 * other side is gone is said so once and then left alone. */
#include "net/net.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "base/util.h"
#include "net/net_provider.h"

void net_backend_init(struct net_backend *nb, const struct net_backend_ops *ops, unsigned n_pairs)
{
    nb->ops = ops;
    nb->n_pairs = n_pairs;
    atomic_store(&nb->active_pairs, 1);
    for (unsigned i = 0; i < NET_PAIRS_MAX; i++)
        nb->pairs[i].nb = nb;
}

void net_destroy(struct net_backend *nb)
{
    if (!nb)
        return;
    for (unsigned i = 0; i < nb->n_pairs; i++)
        net_stop(nb, i);
    nb->ops->destroy(nb);
}

unsigned net_pairs(const struct net_backend *nb)
{
    return nb->n_pairs;
}

uint32_t net_offloads(const struct net_backend *nb)
{
    return nb->offloads;
}

int net_set_offloads(struct net_backend *nb, uint32_t offloads, struct err *err)
{
    if (offloads & ~nb->offloads)
        return err_set(err, ENOTSUP, "%s back end cannot do offloads 0x%x", nb->ops->name,
                       offloads & ~nb->offloads);
    return nb->ops->set_offloads ? nb->ops->set_offloads(nb, offloads, err) : 0;
}

/* ---- active pairs ---- */

static int pairs_switch(struct net_backend *nb, unsigned from, unsigned to, struct err *err)
{
    bool active = to > from;
    for (unsigned i = from; i != to; i += active ? 1 : -1U) {
        unsigned pair = active ? i : i - 1;
        /* The flag goes down before the pair does and comes up after it, so that its thread never
         * takes a switched-off pair for a lost one. */
        if (!active)
            atomic_store(&nb->active_pairs, pair);
        if (nb->ops->set_pair_active) {
            int ret = nb->ops->set_pair_active(nb, pair, active, err);
            if (ret) {
                if (!active)
                    atomic_store(&nb->active_pairs, pair + 1);
                return ret;
            }
        }
        if (active)
            atomic_store(&nb->active_pairs, pair + 1);
    }
    return 0;
}

int net_set_active_pairs(struct net_backend *nb, unsigned n_pairs, struct err *err)
{
    unsigned before = atomic_load(&nb->active_pairs);
    if (!n_pairs || n_pairs > nb->n_pairs)
        return err_set(err, EINVAL, "%u queue pairs asked of a %s back end that has %u", n_pairs,
                       nb->ops->name, nb->n_pairs);
    int ret = pairs_switch(nb, before, n_pairs, err);
    if (ret)
        pairs_switch(nb, atomic_load(&nb->active_pairs), before, NULL);
    return ret;
}

bool net_pair_active(const struct net_backend *nb, unsigned pair)
{
    return pair < atomic_load(&nb->active_pairs);
}

/* ---- watching ---- */

static void watch_update(struct net_pair *p);

static void ready(struct loop_fd *w, uint32_t events)
{
    struct net_pair *p = w->opaque;
    struct net_backend *nb = p->nb;
    unsigned pair = (unsigned)(p - nb->pairs);
    /* Without a reader nobody would notice that the other side hung up, and epoll would go on
     * saying so: look again when somebody reads or writes. */
    if ((events & (EPOLLERR | EPOLLHUP)) && !p->want_read && !p->want_write) {
        loop_fd_remove(&p->watch);
        return;
    }
    if (p->want_write && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        if (!nb->ops->flush || nb->ops->flush(nb, pair) != -EAGAIN) {
            bool tell = p->user_waits;
            p->want_write = p->user_waits = false;
            watch_update(p);
            if (tell)
                p->events->writable(p->opaque, pair);
        }
    }
    if (p->loop && p->want_read && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        p->events->readable(p->opaque, pair);
}

static void watch_update(struct net_pair *p)
{
    uint32_t events = (p->want_read ? EPOLLIN : 0) | (p->want_write ? EPOLLOUT : 0);
    unsigned pair = (unsigned)(p - p->nb->pairs);
    /* A switched-off pair is not watched: its descriptor may have no wait queue to be on. */
    if (!p->loop || p->lost || !net_pair_active(p->nb, pair)) {
        loop_fd_remove(&p->watch);
        return;
    }
    if (p->watch.loop) {
        loop_fd_modify(&p->watch, events);
        return;
    }
    if (!events)
        return;
    p->watch.ready = ready;
    p->watch.opaque = p;
    loop_fd_add(p->loop, &p->watch, p->nb->ops->fd(p->nb, pair), events);
}

int net_start(struct net_backend *nb, unsigned pair, struct loop *loop,
              const struct net_events *events, void *opaque)
{
    struct net_pair *p = &nb->pairs[pair];
    if (p->loop)
        return -EBUSY;
    p->loop = loop;
    p->events = events;
    p->opaque = opaque;
    p->want_read = p->want_write = p->user_waits = false;
    if (!p->lost && nb->ops->flush && nb->ops->flush(nb, pair) == -EAGAIN)
        net_flush_later(nb, pair);
    return 0;
}

void net_stop(struct net_backend *nb, unsigned pair)
{
    struct net_pair *p = &nb->pairs[pair];
    loop_fd_remove(&p->watch);
    p->loop = NULL;
    p->want_read = p->want_write = p->user_waits = false;
}

void net_want_read(struct net_backend *nb, unsigned pair, bool want)
{
    struct net_pair *p = &nb->pairs[pair];
    if (!p->loop || (p->want_read == want && (p->watch.loop || !want)))
        return;
    p->want_read = want;
    watch_update(p);
}

void net_flush_later(struct net_backend *nb, unsigned pair)
{
    struct net_pair *p = &nb->pairs[pair];
    p->want_write = true;
    watch_update(p);
}

/* ---- frames ---- */

int net_lost(struct net_backend *nb, unsigned pair, const char *fmt, ...)
{
    struct net_pair *p = &nb->pairs[pair];
    if (!p->lost) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(p->lost_why.msg, sizeof(p->lost_why.msg), fmt, ap);
        va_end(ap);
        p->lost_why.code = EPIPE;
        p->lost = true;
        loop_fd_remove(&p->watch);
    }
    return -EPIPE;
}

const char *net_lost_reason(const struct net_backend *nb, unsigned pair)
{
    return nb->pairs[pair].lost_why.msg;
}

/* A pair may be switched off and on again by another thread just while it is used. One that stays
 * away although it is on has lost its interface. Returns -ENETDOWN or -EPIPE. */
static int still_there(struct net_backend *nb, unsigned pair)
{
    if (nb->ops->alive(nb, pair))
        return -ENETDOWN;
    return net_lost(nb, pair, "the interface was removed");
}

int net_send(struct net_backend *nb, unsigned pair, const struct iovec *iov, unsigned n_iov,
             size_t bytes)
{
    struct net_pair *p = &nb->pairs[pair];
    if (p->lost)
        return -EPIPE;
    if (bytes < NET_HDR_BYTES + NET_FRAME_MIN_BYTES || bytes > NET_PACKET_MAX_BYTES ||
        n_iov > NET_IOV_MAX)
        return -EMSGSIZE;
    int ret = nb->ops->send(nb, pair, iov, n_iov, bytes);
    if (ret == -EAGAIN && p->loop) {
        p->user_waits = true;
        net_flush_later(nb, pair);
    }
    if (ret == -EBADFD)
        return net_pair_active(nb, pair) ? still_there(nb, pair) : -ENETDOWN;
    return ret;
}

ssize_t net_recv(struct net_backend *nb, unsigned pair, const struct iovec *iov, unsigned n_iov)
{
    struct net_pair *p = &nb->pairs[pair];
    if (p->lost)
        return -EPIPE;
    ssize_t ret = nb->ops->recv(nb, pair, iov, n_iov);
    if (ret != -EBADFD)
        return ret;
    if (net_pair_active(nb, pair))
        return still_there(nb, pair) == -EPIPE ? -EPIPE : -EAGAIN;
    net_want_read(nb, pair, false);
    return -EAGAIN;
}
