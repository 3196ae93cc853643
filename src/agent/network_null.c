#include "agent/network_null.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct port {
    struct port *next;
    uint8_t id[16];
};

struct network_null {
    struct network_driver driver;
    pthread_mutex_t lock; /* of what follows: several VMs' workers are here at a time */
    struct port *first;
    struct network_counters counters;
    int fail;
};

static struct network_null *null_of(struct network_driver *d)
{
    return container_of(d, struct network_null, driver);
}

static struct network_null *lock(struct network_driver *d)
{
    pthread_mutex_lock(&null_of(d)->lock);
    return null_of(d);
}

static int unlock(struct network_null *n, int ret)
{
    pthread_mutex_unlock(&n->lock);
    return ret;
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
    struct network_null *n = lock(d);
    struct port **at = find(d, port->id);
    int ret = check(d, err);
    if (!ret && !*at) {
        *at = calloc(1, sizeof(**at));
        if (*at)
            memcpy((*at)->id, port->id, 16);
        else
            ret = err_set(err, ENOMEM, "could not allocate a port");
    }
    if (unlock(n, ret))
        return ret;
    *nic = (struct vm_config_nic){
        .kind = VM_CONFIG_NIC_NONE, .queues = MAX(port->queues, 1u), .mtu = port->mtu};
    memcpy(nic->mac, port->mac, sizeof(nic->mac));
    return 0;
}

static int null_unplug(struct network_driver *d, const uint8_t id[16], struct err *err)
{
    struct network_null *n = lock(d);
    int ret = check(d, err);
    struct port **at = find(d, id), *gone = ret ? NULL : *at;
    if (gone)
        *at = gone->next;
    free(gone);
    return unlock(n, ret);
}

static int null_counters(struct network_driver *d, const uint8_t id[16], struct network_counters *c,
                         struct err *err)
{
    struct network_null *n = lock(d);
    bool there = *find(d, id);
    *c = n->counters;
    (void)unlock(n, 0);
    return there ? 0 : err_set(err, ENOENT, "there is no such port");
}

static int null_list(struct network_driver *d, bool (*each)(void *opaque, const uint8_t id[16]),
                     void *opaque, struct err *err)
{
    struct network_null *n = lock(d);
    (void)err;
    for (struct port *p = n->first; p && each(opaque, p->id); p = p->next)
        ;
    return unlock(n, 0);
}

static void null_close(struct network_driver *d)
{
    struct network_null *n = null_of(d);
    while (n->first) {
        struct port *p = n->first;
        n->first = p->next;
        free(p);
    }
    pthread_mutex_destroy(&n->lock);
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
    pthread_mutex_init(&n->lock, NULL);
    return &n->driver;
}

void network_null_fail(struct network_driver *d, int code)
{
    struct network_null *n = lock(d);
    n->fail = code;
    (void)unlock(n, 0);
}

void network_null_count(struct network_driver *d, const struct network_counters *c)
{
    struct network_null *n = lock(d);
    n->counters = *c;
    (void)unlock(n, 0);
}
