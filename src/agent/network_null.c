#include "agent/network_null.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct port {
    struct port *next;
    uint8_t id[16];
};

struct network_null {
    struct network_driver driver;
    struct port *first;
    struct network_counters counters;
    int fail;
};

static struct network_null *null_of(struct network_driver *d)
{
    return container_of(d, struct network_null, driver);
}

static struct port **find(struct network_driver *d, const uint8_t id[16])
{
    struct port **p = &null_of(d)->first;
    while (*p && memcmp((*p)->id, id, 16) != 0)
        p = &(*p)->next;
    return p;
}

static int check(struct network_driver *d, struct err *err)
{
    int code = null_of(d)->fail;
    null_of(d)->fail = 0;
    return code ? err_set(err, code, "the null driver was told to fail") : 0;
}

static int null_plug(struct network_driver *d, const struct network_port *port,
                     struct vm_config_nic *nic, struct err *err)
{
    struct port **at = find(d, port->id);
    int ret = check(d, err);
    if (ret)
        return ret;
    if (!*at) {
        *at = calloc(1, sizeof(**at));
        if (!*at)
            return err_set(err, ENOMEM, "could not allocate a port");
        memcpy((*at)->id, port->id, 16);
    }
    *nic = (struct vm_config_nic){
        .kind = VM_CONFIG_NIC_NONE, .queues = MAX(port->queues, 1u), .mtu = port->mtu};
    memcpy(nic->mac, port->mac, sizeof(nic->mac));
    return 0;
}

static int null_unplug(struct network_driver *d, const uint8_t id[16], struct err *err)
{
    int ret = check(d, err);
    struct port **at = find(d, id), *gone = *at;
    if (ret || !gone)
        return ret;
    *at = gone->next;
    free(gone);
    return 0;
}

static int null_counters(struct network_driver *d, const uint8_t id[16], struct network_counters *c,
                         struct err *err)
{
    if (!*find(d, id))
        return err_set(err, ENOENT, "there is no such port");
    *c = null_of(d)->counters;
    return 0;
}

static int null_list(struct network_driver *d, bool (*each)(void *opaque, const uint8_t id[16]),
                     void *opaque, struct err *err)
{
    (void)err;
    for (struct port *p = null_of(d)->first; p && each(opaque, p->id); p = p->next)
        ;
    return 0;
}

static void null_close(struct network_driver *d)
{
    struct network_null *n = null_of(d);
    while (n->first) {
        struct port *p = n->first;
        n->first = p->next;
        free(p);
    }
    free(n);
}

static const struct network_driver_ops OPS = {
    .name = "null",
    .plug = null_plug,
    .unplug = null_unplug,
    .counters = null_counters,
    .list = null_list,
    .close = null_close,
};

struct network_driver *network_null_open(struct err *err)
{
    struct network_null *n = calloc(1, sizeof(*n));
    if (!n) {
        err_set(err, ENOMEM, "could not allocate a driver");
        return NULL;
    }
    n->driver.ops = &OPS;
    return &n->driver;
}

void network_null_fail(struct network_driver *d, int code)
{
    null_of(d)->fail = code;
}

void network_null_count(struct network_driver *d, const struct network_counters *c)
{
    null_of(d)->counters = *c;
}
