/* A peer of the passt back end that says anything, and sockets that take and give as little as they
 * like. Operations, one byte each: bits 0 and 1 choose, the rest is a size.
 *   0  the peer sends that many of the bytes that follow
 *   1  we receive into buffers of (size + 1) * 33 bytes
 *   2  we send a packet of size * 1057 bytes
 *   3  the peer reads size * 500 bytes; 63: it hangs up */
#include "net/passt.h"

#include <sys/socket.h>

#include "base/util.h"

static void nothing(void *opaque, unsigned pair)
{
}

static void receive(struct net_backend *nb, unsigned piece)
{
    static uint8_t buf[NET_PACKET_MAX_BYTES];
    struct iovec iov[NET_IOV_MAX];
    unsigned n = 0;
    for (size_t at = 0; at < sizeof(buf) && n < NET_IOV_MAX; at += iov[n++].iov_len)
        iov[n] = (struct iovec){buf + at, MIN(piece, sizeof(buf) - at)};
    if (net_recv(nb, 0, iov, n) > (ssize_t)sizeof(buf))
        abort();
}

static void transmit(struct net_backend *nb, size_t bytes)
{
    static uint8_t buf[64 * 1057];
    struct iovec iov[] = {{buf, MIN(bytes, 7u)}, {buf + 7, bytes - MIN(bytes, 7u)}};
    net_send(nb, 0, iov, 2, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct net_events events = {nothing, nothing};
    static uint8_t sink[64 * 500];
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
        abort();
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct net_backend *nb = passt_create(sv[0], NULL);
    if (net_start(nb, 0, loop, &events, NULL))
        abort();
    net_want_read(nb, 0, true);
    for (unsigned n = 0; n < 500 && size; n++) {
        unsigned op = *data & 3, v = *data >> 2;
        data++, size--;
        if (op == 0) {
            size_t len = MIN(v, size);
            send(sv[1], data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
            data += len, size -= len;
        } else if (op == 1) {
            receive(nb, (v + 1) * 33);
        } else if (op == 2) {
            transmit(nb, v * 1057);
        } else if (v == 63) {
            shutdown(sv[1], SHUT_RDWR);
        } else if (v) {
            recv(sv[1], sink, v * 500, MSG_DONTWAIT);
        }
        loop_run_once(loop, 0);
    }
    net_destroy(nb);
    close(sv[1]);
    loop_destroy(loop);
    return 0;
}
