/* Finding objects: two hash tables of slots (by id, by name), and lists in the order of ids of each
 * kind, of each kind and project, of each kind and parent. */
#include "mgmt/catalog/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

enum { LIST_ALL, LIST_PROJECT, LIST_PARENT };

#define LIST_BUCKETS  4096
#define FIRST_BUCKETS 1024

struct catalog {
    catalog_changed *changed;
    void *ctx;
    struct catalog_slot **by_id, **by_name; /* n_buckets each, a power of two */
    size_t n_buckets, n_slots;
    struct catalog_list *lists[LIST_BUCKETS];
};

static const struct catalog_list nothing;

struct catalog *catalog_create(catalog_changed *changed, void *ctx)
{
    struct catalog *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->changed = changed;
    c->ctx = ctx;
    c->n_buckets = FIRST_BUCKETS;
    c->by_id = calloc(c->n_buckets, sizeof(struct catalog_slot *));
    c->by_name = calloc(c->n_buckets, sizeof(struct catalog_slot *));
    if (c->by_id && c->by_name)
        return c;
    catalog_destroy(c);
    return NULL;
}

void catalog_destroy(struct catalog *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->by_id && i < c->n_buckets; i++)
        while (c->by_id[i]) {
            struct catalog_slot *slot = c->by_id[i];
            c->by_id[i] = slot->next_by_id;
            catalog_unref(slot->now);
            free(slot);
        }
    for (size_t i = 0; i < LIST_BUCKETS; i++)
        while (c->lists[i]) {
            struct catalog_list *list = c->lists[i];
            c->lists[i] = list->next;
            free(list->slots);
            free(list);
        }
    free(c->by_id);
    free(c->by_name);
    free(c);
}

/* FNV-1a. Ids are ours, names are bounded: nobody can choose enough of them to make long chains
 * without having as many objects. */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint32_t hash_id(unsigned salt, const struct store_id *id)
{
    uint64_t h = hash_bytes(UINT64_C(0xcbf29ce484222325) ^ salt, id, sizeof(*id));
    return (uint32_t)(h ^ h >> 32);
}

static uint32_t hash_name(unsigned kind, const struct store_id *project, const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ kind;
    h = hash_bytes(hash_bytes(h, project, sizeof(*project)), name, strlen(name));
    return (uint32_t)(h ^ h >> 32);
}

static struct catalog_slot **bucket(const struct catalog *c, struct catalog_slot **table,
                                    uint32_t hash)
{
    return &table[hash & (c->n_buckets - 1)];
}

static void link_id(struct catalog *c, struct catalog_slot *slot)
{
    struct catalog_slot **b = bucket(c, c->by_id, slot->id_hash);
    slot->next_by_id = *b;
    *b = slot;
}

static void link_name(struct catalog *c, struct catalog_slot *slot)
{
    struct catalog_slot **b = bucket(c, c->by_name, slot->name_hash);
    slot->next_by_name = *b;
    *b = slot;
}

/* Without memory the tables stay as they are, and chains grow. */
static void grow(struct catalog *c)
{
    size_t old_n = c->n_buckets, n = old_n * 2;
    struct catalog_slot **by_id = calloc(n, sizeof(struct catalog_slot *));
    struct catalog_slot **by_name = calloc(n, sizeof(struct catalog_slot *));
    if (!by_id || !by_name) {
        free(by_id);
        free(by_name);
        return;
    }
    struct catalog_slot **old = c->by_id;
    free(c->by_name);
    c->by_id = by_id;
    c->by_name = by_name;
    c->n_buckets = n;
    for (size_t i = 0; i < old_n; i++)
        for (struct catalog_slot *slot = old[i], *next; slot; slot = next) {
            next = slot->next_by_id;
            link_id(c, slot);
            link_name(c, slot);
        }
    free(old);
}

static struct catalog_list *find_list(const struct catalog *c, unsigned kind, unsigned role,
                                      const struct store_id *of)
{
    struct catalog_list *list = c->lists[hash_id(kind * 4 + role, of) & (LIST_BUCKETS - 1)];
    while (list &&
           (list->kind != kind || list->role != role || memcmp(&list->of, of, sizeof(*of)) != 0))
        list = list->next;
    return list;
}

/* Where an id is, or belongs. */
static size_t list_place(const struct catalog_list *list, const struct store_id *id)
{
    size_t low = 0, high = list->n;
    if (high && memcmp(&list->slots[high - 1]->now->id, id, sizeof(*id)) < 0)
        return high; /* new ones go to the end */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(&list->slots[middle]->now->id, id, sizeof(*id)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int list_add(struct catalog *c, unsigned role, const struct store_id *of,
                    struct catalog_slot *slot)
{
    unsigned kind = slot->now->kind;
    struct catalog_list *list = find_list(c, kind, role, of);
    if (!list) {
        struct catalog_list **b = &c->lists[hash_id(kind * 4 + role, of) & (LIST_BUCKETS - 1)];
        list = calloc(1, sizeof(*list));
        if (!list)
            return -ENOMEM;
        list->kind = (uint8_t)kind;
        list->role = (uint8_t)role;
        list->of = *of;
        list->next = *b;
        *b = list;
    }
    if (list->n == list->room) {
        size_t room = MAX(list->room * 2, (size_t)4);
        struct catalog_slot **slots =
            reallocarray(list->slots, room, sizeof(struct catalog_slot *));
        if (!slots)
            return -ENOMEM;
        list->slots = slots;
        list->room = room;
    }
    size_t at = list_place(list, &slot->now->id);
    memmove(list->slots + at + 1, list->slots + at, (list->n - at) * sizeof(struct catalog_slot *));
    list->slots[at] = slot;
    list->n++;
    return 0;
}

static void list_drop(struct catalog *c, unsigned role, const struct store_id *of,
                      const struct catalog_object *v)
{
    struct catalog_list *list = find_list(c, v->kind, role, of);
    size_t at = list ? list_place(list, &v->id) : 0;
    if (!list || at == list->n || memcmp(&list->slots[at]->now->id, &v->id, sizeof(v->id)) != 0)
        return;
    list->n--;
    memmove(list->slots + at, list->slots + at + 1, (list->n - at) * sizeof(struct catalog_slot *));
}

static void unlink_name(struct catalog *c, struct catalog_slot *slot)
{
    struct catalog_slot **at = bucket(c, c->by_name, slot->name_hash);
    while (*at && *at != slot)
        at = &(*at)->next_by_name;
    if (*at)
        *at = slot->next_by_name;
}

static struct catalog_slot *publish_new(struct catalog *c, struct catalog_object *v)
{
    struct catalog_slot *slot = calloc(1, sizeof(*slot));
    struct store_id parent = catalog_parent(v);
    static const struct store_id zero;
    if (!slot)
        return NULL;
    slot->now = v;
    bool has_parent = !catalog_id_is_zero(&parent);
    if (list_add(c, LIST_ALL, &zero, slot) || list_add(c, LIST_PROJECT, &v->project, slot) ||
        (has_parent && list_add(c, LIST_PARENT, &parent, slot))) {
        list_drop(c, LIST_ALL, &zero, v);
        list_drop(c, LIST_PROJECT, &v->project, v);
        free(slot);
        return NULL;
    }
    if (c->n_slots >= c->n_buckets)
        grow(c);
    slot->id_hash = hash_id(v->kind, &v->id);
    slot->name_hash = hash_name(v->kind, &v->project, v->name);
    link_id(c, slot);
    link_name(c, slot);
    c->n_slots++;
    return slot;
}

/* The parent's list may need memory: then the object is not in it, until it changes again. */
static void publish_next(struct catalog *c, struct catalog_slot *slot, struct catalog_object *v)
{
    struct store_id old_parent = catalog_parent(slot->now), parent = catalog_parent(v);
    bool moved = memcmp(&old_parent, &parent, sizeof(parent)) != 0;
    if (moved && !catalog_id_is_zero(&old_parent))
        list_drop(c, LIST_PARENT, &old_parent, slot->now);
    uint32_t hash = hash_name(v->kind, &v->project, v->name);
    if (hash != slot->name_hash) {
        unlink_name(c, slot);
        slot->name_hash = hash;
        link_name(c, slot);
    }
    slot->now = v;
    if (moved && !catalog_id_is_zero(&parent))
        (void)list_add(c, LIST_PARENT, &parent, slot);
}

struct catalog_slot *catalog_publish(struct catalog *c, struct catalog_object *v)
{
    struct catalog_slot *slot = catalog_find(c, v->kind, &v->id);
    struct catalog_object *before = slot ? slot->now : NULL;
    if (before && before->seq > v->seq) {
        catalog_unref(v);
        return slot;
    }
    free(v->body);
    v->body = NULL;
    if (slot) {
        publish_next(c, slot, v);
    } else {
        slot = publish_new(c, v);
        if (!slot) {
            catalog_unref(v);
            return NULL;
        }
    }
    if (c->changed)
        c->changed(c->ctx, slot, before, v);
    catalog_unref(before);
    return slot;
}

void catalog_remove(struct catalog *c, enum catalog_kind kind, const struct store_id *id,
                    uint64_t seq)
{
    static const struct store_id zero;
    struct catalog_slot *slot = catalog_find(c, kind, id), **at;
    if (!slot || slot->now->seq > seq)
        return;
    struct catalog_object *v = slot->now;
    struct store_id parent = catalog_parent(v);
    list_drop(c, LIST_ALL, &zero, v);
    list_drop(c, LIST_PROJECT, &v->project, v);
    if (!catalog_id_is_zero(&parent))
        list_drop(c, LIST_PARENT, &parent, v);
    unlink_name(c, slot);
    for (at = bucket(c, c->by_id, slot->id_hash); *at != slot;)
        at = &(*at)->next_by_id;
    *at = slot->next_by_id;
    c->n_slots--;
    if (c->changed)
        c->changed(c->ctx, slot, v, NULL);
    catalog_unref(v);
    free(slot);
}

struct catalog_slot *catalog_find(const struct catalog *c, enum catalog_kind kind,
                                  const struct store_id *id)
{
    uint32_t hash = hash_id(kind, id);
    struct catalog_slot *slot = *bucket(c, c->by_id, hash);
    while (slot && (slot->id_hash != hash || slot->now->kind != kind ||
                    memcmp(&slot->now->id, id, sizeof(*id)) != 0))
        slot = slot->next_by_id;
    return slot;
}

struct catalog_slot *catalog_find_id(const struct catalog *c, enum catalog_kind kind,
                                     const char *id_text)
{
    struct store_id id;
    return id_text && !catalog_id_parse(id_text, &id) ? catalog_find(c, kind, &id) : NULL;
}

struct catalog_slot *catalog_find_text(const struct catalog *c, enum catalog_kind kind,
                                       const struct store_id *project, const char *ref)
{
    struct store_id id;
    if (!catalog_id_parse(ref, &id)) {
        struct catalog_slot *slot = catalog_find(c, kind, &id);
        if (slot)
            return slot;
    }
    uint32_t hash = hash_name(kind, project, ref);
    struct catalog_slot *slot = *bucket(c, c->by_name, hash);
    while (slot && (slot->name_hash != hash || slot->now->kind != kind ||
                    strcmp(slot->now->name, ref) != 0 ||
                    memcmp(&slot->now->project, project, sizeof(*project)) != 0))
        slot = slot->next_by_name;
    return slot;
}

static const struct catalog_list *list_or_nothing(const struct catalog_list *list)
{
    return list ? list : &nothing;
}

const struct catalog_list *catalog_all(const struct catalog *c, enum catalog_kind kind)
{
    static const struct store_id zero;
    return list_or_nothing(find_list(c, kind, LIST_ALL, &zero));
}

const struct catalog_list *catalog_in(const struct catalog *c, enum catalog_kind kind,
                                      const struct store_id *project)
{
    return list_or_nothing(find_list(c, kind, LIST_PROJECT, project));
}

const struct catalog_list *catalog_under(const struct catalog *c, enum catalog_kind kind,
                                         const struct store_id *parent)
{
    return list_or_nothing(find_list(c, kind, LIST_PARENT, parent));
}
