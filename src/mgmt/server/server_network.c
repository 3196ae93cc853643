/* Networks, and the table of what this noun serves. */
#include "mgmt/server/server_network.h"

#include <errno.h>
#include <string.h>

#include "mgmt/server/server_call.h"
#include "mgmt/server/server_network_internal.h"

#define IPV6_MTU_BYTES 1280 /* RFC 8200, 5 */

const char *server_network_driver(enum api_network_kind kind)
{
    switch (kind) {
    case API_NETWORK_KIND_NAT:
        return "user";
    case API_NETWORK_KIND_BRIDGE:
        return "bridge";
    case API_NETWORK_KIND_ISOLATED:
    case API_NETWORK_KIND_OVERLAY:
    case API_NETWORK_KIND_N:
        break;
    }
    return NULL;
}

bool server_network_offered(enum api_network_kind kind)
{
    return server_network_driver(kind);
}

/* ---- what a network may say ---- */

static int no_driver(struct server_call *c, const char *pointer, const char *what)
{
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER, pointer,
                           "no driver of this cloud offers %s: use a network of kind nat or bridge "
                           "without it",
                           what);
}

static int invalid(struct server_call *c, const char *pointer, const char *why)
{
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer, "%s", why);
}

/* An interface's name, as Linux takes it. */
static bool is_interface(const char *name)
{
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (const char *p = name; *p; p++)
        if (*p <= ' ' || *p == '/' || *p == ':' || (unsigned char)*p >= 0x7f)
            return false;
    return true;
}

static int check_kind(struct server_call *c, const struct api_network *doc)
{
    bool bridge = doc->kind.v == API_NETWORK_KIND_BRIDGE;
    if (doc->kind.v == API_NETWORK_KIND_OVERLAY)
        return no_driver(c, "/kind", "overlay networks");
    if (!server_network_offered(doc->kind.v))
        return no_driver(c, "/kind", "isolated networks");
    if (doc->external.is == API_VALUE && doc->external.v)
        return no_driver(c, "/external", "external networks and floating addresses");
    if (doc->vni.is == API_VALUE)
        return invalid(c, "/vni", "a VNI belongs to an overlay: leave it out");
    if (bridge && doc->bridge.is != API_VALUE)
        return invalid(c, "/bridge",
                       "a network of kind bridge is one that the hosts have: say its name there, "
                       "such as br0");
    if (!bridge && doc->bridge.is == API_VALUE)
        return invalid(c, "/bridge", "only a network of kind bridge has one: leave it out");
    if (!bridge && doc->vlan.is == API_VALUE)
        return invalid(c, "/vlan", "only a network of kind bridge has one: leave it out");
    if (doc->vlan.is == API_VALUE)
        return no_driver(c, "/vlan", "VLANs");
    if (bridge && !is_interface(doc->bridge.v))
        return invalid(c, "/bridge",
                       "no bridge can be called that: printable characters without : and /");
    return 0;
}

static int network_create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_network *doc = v->doc;
    if (api_json_fill(&api_types_network, doc, &v->arena))
        return server_network_no_memory(c);
    int r = check_kind(c, doc);
    if (!r)
        r = server_network_groups(c, t, &doc->security_groups, SERVER_NETWORK_OTHER,
                                  "/security_groups", v);
    if (r)
        return r;
    doc->status.v = api_json_new(&api_types_network_status, &v->arena);
    if (!doc->status.v)
        return server_network_no_memory(c);
    doc->status.is = API_VALUE;
    doc->status.v->state.is = API_VALUE;
    doc->status.v->state.v = API_NETWORK_STATUS_STATE_ACTIVE;
    doc->status.v->ports = (struct api_int){API_VALUE, 0};
    return 0;
}

/* Ports of other projects in a network, with what is in flight; what is in flight of its own counts
 * too, until it has ended. */
static int64_t foreign_ports(struct server *s, const struct catalog_object *network)
{
    const struct catalog_list *own = catalog_in(s->catalog, CATALOG_PORT, &network->project);
    const struct server_network_entry *e = server_network_entry(s, &network->id);
    int64_t ports = e ? e->ports : 0;
    for (size_t i = 0; i < own->n; i++) {
        const struct api_port *port = own->slots[i]->now->doc;
        if (port->network.is == API_VALUE && !strcmp(port->network.v, network->id_text))
            ports--;
    }
    return ports;
}

static int check_mtu(struct server_call *c, const struct catalog_object *network, int64_t bytes)
{
    const struct catalog_list *list = catalog_under(c->s->catalog, CATALOG_SUBNET, &network->id);
    for (size_t i = 0; i < list->n && bytes < IPV6_MTU_BYTES; i++) {
        const struct api_subnet *subnet = list->slots[i]->now->doc;
        if (strchr(subnet->cidr.v, ':'))
            return api_problem_add(
                &c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/mtu_bytes",
                "subnet %s is IPv6, which needs packets of %d bytes: say that or "
                "more",
                list->slots[i]->now->name, IPV6_MTU_BYTES);
    }
    return 0;
}

static int network_patch(struct server_call *c, struct server_txn *t,
                         const struct catalog_object *before, struct catalog_object *v)
{
    const struct api_network_patch *body = c->request.body;
    const struct server_network_entry *e = server_network_entry(c->s, &v->id);
    struct api_network *doc = v->doc;
    if (e && doc->status.is == API_VALUE)
        doc->status.v->ports = (struct api_int){API_VALUE, e->ports};
    int r = check_mtu(c, before, doc->mtu_bytes.v);
    if (!r && server_shared(before) && !server_shared(v)) {
        int64_t n = foreign_ports(c->s, before);
        if (n > 0)
            return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, "/shared",
                                   "%lld ports of other projects are in network %s: they have to "
                                   "be deleted first",
                                   (long long)n, before->name);
    }
    if (!r && body->security_groups.is != API_ABSENT)
        r = server_network_groups(c, t, &doc->security_groups, SERVER_NETWORK_OTHER,
                                  "/security_groups", v);
    return r;
}

static int network_remove(struct server_call *c, struct server_txn *t,
                          const struct catalog_object *v)
{
    const struct server_network_entry *e = server_network_entry(c->s, &v->id);
    (void)t;
    if (!e)
        return server_network_no_memory(c);
    if (e->ports || e->others)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "network %s has %lld ports and %lld subnets: delete them first",
                               v->name, (long long)e->ports, (long long)e->others);
    return 0;
}

/* ---- handlers ---- */

static const struct server_resource network = {.kind = CATALOG_NETWORK,
                                               .create = network_create,
                                               .patch = network_patch,
                                               .remove = network_remove,
                                               .quota = "networks"};

static int handle_network_create(struct server_call *c)
{
    return server_resource_create(c, &network);
}
static int handle_network_get(struct server_call *c)
{
    struct catalog_slot *slot = server_network_readable(c, CATALOG_NETWORK);
    if (!slot)
        return -ENOENT;
    server_network_refresh(c->s, slot->now);
    server_call_reply_object(c, 200, slot->now);
    return 0;
}
static int handle_network_list(struct server_call *c)
{
    return server_network_list(c, CATALOG_NETWORK);
}
static int handle_network_patch(struct server_call *c)
{
    return server_resource_patch(c, &network);
}
static int handle_network_delete(struct server_call *c)
{
    return server_resource_delete(c, &network);
}

/* ---- floating addresses: described, and offered by no driver ---- */

static const struct server_resource floating_ip = {.kind = CATALOG_FLOATING_IP};

static int floating_create(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                           "no driver of this cloud offers floating addresses: use forwards of a "
                           "port in a network of kind nat, or a network of kind bridge");
}
static int floating_get(struct server_call *c)
{
    return server_resource_get(c, &floating_ip);
}
static int floating_list(struct server_call *c)
{
    return server_resource_list(c, &floating_ip);
}
static int floating_patch(struct server_call *c)
{
    return server_resource_patch(c, &floating_ip);
}
static int floating_delete(struct server_call *c)
{
    return server_resource_delete(c, &floating_ip);
}

const struct server_route server_network_routes[] = {
    {API_OP_NETWORK_LIST, handle_network_list},
    {API_OP_NETWORK_CREATE, handle_network_create},
    {API_OP_NETWORK_GET, handle_network_get},
    {API_OP_NETWORK_PATCH, handle_network_patch},
    {API_OP_NETWORK_DELETE, handle_network_delete},
    {API_OP_SUBNET_LIST, server_network_subnet_list},
    {API_OP_SUBNET_CREATE, server_network_subnet_create},
    {API_OP_SUBNET_GET, server_network_subnet_get},
    {API_OP_SUBNET_PATCH, server_network_subnet_patch},
    {API_OP_SUBNET_DELETE, server_network_subnet_delete},
    {API_OP_PORT_LIST, server_network_port_list},
    {API_OP_PORT_CREATE, server_network_port_create},
    {API_OP_PORT_GET, server_network_port_get},
    {API_OP_PORT_PATCH, server_network_port_patch},
    {API_OP_PORT_DELETE, server_network_port_delete},
    {API_OP_SECURITY_GROUP_LIST, server_network_group_list},
    {API_OP_SECURITY_GROUP_CREATE, server_network_group_create},
    {API_OP_SECURITY_GROUP_GET, server_network_group_get},
    {API_OP_SECURITY_GROUP_PATCH, server_network_group_patch},
    {API_OP_SECURITY_GROUP_DELETE, server_network_group_delete},
    {API_OP_FLOATING_IP_LIST, floating_list},
    {API_OP_FLOATING_IP_CREATE, floating_create},
    {API_OP_FLOATING_IP_GET, floating_get},
    {API_OP_FLOATING_IP_PATCH, floating_patch},
    {API_OP_FLOATING_IP_DELETE, floating_delete},
    {0},
};
