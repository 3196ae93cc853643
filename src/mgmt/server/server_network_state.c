/* Who uses which network, address and security group: follows the catalog, and says it in the
 * documents' status when somebody asks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_network_internal.h"

#define BUCKETS 16384

struct server_networks {
    struct server_ipam macs, forwards;
    struct server_network_entry *buckets[BUCKETS];
    struct server_network_entry *stale;
    struct store_id *shared; /* networks that every project may use */
    size_t n_shared, room_shared;
};

static void ipam_init(struct server_ipam *ipam)
{
    server_ipam_init(&ipam->shown);
    server_ipam_init(&ipam->flight);
}

static void ipam_fini(struct server_ipam *ipam)
{
    server_ipam_fini(&ipam->shown);
    server_ipam_fini(&ipam->flight);
}

struct server_networks *server_networks_create(void)
{
    struct server_networks *n = calloc(1, sizeof(*n));
    if (n) {
        ipam_init(&n->macs);
        ipam_init(&n->forwards);
    }
    return n;
}

static void entry_free(struct server_network_entry *e)
{
    ipam_fini(&e->addresses);
    free(e);
}

void server_networks_destroy(struct server_networks *n)
{
    if (!n)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        while (n->buckets[i]) {
            struct server_network_entry *e = n->buckets[i];
            n->buckets[i] = e->next;
            entry_free(e);
        }
    ipam_fini(&n->macs);
    ipam_fini(&n->forwards);
    free(n->shared);
    free(n);
}

/* ---- entries ---- */

static struct server_network_entry **place_of(struct server_networks *n, const struct store_id *id)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof(*id); i++)
        h = (h ^ id->bytes[i]) * UINT64_C(0x100000001b3);
    struct server_network_entry **at = &n->buckets[(h ^ h >> 29) % BUCKETS];
    while (*at && memcmp(&(*at)->id, id, sizeof(*id)) != 0)
        at = &(*at)->next;
    return at;
}

struct server_network_entry *server_network_entry(struct server *s, const struct store_id *id)
{
    struct server_network_entry **at = place_of(s->networks, id), *e = *at;
    if (e)
        return e;
    e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->id = *id;
    ipam_init(&e->addresses);
    *at = e;
    return e;
}

struct server_ipam *server_network_numbers(struct server *s, enum server_network_lease what,
                                           const struct store_id *network)
{
    if (what == SERVER_NETWORK_MAC)
        return &s->networks->macs;
    if (what == SERVER_NETWORK_FORWARD)
        return &s->networks->forwards;
    struct server_network_entry *e = server_network_entry(s, network);
    return e ? &e->addresses : NULL;
}

static void set_stale(struct server *s, struct server_network_entry *e)
{
    if (e->stale)
        return;
    e->stale = true;
    e->next_stale = s->networks->stale;
    e->stale_link = &s->networks->stale;
    if (e->next_stale)
        e->next_stale->stale_link = &e->next_stale;
    s->networks->stale = e;
}

static void set_fresh(struct server_network_entry *e)
{
    if (!e->stale)
        return;
    *e->stale_link = e->next_stale;
    if (e->next_stale)
        e->next_stale->stale_link = e->stale_link;
    e->stale = false;
}

static void drop_entry(struct server *s, const struct store_id *id)
{
    struct server_network_entry **at = place_of(s->networks, id), *e = *at;
    if (!e || e->ports || e->others || e->groups || e->holds)
        return;
    set_fresh(e);
    *at = e->next;
    entry_free(e);
}

static int64_t *counter_of(struct server_network_entry *e, enum server_network_use use)
{
    return use == SERVER_NETWORK_PORT    ? &e->ports
           : use == SERVER_NETWORK_OTHER ? &e->others
                                         : &e->groups;
}

struct use_hold {
    struct server_hold hold;
    struct server_network_entry *entry;
    enum server_network_use use;
};

static void use_end(struct server *s, struct server_hold *h, bool done)
{
    const struct use_hold *u = container_of(h, struct use_hold, hold);
    (void)done; /* what was published counts by itself */
    --*counter_of(u->entry, u->use);
    u->entry->holds--;
    set_stale(s, u->entry);
}

void server_network_hold(struct server_txn *t, const struct store_id *id,
                         enum server_network_use use)
{
    struct use_hold *h = api_arena_alloc(&t->arena, sizeof(*h));
    struct server_network_entry *e = server_network_entry(t->s, id);
    if (!h || !e) {
        t->failed = t->failed ? t->failed : -ENOMEM;
        return;
    }
    ++*counter_of(e, use);
    e->holds++;
    *h = (struct use_hold){.hold = {.end = use_end}, .entry = e, .use = use};
    server_txn_hold(t, &h->hold);
}

/* ---- what is published ---- */

static void count_text(struct server *s, const char *text, enum server_network_use use, int delta)
{
    struct store_id id;
    struct server_network_entry *e =
        catalog_id_parse(text, &id) ? NULL : server_network_entry(s, &id);
    if (!e)
        return;
    *counter_of(e, use) += delta;
    set_stale(s, e);
}

static void count_texts(struct server *s, const struct api_texts *texts,
                        enum server_network_use use, int delta)
{
    for (uint32_t i = 0; texts->is == API_VALUE && i < texts->n; i++)
        count_text(s, texts->v[i], use, delta);
}

static void count_uses(struct server *s, const struct catalog_object *v, int delta)
{
    const struct api_network *network = v->doc;
    const struct api_subnet *subnet = v->doc;
    const struct api_port *port = v->doc;
    const struct api_security_group *group = v->doc;
    if (v->kind == CATALOG_NETWORK)
        count_texts(s, &network->security_groups, SERVER_NETWORK_OTHER, delta);
    else if (v->kind == CATALOG_SUBNET && subnet->network.is == API_VALUE)
        count_text(s, subnet->network.v, SERVER_NETWORK_OTHER, delta);
    else if (v->kind == CATALOG_PORT && port->network.is == API_VALUE)
        count_text(s, port->network.v, SERVER_NETWORK_PORT, delta);
    if (v->kind == CATALOG_PORT)
        count_texts(s, &port->security_groups, SERVER_NETWORK_PORT, delta);
    for (uint32_t i = 0;
         v->kind == CATALOG_SECURITY_GROUP && group->rules.is == API_VALUE && i < group->rules.n;
         i++)
        if (group->rules.v[i].remote_group.is == API_VALUE &&
            strcmp(group->rules.v[i].remote_group.v, v->id_text) != 0)
            count_text(s, group->rules.v[i].remote_group.v, SERVER_NETWORK_GROUP, delta);
}

struct search {
    enum server_network_lease what;
    struct store_id network;
    server_ipam_number x;
    bool found;
};

static void search_one(void *ctx, enum server_network_lease what, const struct store_id *network,
                       server_ipam_number x)
{
    struct search *search = ctx;
    search->found |= what == search->what && x == search->x &&
                     !memcmp(network, &search->network, sizeof(*network));
}

struct change {
    struct server *s;
    const struct catalog_object *other; /* the version before, or after */
    bool adds;
};

static void change_one(void *ctx, enum server_network_lease what, const struct store_id *network,
                       server_ipam_number x)
{
    const struct change *change = ctx;
    struct search search = {what, *network, x, false};
    if (change->other)
        server_network_leases(change->other, search_one, &search);
    struct server_ipam *ipam =
        search.found ? NULL : server_network_numbers(change->s, what, network);
    if (!ipam)
        return;
    int r = change->adds ? server_ipam_add(&ipam->shown, x) : server_ipam_remove(&ipam->shown, x);
    if (r == -ENOMEM && change->adds)
        log_line(LOG_ERROR, "server", "no memory for an address in use: restart the server");
}

static void set_shared(struct server_networks *n, const struct store_id *id, bool shared)
{
    size_t i = 0;
    while (i < n->n_shared && memcmp(&n->shared[i], id, sizeof(*id)) != 0)
        i++;
    if (!shared && i < n->n_shared)
        n->shared[i] = n->shared[--n->n_shared];
    if (!shared || i < n->n_shared)
        return;
    if (n->n_shared == n->room_shared) {
        size_t room = n->room_shared ? n->room_shared * 2 : 16;
        void *ids = reallocarray(n->shared, room, sizeof(*n->shared));
        if (!ids)
            return; /* it is found by its id only */
        n->shared = ids;
        n->room_shared = room;
    }
    n->shared[n->n_shared++] = *id;
}

size_t server_network_shared(struct server *s, const struct store_id **ids)
{
    *ids = s->networks->shared;
    return s->networks->n_shared;
}

/* A VM's ports show where it is and whether it runs. */
static void show_vm(struct server *s, const struct catalog_object *vm)
{
    const struct catalog_list *list = catalog_under(s->catalog, CATALOG_PORT, &vm->id);
    for (size_t i = 0; i < list->n; i++)
        server_network_port_show(s, list->slots[i], vm);
}

/* Whether a VM's change is none that its ports show. */
static bool shows_the_same(const struct catalog_object *before, const struct catalog_object *after)
{
    const struct api_vm *a = before->doc, *b = after->doc;
    if (a->status.is != API_VALUE || b->status.is != API_VALUE)
        return false;
    const struct api_text *old_host = &a->status.v->host, *host = &b->status.v->host;
    return a->status.v->state.v == b->status.v->state.v && old_host->is == host->is &&
           (host->is != API_VALUE || !strcmp(old_host->v, host->v));
}

void server_networks_loaded(struct server *s)
{
    const struct catalog_list *vms = catalog_all(s->catalog, CATALOG_VM);
    for (size_t i = 0; i < vms->n; i++)
        show_vm(s, vms->slots[i]->now);
}

void server_network_changed(struct server *s, const struct catalog_object *before,
                            const struct catalog_object *after)
{
    const struct catalog_object *v = after ? after : before;
    if (v->kind == CATALOG_VM) {
        if (after && !(before && shows_the_same(before, after)))
            show_vm(s, after);
        return;
    }
    if (v->kind < CATALOG_NETWORK || v->kind > CATALOG_SECURITY_GROUP)
        return;
    if (v->kind == CATALOG_NETWORK)
        set_shared(s->networks, &v->id, after && server_shared(after));
    struct change added = {s, before, true}, removed = {s, after, false};
    if (after)
        count_uses(s, after, 1);
    if (before)
        count_uses(s, before, -1);
    if (before && v->kind == CATALOG_PORT)
        server_network_leases(before, change_one, &removed);
    if (after && v->kind == CATALOG_PORT)
        server_network_leases(after, change_one, &added);
    if (!after && (v->kind == CATALOG_NETWORK || v->kind == CATALOG_SECURITY_GROUP))
        drop_entry(s, &v->id);
}

/* ---- what is shown ---- */

/* The same version with another status: shown, not stored. */
static void show(struct server *s, struct catalog_slot *slot, int64_t a, int64_t b)
{
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    struct api_int first = {API_VALUE, a}, second = {API_VALUE, b};
    if (v->kind == CATALOG_NETWORK) {
        struct api_network *doc = v->doc;
        if (doc->status.is == API_VALUE)
            doc->status.v->ports = first;
    } else if (v->kind == CATALOG_SECURITY_GROUP) {
        struct api_security_group *doc = v->doc;
        if (doc->status.is == API_VALUE)
            doc->status.v->ports = first;
    } else {
        struct api_subnet *doc = v->doc;
        if (doc->status.is == API_VALUE) {
            doc->status.v->addresses = first;
            doc->status.v->used = second;
        }
    }
    v->seq = slot->now->seq;
    if (catalog_seal(v))
        catalog_unref(v);
    else
        catalog_publish(s->catalog, v);
}

static void show_subnets(struct server *s, struct server_network_entry *e)
{
    const struct catalog_list *list = catalog_under(s->catalog, CATALOG_SUBNET, &e->id);
    for (size_t i = 0; i < list->n; i++) {
        const struct api_subnet *doc = list->slots[i]->now->doc;
        struct server_address_subnet subnet;
        const char *field;
        unsigned index;
        if (server_address_subnet(doc, &subnet, &field, &index))
            continue;
        int64_t used = (int64_t)server_ipam_count(&e->addresses.shown, subnet.first, subnet.last);
        if (doc->status.is != API_VALUE || doc->status.v->used.v != used ||
            doc->status.v->addresses.v != server_address_room(&subnet))
            show(s, list->slots[i], server_address_room(&subnet), used);
    }
}

/* With what is in flight: it is taken, whether it can be seen or not. */
static void show_entry(struct server *s, struct server_network_entry *e)
{
    struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_NETWORK, &e->id);
    if (slot) {
        const struct api_network *doc = slot->now->doc;
        if (doc->status.is == API_VALUE && doc->status.v->ports.v != e->ports)
            show(s, slot, e->ports, 0);
        show_subnets(s, e);
        return;
    }
    slot = catalog_find(s->catalog, CATALOG_SECURITY_GROUP, &e->id);
    const struct api_security_group *doc = slot ? slot->now->doc : NULL;
    if (doc && doc->status.is == API_VALUE && doc->status.v->ports.v != e->ports)
        show(s, slot, e->ports, 0);
}

/* Showing publishes, which counts again and makes the entry stale: it is so until the end. */
static void refresh(struct server *s, struct server_network_entry *e)
{
    show_entry(s, e);
    set_fresh(e);
}

void server_network_refresh(struct server *s, const struct catalog_object *v)
{
    struct store_id id = v->kind == CATALOG_SUBNET ? catalog_parent(v) : v->id;
    struct server_network_entry *e = server_network_entry(s, &id);
    if (e && e->stale)
        refresh(s, e);
}

void server_network_refresh_all(struct server_call *c)
{
    struct server_network_entry *e = c->s->networks->stale, *next;
    for (; e; e = next) {
        next = e->next_stale;
        const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_NETWORK, &e->id);
        if (!slot)
            slot = catalog_find(c->s->catalog, CATALOG_SECURITY_GROUP, &e->id);
        if (slot && (c->request.all_projects || server_network_visible(c, slot->now)))
            refresh(c->s, e);
    }
}
