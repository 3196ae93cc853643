/* TAP queues in a network namespace of our own. */
#include "net/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/util.h"
/* The harness is also called tap.h: by its path from tests/unit. */
#include "../tap.h"

#define HDR   NET_HDR_BYTES
#define PROTO 0x88b5 /* for experiments */
#define NEED_NS                                                                                    \
    if (!have_ns)                                                                                  \
    SKIP("cannot make a network namespace with a TAP here")

static bool have_ns;

static bool enter_namespace(void)
{
    int fd;
    if (unshare(CLONE_NEWNET) < 0 || tap_open("probe0", 1, &fd, NULL))
        return false;
    close(fd);
    return true;
}

static void set_up(const char *name, bool up)
{
    struct ifreq ifr = {0};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strcpy(ifr.ifr_name, name);
    ioctl(s, SIOCGIFFLAGS, &ifr);
    ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
    CHECK_EQ(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
    close(s);
}

/* The host's end of the interface: frames of our protocol only. */
static int host_socket(const char *name)
{
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(PROTO));
    struct sockaddr_ll a = {.sll_family = AF_PACKET,
                            .sll_protocol = htons(PROTO),
                            .sll_ifindex = (int)if_nametoindex(name)};
    CHECK_EQ(bind(s, (void *)&a, sizeof(a)), 0);
    return s;
}

static void make_frame(uint8_t *frame, size_t len, unsigned seed)
{
    static const uint8_t eth[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
    memcpy(frame, eth, sizeof(eth));
    for (size_t i = sizeof(eth); i < len; i++)
        frame[i] = (uint8_t)(i + seed);
}

/* The next frame of our protocol; others (the host's IPv6 chatter) are passed over. */
static ssize_t receive(struct net_backend *nb, unsigned pair, uint8_t *packet, size_t size)
{
    struct iovec iov[] = {{packet, 20}, {packet + 20, size - 20}};
    for (;;) {
        ssize_t n = net_recv(nb, pair, iov, 2);
        if (n < 0 || (n > HDR + 14 && packet[HDR + 12] == 0x88 && packet[HDR + 13] == 0xb5))
            return n;
    }
}

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

static struct net_backend *make(const char *name, unsigned n, int *fds)
{
    struct err err = {0};
    struct net_backend *nb = NULL;
    if (!tap_open(name, n, fds, &err))
        nb = tap_create(fds, n, &err);
    if (!nb)
        printf("# %s\n", err.msg);
    return nb;
}

static void carries_frames_in_both_directions(void)
{
    NEED_NS;
    int fd;
    struct net_backend *nb = make("t0", 1, &fd);
    REQUIRE(nb);
    set_up("t0", true);
    int host = host_socket("t0");
    uint8_t packet[HDR + 1514], frame[1514], got[2000];
    for (unsigned len = 60; len <= 1514; len += 727) {
        make_frame(frame, len, len);
        memset(packet, 0, HDR);
        memcpy(packet + HDR, frame, len);
        struct iovec iov[] = {{packet, 7}, {packet + 7, HDR + len - 7}};
        CHECK_EQ(net_send(nb, 0, iov, 2, HDR + len), 0);
        CHECK_EQ(read(host, got, sizeof(got)), len);
        CHECK(memcmp(got, frame, len) == 0);
        CHECK_EQ(write(host, frame, len), len);
        CHECK_EQ(receive(nb, 0, got, sizeof(got)), HDR + len);
        CHECK(memcmp(got + HDR, frame, len) == 0);
    }
    CHECK_EQ(receive(nb, 0, got, sizeof(got)), -EAGAIN);
    close(host);
    net_destroy(nb);
}

static void offers_the_offloads_of_the_kernel(void)
{
    NEED_NS;
    int fd;
    struct net_backend *nb = make("t1", 1, &fd);
    REQUIRE(nb);
    struct err err = {0};
    uint32_t must = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN;
    CHECK_EQ(net_offloads(nb) & must, must);
    /* Any subset, also one that the kernel by itself would refuse. */
    for (uint32_t set = 0; set < 128; set++)
        CHECK_EQ(net_set_offloads(nb, set & net_offloads(nb), &err), 0);
    net_destroy(nb);
}

static void survives_headers_that_make_no_sense(void)
{
    NEED_NS;
    int fd;
    struct net_backend *nb = make("t2", 1, &fd);
    REQUIRE(nb);
    set_up("t2", true);
    uint8_t packet[HDR + 100];
    unsigned refused = 0;
    for (unsigned i = 0; i < 4000; i++) {
        struct virtio_net_hdr_v1 h = {
            .flags = (uint8_t)(i & 7),
            .gso_type = (uint8_t)(i * 7),
            .hdr_len = (uint16_t)(i * 977),
            .gso_size = (uint16_t)(i * 31),
            .csum_start = (uint16_t)(i * 4093),
            .csum_offset = (uint16_t)(i * 59),
            .num_buffers = (uint16_t)i,
        };
        memcpy(packet, &h, HDR);
        make_frame(packet + HDR, 100, i);
        struct iovec iov = {packet, sizeof(packet)};
        int ret = net_send(nb, 0, &iov, 1, sizeof(packet));
        CHECK(ret == 0 || (ret < 0 && ret != -EPIPE && ret != -EAGAIN));
        refused += ret < 0;
    }
    CHECK(refused > 0);
    net_destroy(nb);
}

/* Frames that wait in a slow link behind a bridge are still charged to the TAP that sent them. */
static bool make_slow_link(void)
{
    return system("ip link add br0 type bridge && ip link add v0 type veth peer name v1 && "
                  "ip link set v0 master br0 && ip link set t3 master br0 && "
                  "ip link set br0 up && ip link set v0 up && ip link set v1 up && "
                  "tc qdisc add dev v0 root tbf rate 8kbit burst 2000 limit 10000000") == 0;
}

static void tells_when_a_full_tap_can_take_more(void)
{
    NEED_NS;
    int fd, sndbuf = 20000;
    struct net_backend *nb = make("t3", 1, &fd);
    REQUIRE(nb);
    set_up("t3", true);
    if (!make_slow_link()) {
        net_destroy(nb);
        SKIP("no tc with tbf, or no bridge");
    }
    REQUIRE(ioctl(fd, TUNSETSNDBUF, &sndbuf) == 0);
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct seen s = {0};
    net_start(nb, 0, loop, &events, &s);
    uint8_t packet[HDR + 1514] = {0};
    make_frame(packet + HDR, 1514, 1);
    packet[HDR] = 2; /* to one unknown station: the bridge passes on the frame, not a copy */
    struct iovec iov = {packet, sizeof(packet)};
    int ret = 0;
    for (int i = 0; i < 1000 && !ret; i++)
        ret = net_send(nb, 0, &iov, 1, sizeof(packet));
    CHECK_EQ(ret, -EAGAIN);
    loop_run_once(loop, 0);
    CHECK_EQ(s.writable, 0);
    CHECK_EQ(system("tc qdisc del dev v0 root"), 0);
    loop_run_once(loop, 5000);
    CHECK_EQ(s.writable, 1);
    CHECK_EQ(net_send(nb, 0, &iov, 1, sizeof(packet)), 0);
    net_destroy(nb);
    loop_destroy(loop);
}

/* Sends one frame to the guest and says on which pair it came, or -1. */
static int where(struct net_backend *nb, int host, unsigned seed)
{
    uint8_t frame[100], got[2000];
    make_frame(frame, sizeof(frame), seed);
    CHECK_EQ(write(host, frame, sizeof(frame)), sizeof(frame));
    /* Another CPU that is just sending a frame of the kernel's own sends this one after it. */
    for (unsigned tries = 0; tries < 1000; tries++, usleep(1000))
        for (unsigned i = 0; i < net_pairs(nb); i++)
            if (receive(nb, i, got, sizeof(got)) > 0)
                return (int)i;
    return -1;
}

static void steers_frames_to_active_pairs_only(void)
{
    NEED_NS;
    int fds[4];
    struct net_backend *nb = make("t4", 4, fds);
    REQUIRE(nb);
    set_up("t4", true);
    int host = host_socket("t4");
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct seen s[4] = {0};
    struct err err = {0};
    for (unsigned i = 0; i < 4; i++) {
        net_start(nb, i, loop, &events, &s[i]);
        net_want_read(nb, i, true);
    }
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(where(nb, host, i), 0);
    CHECK_EQ(net_set_active_pairs(nb, 4, &err), 0);
    for (unsigned i = 0; i < 20; i++)
        CHECK(where(nb, host, i) >= 0);
    /* A pair that was switched on tells of its frames, once it is wanted. */
    for (unsigned i = 0; i < 4; i++)
        net_want_read(nb, i, true);
    uint8_t frame[100];
    make_frame(frame, sizeof(frame), 1);
    for (unsigned i = 0; i < 64; i++) {
        frame[6 + 3] = (uint8_t)i; /* another source: another flow */
        CHECK_EQ(write(host, frame, sizeof(frame)), sizeof(frame));
    }
    loop_run_once(loop, 0);
    CHECK(s[0].readable + s[1].readable + s[2].readable + s[3].readable > 0);
    CHECK_EQ(net_set_active_pairs(nb, 1, &err), 0);
    uint8_t got[2000];
    while (receive(nb, 0, got, sizeof(got)) > 0)
        ;
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(where(nb, host, i), 0);
    for (unsigned i = 1; i < 4; i++)
        CHECK_STR(net_lost_reason(nb, i), "");
    close(host);
    net_destroy(nb);
    loop_destroy(loop);
}

static void notices_that_the_interface_was_removed(void)
{
    NEED_NS;
    int fds[2];
    struct net_backend *nb = make("t5", 2, fds);
    REQUIRE(nb);
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct seen s = {0};
    net_start(nb, 0, loop, &events, &s);
    net_want_read(nb, 0, true);
    CHECK_EQ(system("ip link del t5"), 0);
    loop_run_once(loop, 100);
    CHECK(s.readable > 0);
    uint8_t got[2000] = {0};
    CHECK_EQ(receive(nb, 0, got, sizeof(got)), -EPIPE);
    CHECK_STR(net_lost_reason(nb, 0), "the interface was removed");
    struct iovec iov = {got, 100};
    CHECK_EQ(net_send(nb, 0, &iov, 1, 100), -EPIPE);
    net_destroy(nb);
    loop_destroy(loop);
}

static void says_why_it_cannot_open(void)
{
    NEED_NS;
    struct err err = {0};
    int fds[2], other;
    CHECK_EQ(tap_open("", 1, fds, &err), -EINVAL);
    CHECK_EQ(tap_open("a-name-that-is-too-long", 1, fds, &err), -EINVAL);
    CHECK_EQ(tap_open("t6", NET_PAIRS_MAX + 1, fds, &err), -EINVAL);
    CHECK_EQ(tap_open("lo", 1, fds, &err), -EINVAL);
    CHECK(strstr(err.msg, "not a TAP"));
    CHECK_EQ(system("ip tuntap add dev single mode tap"), 0);
    CHECK_EQ(tap_open("single", 2, fds, &err), -EINVAL);
    CHECK(strstr(err.msg, "multi_queue"));
    CHECK_EQ(tap_open("single", 1, fds, &err), 0);
    CHECK_EQ(tap_open("single", 1, &other, &err), -EBUSY);
    close(fds[0]);
    CHECK_EQ(system("ip tuntap add dev multi mode tap multi_queue"), 0);
    CHECK_EQ(tap_open("multi", 1, fds, &err), 0);
    close(fds[0]);
}

static void refuses_descriptors_of_the_wrong_kind(void)
{
    NEED_NS;
    struct err err = {0};
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(!tap_create(&fd, 1, &err));
    CHECK_EQ(err.code, EINVAL);
    close(fd);
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    struct ifreq ifr = {.ifr_name = "t7", .ifr_flags = IFF_TAP | IFF_NO_PI};
    REQUIRE(ioctl(fd, TUNSETIFF, &ifr) == 0);
    CHECK(!tap_create(&fd, 1, &err));
    CHECK_STR(err.msg, "interface 't7' was opened without IFF_VNET_HDR");
    close(fd);
    int two[2];
    REQUIRE(tap_open("t8", 1, &two[0], &err) == 0 && tap_open("t9", 1, &two[1], &err) == 0);
    CHECK(!tap_create(two, 2, &err));
    close(two[0]);
    close(two[1]);
}

int main(void)
{
    have_ns = enter_namespace();
    TAP_RUN(carries_frames_in_both_directions);
    TAP_RUN(offers_the_offloads_of_the_kernel);
    TAP_RUN(survives_headers_that_make_no_sense);
    TAP_RUN(tells_when_a_full_tap_can_take_more);
    TAP_RUN(steers_frames_to_active_pairs_only);
    TAP_RUN(notices_that_the_interface_was_removed);
    TAP_RUN(says_why_it_cannot_open);
    TAP_RUN(refuses_descriptors_of_the_wrong_kind);
    return tap_done();
}
