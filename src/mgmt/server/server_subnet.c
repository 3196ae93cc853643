/* Subnets: the addresses of networks. A new one is written together with its network, so that of
 * two that would overlap, on whatever servers, the second sees the first. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/server/server_network_internal.h"

#define IPV6_MTU_BYTES 1280

static int read_subnet(struct server_call *c, const struct api_subnet *doc,
                       struct server_address_subnet *subnet)
{
    const char *field;
    unsigned index;
    char pointer[64];
    const char *wrong = server_address_subnet(doc, subnet, &field, &index);
    if (!wrong)
        return 0;
    if (!strcmp(field, "ranges"))
        snprintf(pointer, sizeof(pointer), "/ranges/%u", index);
    else
        snprintf(pointer, sizeof(pointer), "/%s", field);
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer, "%s: %s",
                           !strcmp(field, "gateway") ? doc->gateway.v : doc->cidr.v, wrong);
}

static int check_overlap(struct server_call *c, const struct catalog_object *network,
                         const struct api_subnet *doc, const struct server_address_subnet *subnet)
{
    const struct catalog_list *list = catalog_under(c->s->catalog, CATALOG_SUBNET, &network->id);
    for (size_t i = 0; i < list->n; i++) {
        const struct api_subnet *other_doc = list->slots[i]->now->doc;
        struct server_address_subnet other;
        const char *field;
        unsigned index;
        if (server_address_subnet(other_doc, &other, &field, &index) ||
            other.first > subnet->last || other.last < subnet->first)
            continue;
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/cidr",
                               "%s overlaps subnet %s (%s) of network %s: choose another prefix",
                               doc->cidr.v, list->slots[i]->now->name, other_doc->cidr.v,
                               network->name);
    }
    return 0;
}

/* The network is the project's own: what is shared with it is not its to lay out. */
static int find_network(struct server_call *c, struct api_subnet *doc, struct catalog_object *v,
                        struct catalog_slot **slot)
{
    int r = server_network_find(c, doc->network.v, "/network", slot);
    if (!r && memcmp(&(*slot)->now->project, &c->project, sizeof(c->project)) != 0)
        r = api_problem_add(&c->refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN, "/network",
                            "network %s belongs to another project, which alone can give it "
                            "subnets: use one of your own",
                            (*slot)->now->name);
    if (!r)
        r = server_call_wait(c, *slot);
    if (!r && server_meta_text(v, &doc->network, (*slot)->now->id_text))
        r = server_network_no_memory(c);
    return r;
}

static int set_status(struct server_call *c, struct catalog_object *v,
                      const struct server_address_subnet *subnet)
{
    struct api_subnet *doc = v->doc;
    struct store_id network = catalog_parent(v);
    const struct server_network_entry *e = server_network_entry(c->s, &network);
    if (doc->status.is != API_VALUE)
        doc->status.v = api_json_new(&api_types_subnet_status, &v->arena);
    if (!doc->status.v || !e)
        return server_network_no_memory(c);
    doc->status.is = API_VALUE;
    doc->status.v->addresses = (struct api_int){API_VALUE, server_address_room(subnet)};
    doc->status.v->used = (struct api_int){
        API_VALUE, (int64_t)server_ipam_count(&e->addresses.shown, subnet->first, subnet->last)};
    return 0;
}

static int subnet_create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_subnet *doc = v->doc;
    struct server_address_subnet subnet;
    struct catalog_slot *slot;
    if (api_json_fill(&api_types_subnet, doc, &v->arena))
        return server_network_no_memory(c);
    int r = find_network(c, doc, v, &slot);
    if (!r)
        r = read_subnet(c, doc, &subnet);
    if (r)
        return r;
    const struct api_network *network = slot->now->doc;
    if (subnet.ipv6 && network->mtu_bytes.v < IPV6_MTU_BYTES)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/cidr",
                               "IPv6 needs packets of %d bytes and network %s has %lld: raise its "
                               "mtu_bytes",
                               IPV6_MTU_BYTES, slot->now->name, (long long)network->mtu_bytes.v);
    r = check_overlap(c, slot->now, doc, &subnet);
    if (!r)
        r = set_status(c, v, &subnet);
    if (r)
        return r;
    struct catalog_object *next = catalog_copy(slot->now);
    if (!next)
        return server_network_no_memory(c);
    server_network_hold(t, &slot->now->id, SERVER_NETWORK_OTHER);
    server_txn_put(t, slot, next, false);
    return 0;
}

static int subnet_patch(struct server_call *c, struct server_txn *t,
                        const struct catalog_object *before, struct catalog_object *v)
{
    const struct api_subnet *old = before->doc, *doc = v->doc;
    struct server_address_subnet subnet;
    struct store_id network = catalog_parent(v);
    const struct server_network_entry *e = server_network_entry(c->s, &network);
    (void)t;
    int r = read_subnet(c, doc, &subnet);
    if (r)
        return r;
    bool same = old->gateway.is == doc->gateway.is &&
                (doc->gateway.is != API_VALUE || !strcmp(old->gateway.v, doc->gateway.v));
    if (!same && e && subnet.has_gateway && server_ipam_used(&e->addresses, subnet.gateway)) {
        char text[SERVER_ADDRESS_BYTES];
        server_address_format(subnet.gateway, text);
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, "/gateway",
                               "%s is a port's address: choose one that is free", text);
    }
    return set_status(c, v, &subnet);
}

static int subnet_remove(struct server_call *c, struct server_txn *t,
                         const struct catalog_object *v)
{
    struct server_address_subnet subnet;
    const char *field;
    unsigned index;
    struct store_id network = catalog_parent(v);
    const struct server_network_entry *e = server_network_entry(c->s, &network);
    (void)t;
    if (!e)
        return server_network_no_memory(c);
    if (server_address_subnet(v->doc, &subnet, &field, &index))
        return 0;
    uint64_t used = server_ipam_count(&e->addresses.shown, subnet.first, subnet.last) +
                    server_ipam_count(&e->addresses.flight, subnet.first, subnet.last);
    if (used)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "ports have %llu addresses of subnet %s: delete them first",
                               (unsigned long long)used, v->name);
    return 0;
}

static const struct server_resource subnet = {.kind = CATALOG_SUBNET,
                                              .create = subnet_create,
                                              .patch = subnet_patch,
                                              .remove = subnet_remove};

int server_network_subnet_create(struct server_call *c)
{
    return server_resource_create(c, &subnet);
}

int server_network_subnet_get(struct server_call *c)
{
    struct catalog_slot *slot = server_network_readable(c, CATALOG_SUBNET);
    if (!slot)
        return -ENOENT;
    server_network_refresh(c->s, slot->now);
    server_call_reply_object(c, 200, slot->now);
    return 0;
}

int server_network_subnet_list(struct server_call *c)
{
    return server_network_list(c, CATALOG_SUBNET);
}

int server_network_subnet_patch(struct server_call *c)
{
    return server_resource_patch(c, &subnet);
}

int server_network_subnet_delete(struct server_call *c)
{
    return server_resource_delete(c, &subnet);
}
