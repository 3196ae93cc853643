/* Theory of operation. A stream has no packets, so both directions must cope with a part of one.
 *
 * Receiving: once a length is known, one recvmsg() asks for the frame, into the caller's buffers,
 * and for the 4 bytes of the next length behind it: one system call a frame, no copy. If the frame
 * is not all there, what came is moved to `held` and the rest is awaited there, because the
 * caller's buffers are the caller's again when recv returns.
 *
 * Sending: length and frame go out in one sendmsg(). If only a part fits, the rest is copied to
 * `pending`, the frame counts as taken, and the next one has to wait until that is flushed. */
#include "net/passt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/util.h"
#include "net/net_provider.h"

#define LEN_BYTES 4

struct passt {
    struct net_backend nb;
    int fd;
    /* Receiving: the length prefix so far, then the frame so far. */
    uint8_t len_buf[LEN_BYTES];
    unsigned len_have;
    size_t held_bytes;
    /* Sending: [pending_at, pending_end) is still to go. */
    size_t pending_at, pending_end;
    uint8_t held[NET_FRAME_MAX_BYTES];
    uint8_t pending[LEN_BYTES + NET_FRAME_MAX_BYTES];
};

static struct passt *passt_of(const struct net_backend *nb)
{
    return container_of(nb, struct passt, nb);
}

static int passt_fd(const struct net_backend *nb, unsigned pair)
{
    return passt_of(nb)->fd;
}

/* ---- pieces of an iovec ---- */

/* Puts what lies in [skip, skip+bytes) of `iov` into `out`, at most `max` entries; *covered
 * receives how many bytes that is. Returns the number of entries. */
static unsigned slice(const struct iovec *iov, unsigned n_iov, size_t skip, size_t bytes,
                      struct iovec *out, unsigned max, size_t *covered)
{
    unsigned n = 0;
    *covered = 0;
    for (unsigned i = 0; i < n_iov && n < max && *covered < bytes; i++) {
        size_t len = iov[i].iov_len;
        if (len <= skip) {
            skip -= len;
            continue;
        }
        len = MIN(len - skip, bytes - *covered);
        out[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + skip, len};
        *covered += len;
        skip = 0;
    }
    return n;
}

static size_t copy_out(const struct iovec *iov, unsigned n_iov, size_t skip, void *to, size_t bytes)
{
    size_t done = 0;
    for (unsigned i = 0; i < n_iov && done < bytes; i++) {
        size_t len = iov[i].iov_len;
        if (len <= skip) {
            skip -= len;
            continue;
        }
        len = MIN(len - skip, bytes - done);
        memcpy((uint8_t *)to + done, (uint8_t *)iov[i].iov_base + skip, len);
        done += len;
        skip = 0;
    }
    return done;
}

static size_t copy_in(const struct iovec *iov, unsigned n_iov, size_t skip, const void *from,
                      size_t bytes)
{
    size_t done = 0;
    for (unsigned i = 0; i < n_iov && done < bytes; i++) {
        size_t len = iov[i].iov_len;
        if (len <= skip) {
            skip -= len;
            continue;
        }
        len = MIN(len - skip, bytes - done);
        memcpy((uint8_t *)iov[i].iov_base + skip, (const uint8_t *)from + done, len);
        done += len;
        skip = 0;
    }
    return done;
}

/* ---- receiving ---- */

static ssize_t receive(struct passt *p, struct iovec *iov, unsigned n_iov)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
    ssize_t n;
    do
        n = recvmsg(p->fd, &msg, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    if (n < 0 && errno == EAGAIN)
        return -EAGAIN;
    if (n < 0 && errno != ECONNRESET)
        return net_lost(&p->nb, 0, "could not receive from passt: %s", strerror(errno));
    return net_lost(&p->nb, 0, "passt closed the connection");
}

/* Completes the length prefix. Returns the length of the frame that follows. */
static ssize_t frame_length(struct passt *p)
{
    if (p->len_have < LEN_BYTES) {
        struct iovec iov = {p->len_buf + p->len_have, LEN_BYTES - p->len_have};
        ssize_t n = receive(p, &iov, 1);
        if (n < 0)
            return n;
        p->len_have += (unsigned)n;
        if (p->len_have < LEN_BYTES)
            return -EAGAIN;
    }
    uint32_t be;
    memcpy(&be, p->len_buf, LEN_BYTES);
    uint32_t len = ntohl(be);
    if (len < NET_FRAME_MIN_BYTES || len > NET_FRAME_MAX_BYTES)
        return net_lost(&p->nb, 0, "passt announced a frame of %u bytes: %d to %d are possible",
                        len, NET_FRAME_MIN_BYTES, NET_FRAME_MAX_BYTES);
    return (ssize_t)len;
}

/* `got` bytes of the frame and what follows it have come: notes how much that is of the next
 * length. Returns whether the frame is complete. */
static bool frame_advance(struct passt *p, size_t wanted, size_t got)
{
    if (got < wanted)
        return false;
    p->len_have = (unsigned)(got - wanted);
    p->held_bytes = 0;
    return true;
}

static ssize_t passt_recv(struct net_backend *nb, unsigned pair, const struct iovec *iov,
                          unsigned n_iov)
{
    struct passt *p = passt_of(nb);
    ssize_t len = frame_length(p);
    if (len < 0)
        return len;
    size_t frame = (size_t)len, direct = 0;
    struct iovec to[NET_IOV_MAX + 2];
    unsigned n_to = 0;
    bool resumed = p->held_bytes > 0;
    if (!resumed)
        n_to = slice(iov, n_iov, NET_HDR_BYTES, frame, to, NET_IOV_MAX, &direct);
    size_t at = resumed ? p->held_bytes : direct;
    if (at < frame)
        to[n_to++] = (struct iovec){p->held + at, frame - at};
    /* The prefix has been decoded, but is still needed if the frame is not all there. */
    uint8_t next_len[LEN_BYTES];
    to[n_to++] = (struct iovec){next_len, LEN_BYTES};
    ssize_t n = receive(p, to, n_to);
    if (n < 0)
        return n;
    size_t wanted = frame - p->held_bytes;
    if (!frame_advance(p, wanted, (size_t)n)) {
        if (!resumed)
            copy_out(iov, n_iov, NET_HDR_BYTES, p->held, MIN((size_t)n, direct));
        p->held_bytes += (size_t)n;
        return -EAGAIN;
    }
    memcpy(p->len_buf, next_len, p->len_have);
    static const uint8_t no_hdr[NET_HDR_BYTES];
    size_t done = copy_in(iov, n_iov, 0, no_hdr, NET_HDR_BYTES);
    done += resumed ? copy_in(iov, n_iov, NET_HDR_BYTES, p->held, frame) : direct;
    return (ssize_t)done;
}

/* ---- sending ---- */

static ssize_t transmit(struct passt *p, struct iovec *iov, unsigned n_iov)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
    ssize_t n;
    do
        n = sendmsg(p->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == ENOBUFS)
        return -EAGAIN;
    if (errno == EPIPE || errno == ECONNRESET)
        return net_lost(&p->nb, 0, "passt closed the connection");
    return net_lost(&p->nb, 0, "could not send to passt: %s", strerror(errno));
}

static int passt_flush(struct net_backend *nb, unsigned pair)
{
    struct passt *p = passt_of(nb);
    if (p->pending_at == p->pending_end)
        return 0;
    struct iovec iov = {p->pending + p->pending_at, p->pending_end - p->pending_at};
    ssize_t n = transmit(p, &iov, 1);
    if (n < 0)
        return (int)n;
    p->pending_at += (size_t)n;
    return p->pending_at == p->pending_end ? 0 : -EAGAIN;
}

static int passt_send(struct net_backend *nb, unsigned pair, const struct iovec *iov,
                      unsigned n_iov, size_t bytes)
{
    struct passt *p = passt_of(nb);
    size_t frame = bytes - NET_HDR_BYTES, covered;
    if (frame > PASST_FRAME_MAX_BYTES)
        return -EMSGSIZE;
    int ret = passt_flush(nb, pair);
    if (ret)
        return ret;
    uint32_t be = htonl((uint32_t)frame);
    struct iovec out[NET_IOV_MAX + 1] = {{&be, LEN_BYTES}};
    unsigned n_out = 1 + slice(iov, n_iov, NET_HDR_BYTES, frame, out + 1, NET_IOV_MAX, &covered);
    if (covered != frame)
        return -EMSGSIZE;
    ssize_t n = transmit(p, out, n_out);
    if (n < 0)
        return (int)n;
    if ((size_t)n == LEN_BYTES + frame)
        return 0;
    memcpy(p->pending, &be, LEN_BYTES);
    copy_out(iov, n_iov, NET_HDR_BYTES, p->pending + LEN_BYTES, frame);
    p->pending_at = (size_t)n;
    p->pending_end = LEN_BYTES + frame;
    net_flush_later(nb, pair);
    return 0;
}

static void passt_destroy(struct net_backend *nb)
{
    close(passt_of(nb)->fd);
    free(passt_of(nb));
}

static const struct net_backend_ops passt_ops = {
    .name = "passt",
    .fd = passt_fd,
    .send = passt_send,
    .recv = passt_recv,
    .flush = passt_flush,
    .destroy = passt_destroy,
};

struct net_backend *passt_create(int fd, struct err *err)
{
    int type = 0;
    socklen_t len = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM) {
        err_set(err, EINVAL, "descriptor %d is not a stream socket to passt", fd);
        return NULL;
    }
    /* calloc() of this size maps pages that stay untouched until a frame is split. */
    struct passt *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(err, ENOMEM, "could not allocate a passt back end");
        return NULL;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        err_sys(err, errno, "could not make descriptor %d non-blocking", fd);
        free(p);
        return NULL;
    }
    net_backend_init(&p->nb, &passt_ops, 1);
    p->fd = fd;
    return &p->nb;
}
