#include "agent/network_bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/util.h"
#include "base/uuid.h"

#define ALIAS "virga-port "

struct network_bridge {
    struct network_driver driver;
    pthread_mutex_t lock; /* of all below */
    struct mnl_socket *netlink;
    uint32_t sequence;
    _Alignas(struct nlmsghdr) uint8_t buf[32768];
};

static struct network_bridge *bridge_of(struct network_driver *d)
{
    return container_of(d, struct network_bridge, driver);
}

/* The last twelve digits of an id are random in every version of UUID that we make. */
static void name_of(const uint8_t id[16], char name[VM_CONFIG_IFNAME_BYTES])
{
    snprintf(name, VM_CONFIG_IFNAME_BYTES, "vp%02x%02x%02x%02x%02x%02x", id[10], id[11], id[12],
             id[13], id[14], id[15]);
}

/* ---- netlink ---- */

static struct nlmsghdr *begin(struct network_bridge *b, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(b->buf);
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | flags;
    h->nlmsg_seq = ++b->sequence;
    return h;
}

/* Sends and reads all answers. Returns 0 or -errno, the kernel's or ours. */
static int talk(struct network_bridge *b, struct nlmsghdr *h, mnl_cb_t each, void *arg)
{
    unsigned port = mnl_socket_get_portid(b->netlink);
    uint32_t sequence = h->nlmsg_seq;
    if (mnl_socket_sendto(b->netlink, h, h->nlmsg_len) < 0)
        return -errno;
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(b->netlink, b->buf, sizeof(b->buf));
        if (n < 0)
            return -errno;
        /* What is left of an answer that was given up, a dump in which something changed. */
        if ((size_t)n >= sizeof(*h) && ((struct nlmsghdr *)b->buf)->nlmsg_seq != sequence)
            continue;
        int ret = mnl_cb_run(b->buf, (size_t)n, sequence, port, each, arg);
        if (ret < 0)
            return -errno;
        if (ret == MNL_CB_STOP)
            return 0;
    }
}

struct link {
    int index; /* 0: not found */
    char name[VM_CONFIG_IFNAME_BYTES];
    char alias[64];
    struct rtnl_link_stats64 stats;
};

static int parse_attribute(const struct nlattr *a, void *arg)
{
    struct link *link = arg;
    switch (mnl_attr_get_type(a)) {
    case IFLA_IFNAME:
        snprintf(link->name, sizeof(link->name), "%s", mnl_attr_get_str(a));
        break;
    case IFLA_IFALIAS:
        snprintf(link->alias, sizeof(link->alias), "%s", mnl_attr_get_str(a));
        break;
    case IFLA_STATS64:
        memcpy(&link->stats, mnl_attr_get_payload(a),
               MIN((size_t)mnl_attr_get_payload_len(a), sizeof(link->stats)));
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

static int parse_link(const struct nlmsghdr *h, void *arg)
{
    struct link *link = arg;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
    link->index = info->ifi_index;
    return mnl_attr_parse(h, sizeof(*info), parse_attribute, link);
}

/* Errors: ENODEV. */
static int find_link(struct network_bridge *b, const char *name, struct link *link)
{
    struct nlmsghdr *h = begin(b, RTM_GETLINK, NLM_F_ACK);
    mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    memset(link, 0, sizeof(*link));
    int ret = talk(b, h, parse_link, link);
    return ret ? ret : link->index ? 0 : -ENODEV;
}

/* What a port's interface is to be, in one message; `up` alone in a second one. */
static int set_link(struct network_bridge *b, int index, const char *alias, uint32_t mtu,
                    int master, bool up)
{
    struct nlmsghdr *h = begin(b, RTM_NEWLINK, NLM_F_ACK);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof(*info));
    info->ifi_index = index;
    info->ifi_change = up ? IFF_UP : 0;
    info->ifi_flags = up ? IFF_UP : 0;
    if (alias)
        mnl_attr_put_str(h, IFLA_IFALIAS, alias);
    if (mtu)
        mnl_attr_put_u32(h, IFLA_MTU, mtu);
    if (master)
        mnl_attr_put_u32(h, IFLA_MASTER, (uint32_t)master);
    return talk(b, h, NULL, NULL);
}

/* ---- TAP ---- */

static int make_tap(const char *name)
{
    struct ifreq ifr = {.ifr_flags =
                            IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE | IFF_TUN_EXCL};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), ret = 0;
    if (fd < 0)
        return -errno;
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        ret = errno == EBUSY ? 0 : -errno; /* it is there */
    else if (ioctl(fd, TUNSETPERSIST, 1) < 0)
        ret = -errno;
    close(fd);
    return ret;
}

static int remove_link(struct network_bridge *b, const char *name)
{
    struct link link;
    int ret = find_link(b, name, &link);
    if (ret == -ENODEV)
        return 0;
    if (ret)
        return ret;
    struct nlmsghdr *h = begin(b, RTM_DELLINK, NLM_F_ACK);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof(*info));
    info->ifi_index = link.index;
    ret = talk(b, h, NULL, NULL);
    return ret == -ENODEV ? 0 : ret;
}

/* ---- the driver ---- */

static int configure(struct network_bridge *b, const struct network_port *port, const char *name,
                     int bridge)
{
    char alias[64] = ALIAS;
    struct link link;
    uuid_format(port->id, alias + strlen(ALIAS));
    int ret = find_link(b, name, &link);
    if (!ret)
        ret = set_link(b, link.index, alias, port->mtu, bridge, false);
    if (!ret)
        ret = fault_point("network_bridge.plug.configured");
    return ret ? ret : set_link(b, link.index, NULL, 0, 0, true);
}

static int plug(struct network_driver *d, const struct network_port *port,
                struct vm_config_nic *nic, struct err *err)
{
    struct network_bridge *b = bridge_of(d);
    struct vm_config_nic n = {
        .kind = VM_CONFIG_NIC_TAP, .queues = MAX(port->queues, 1u), .mtu = port->mtu};
    struct link bridge;
    int ret = find_link(b, port->bridge, &bridge);
    if (ret)
        return err_sys(err, ret == -ENODEV ? ENOENT : -ret, "could not find the bridge \"%s\"",
                       port->bridge);
    name_of(port->id, n.ifname);
    ret = make_tap(n.ifname);
    if (!ret)
        ret = fault_point("network_bridge.plug.made");
    if (!ret)
        ret = configure(b, port, n.ifname, bridge.index);
    if (ret) {
        remove_link(b, n.ifname);
        return err_sys(err, -ret, "could not make the interface %s on %s", n.ifname, port->bridge);
    }
    memcpy(n.mac, port->mac, sizeof(n.mac));
    *nic = n;
    return 0;
}

static int unplug(struct network_driver *d, const uint8_t id[16], struct err *err)
{
    char name[VM_CONFIG_IFNAME_BYTES];
    name_of(id, name);
    int ret = remove_link(bridge_of(d), name);
    return ret ? err_sys(err, -ret, "could not remove the interface %s", name) : 0;
}

/* What the host receives from a TAP the guest has sent. */
static int count(struct network_driver *d, const uint8_t id[16], struct network_counters *c,
                 struct err *err)
{
    char name[VM_CONFIG_IFNAME_BYTES];
    struct link link;
    name_of(id, name);
    int ret = find_link(bridge_of(d), name, &link);
    if (ret)
        return err_sys(err, ret == -ENODEV ? ENOENT : -ret, "could not count at %s", name);
    *c = (struct network_counters){.rx_bytes = link.stats.tx_bytes,
                                   .rx_packets = link.stats.tx_packets,
                                   .tx_bytes = link.stats.rx_bytes,
                                   .tx_packets = link.stats.rx_packets};
    return 0;
}

struct listing {
    bool (*each)(void *opaque, const uint8_t id[16]);
    void *opaque;
    bool ended;
};

static bool parse_alias(const char *alias, const char *name, uint8_t id[16])
{
    char expected[VM_CONFIG_IFNAME_BYTES];
    if (strncmp(alias, ALIAS, strlen(ALIAS)) != 0 || uuid_parse(alias + strlen(ALIAS), id))
        return false;
    name_of(id, expected);
    return !strcmp(name, expected);
}

static int list_link(const struct nlmsghdr *h, void *arg)
{
    struct listing *l = arg;
    struct link link = {0};
    uint8_t id[16];
    if (parse_link(h, &link) >= 0 && !l->ended && parse_alias(link.alias, link.name, id))
        l->ended = !l->each(l->opaque, id);
    return MNL_CB_OK;
}

static int list(struct network_driver *d, bool (*each)(void *opaque, const uint8_t id[16]),
                void *opaque, struct err *err)
{
    struct network_bridge *b = bridge_of(d);
    struct listing l = {.each = each, .opaque = opaque};
    struct nlmsghdr *h = begin(b, RTM_GETLINK, NLM_F_DUMP);
    mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
    int ret = talk(b, h, list_link, &l);
    return ret ? err_sys(err, -ret, "could not list the interfaces") : 0;
}

/* An interface with a port's name but no alias: the agent died while it made it. */
static int find_unfinished(const struct nlmsghdr *h, void *arg)
{
    char *found = arg;
    struct link link = {0};
    if (parse_link(h, &link) >= 0 && !link.alias[0] && !strncmp(link.name, "vp", 2) &&
        strlen(link.name) == 14 && strspn(link.name + 2, "0123456789abcdef") == 12)
        strcpy(found, link.name);
    return MNL_CB_OK;
}

static int remove_unfinished(struct network_bridge *b)
{
    for (;;) {
        char name[VM_CONFIG_IFNAME_BYTES] = "";
        struct nlmsghdr *h = begin(b, RTM_GETLINK, NLM_F_DUMP);
        mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
        int ret = talk(b, h, find_unfinished, name);
        if (ret || !name[0])
            return ret;
        ret = remove_link(b, name);
        if (ret)
            return ret;
    }
}

/* ---- one at a time: workers share the socket ---- */

static int bridge_plug(struct network_driver *d, const struct network_port *port,
                       struct vm_config_nic *nic, struct err *err)
{
    pthread_mutex_lock(&bridge_of(d)->lock);
    int ret = plug(d, port, nic, err);
    pthread_mutex_unlock(&bridge_of(d)->lock);
    return ret;
}

static int bridge_unplug(struct network_driver *d, const uint8_t id[16], struct err *err)
{
    pthread_mutex_lock(&bridge_of(d)->lock);
    int ret = unplug(d, id, err);
    pthread_mutex_unlock(&bridge_of(d)->lock);
    return ret;
}

static int bridge_counters(struct network_driver *d, const uint8_t id[16],
                           struct network_counters *c, struct err *err)
{
    pthread_mutex_lock(&bridge_of(d)->lock);
    int ret = count(d, id, c, err);
    pthread_mutex_unlock(&bridge_of(d)->lock);
    return ret;
}

static int bridge_list(struct network_driver *d, bool (*each)(void *opaque, const uint8_t id[16]),
                       void *opaque, struct err *err)
{
    pthread_mutex_lock(&bridge_of(d)->lock);
    int ret = list(d, each, opaque, err);
    pthread_mutex_unlock(&bridge_of(d)->lock);
    return ret;
}

static void bridge_close(struct network_driver *d)
{
    struct network_bridge *b = bridge_of(d);
    mnl_socket_close(b->netlink);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static const struct network_driver_ops OPS = {
    .name = "bridge",
    .plug = bridge_plug,
    .unplug = bridge_unplug,
    .counters = bridge_counters,
    .list = bridge_list,
    .close = bridge_close,
};

struct network_driver *network_bridge_open(struct err *err)
{
    struct network_bridge *b = calloc(1, sizeof(*b));
    if (!b) {
        err_set(err, ENOMEM, "could not allocate a driver");
        return NULL;
    }
    b->driver.ops = &OPS;
    pthread_mutex_init(&b->lock, NULL);
    b->netlink = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    int ret = !b->netlink || mnl_socket_bind(b->netlink, 0, MNL_SOCKET_AUTOPID) < 0
                  ? -errno
                  : remove_unfinished(b);
    if (!ret)
        return &b->driver;
    err_sys(err, -ret, "could not talk to the kernel about interfaces");
    if (b->netlink)
        mnl_socket_close(b->netlink);
    free(b);
    return NULL;
}
