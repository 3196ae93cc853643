/* The packets of a virtio-vsock connection that is open: data and credit in both directions, and
 * how each side says that it sends or reads no more. See virtio_vsock_internal.h. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "dev/virtio/virtio_vsock_internal.h"

/* ---- data to the host ---- */

/* Has the guest told about room, once that is worth a packet. */
static void forwarded(struct vsock_conn *c, uint32_t bytes)
{
    c->fwd_cnt += bytes;
    if (c->fwd_cnt - c->fwd_told >= VSOCK_BUF_BYTES / 2)
        virtio_vsock_conn_want(c, VSOCK_P_CREDIT_UPDATE);
}

/* The host does not read any more: what is left for it is thrown away. */
static void host_deaf(struct vsock_conn *c)
{
    uint32_t lost = c->buf_bytes;
    c->buf_bytes = 0;
    c->shut_by_us |= VIRTIO_VSOCK_SHUTDOWN_RCV;
    forwarded(c, lost);
    virtio_vsock_conn_want(c, VSOCK_P_SHUTDOWN);
}

/* Nothing waits for the host: does what the guest's shutdown asked for. */
static void drained(struct vsock_conn *c)
{
    free(c->buf);
    c->buf = NULL;
    if (c->shut_by_guest == VSOCK_SHUT_BOTH) {
        virtio_vsock_conn_close(c, true); /* 5.10.6.6.1: the answer to a clean disconnect */
        return;
    }
    if (!(c->shut_by_guest & VIRTIO_VSOCK_SHUTDOWN_SEND))
        return;
    shutdown(c->watch.fd, SHUT_WR);
    if (c->eof && c->shut_by_us != VSOCK_SHUT_BOTH) {
        /* Each side has said that it sends no more. */
        c->shut_by_us = VSOCK_SHUT_BOTH;
        virtio_vsock_conn_want(c, VSOCK_P_SHUTDOWN);
    }
}

void virtio_vsock_conn_flush(struct vsock_conn *c)
{
    while (c->buf_bytes) {
        uint32_t until_end = MIN(c->buf_bytes, VSOCK_BUF_BYTES - c->buf_at);
        ssize_t n = send(c->watch.fd, c->buf + c->buf_at, until_end, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            host_deaf(c);
            break;
        }
        c->buf_at = (c->buf_at + (uint32_t)n) % VSOCK_BUF_BYTES;
        c->buf_bytes -= (uint32_t)n;
        forwarded(c, (uint32_t)n);
    }
    drained(c);
}

/* Appends to the buffer; there is room, by the credit. */
static int stash(struct vsock_conn *c, const uint8_t *p, size_t len)
{
    if (!c->buf) {
        c->buf = malloc(VSOCK_BUF_BYTES);
        c->buf_at = 0;
        if (!c->buf)
            return -ENOMEM;
    }
    while (len) {
        uint32_t end = (c->buf_at + c->buf_bytes) % VSOCK_BUF_BYTES;
        size_t n = MIN(len, VSOCK_BUF_BYTES - end);
        memcpy(c->buf + end, p, n);
        c->buf_bytes += (uint32_t)n;
        p += n;
        len -= n;
    }
    return 0;
}

/* The part [skip, skip + bytes) of a chain's readable buffers. */
static unsigned slice_out(const struct virtq_chain *chain, size_t skip, size_t bytes,
                          struct iovec *out)
{
    unsigned n = 0;
    for (unsigned i = 0; i < chain->n_out && bytes; i++) {
        size_t len = chain->iov[i].iov_len;
        if (len <= skip) {
            skip -= len;
            continue;
        }
        len = MIN(len - skip, bytes);
        out[n++] = (struct iovec){(uint8_t *)chain->iov[i].iov_base + skip, len};
        bytes -= len;
        skip = 0;
    }
    return n;
}

void virtio_vsock_conn_data(struct vsock_conn *c, const struct virtq_chain *chain, size_t skip,
                            uint32_t bytes)
{
    if (bytes > VSOCK_BUF_BYTES - (c->received_cnt - c->fwd_cnt)) { /* 5.10.6.3: over its credit */
        virtio_vsock_conn_close(c, true);
        return;
    }
    c->received_cnt += bytes;
    struct iovec iov[VSOCK_CHAIN_IOV];
    unsigned n_iov = slice_out(chain, skip, bytes, iov);
    size_t sent = 0;
    if (c->shut_by_us & VIRTIO_VSOCK_SHUTDOWN_RCV) {
        forwarded(c, bytes);
        return;
    }
    if (!c->buf_bytes) {
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
        ssize_t n = sendmsg(c->watch.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            host_deaf(c);
            forwarded(c, bytes);
            return;
        }
        sent = n > 0 ? (size_t)n : 0;
        forwarded(c, (uint32_t)sent);
    }
    for (unsigned i = 0; i < n_iov; i++) {
        size_t skip_here = MIN(sent, iov[i].iov_len);
        sent -= skip_here;
        if (stash(c, (uint8_t *)iov[i].iov_base + skip_here, iov[i].iov_len - skip_here)) {
            virtio_vsock_conn_close(c, true);
            return;
        }
    }
}

void virtio_vsock_conn_shutdown(struct vsock_conn *c, uint8_t flags)
{
    c->shut_by_guest |= flags & VSOCK_SHUT_BOTH;
    if (c->shut_by_guest & VIRTIO_VSOCK_SHUTDOWN_RCV)
        shutdown(c->watch.fd, SHUT_RD);
    if (!c->buf_bytes)
        drained(c);
}

/* ---- data and control to the guest ---- */

static uint32_t credit(const struct vsock_conn *c)
{
    uint32_t in_flight = c->sent_cnt - c->peer_fwd_cnt;
    return in_flight > c->peer_buf_alloc ? 0 : c->peer_buf_alloc - in_flight;
}

static bool can_read(const struct vsock_conn *c)
{
    return c->state == VSOCK_OPEN && c->readable && !c->eof &&
           !(c->shut_by_guest & VIRTIO_VSOCK_SHUTDOWN_RCV) && credit(c);
}

bool virtio_vsock_conn_ready(const struct vsock_conn *c)
{
    return c->pending || can_read(c);
}

/* Reads from the socket into the chain, behind the header. Returns bytes, or -EAGAIN when there is
 * none (the connection may then have something else to send, or be closed). */
static ssize_t read_data(struct vsock_conn *c, const struct virtq_chain *chain)
{
    struct iovec iov[VSOCK_CHAIN_IOV];
    size_t skip = VSOCK_HDR_BYTES,
           left = MIN(MIN(credit(c), chain->in_bytes - skip), (size_t)VSOCK_PACKET_MAX);
    unsigned n_iov = 0;
    if (!left)
        return -EAGAIN;
    for (unsigned i = chain->n_out; i < (unsigned)chain->n_out + chain->n_in && left; i++) {
        size_t len = chain->iov[i].iov_len;
        if (len <= skip) {
            skip -= len;
            continue;
        }
        len = MIN(len - skip, left);
        iov[n_iov++] = (struct iovec){(uint8_t *)chain->iov[i].iov_base + skip, len};
        left -= len;
        skip = 0;
    }
    ssize_t n = readv(c->watch.fd, iov, (int)n_iov);
    if (n > 0) {
        c->sent_cnt += (uint32_t)n;
        if (!credit(c))
            c->pending |= VSOCK_P_CREDIT_REQUEST;
        return n;
    }
    c->readable = false;
    if (n == 0) {
        c->eof = true;
        c->shut_by_us |= VIRTIO_VSOCK_SHUTDOWN_SEND;
        if (c->hung_up || (c->shut_by_guest & VIRTIO_VSOCK_SHUTDOWN_SEND))
            c->shut_by_us = VSOCK_SHUT_BOTH;
        c->pending |= VSOCK_P_SHUTDOWN;
    } else if (errno != EAGAIN && errno != EINTR) {
        virtio_vsock_conn_close(c, true);
    }
    return -EAGAIN;
}

static uint16_t next_control(struct vsock_conn *c, uint8_t among)
{
    static const struct {
        uint8_t bit, op;
    } table[] = {
        {VSOCK_P_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
        {VSOCK_P_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
        {VSOCK_P_RST, VIRTIO_VSOCK_OP_RST},
        {VSOCK_P_CREDIT_UPDATE, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
        {VSOCK_P_CREDIT_REQUEST, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
        {VSOCK_P_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
    };
    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        if (c->pending & among & table[i].bit) {
            c->pending &= (uint8_t)~table[i].bit;
            return table[i].op;
        }
    }
    return VIRTIO_VSOCK_OP_INVALID;
}

ssize_t virtio_vsock_conn_next(struct vsock_conn *c, struct virtio_vsock_hdr *h,
                               const struct virtq_chain *chain)
{
    const uint8_t first = VSOCK_P_REQUEST | VSOCK_P_RESPONSE | VSOCK_P_RST;
    ssize_t bytes = 0;
    uint16_t op = next_control(c, first);
    if (op == VIRTIO_VSOCK_OP_INVALID && can_read(c)) {
        bytes = read_data(c, chain);
        if (bytes > 0)
            op = VIRTIO_VSOCK_OP_RW;
        else
            bytes = 0;
    }
    if (op == VIRTIO_VSOCK_OP_INVALID)
        op = next_control(c, UINT8_MAX);
    if (op == VIRTIO_VSOCK_OP_INVALID)
        return -EAGAIN;
    *h = (struct virtio_vsock_hdr){
        .src_cid = htole64(VSOCK_HOST_CID),
        .dst_cid = htole64(c->vs->options.guest_cid),
        .src_port = htole32(c->host_port),
        .dst_port = htole32(c->guest_port),
        .len = htole32((uint32_t)bytes),
        .type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
        .op = htole16(op),
        .flags = htole32(op == VIRTIO_VSOCK_OP_SHUTDOWN ? c->shut_by_us : 0),
        .buf_alloc = htole32(VSOCK_BUF_BYTES),
        .fwd_cnt = htole32(c->fwd_cnt),
    };
    c->fwd_told = c->fwd_cnt;
    c->pending &= (uint8_t)~VSOCK_P_CREDIT_UPDATE;
    return bytes;
}

void virtio_vsock_conn_sent(struct vsock_conn *c, const struct virtio_vsock_hdr *h)
{
    if (le16toh(h->op) == VIRTIO_VSOCK_OP_RST)
        virtio_vsock_conn_close(c, false);
    else if (le16toh(h->op) == VIRTIO_VSOCK_OP_SHUTDOWN && c->shut_by_us == VSOCK_SHUT_BOTH)
        virtio_vsock_conn_timer(c, VSOCK_CLOSING_NS);
}
