/* Ports: what they are given when they are made and changed, and their five operations. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/server/server_port_internal.h"

#define FORWARD_FIRST 20000 /* below the ports that Linux gives to connections of its own */
#define FORWARD_LAST  32767
#define MAC_ATTEMPTS  64

void server_port_point(const struct server_network_where *where, const char *list, unsigned i,
                       const char *field, char pointer[SERVER_PORT_POINTER_BYTES])
{
    if (where->nic && !strcmp(list, "addresses"))
        snprintf(pointer, SERVER_PORT_POINTER_BYTES, "%s/%s", where->prefix, field);
    else
        snprintf(pointer, SERVER_PORT_POINTER_BYTES, "%s/%s/%u/%s", where->prefix, list, i, field);
}

/* ---- the MAC ---- */

static int derive_mac(struct server_txn *t, struct catalog_object *v, uint64_t *mac)
{
    static const struct store_id cloud;
    int r = -EEXIST;
    for (unsigned i = 0; r == -EEXIST && i < MAC_ATTEMPTS; i++) {
        *mac = server_address_mac(v->id.bytes, i);
        r = server_network_take(t, SERVER_NETWORK_MAC, &cloud, *mac, v);
    }
    return r;
}

static int give_mac(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                    const struct server_network_where *where)
{
    static const struct store_id cloud;
    const struct api_port *doc = v->doc;
    char text[SERVER_ADDRESS_MAC], pointer[SERVER_PORT_POINTER_BYTES];
    bool given = doc->mac.is == API_VALUE;
    uint64_t mac = given ? server_address_mac_parse(doc->mac.v) : 0;
    snprintf(pointer, sizeof(pointer), "%s/mac", where->prefix);
    if (given && !mac)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer,
                               "%s is nobody's: choose another, or leave it out", doc->mac.v);
    int r =
        given ? server_network_take(t, SERVER_NETWORK_MAC, &cloud, mac, v) : derive_mac(t, v, &mac);
    if (r == -EEXIST)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, pointer,
                               "another port has the MAC %s: choose another, or leave it out",
                               given ? doc->mac.v : "that was derived");
    server_address_mac_format(mac, text);
    if (r || server_meta_text(v, &doc->status.v->mac, text))
        return server_network_no_memory(c);
    return 0;
}

/* ---- forwards ---- */

/* The host port that the port has for that already; 0: none, or `given` is another. */
static int64_t kept_forward(const struct api_port *before, const struct api_port_status *now,
                            const struct api_port_forward *f)
{
    const struct api_port_status *had =
        before && before->status.is == API_VALUE ? before->status.v : NULL;
    for (uint32_t i = 0; had && had->forwards.is == API_VALUE && i < had->forwards.n; i++) {
        const struct api_port_forward *h = &had->forwards.v[i];
        bool fits = h->protocol.v == f->protocol.v &&
                    (f->host_port.is == API_VALUE ? h->host_port.v == f->host_port.v
                                                  : h->guest_port.v == f->guest_port.v);
        for (uint32_t k = 0; fits && k < now->forwards.n; k++)
            fits = now->forwards.v[k].protocol.v != h->protocol.v ||
                   now->forwards.v[k].host_port.v != h->host_port.v;
        if (fits)
            return h->host_port.v;
    }
    return 0;
}

static int take_forward(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                        struct api_port_forward *f, const char *pointer)
{
    static const struct store_id cloud;
    const struct server_ipam *ipam = server_network_numbers(c->s, SERVER_NETWORK_FORWARD, &cloud);
    bool udp = f->protocol.v == API_PORT_FORWARD_PROTOCOL_UDP;
    server_ipam_number x;
    if (f->host_port.is == API_VALUE)
        x = server_network_forward(udp, f->host_port.v);
    else if (!server_ipam_next(ipam, server_network_forward(udp, FORWARD_FIRST),
                               server_network_forward(udp, FORWARD_LAST), &x))
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, pointer,
                               "all host ports of %d to %d are in use: name another one",
                               FORWARD_FIRST, FORWARD_LAST);
    int r = server_network_take(t, SERVER_NETWORK_FORWARD, &cloud, x, v);
    if (r == -EEXIST)
        return api_problem_add(
            &c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, pointer,
            "%s port %lld of the hosts leads elsewhere already: name another, or "
            "leave it out",
            udp ? "UDP" : "TCP", (long long)f->host_port.v);
    f->host_port = (struct api_int){API_VALUE, (int64_t)(x & 0xffff)};
    return r ? server_network_no_memory(c) : 0;
}

static int give_forwards(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                         const struct api_port *before, const struct catalog_object *network,
                         const struct server_network_where *where)
{
    const struct api_network *kind = network->doc;
    struct api_port *doc = v->doc;
    struct api_port_status *status = doc->status.v;
    uint32_t n = doc->forwards.is == API_VALUE ? doc->forwards.n : 0;
    status->forwards.is = n ? API_VALUE : API_ABSENT;
    status->forwards.n = 0;
    if (!n)
        return 0;
    char pointer[SERVER_PORT_POINTER_BYTES];
    snprintf(pointer, sizeof(pointer), "%s/forwards", where->prefix);
    if (kind->kind.v != API_NETWORK_KIND_NAT)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer,
                               "guests in network %s are reached by their own addresses: leave "
                               "forwards out, or use a network of kind nat",
                               network->name);
    status->forwards.v = api_arena_array(&v->arena, n, sizeof(*status->forwards.v));
    if (!status->forwards.v)
        return server_network_no_memory(c);
    int r = 0;
    for (uint32_t i = 0; !r && i < n; i++) {
        struct api_port_forward *f = &status->forwards.v[i];
        *f = doc->forwards.v[i];
        if (f->protocol.is != API_VALUE)
            f->protocol.v = API_PORT_FORWARD_PROTOCOL_TCP;
        f->protocol.is = API_VALUE;
        int64_t kept = kept_forward(before, status, f);
        server_port_point(where, "forwards", i, "host_port", pointer);
        if (kept)
            f->host_port = (struct api_int){API_VALUE, kept};
        else
            r = take_forward(c, t, v, f, pointer);
        status->forwards.n = i + 1;
    }
    return r;
}

/* ---- making ---- */

static int find_network(struct server_call *c, struct catalog_object *v,
                        const struct server_network_where *where, struct catalog_slot **slot)
{
    struct api_port *doc = v->doc;
    char pointer[SERVER_PORT_POINTER_BYTES];
    snprintf(pointer, sizeof(pointer), "%s/network", where->prefix);
    int r = server_network_find(c, doc->network.v, pointer, slot);
    const struct api_network *network = r ? NULL : (*slot)->now->doc;
    if (network && !server_network_offered(network->kind.v))
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER, pointer,
                               "no driver of this cloud offers the kind of network %s: use one of "
                               "kind nat or bridge",
                               (*slot)->now->name);
    if (!r)
        r = server_port_wait(c, *slot);
    if (!r && server_meta_text(v, &doc->network, (*slot)->now->id_text))
        r = server_network_no_memory(c);
    return r;
}

int server_port_wait(struct server_call *c, const struct catalog_slot *network)
{
    const struct catalog_list *list =
        catalog_under(c->s->catalog, CATALOG_SUBNET, &network->now->id);
    int r = server_call_wait(c, network);
    for (size_t i = 0; !r && i < list->n; i++)
        r = server_call_wait(c, list->slots[i]);
    return r;
}

int server_network_port_make(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                             const struct server_network_where *where)
{
    struct api_port *doc = v->doc;
    struct catalog_slot *slot;
    char pointer[SERVER_PORT_POINTER_BYTES];
    snprintf(pointer, sizeof(pointer), "%s/security_groups", where->prefix);
    int r = find_network(c, v, where, &slot);
    if (!r)
        r = server_network_groups(c, t, &doc->security_groups, SERVER_NETWORK_PORT, pointer, v);
    if (r)
        return r;
    doc->status.v = api_json_new(&api_types_port_status, &v->arena);
    if (!doc->status.v)
        return server_network_no_memory(c);
    doc->status.is = API_VALUE;
    server_network_hold(t, &slot->now->id, SERVER_NETWORK_PORT);
    r = server_port_addresses(c, t, v, NULL, slot->now, where);
    if (!r)
        r = give_mac(c, t, v, where);
    if (!r)
        r = give_forwards(c, t, v, NULL, slot->now, where);
    if (!r && server_network_port_status(v, NULL))
        r = server_network_no_memory(c);
    return r;
}

/* ---- handlers ---- */

static const struct server_network_where document = {.prefix = ""};

static int port_create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    if (api_json_fill(&api_types_port, v->doc, &v->arena))
        return server_network_no_memory(c);
    return server_network_port_make(c, t, v, &document);
}

struct gave {
    struct server_txn *t;
    const struct catalog_object *after;
};

struct kept {
    enum server_network_lease what;
    server_ipam_number x;
    bool found;
};

static void find_kept(void *ctx, enum server_network_lease what, const struct store_id *network,
                      server_ipam_number x)
{
    struct kept *kept = ctx;
    (void)network; /* a port's never changes */
    kept->found |= what == kept->what && x == kept->x;
}

static void give_if_gone(void *ctx, enum server_network_lease what, const struct store_id *network,
                         server_ipam_number x)
{
    const struct gave *gave = ctx;
    struct kept kept = {what, x, false};
    server_network_leases(gave->after, find_kept, &kept);
    if (!kept.found)
        server_network_give(gave->t, what, network, x);
}

static int port_patch(struct server_call *c, struct server_txn *t,
                      const struct catalog_object *before, struct catalog_object *v)
{
    const struct api_port_patch *body = c->request.body;
    struct api_port *doc = v->doc;
    const struct catalog_slot *network = server_network_of(c->s, &doc->network);
    struct gave gave = {t, v};
    if (!network || doc->status.is != API_VALUE)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "the network of port %s is gone: delete the port", before->name);
    int r = server_port_wait(c, network);
    if (!r && body->security_groups.is != API_ABSENT)
        r = server_network_groups(c, t, &doc->security_groups, SERVER_NETWORK_PORT,
                                  "/security_groups", v);
    if (!r && body->addresses.is != API_ABSENT)
        r = server_port_addresses(c, t, v, before, network->now, &document);
    if (!r && body->forwards.is != API_ABSENT)
        r = give_forwards(c, t, v, before->doc, network->now, &document);
    if (r)
        return r;
    server_network_leases(before, give_if_gone, &gave);
    struct store_id vm_id = catalog_parent(v);
    const struct catalog_slot *vm = catalog_find(c->s->catalog, CATALOG_VM, &vm_id);
    return vm && server_network_port_status(v, vm->now) ? server_network_no_memory(c) : 0;
}

static int port_remove(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    if (v->own->vm.is == API_VALUE)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "VM %s has port %s: detach the NIC, or delete the VM, first",
                               v->own->vm.v, v->name);
    server_network_give_all(t, v);
    return 0;
}

static const struct server_resource port = {.kind = CATALOG_PORT,
                                            .create = port_create,
                                            .patch = port_patch,
                                            .remove = port_remove,
                                            .quota = "ports"};

int server_network_port_create(struct server_call *c)
{
    return server_resource_create(c, &port);
}

int server_network_port_get(struct server_call *c)
{
    return server_resource_get(c, &port);
}

int server_network_port_list(struct server_call *c)
{
    return server_resource_list(c, &port);
}

int server_network_port_patch(struct server_call *c)
{
    return server_resource_patch(c, &port);
}

int server_network_port_delete(struct server_call *c)
{
    return server_resource_delete(c, &port);
}
