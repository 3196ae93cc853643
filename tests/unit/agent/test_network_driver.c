/* What every driver must do, asked of each. The bridge is one of a network namespace of our own. */
#include "agent/network_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/network_bridge.h"
#include "agent/network_null.h"
#include "agent/network_user.h"
#include "base/fault.h"
#include "base/util.h"
#include "tap.h"

static struct network_driver *D;
static const uint8_t A[16] = {0x01, 0x8f, [10] = 0xaa, 1, 2, 3, 4, 5};
static const uint8_t B[16] = {0x01, 0x90, [10] = 0xbb, 1, 2, 3, 4, 5};
static const uint8_t MAC[6] = {2, 0, 0, 0, 0, 7};

static struct network_port port(const uint8_t id[16])
{
    struct network_port p = {.mtu = 1400, .bridge = "br0"};
    memcpy(p.id, id, 16);
    memcpy(p.mac, MAC, 6);
    return p;
}

static bool count(void *opaque, const uint8_t id[16])
{
    unsigned *n = opaque;
    CHECK(!memcmp(id, A, 16) || !memcmp(id, B, 16));
    return ++*n < 2;
}

static unsigned n_there(void)
{
    unsigned n = 0;
    CHECK_EQ(D->ops->list(D, count, &n, NULL), 0);
    return n;
}

static void a_port_is_plugged_and_unplugged_as_often_as_one_likes(void)
{
    struct network_port a = port(A), b = port(B);
    struct vm_config_nic nic = {0}, again = {0};
    bool keeps = strcmp(D->ops->name, "user") != 0;
    CHECK_EQ(n_there(), 0);
    CHECK_EQ(D->ops->plug(D, &a, &nic, NULL), 0);
    CHECK(!memcmp(nic.mac, MAC, 6));
    CHECK_EQ(nic.mtu, 1400);
    CHECK_EQ(nic.queues, 1);
    CHECK_EQ(D->ops->plug(D, &a, &again, NULL), 0);
    CHECK(!memcmp(&nic, &again, sizeof(nic)));
    CHECK_EQ(D->ops->plug(D, &b, &again, NULL), 0);
    CHECK_EQ(n_there(), keeps ? 2 : 0);
    CHECK_EQ(D->ops->unplug(D, A, NULL), 0);
    CHECK_EQ(D->ops->unplug(D, A, NULL), 0);
    CHECK_EQ(n_there(), keeps ? 1 : 0);
    CHECK_EQ(D->ops->unplug(D, B, NULL), 0);
    CHECK_EQ(n_there(), 0);
}

static void forwards_go_into_the_config(void)
{
    struct network_port a = port(A);
    struct vm_config_nic nic;
    struct err err = {0};
    a.n_forwards = 1;
    a.forwards[0] = (struct vm_config_forward){.host_port = 2222, .guest_port = 22};
    CHECK_EQ(D->ops->plug(D, &a, &nic, NULL), 0);
    CHECK_EQ(nic.kind, VM_CONFIG_NIC_USER);
    CHECK_EQ(nic.n_forwards, 1);
    CHECK_EQ(nic.forwards[0].host_port, 2222);
    a.queues = 2;
    CHECK_EQ(D->ops->plug(D, &a, &nic, &err), -ENOTSUP);
    CHECK(strstr(err.msg, "not 2"));
}

/* Opens the port's queue as a monitor does. */
static int open_tap(const char *name)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    CHECK_EQ(ioctl(fd, TUNSETIFF, &ifr), 0);
    return fd;
}

static void what_one_guest_sends_another_receives_and_both_are_counted(void)
{
    struct network_port a = port(A), b = port(B);
    struct vm_config_nic nic_a, nic_b;
    struct network_counters c;
    uint8_t frame[10 + 60] = {[10] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
                              0,           0,    0,    0,    7,    0x88, 0xb5};
    uint8_t got[2048] = {0};
    CHECK_EQ(D->ops->plug(D, &a, &nic_a, NULL), 0);
    CHECK_EQ(D->ops->plug(D, &b, &nic_b, NULL), 0);
    CHECK_EQ(nic_a.kind, VM_CONFIG_NIC_TAP);
    int fd_a = open_tap(nic_a.ifname), fd_b = open_tap(nic_b.ifname);
    bool arrived = false;
    /* A bridge without spanning tree forwards as soon as it has noticed the carrier. */
    for (unsigned i = 0; i < 200 && !arrived; i++) {
        CHECK_EQ(write(fd_a, frame, sizeof(frame)), sizeof(frame));
        usleep(10000);
        while (read(fd_b, got, sizeof(got)) > 0)
            arrived |= !memcmp(got + 10, frame + 10, 14);
    }
    CHECK(arrived);
    CHECK_EQ(D->ops->counters(D, A, &c, NULL), 0);
    CHECK(c.tx_packets > 0 && c.tx_bytes >= 60 * c.tx_packets);
    CHECK_EQ(D->ops->counters(D, B, &c, NULL), 0);
    CHECK(c.rx_packets > 0 && c.rx_bytes >= 60 * c.rx_packets);
    CHECK_EQ(D->ops->unplug(D, B, NULL), 0); /* under a running VM */
    CHECK_EQ(D->ops->counters(D, B, &c, NULL), -ENOENT);
    close(fd_a);
    close(fd_b);
    CHECK_EQ(n_there(), 1); /* a TAP stays without a monitor */
    CHECK_EQ(D->ops->unplug(D, A, NULL), 0);
}

static void a_bridge_that_is_not_there_is_named(void)
{
    struct network_port a = port(A);
    struct vm_config_nic nic;
    struct err err = {0};
    strcpy(a.bridge, "nosuchbridge");
    CHECK_EQ(D->ops->plug(D, &a, &nic, &err), -ENOENT);
    CHECK(strstr(err.msg, "nosuchbridge"));
    CHECK_EQ(n_there(), 0);
}

static void a_death_while_a_port_is_made_leaves_nothing_unknown(void)
{
    static const char *const POINTS[] = {"network_bridge.plug.made",
                                         "network_bridge.plug.configured"};
    struct network_port a = port(A);
    struct vm_config_nic nic;
    for (unsigned i = 0; i < ARRAY_LEN(POINTS); i++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            struct network_driver *d = network_bridge_open(NULL);
            fault_arm(POINTS[i], 1, FAULT_KILL);
            _exit(d->ops->plug(d, &a, &nic, NULL) ? 1 : 0);
        }
        waitpid(pid, &status, 0);
        CHECK(WIFSIGNALED(status));
        CHECK(if_nametoindex("vpaa0102030405") > 0);
        struct network_driver *d = network_bridge_open(NULL);
        unsigned n = 0;
        CHECK_EQ(d->ops->list(d, count, &n, NULL), 0);
        CHECK_EQ(n, if_nametoindex("vpaa0102030405") > 0); /* either known, or gone */
        CHECK_EQ(d->ops->plug(d, &a, &nic, NULL), 0);
        CHECK_EQ(d->ops->unplug(d, A, NULL), 0);
        CHECK_EQ(if_nametoindex("vpaa0102030405"), 0);
        d->ops->close(d);
    }
}

static const char *enter_namespace(void)
{
    if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET))
        return "no network namespace can be made here";
    if (access("/dev/net/tun", R_OK | W_OK))
        return "there is no /dev/net/tun here";
    if (system("ip link add br0 type bridge && ip link set br0 up"))
        return "no bridge can be made here";
    return NULL;
}

static const char *no_bridge;

static void a_namespace_with_a_bridge_can_be_made(void)
{
    no_bridge = enter_namespace();
    if (no_bridge)
        SKIP(no_bridge);
}

int main(void)
{
    struct err err = {0};
    D = network_null_open(&err);
    TAP_RUN(a_port_is_plugged_and_unplugged_as_often_as_one_likes);
    D->ops->close(D);
    D = network_user_open(&err);
    TAP_RUN(a_port_is_plugged_and_unplugged_as_often_as_one_likes);
    TAP_RUN(forwards_go_into_the_config);
    D->ops->close(D);
    TAP_RUN(a_namespace_with_a_bridge_can_be_made);
    if (no_bridge)
        return tap_done();
    D = network_bridge_open(&err);
    TAP_RUN(a_port_is_plugged_and_unplugged_as_often_as_one_likes);
    TAP_RUN(what_one_guest_sends_another_receives_and_both_are_counted);
    TAP_RUN(a_bridge_that_is_not_there_is_named);
    TAP_RUN(a_death_while_a_port_is_made_leaves_nothing_unknown);
    D->ops->close(D);
    return tap_done();
}
