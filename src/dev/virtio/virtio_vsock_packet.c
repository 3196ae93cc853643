/* What the guest sends over virtio-vsock. Spec: virtio 1.2, 5.10.6. */
#include <errno.h>

#include "dev/virtio/virtio_vsock_internal.h"

static void read_header(const struct virtq_chain *c, struct virtio_vsock_hdr *h)
{
    size_t done = 0;
    for (unsigned i = 0; i < c->n_out && done < sizeof(*h); i++) {
        size_t n = MIN(c->iov[i].iov_len, sizeof(*h) - done);
        memcpy((uint8_t *)h + done, c->iov[i].iov_base, n);
        done += n;
    }
}

/* A packet of a connection that exists and has a socket, or waits for one. */
static void on_conn(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
                    const struct virtq_chain *chain)
{
    bool open = c->state == VSOCK_OPEN;
    c->peer_buf_alloc = le32toh(h->buf_alloc);
    c->peer_fwd_cnt = le32toh(h->fwd_cnt);
    switch (le16toh(h->op)) {
    case VIRTIO_VSOCK_OP_RST:
        virtio_vsock_conn_close(c, false);
        return;
    case VIRTIO_VSOCK_OP_RESPONSE:
        if (c->state == VSOCK_CONNECTING && !(c->pending & VSOCK_P_REQUEST))
            virtio_vsock_conn_established(c);
        else
            virtio_vsock_conn_close(c, true);
        return;
    case VIRTIO_VSOCK_OP_RW:
        if (!open || (c->shut_by_guest & VIRTIO_VSOCK_SHUTDOWN_SEND)) {
            virtio_vsock_conn_close(c, true);
            return;
        }
        virtio_vsock_conn_data(c, chain, VSOCK_HDR_BYTES, le32toh(h->len));
        break;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        if (open)
            virtio_vsock_conn_shutdown(c, (uint8_t)(le32toh(h->flags) & 3));
        else
            virtio_vsock_conn_close(c, true);
        break;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        if (open)
            virtio_vsock_conn_want(c, VSOCK_P_CREDIT_UPDATE);
        break;
    default: /* REQUEST for ports in use, and what does not exist */
        virtio_vsock_conn_close(c, true);
        return;
    }
    if (c->state == VSOCK_OPEN)
        virtio_vsock_conn_want(c, 0); /* there may be credit now */
}

int virtio_vsock_packet(struct virtio_vsock *vs, const struct virtq_chain *c, struct err *err)
{
    struct virtio_vsock_hdr h;
    if (c->out_bytes < sizeof(h))
        return err_set(err, EPROTO, "a vsock packet has %u bytes; its header alone has %zu",
                       c->out_bytes, sizeof(h));
    read_header(c, &h);
    uint32_t len = le32toh(h.len);
    if (len > c->out_bytes - sizeof(h))
        return err_set(err, EPROTO, "a vsock packet announces %u bytes and has %zu", len,
                       c->out_bytes - sizeof(h));
    uint32_t host_port = le32toh(h.dst_port), guest_port = le32toh(h.src_port);
    uint16_t op = le16toh(h.op), type = le16toh(h.type);
    if (le64toh(h.src_cid) != vs->options.guest_cid || le64toh(h.dst_cid) != VSOCK_HOST_CID) {
        atomic_fetch_add(&vs->dropped, 1);
        return 0;
    }
    struct vsock_conn *conn =
        type == VIRTIO_VSOCK_TYPE_STREAM ? virtio_vsock_conn_find(vs, host_port, guest_port) : NULL;
    if (conn && conn->state == VSOCK_CLOSING) {
        /* Its RST is on the way, unless the guest was faster. */
        if (op == VIRTIO_VSOCK_OP_RST)
            virtio_vsock_conn_close(conn, false);
    } else if (conn) {
        if (op == VIRTIO_VSOCK_OP_RW)
            atomic_fetch_add(&vs->tx_bytes, len);
        on_conn(conn, &h, c);
    } else if (op == VIRTIO_VSOCK_OP_REQUEST && type == VIRTIO_VSOCK_TYPE_STREAM) {
        virtio_vsock_conn_dial(vs, &h);
    } else if (op != VIRTIO_VSOCK_OP_RST) { /* 5.10.6.4.1, 5.10.6.6.1 */
        virtio_vsock_reset_ports(vs, host_port, guest_port, type);
    }
    return 0;
}
