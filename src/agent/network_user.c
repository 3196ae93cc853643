#include "agent/network_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int user_plug(struct network_driver *d, const struct network_port *port,
                     struct vm_config_nic *nic, struct err *err)
{
    (void)d;
    struct vm_config_nic n = {
        .kind = VM_CONFIG_NIC_USER, .queues = 1, .mtu = port->mtu, .n_forwards = port->n_forwards};
    if (port->queues > 1)
        return err_set(err, ENOTSUP, "a port behind NAT by passt has one queue pair, not %u",
                       port->queues);
    if (port->n_forwards > VM_CONFIG_FORWARDS_MAX)
        return err_set(err, EINVAL, "a port forwards at most %d host ports, not %u",
                       VM_CONFIG_FORWARDS_MAX, port->n_forwards);
    memcpy(n.mac, port->mac, sizeof(n.mac));
    memcpy(n.forwards, port->forwards, port->n_forwards * sizeof(n.forwards[0]));
    *nic = n;
    return 0;
}

static int user_unplug(struct network_driver *d, const uint8_t id[16], struct err *err)
{
    (void)d, (void)id, (void)err;
    return 0;
}

static int user_counters(struct network_driver *d, const uint8_t id[16], struct network_counters *c,
                         struct err *err)
{
    (void)d, (void)id, (void)c;
    return err_set(err, ENOTSUP, "the monitor counts for itself what passt carries");
}

static int user_list(struct network_driver *d, bool (*each)(void *opaque, const uint8_t id[16]),
                     void *opaque, struct err *err)
{
    (void)d, (void)each, (void)opaque, (void)err;
    return 0;
}

static void user_close(struct network_driver *d)
{
    free(d);
}

static const struct network_driver_ops OPS = {
    .name = "user",
    .plug = user_plug,
    .unplug = user_unplug,
    .counters = user_counters,
    .list = user_list,
    .close = user_close,
};

struct network_driver *network_user_open(struct err *err)
{
    struct network_driver *d = calloc(1, sizeof(*d));
    if (!d)
        err_set(err, ENOMEM, "could not allocate a driver");
    else
        d->ops = &OPS;
    return d;
}
