#include "net/net_null.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/util.h"
#include "tap.h"

struct seen {
    unsigned readable, writable;
};

static void on_readable(void *opaque, unsigned pair)
{
    struct seen *s = opaque;
    s->readable++;
}
static void on_writable(void *opaque, unsigned pair)
{
    struct seen *s = opaque;
    s->writable++;
}
static const struct net_events events = {on_readable, on_writable};

static void receives_what_it_sent_when_it_is_a_loop(void)
{
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct net_backend *nb = net_null_create(2, 0, NET_NULL_LOOP, NULL);
    struct seen s = {0};
    uint8_t out[100] = {1, 2, 3}, in[200];
    struct iovec iov = {out, sizeof(out)}, to = {in, sizeof(in)};
    CHECK_EQ(net_start(nb, 0, loop, &events, &s), 0);
    CHECK_EQ(net_start(nb, 0, loop, &events, &s), -EBUSY);
    net_want_read(nb, 0, true);
    CHECK_EQ(net_recv(nb, 0, &to, 1), -EAGAIN);
    CHECK_EQ(net_send(nb, 0, &iov, 1, sizeof(out)), 0);
    loop_run_once(loop, 0);
    CHECK_EQ(s.readable, 1);
    CHECK_EQ(net_recv(nb, 0, &to, 1), sizeof(out));
    CHECK(memcmp(in, out, sizeof(out)) == 0);
    net_destroy(nb);
    loop_destroy(loop);
}

static void tells_of_frames_only_while_that_is_wanted(void)
{
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct net_backend *nb = net_null_create(1, 0, 0, NULL);
    struct seen s = {0};
    net_start(nb, 0, loop, &events, &s);
    CHECK_EQ(write(net_null_peer_fd(nb, 0), "frame frame frame frame frame", 29), 29);
    loop_run_once(loop, 0);
    CHECK_EQ(s.readable, 0);
    net_want_read(nb, 0, true);
    loop_run_once(loop, 0);
    loop_run_once(loop, 0);
    CHECK_EQ(s.readable, 2);
    net_want_read(nb, 0, false);
    loop_run_once(loop, 0);
    CHECK_EQ(s.readable, 2);
    net_stop(nb, 0);
    net_destroy(nb);
    loop_destroy(loop);
}

static void tells_when_a_full_back_end_can_take_more(void)
{
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct net_backend *nb = net_null_create(1, 0, 0, NULL);
    struct seen s = {0};
    uint8_t packet[1000] = {0};
    struct iovec iov = {packet, sizeof(packet)};
    net_start(nb, 0, loop, &events, &s);
    int ret = 0;
    for (int i = 0; i < 10000 && !ret; i++)
        ret = net_send(nb, 0, &iov, 1, sizeof(packet));
    CHECK_EQ(ret, -EAGAIN);
    loop_run_once(loop, 0);
    CHECK_EQ(s.writable, 0);
    while (read(net_null_peer_fd(nb, 0), packet, sizeof(packet)) > 0)
        ;
    loop_run_once(loop, 0);
    CHECK_EQ(s.writable, 1);
    loop_run_once(loop, 0);
    CHECK_EQ(s.writable, 1);
    net_destroy(nb);
    loop_destroy(loop);
}

static void refuses_offloads_and_pairs_that_it_does_not_have(void)
{
    struct net_backend *nb = net_null_create(2, NET_OFFLOAD_CSUM, 0, NULL);
    struct err err = {0};
    CHECK_EQ(net_set_offloads(nb, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4, &err), -ENOTSUP);
    CHECK_EQ(net_set_offloads(nb, NET_OFFLOAD_CSUM, &err), 0);
    CHECK_EQ(net_set_active_pairs(nb, 3, &err), -EINVAL);
    CHECK_EQ(net_set_active_pairs(nb, 0, &err), -EINVAL);
    CHECK_EQ(net_set_active_pairs(nb, 2, &err), 0);
    CHECK(net_pair_active(nb, 1));
    CHECK_EQ(net_set_active_pairs(nb, 1, &err), 0);
    CHECK(!net_pair_active(nb, 1));
    net_destroy(nb);
    net_destroy(NULL);
}

int main(void)
{
    TAP_RUN(receives_what_it_sent_when_it_is_a_loop);
    TAP_RUN(tells_of_frames_only_while_that_is_wanted);
    TAP_RUN(tells_when_a_full_back_end_can_take_more);
    TAP_RUN(refuses_offloads_and_pairs_that_it_does_not_have);
    return tap_done();
}
