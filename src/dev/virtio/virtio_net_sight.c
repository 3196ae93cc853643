/* Which addresses the guest uses: see virtio_net_internal.h and net/net_addresses.h. */
#include <string.h>

#include "dev/virtio/virtio_net_internal.h"

/* Copies the begin of the frame; it is the guest's, and may change while it is read. */
static size_t copy_head(const struct virtq_chain *c, uint8_t head[NET_ADDRESSES_HEAD_BYTES])
{
    size_t skip = NET_HDR_BYTES, done = 0;
    for (unsigned i = 0; i < c->n_out && done < NET_ADDRESSES_HEAD_BYTES; i++) {
        size_t have = c->iov[i].iov_len;
        if (have <= skip) {
            skip -= have;
            continue;
        }
        size_t n = MIN(have - skip, NET_ADDRESSES_HEAD_BYTES - done);
        memcpy(head + done, (const uint8_t *)c->iov[i].iov_base + skip, n);
        done += n;
        skip = 0;
    }
    return done;
}

/* Where the frame lies if it lies as drivers lay it: behind the header, or in a buffer of its own;
 * else NULL. */
static const uint8_t *usual_frame(const struct virtq_chain *c)
{
    const struct iovec *v = c->iov;
    if (v->iov_len >= NET_HDR_BYTES + NET_ADDRESSES_PEEK_BYTES)
        return (const uint8_t *)v->iov_base + NET_HDR_BYTES;
    if (v->iov_len == NET_HDR_BYTES && c->n_out > 1 && v[1].iov_len >= NET_ADDRESSES_PEEK_BYTES)
        return v[1].iov_base;
    return NULL;
}

void virtio_net_sight_look(struct virtio_net_pair *p, const struct virtq_chain *c)
{
    struct virtio_net *n = p->net;
    const uint8_t *frame = usual_frame(c);
    uint8_t head[NET_ADDRESSES_HEAD_BYTES];
    if (frame && !net_addresses_may_tell(frame))
        return;
    size_t bytes = copy_head(c, head);
    int64_t now_ns = loop_now_ns(p->loop);
    pthread_mutex_lock(&n->sight.lock);
    bool changed = net_addresses_look(&n->sight.addresses, head, bytes, now_ns);
    pthread_mutex_unlock(&n->sight.lock);
    if (changed && n->options.addresses_changed)
        n->options.addresses_changed(n->options.opaque);
}

void virtio_net_sight_reset(struct virtio_net *n)
{
    pthread_mutex_lock(&n->sight.lock);
    bool changed = n->sight.addresses.n;
    n->sight.addresses.n = 0;
    pthread_mutex_unlock(&n->sight.lock);
    if (changed && n->options.addresses_changed)
        n->options.addresses_changed(n->options.opaque);
}

void virtio_net_addresses_get(struct virtio_device *dev, struct net_addresses *out)
{
    struct virtio_net *n = virtio_net_of(dev);
    int64_t now_ns = loop_now_ns(n->options.loops[0]);
    pthread_mutex_lock(&n->sight.lock);
    net_addresses_expire(&n->sight.addresses, now_ns);
    *out = n->sight.addresses;
    pthread_mutex_unlock(&n->sight.lock);
}
