/* The command line for passt, and passt itself in a network namespace with a default route. */
#include "net/passt_spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/util.h"
#include "net/passt.h"
#include "tap.h"

#define HDR NET_HDR_BYTES

static void reads_forwards(void)
{
    struct passt_spawn_forward f;
    struct err err = {0};
    CHECK_EQ(passt_spawn_parse_forward("8080:80", &f, &err), 0);
    CHECK(f.host_port == 8080 && f.guest_port == 80 && !f.udp);
    CHECK_EQ(passt_spawn_parse_forward("53/udp", &f, &err), 0);
    CHECK(f.host_port == 53 && f.guest_port == 53 && f.udp);
    CHECK_EQ(passt_spawn_parse_forward("65535:1/tcp", &f, &err), 0);
    static const char *const bad[] = {
        "",     ":",    "1:",   ":1",  "0:1",   "1:0",  "65536",   "1:2:3",     "1:2/sc",
        "1 :2", "-1:2", "1:2/", "a:b", "1:2,3", "1:2 ", "1/tcp:2", "1/udp/udp", "99999999999:1"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(passt_spawn_parse_forward(bad[i], &f, &err), -EINVAL);
}

static void builds_the_command_line(void)
{
    struct passt_spawn_options o = {
        .mtu = 9000,
        .n_forwards = 2,
        .forwards = {{2222, 22, false}, {5353, 53, true}},
        .stderr_fd = -1,
    };
    struct passt_spawn_argv a;
    struct err err = {0};
    char line[512] = "";
    REQUIRE(passt_spawn_argv(&o, 3, &a, &err) == 0);
    for (unsigned i = 0; a.argv[i]; i++)
        snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s ", a.argv[i]);
    CHECK_STR(line, "passt --foreground --quiet --fd 3 --mtu 9000 --tcp-ports 2222:22 --udp-ports "
                    "5353:53 ");
}

static void refuses_options_that_cannot_be(void)
{
    struct passt_spawn_argv a;
    struct err err = {0};
    struct passt_spawn_options o = {.mtu = 1000};
    CHECK_EQ(passt_spawn_argv(&o, 3, &a, &err), -EINVAL);
    o = (struct passt_spawn_options){.n_forwards = 2, .forwards = {{1, 2, false}, {1, 3, false}}};
    CHECK_EQ(passt_spawn_argv(&o, 3, &a, &err), -EINVAL);
    CHECK_STR(err.msg, "TCP port 1 is forwarded twice");
    o.forwards[1].udp = true;
    CHECK_EQ(passt_spawn_argv(&o, 3, &a, &err), 0);
    o.forwards[1].guest_port = 0;
    CHECK_EQ(passt_spawn_argv(&o, 3, &a, &err), -EINVAL);
    o.n_forwards = PASST_SPAWN_FORWARDS_MAX + 1;
    CHECK_EQ(passt_spawn_argv(&o, 3, &a, &err), -EINVAL);
}

static void says_that_passt_is_not_installed(void)
{
    struct passt_spawn_options o = {.program = "/nowhere/passt", .stderr_fd = -1};
    struct err err = {0};
    pid_t pid;
    int fd;
    CHECK_EQ(passt_spawn(&o, &pid, &fd, &err), -ENOENT);
    CHECK(strstr(err.msg, "install the passt package"));
}

static void names_a_host_port_that_is_in_use(void)
{
    for (int udp = 0; udp < 2; udp++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t bytes = sizeof(at);
        char wanted[64];
        struct err err = {0};
        pid_t pid;
        int fd, s = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        REQUIRE(bind(s, (void *)&at, sizeof(at)) == 0);
        CHECK(udp || listen(s, 1) == 0);
        REQUIRE(getsockname(s, (void *)&at, &bytes) == 0);
        struct passt_spawn_options o = {.program = "/nowhere/passt",
                                        .n_forwards = 1,
                                        .forwards = {{ntohs(at.sin_port), 22, udp}},
                                        .stderr_fd = -1};
        snprintf(wanted, sizeof(wanted), "%s port %u of this host is in use", udp ? "UDP" : "TCP",
                 ntohs(at.sin_port));
        CHECK_EQ(passt_spawn(&o, &pid, &fd, &err), -EADDRINUSE);
        CHECK(strstr(err.msg, wanted));
        close(s);
        CHECK_EQ(passt_spawn(&o, &pid, &fd, &err), -ENOENT);
    }
}

/* ---- the real one ---- */

static const uint8_t guest_mac[6] = {2, 0, 0, 0, 0, 9};

static bool make_route(void)
{
    return unshare(CLONE_NEWNET) == 0 &&
           system("ip link set lo up && ip link add v0 type veth peer name v1 && "
                  "ip addr add 10.9.0.2/24 dev v0 && ip link set v0 up && ip link set v1 up && "
                  "ip route add default via 10.9.0.1") == 0;
}

/* Waits up to 10 s for a frame of `ethertype`. Returns its length, or a negative error. */
static ssize_t await(struct net_backend *nb, int fd, uint16_t ethertype, uint8_t *packet)
{
    struct iovec iov = {packet, NET_PACKET_MAX_BYTES};
    for (;;) {
        ssize_t n = net_recv(nb, 0, &iov, 1);
        if (n >= HDR + 14 && packet[HDR + 12] == ethertype >> 8 &&
            packet[HDR + 13] == (ethertype & 0xff))
            return n;
        if (n < 0 && n != -EAGAIN)
            return n;
        fd_set set;
        struct timeval tv = {.tv_sec = 10};
        FD_ZERO(&set);
        FD_SET(fd, &set);
        if (n == -EAGAIN && select(fd + 1, &set, NULL, NULL, &tv) <= 0)
            return -ETIMEDOUT;
    }
}

/* Asks who has the gateway's address, as the guest at 10.9.0.2. */
static int ask_for_gateway(struct net_backend *nb)
{
    uint8_t p[HDR + 42] = {0}, *eth = p + HDR;
    memset(eth, 0xff, 6);
    memcpy(eth + 6, guest_mac, 6);
    memcpy(eth + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
    memcpy(eth + 22, guest_mac, 6);
    memcpy(eth + 28, "\x0a\x09\0\x02", 4);
    memcpy(eth + 38, "\x0a\x09\0\x01", 4);
    struct iovec iov = {p, sizeof(p)};
    return net_send(nb, 0, &iov, 1, sizeof(p));
}

static void talks_with_passt_and_has_a_port_forwarded(void)
{
    if (access("/usr/bin/passt", X_OK) < 0)
        SKIP("passt is not installed");
    if (!make_route())
        SKIP("cannot make a network namespace with a veth here");
    struct passt_spawn_options o = {
        .n_forwards = 1, .forwards = {{4022, 22, false}}, .stderr_fd = -1};
    struct err err = {0};
    pid_t pid;
    int fd;
    REQUIRE(passt_spawn(&o, &pid, &fd, &err) == 0);
    struct net_backend *nb = passt_create(fd, &err);
    uint8_t *packet = malloc(NET_PACKET_MAX_BYTES);
    CHECK_EQ(ask_for_gateway(nb), 0);
    ssize_t n = await(nb, fd, 0x0806, packet);
    CHECK(n >= HDR + 42);
    if (n > 0) {
        CHECK_EQ(packet[HDR + 21], 2); /* a reply */
        CHECK(memcmp(packet + HDR, guest_mac, 6) == 0);
    }
    /* A connection to the host's port arrives at the guest's. */
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(4022), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int ret = connect(s, (void *)&to, sizeof(to));
    CHECK(ret == 0 || errno == EINPROGRESS);
    bool syn = false;
    while (!syn && (n = await(nb, fd, 0x0800, packet)) > 0) {
        const uint8_t *ip = packet + HDR + 14, *tcp = ip + (ip[0] & 15) * 4;
        syn = ip[9] == IPPROTO_TCP && tcp[2] == 0 && tcp[3] == 22 && (tcp[13] & 2);
    }
    CHECK(syn);
    close(s);
    free(packet);
    /* Closing the socket is all it takes to end it. */
    net_destroy(nb);
    int status;
    alarm(30);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    alarm(0);
}

/* In the network of the case before. */
static void goes_on_without_who_has_started_it(void)
{
    if (access("/usr/bin/passt", X_OK) < 0)
        SKIP("passt is not installed");
    if (system("ip route get 10.9.9.9 >/dev/null 2>&1") != 0)
        SKIP("this network namespace has no default route");
    struct passt_spawn_options o = {.stderr_fd = -1, .background = true};
    struct err err = {0};
    pid_t pid;
    int fd;
    if (passt_spawn(&o, &pid, &fd, &err)) {
        printf("# %s\n", err.msg);
        REQUIRE(false);
    }
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); /* it is no child of ours */
    struct net_backend *nb = passt_create(fd, &err);
    uint8_t *packet = malloc(NET_PACKET_MAX_BYTES);
    CHECK_EQ(ask_for_gateway(nb), 0);
    CHECK(await(nb, fd, 0x0806, packet) >= HDR + 42);
    free(packet);
    net_destroy(nb);
}

static void one_that_does_not_begin_in_the_background_is_told(void)
{
    const struct passt_spawn_options o = {
        .program = "/bin/false", .stderr_fd = -1, .background = true};
    struct err err = {0};
    pid_t pid;
    int fd;
    CHECK_EQ(passt_spawn(&o, &pid, &fd, &err), -EIO);
    CHECK(strstr(err.msg, "/bin/false"));
}

int main(void)
{
    TAP_RUN(reads_forwards);
    TAP_RUN(builds_the_command_line);
    TAP_RUN(refuses_options_that_cannot_be);
    TAP_RUN(says_that_passt_is_not_installed);
    TAP_RUN(names_a_host_port_that_is_in_use);
    TAP_RUN(talks_with_passt_and_has_a_port_forwarded);
    TAP_RUN(goes_on_without_who_has_started_it);
    TAP_RUN(one_that_does_not_begin_in_the_background_is_told);
    return tap_done();
}
