/* What a project sees of networks: its own, and what is shared with it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_call.h"
#include "mgmt/server/server_network_internal.h"

int server_network_no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

static bool is_own(const struct server_call *c, const struct catalog_object *v)
{
    return !memcmp(&v->project, &c->project, sizeof(c->project));
}

struct catalog_slot *server_network_of(struct server *s, const struct api_text *network)
{
    return network->is == API_VALUE ? catalog_find_id(s->catalog, CATALOG_NETWORK, network->v)
                                    : NULL;
}

bool server_network_visible(struct server_call *c, const struct catalog_object *v)
{
    const struct api_subnet *subnet = v->doc;
    if (is_own(c, v) || v->kind == CATALOG_NETWORK)
        return is_own(c, v) || server_shared(v);
    const struct catalog_slot *slot =
        v->kind == CATALOG_SUBNET ? server_network_of(c->s, &subnet->network) : NULL;
    return slot && server_shared(slot->now);
}

/* Of the shared networks those of that name. */
static unsigned find_shared(struct server_call *c, const char *name, struct catalog_slot **slot)
{
    const struct store_id *ids;
    size_t n = server_network_shared(c->s, &ids);
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) {
        struct catalog_slot *shared = catalog_find(c->s->catalog, CATALOG_NETWORK, &ids[i]);
        if (!shared || strcmp(shared->now->name, name) != 0)
            continue;
        *slot = shared;
        found++;
    }
    return found;
}

int server_network_find(struct server_call *c, const char *ref, const char *pointer,
                        struct catalog_slot **slot)
{
    struct catalog_slot *found =
        catalog_find_text(c->s->catalog, CATALOG_NETWORK, &c->project, ref);
    unsigned n = found && server_network_visible(c, found->now) ? 1 : find_shared(c, ref, &found);
    *slot = NULL;
    if (!n)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REFERENCE_NOT_FOUND, pointer,
                               "no network of this project, and no shared one, is called %s: list "
                               "them to see which there are",
                               ref);
    if (n > 1)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer,
                               "%u shared networks are called %s: say its id", n, ref);
    *slot = found;
    return 0;
}

struct catalog_slot *server_network_readable(struct server_call *c, enum catalog_kind kind)
{
    const char *ref = c->request.match.params[0];
    struct catalog_slot *slot = catalog_find_text(c->s->catalog, kind, &c->project, ref);
    if (slot && server_network_visible(c, slot->now))
        return slot;
    if (kind == CATALOG_NETWORK && find_shared(c, ref, &slot) == 1)
        return slot;
    api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                    "no %s is called %s here: list them to see which there are",
                    catalog_kinds[kind].name, ref);
    return NULL;
}

/* ---- lists ---- */

struct gathered {
    struct catalog_slot **slots;
    size_t n, room;
    bool failed;
};

static void gather(struct gathered *g, struct catalog_slot *slot)
{
    if (g->n == g->room) {
        size_t room = g->room ? g->room * 2 : 64;
        void *slots = reallocarray(g->slots, room, sizeof(struct catalog_slot *));
        g->failed |= !slots;
        if (!slots)
            return;
        g->slots = slots;
        g->room = room;
    }
    g->slots[g->n++] = slot;
}

static int by_id(const void *a, const void *b)
{
    const struct catalog_slot *const *x = a, *const *y = b;
    return memcmp(&(*x)->now->id, &(*y)->now->id, sizeof((*x)->now->id));
}

static void gather_shared(struct server_call *c, enum catalog_kind kind, struct gathered *g)
{
    const struct store_id *ids;
    size_t n = server_network_shared(c->s, &ids);
    for (size_t i = 0; i < n; i++) {
        struct catalog_slot *network = catalog_find(c->s->catalog, CATALOG_NETWORK, &ids[i]);
        if (!network || is_own(c, network->now))
            continue;
        if (kind == CATALOG_NETWORK) {
            gather(g, network);
            continue;
        }
        const struct catalog_list *list = catalog_under(c->s->catalog, CATALOG_SUBNET, &ids[i]);
        for (size_t k = 0; k < list->n; k++)
            gather(g, list->slots[k]);
    }
}

int server_network_list(struct server_call *c, enum catalog_kind kind)
{
    server_network_refresh_all(c);
    if (c->request.all_projects)
        return server_list_reply(c, catalog_all(c->s->catalog, kind), NULL);
    const struct catalog_list *own = catalog_in(c->s->catalog, kind, &c->project);
    struct gathered g = {0};
    gather_shared(c, kind, &g);
    if (!g.n && !g.failed)
        return server_list_reply(c, own, NULL);
    for (size_t i = 0; i < own->n; i++)
        gather(&g, own->slots[i]);
    int r = server_network_no_memory(c);
    if (!g.failed) {
        const struct catalog_list list = {.slots = g.slots, .n = g.n};
        qsort(g.slots, g.n, sizeof(struct catalog_slot *), by_id);
        api_problem_init(&c->refusal);
        r = server_list_reply(c, &list, NULL);
    }
    free(g.slots);
    return r;
}

/* ---- security groups ---- */

static bool rule_is_open(const struct api_security_rule *rule)
{
    bool any = rule->remote_cidr.is != API_VALUE || !strcmp(rule->remote_cidr.v, "0.0.0.0/0") ||
               !strcmp(rule->remote_cidr.v, "::/0");
    return any && rule->remote_group.is != API_VALUE && rule->port_first.is != API_VALUE &&
           rule->port_last.is != API_VALUE &&
           (rule->protocol.is != API_VALUE || rule->protocol.v == API_SECURITY_RULE_PROTOCOL_ANY);
}

bool server_network_group_open(const struct catalog_object *group)
{
    const struct api_security_group *doc = group->doc;
    unsigned open = 0; /* a bit a direction and family */
    for (uint32_t i = 0; doc->rules.is == API_VALUE && i < doc->rules.n; i++) {
        const struct api_security_rule *rule = &doc->rules.v[i];
        if (rule_is_open(rule))
            open |= 1u << (2 * (rule->direction.v == API_SECURITY_RULE_DIRECTION_EGRESS) +
                           (rule->family.is == API_VALUE &&
                            rule->family.v == API_SECURITY_RULE_FAMILY_IPV6));
    }
    return open == 15;
}

static int resolve_group(struct server_call *c, const char *ref, const char *pointer,
                         struct catalog_slot **slot)
{
    struct api_text text = {API_VALUE, ref};
    int r = server_call_ref(c, CATALOG_SECURITY_GROUP, &text, pointer, slot);
    if (!r)
        r = server_call_wait(c, *slot);
    if (!r && !server_network_group_open((*slot)->now))
        r = api_problem_add(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER, pointer,
                            "no driver of this cloud filters packets, and security group %s lets "
                            "only some through: leave it out, or use one that lets everything "
                            "through",
                            (*slot)->now->name);
    return r;
}

int server_network_groups(struct server_call *c, struct server_txn *t, struct api_texts *groups,
                          enum server_network_use use, const char *pointer,
                          struct catalog_object *v)
{
    if (groups->is != API_VALUE || !groups->n)
        return 0;
    struct catalog_slot *slots[16];
    const char **ids = api_arena_array(&v->arena, groups->n, sizeof(*ids));
    if (!ids || groups->n > 16)
        return server_network_no_memory(c);
    for (uint32_t i = 0; i < groups->n; i++) {
        char at[128];
        snprintf(at, sizeof(at), "%s/%u", pointer, i);
        int r = resolve_group(c, groups->v[i], at, &slots[i]);
        for (uint32_t k = 0; !r && k < i; k++)
            if (slots[k] == slots[i])
                r = api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, at,
                                    "security group %s is named twice: name it once",
                                    slots[i]->now->name);
        if (r)
            return r;
        ids[i] = api_arena_text(&v->arena, slots[i]->now->id_text, UUID_TEXT_BYTES - 1);
        if (!ids[i])
            return server_network_no_memory(c);
    }
    for (uint32_t i = 0; i < groups->n; i++)
        server_network_hold(t, &slots[i]->now->id, use);
    groups->v = ids;
    return 0;
}
