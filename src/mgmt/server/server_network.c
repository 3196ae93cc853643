/* Networks: not built yet. */
#include "mgmt/server/server_network.h"

#include <errno.h>

#include "mgmt/server/server_internal.h"

int server_network_default_nic(struct server_call *c, struct api_vm_nic *nic, bool *none)
{
    (void)c;
    (void)nic;
    *none = true;
    return 0;
}

int server_network_plug(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                        const struct api_vm_nic *nic, unsigned index, struct catalog_object **port)
{
    (void)t;
    (void)vm;
    (void)nic;
    (void)index;
    (void)port;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                           "NICs are not built yet");
}

int server_network_unplug(struct server_txn *t, struct catalog_slot *port)
{
    (void)t;
    (void)port;
    return 0;
}

bool server_network_offered(enum api_network_kind kind)
{
    return server_network_driver(kind);
}

const char *server_network_driver(enum api_network_kind kind)
{
    switch (kind) {
    case API_NETWORK_KIND_NAT:
        return "user";
    case API_NETWORK_KIND_BRIDGE:
        return "bridge";
    default:
        return NULL;
    }
}

int server_network_wire(struct server *s, const struct catalog_object *port,
                        struct server_network_wiring *w)
{
    (void)s;
    (void)port;
    (void)w;
    return -ENOENT;
}

const struct server_route server_network_routes[] = {{0}};
