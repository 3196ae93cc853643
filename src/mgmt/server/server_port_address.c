/* Which addresses a port is given: those that it names, then the next free ones. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_port_internal.h"

#define ADDRESSES_MAX 16

struct pick {
    struct server_call *c;
    struct server_txn *t;
    struct catalog_object *v;
    const struct catalog_object *network;
    const struct server_network_where *where;
    server_ipam_number had[ADDRESSES_MAX]; /* before */
    unsigned n_had;
    server_ipam_number got[ADDRESSES_MAX]; /* 0: not yet */
    unsigned n;
};

static bool contains(const server_ipam_number *list, unsigned n, server_ipam_number x)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i] == x)
            return true;
    return false;
}

/* What the port has it keeps. Errors: EEXIST, ENOMEM. */
static int take(struct pick *p, unsigned i, server_ipam_number x)
{
    int r = contains(p->got, p->n, x) ? -EEXIST : 0;
    if (!r && !contains(p->had, p->n_had, x))
        r = server_network_take(p->t, SERVER_NETWORK_ADDRESS, &p->network->id, x, p->v);
    if (!r)
        p->got[i] = x;
    return r;
}

static int refuse(struct pick *p, enum api_problem_code code, unsigned i, const char *field,
                  const char *value, const char *why)
{
    char pointer[SERVER_PORT_POINTER_BYTES];
    server_port_point(p->where, "addresses", i, field, pointer);
    return api_problem_add(&p->c->refusal, code, pointer, "%s: %s", value, why);
}

/* The subnet that an address names, by id or by its name within the network. *only NULL: none is
 * named. */
static int find_subnet(struct pick *p, unsigned i, struct api_port_address *want,
                       const struct catalog_object **only)
{
    *only = NULL;
    if (!want || want->subnet.is != API_VALUE)
        return 0;
    const struct catalog_slot *slot =
        catalog_find_text(p->c->s->catalog, CATALOG_SUBNET, &p->network->project, want->subnet.v);
    struct store_id parent = {{0}};
    if (slot)
        parent = catalog_parent(slot->now);
    if (!slot || memcmp(&parent, &p->network->id, sizeof(parent)) != 0)
        return refuse(p, API_PROBLEM_CODE_REFERENCE_NOT_FOUND, i, "subnet", want->subnet.v,
                      "the network has no subnet of that name: list its subnets");
    if (server_meta_text(p->v, &want->subnet, slot->now->id_text))
        return server_network_no_memory(p->c);
    *only = slot->now;
    return 0;
}

/* Calls `each` with the subnets that may be meant, until it returns anything but 0. */
static int each_subnet(struct pick *p, const struct catalog_object *only,
                       int (*each)(struct pick *p, unsigned i, server_ipam_number x,
                                   const struct server_address_subnet *subnet),
                       unsigned i, server_ipam_number x)
{
    const struct catalog_list *list =
        catalog_under(p->c->s->catalog, CATALOG_SUBNET, &p->network->id);
    for (size_t k = 0; k < list->n; k++) {
        struct server_address_subnet subnet;
        const char *field;
        unsigned index;
        if ((only && list->slots[k]->now != only) ||
            server_address_subnet(list->slots[k]->now->doc, &subnet, &field, &index))
            continue;
        int r = each(p, i, x, &subnet);
        if (r)
            return r;
    }
    return 0;
}

/* 1: this is the subnet of x, and x is a port's to have; -EINVAL: it is not to have. */
static int holds(struct pick *p, unsigned i, server_ipam_number x,
                 const struct server_address_subnet *subnet)
{
    (void)p;
    (void)i;
    if (x < subnet->first || x > subnet->last)
        return 0;
    return server_address_may(subnet, x) ? 1 : -EINVAL;
}

static int give_named(struct pick *p, unsigned i, struct api_port_address *want)
{
    const struct catalog_object *only;
    server_ipam_number x;
    int r = find_subnet(p, i, want, &only);
    if (r)
        return r;
    if (server_address_parse(want->ip.v, &x))
        return refuse(p, API_PROBLEM_CODE_REQUEST_INVALID, i, "ip", want->ip.v,
                      "an IPv4-mapped address is IPv4: write it as such");
    r = each_subnet(p, only, holds, i, x);
    if (!r)
        return refuse(p, API_PROBLEM_CODE_REQUEST_INVALID, i, "ip", want->ip.v,
                      only ? "it is not in that subnet: choose one that is"
                           : "it is in no subnet of the network: choose one that is");
    if (r < 0)
        return refuse(p, API_PROBLEM_CODE_REQUEST_INVALID, i, "ip", want->ip.v,
                      "it is the gateway's, or means the whole subnet: choose another");
    r = take(p, i, x);
    if (r == -EEXIST)
        return refuse(p, API_PROBLEM_CODE_RESOURCE_IN_USE, i, "ip", want->ip.v,
                      "another port has it, or it is named twice: choose another, or leave it out");
    return r ? server_network_no_memory(p->c) : 0;
}

/* 1: an address of the subnet was kept or taken; an error: -ENOMEM. */
static int give_from(struct pick *p, unsigned i, server_ipam_number x,
                     const struct server_address_subnet *subnet)
{
    (void)x;
    for (unsigned k = 0; k < p->n_had; k++)
        if (server_address_may(subnet, p->had[k]) && !contains(p->got, p->n, p->had[k])) {
            p->got[i] = p->had[k];
            return 1;
        }
    const struct server_ipam *ipam =
        server_network_numbers(p->c->s, SERVER_NETWORK_ADDRESS, &p->network->id);
    server_ipam_number found;
    if (!ipam)
        return -ENOMEM;
    if (!server_address_next(subnet, ipam, &found))
        return 0;
    int r = take(p, i, found);
    return r ? r : 1;
}

static int give_next(struct pick *p, unsigned i, struct api_port_address *want)
{
    const struct catalog_object *only;
    int r = find_subnet(p, i, want, &only);
    if (r)
        return r;
    r = each_subnet(p, only, give_from, i, 0);
    if (r < 0)
        return server_network_no_memory(p->c);
    if (!r)
        return refuse(p, API_PROBLEM_CODE_RESOURCE_IN_USE, i, only ? "subnet" : "ip",
                      only ? only->name : p->network->name,
                      "no address is free: delete ports, widen the subnet's ranges, or add a "
                      "subnet");
    return 0;
}

static void read_had(struct pick *p, const struct catalog_object *before)
{
    const struct api_port *doc = before ? before->doc : NULL;
    const struct api_port_status *status =
        doc && doc->status.is == API_VALUE ? doc->status.v : NULL;
    for (uint32_t i = 0; status && status->addresses.is == API_VALUE && i < status->addresses.n &&
                         p->n_had < ADDRESSES_MAX;
         i++)
        if (!server_address_parse(status->addresses.v[i], &p->had[p->n_had]))
            p->n_had++;
}

static int write_status(struct pick *p)
{
    const struct api_port *doc = p->v->doc;
    struct api_texts *out = &doc->status.v->addresses;
    char text[SERVER_ADDRESS_BYTES];
    *out = (struct api_texts){.is = p->n ? API_VALUE : API_ABSENT};
    if (!p->n)
        return 0;
    out->v = api_arena_array(&p->v->arena, p->n, sizeof(*out->v));
    for (unsigned i = 0; out->v && i < p->n; i++) {
        server_address_format(p->got[i], text);
        out->v[i] = api_arena_text(&p->v->arena, text, strlen(text));
        if (!out->v[i])
            return server_network_no_memory(p->c);
        out->n = i + 1;
    }
    return out->v ? 0 : server_network_no_memory(p->c);
}

int server_port_addresses(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                          const struct catalog_object *before, const struct catalog_object *network,
                          const struct server_network_where *where)
{
    const struct api_port *doc = v->doc;
    bool says = doc->addresses.is == API_VALUE;
    bool has_subnets = catalog_under(c->s->catalog, CATALOG_SUBNET, &network->id)->n;
    struct pick p = {.c = c, .t = t, .v = v, .network = network, .where = where};
    p.n = says ? doc->addresses.n : has_subnets;
    read_had(&p, before);
    if (p.n > ADDRESSES_MAX)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                               "a port has %d addresses at most: ask for fewer", ADDRESSES_MAX);
    int r = 0;
    for (unsigned i = 0; !r && says && i < p.n; i++)
        if (doc->addresses.v[i].ip.is == API_VALUE)
            r = give_named(&p, i, &doc->addresses.v[i]);
    for (unsigned i = 0; !r && i < p.n; i++)
        if (!p.got[i])
            r = give_next(&p, i, says ? &doc->addresses.v[i] : NULL);
    return r ? r : write_status(&p);
}
