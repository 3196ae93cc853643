#include "agent/network_kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct network_kinds {
    struct network_driver driver;
    struct network_driver *user, *bridge;
    const char *const *only;
};

static struct network_kinds *kinds_of(struct network_driver *d)
{
    return container_of(d, struct network_kinds, driver);
}

static bool is_offered(const struct network_kinds *k, const char *bridge)
{
    for (const char *const *name = k->only; name && *name; name++)
        if (!strcmp(*name, bridge))
            return true;
    return false;
}

static int kinds_plug(struct network_driver *d, const struct network_port *port,
                      struct vm_config_nic *nic, struct err *err)
{
    struct network_kinds *k = kinds_of(d);
    if (!port->bridge[0])
        return k->user->ops->plug(k->user, port, nic, err);
    if (!k->bridge)
        return err_set(err, ENOTSUP, "this host puts no ports on bridges");
    if (!is_offered(k, port->bridge))
        return err_set(err, EPERM, "this host does not offer the bridge %s", port->bridge);
    return k->bridge->ops->plug(k->bridge, port, nic, err);
}

static int kinds_unplug(struct network_driver *d, const uint8_t id[16], struct err *err)
{
    struct network_kinds *k = kinds_of(d);
    int ret = k->bridge ? k->bridge->ops->unplug(k->bridge, id, err) : 0;
    return ret ? ret : k->user->ops->unplug(k->user, id, err);
}

static int kinds_counters(struct network_driver *d, const uint8_t id[16],
                          struct network_counters *c, struct err *err)
{
    struct network_kinds *k = kinds_of(d);
    if (k->bridge && !k->bridge->ops->counters(k->bridge, id, c, err))
        return 0;
    return k->user->ops->counters(k->user, id, c, err);
}

static int kinds_list(struct network_driver *d, bool (*each)(void *opaque, const uint8_t id[16]),
                      void *opaque, struct err *err)
{
    struct network_kinds *k = kinds_of(d);
    int ret = k->bridge ? k->bridge->ops->list(k->bridge, each, opaque, err) : 0;
    return ret ? ret : k->user->ops->list(k->user, each, opaque, err);
}

static void kinds_close(struct network_driver *d)
{
    struct network_kinds *k = kinds_of(d);
    k->user->ops->close(k->user);
    if (k->bridge)
        k->bridge->ops->close(k->bridge);
    free(k);
}

static const struct network_driver_ops OPS = {
    .name = "kinds",
    .plug = kinds_plug,
    .unplug = kinds_unplug,
    .counters = kinds_counters,
    .list = kinds_list,
    .close = kinds_close,
};

struct network_driver *network_kinds_open(struct network_driver *user,
                                          struct network_driver *bridge, const char *const *only,
                                          struct err *err)
{
    struct network_kinds *k = calloc(1, sizeof(*k));
    if (!k) {
        err_set(err, ENOMEM, "could not allocate the network drivers");
        user->ops->close(user);
        if (bridge)
            bridge->ops->close(bridge);
        return NULL;
    }
    *k = (struct network_kinds){.driver = {&OPS}, .user = user, .bridge = bridge, .only = only};
    return &k->driver;
}
