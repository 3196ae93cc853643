/* A TAP hands over whole packets: one readv() or writev() each, header included, straight between
 * the kernel's socket buffers and the caller's. The kernel checks the header (offsets, segment
 * sizes, protocol) and refuses with EINVAL what makes no sense. */
#include "net/tap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "net/net_provider.h"

/* Newer than the headers of Debian 12. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* enum net_offload is numbered as TUNSETOFFLOAD's argument. */
static_assert(NET_OFFLOAD_CSUM == TUN_F_CSUM && NET_OFFLOAD_TSO4 == TUN_F_TSO4 &&
                  NET_OFFLOAD_TSO6 == TUN_F_TSO6 && NET_OFFLOAD_ECN == TUN_F_TSO_ECN &&
                  NET_OFFLOAD_UFO == TUN_F_UFO && NET_OFFLOAD_USO4 == TUN_F_USO4 &&
                  NET_OFFLOAD_USO6 == TUN_F_USO6,
              "offload numbering");

struct tap {
    struct net_backend nb;
    int fds[NET_PAIRS_MAX];
    char ifname[IFNAMSIZ];
};

static struct tap *tap_of(const struct net_backend *nb)
{
    return container_of(nb, struct tap, nb);
}

/* ---- opening ---- */

static int open_queue(const char *name, int flags)
{
    struct ifreq ifr = {.ifr_flags = (short)flags};
    memcpy(ifr.ifr_name, name, strlen(name) + 1);
    CLEANUP_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int explain_open(const char *name, unsigned n_fds, int e, struct err *err)
{
    switch (e) {
    case ENOENT:
    case ENODEV:
        return err_set(
            err, e, "cannot open TAP interface '%s': no /dev/net/tun; load the tun module", name);
    case EBUSY:
        return err_set(err, e, "cannot open TAP interface '%s': another process uses it", name);
    case EPERM:
        return err_set(
            err, e,
            "cannot open TAP interface '%s': not permitted; create it for this user with "
            "'ip tuntap add dev %s mode tap user NAME%s'",
            name, name, n_fds > 1 ? " multi_queue" : "");
    case EINVAL:
        return err_set(err, e,
                       "cannot open %u queue%s of '%s': it is not a TAP interface, or was not made "
                       "with%s",
                       n_fds, n_fds > 1 ? "s" : "", name,
                       n_fds > 1 ? " 'ip tuntap add ... mode tap multi_queue'" : " mode tap");
    default:
        return err_sys(err, e, "could not open TAP interface '%s'", name);
    }
}

int tap_open(const char *name, unsigned n_fds, int *fds, struct err *err)
{
    if (!*name || strlen(name) >= IFNAMSIZ)
        return err_set(err, EINVAL, "TAP interface name '%s' is not 1 to %d characters long", name,
                       IFNAMSIZ - 1);
    if (!n_fds || n_fds > NET_PAIRS_MAX)
        return err_set(err, EINVAL, "%u queue pairs for '%s': choose 1 to %d", n_fds, name,
                       NET_PAIRS_MAX);
    int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (n_fds > 1 ? IFF_MULTI_QUEUE : 0);
    unsigned n = 0;
    int ret = 0;
    while (n < n_fds) {
        ret = open_queue(name, flags);
        /* An interface that was made with multi_queue must be opened with it, for one queue too. */
        if (ret == -EINVAL && n_fds == 1)
            ret = open_queue(name, flags | IFF_MULTI_QUEUE);
        if (ret < 0)
            break;
        fds[n++] = ret;
    }
    if (n == n_fds)
        return 0;
    while (n)
        close(fds[--n]);
    return explain_open(name, n_fds, -ret, err);
}

/* ---- the back end ---- */

static int tap_fd(const struct net_backend *nb, unsigned pair)
{
    return tap_of(nb)->fds[pair];
}

static int tap_send(struct net_backend *nb, unsigned pair, const struct iovec *iov, unsigned n_iov,
                    size_t bytes)
{
    ssize_t n;
    do
        n = writev(tap_of(nb)->fds[pair], iov, (int)n_iov);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static ssize_t tap_recv(struct net_backend *nb, unsigned pair, const struct iovec *iov,
                        unsigned n_iov)
{
    ssize_t n;
    do
        n = readv(tap_of(nb)->fds[pair], iov, (int)n_iov);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static bool tap_alive(const struct net_backend *nb, unsigned pair)
{
    struct ifreq ifr = {0};
    return ioctl(tap_of(nb)->fds[pair], TUNGETIFF, &ifr) == 0;
}

static int tap_set_offloads(struct net_backend *nb, uint32_t offloads, struct err *err)
{
    struct tap *t = tap_of(nb);
    /* The kernel refuses these by halves; to use less than the receiver accepts is no harm. */
    const uint32_t tso = NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6;
    const uint32_t uso = NET_OFFLOAD_USO4 | NET_OFFLOAD_USO6;
    if (!(offloads & tso))
        offloads &= ~(uint32_t)NET_OFFLOAD_ECN;
    if ((offloads & uso) != uso)
        offloads &= ~uso;
    if (!(offloads & NET_OFFLOAD_CSUM))
        offloads = 0;
    if (ioctl(t->fds[0], TUNSETOFFLOAD, (unsigned long)offloads) < 0)
        return err_sys(err, errno, "could not set offloads 0x%x of TAP interface '%s'", offloads,
                       t->ifname);
    return 0;
}

static int tap_set_pair_active(struct net_backend *nb, unsigned pair, bool active, struct err *err)
{
    struct tap *t = tap_of(nb);
    struct ifreq ifr = {.ifr_flags = active ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};
    if (ioctl(t->fds[pair], TUNSETQUEUE, &ifr) < 0)
        return err_sys(err, errno, "could not %s queue %u of TAP interface '%s'",
                       active ? "attach" : "detach", pair, t->ifname);
    return 0;
}

static void tap_destroy(struct net_backend *nb)
{
    struct tap *t = tap_of(nb);
    for (unsigned i = 0; i < nb->n_pairs; i++)
        close(t->fds[i]);
    free(t);
}

static const struct net_backend_ops tap_ops = {
    .name = "tap",
    .fd = tap_fd,
    .send = tap_send,
    .recv = tap_recv,
    .alive = tap_alive,
    .set_offloads = tap_set_offloads,
    .set_pair_active = tap_set_pair_active,
    .destroy = tap_destroy,
};

static int check_queue(struct tap *t, int fd, unsigned n_fds, struct err *err)
{
    struct ifreq ifr = {0};
    if (ioctl(fd, TUNGETIFF, &ifr) < 0)
        return err_set(err, EINVAL, "descriptor %d is not an open TAP interface", fd);
    unsigned flags = (unsigned short)ifr.ifr_flags;
    const struct {
        unsigned flag;
        bool wanted;
        const char *name;
    } need[] = {
        {IFF_TAP, true, "IFF_TAP"},
        {IFF_NO_PI, true, "IFF_NO_PI"},
        {IFF_VNET_HDR, true, "IFF_VNET_HDR"},
        {IFF_MULTI_QUEUE, n_fds > 1, "IFF_MULTI_QUEUE"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(need); i++)
        if (need[i].wanted && !(flags & need[i].flag))
            return err_set(err, EINVAL, "interface '%s' was opened without %s", ifr.ifr_name,
                           need[i].name);
    if (*t->ifname && strcmp(t->ifname, ifr.ifr_name) != 0)
        return err_set(err, EINVAL, "queue pairs of two interfaces, '%s' and '%s'", t->ifname,
                       ifr.ifr_name);
    memcpy(t->ifname, ifr.ifr_name, IFNAMSIZ);
    int status = fcntl(fd, F_GETFL);
    int hdr_bytes = NET_HDR_BYTES, little_endian = 1;
    if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0 ||
        ioctl(fd, TUNSETVNETHDRSZ, &hdr_bytes) < 0 || ioctl(fd, TUNSETVNETLE, &little_endian) < 0)
        return err_sys(err, errno, "could not set up interface '%s'", t->ifname);
    return 0;
}

/* What this kernel's TUNSETOFFLOAD takes; it refuses bits that it does not know. */
static uint32_t probe_offloads(int fd)
{
    const uint32_t groups[] = {
        NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6,
        NET_OFFLOAD_ECN,
        NET_OFFLOAD_UFO,
        NET_OFFLOAD_USO4 | NET_OFFLOAD_USO6,
    };
    uint32_t can = NET_OFFLOAD_CSUM;
    if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)can) < 0)
        return 0;
    for (unsigned i = 0; i < ARRAY_LEN(groups); i++)
        if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)(can | groups[i])) == 0)
            can |= groups[i];
    ioctl(fd, TUNSETOFFLOAD, 0UL);
    return can;
}

struct net_backend *tap_create(const int *fds, unsigned n_fds, struct err *err)
{
    if (!n_fds || n_fds > NET_PAIRS_MAX) {
        err_set(err, EINVAL, "%u TAP queue pairs: choose 1 to %d", n_fds, NET_PAIRS_MAX);
        return NULL;
    }
    CLEANUP_FREE struct tap *t = calloc(1, sizeof(*t));
    if (!t) {
        err_set(err, ENOMEM, "could not allocate a TAP back end");
        return NULL;
    }
    net_backend_init(&t->nb, &tap_ops, n_fds);
    for (unsigned i = 0; i < n_fds; i++) {
        if (check_queue(t, fds[i], n_fds, err))
            return NULL;
        t->fds[i] = fds[i];
    }
    t->nb.offloads = probe_offloads(fds[0]);
    for (unsigned i = n_fds - 1; i > 0; i--)
        if (tap_set_pair_active(&t->nb, i, false, err))
            return NULL;
    return &steal_ptr(&t)->nb;
}
