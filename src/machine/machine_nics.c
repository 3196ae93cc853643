/* NICs: from a config and descriptors to a device with its back end and threads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "dev/virtio/vhu_net.h"
#include "dev/virtio/virtio_net.h"
#include "machine/machine_internal.h"
#include "net/net_null.h"
#include "net/passt.h"
#include "net/tap.h"

static struct net_backend *open_backend(const struct vm_config_nic *c,
                                        struct machine_nic_files *files, struct err *err)
{
    struct net_backend *nb = NULL;
    switch (c->kind) {
    case VM_CONFIG_NIC_TAP:
        nb = tap_create(files->fds, files->n_fds, err);
        break;
    case VM_CONFIG_NIC_USER:
        nb = passt_create(files->fds[0], err);
        break;
    default:
        return net_null_create(1, 0, 0, err);
    }
    if (nb)
        for (unsigned i = 0; i < ARRAY_LEN(files->fds); i++)
            files->fds[i] = -1;
    return nb;
}

static void nic_lost(void *opaque, const char *why)
{
    struct machine_device *d = opaque;
    struct err err;
    err_set(&err, EPIPE, "%s", why);
    machine_device_failed(d, &err);
}

static struct virtio_device *create_nic(struct machine_device *d, const struct vm_config_nic *c,
                                        struct machine_nic_files *files, struct err *err)
{
    struct machine *m = d->machine;
    struct virtio_net_options options = {
        .mtu = (uint16_t)c->mtu,
        .rx_limit = {.ops_per_s = c->limits.iops, .bytes_per_s = c->limits.bandwidth_bytes},
        .tx_limit = {.ops_per_s = c->limits.iops, .bytes_per_s = c->limits.bandwidth_bytes},
        .lost = nic_lost,
        .addresses_changed = machine_addresses_changed,
        .opaque = d,
    };
    memcpy(options.mac, c->mac, sizeof(options.mac));
    /* With threads of its own, a NIC has one for each pair of queues. */
    unsigned n_loops = c->own_thread ? MAX(files->n_fds, 1) : 1;
    for (; options.n_loops < n_loops; options.n_loops++) {
        struct loop *loop = machine_device_loop(d, MACHINE_THREAD_NICS, c->own_thread, err);
        if (!loop)
            return NULL;
        options.loops[options.n_loops] = loop;
    }
    struct net_backend *nb = open_backend(c, files, err);
    if (!nb)
        return NULL;
    struct virtio_device *dev = virtio_net_create(&m->mem, nb, &options, err);
    if (dev && c->kind == VM_CONFIG_NIC_NONE)
        virtio_net_set_link(dev, false);
    return dev;
}

static struct virtio_device *create_vhost_user_nic(struct machine_device *d,
                                                   const struct vm_config_nic *c,
                                                   struct machine_nic_files *files, struct err *err)
{
    struct vhu_net_options net = {.n_pairs = c->queues, .mtu = (uint16_t)c->mtu};
    memcpy(net.mac, c->mac, sizeof(net.mac));
    struct vhu_device_options options = {.connector = machine_device_connector(d, c->socket)};
    d->remote = true;
    options.loop = machine_device_loop(d, MACHINE_THREAD_NICS, true, err);
    if (!options.loop)
        return NULL;
    options.fd = steal_fd(&files->fds[0]);
    return vhu_net_create(&d->machine->mem, &net, &options, err);
}

int machine_attach_nic(struct machine *m, const struct vm_config_nic *c,
                       struct machine_nic_files *files, struct err *err)
{
    struct machine_device *d;
    int ret = machine_device_reserve(m, "nic", c->id, &d, err);
    if (ret)
        return ret;
    struct virtio_device *dev = c->kind == VM_CONFIG_NIC_VHOST_USER
                                    ? create_vhost_user_nic(d, c, files, err)
                                    : create_nic(d, c, files, err);
    ret = dev ? machine_device_plug(d, dev, err) : err_wrap(err, "nic '%s'", c->id);
    if (ret)
        machine_device_abandon(d);
    return ret;
}
