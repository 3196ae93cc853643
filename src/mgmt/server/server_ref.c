#include "mgmt/server/server_ref.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* One that is kept, in the memory of its transaction. */
struct server_ref {
    struct server_hold hold;
    enum catalog_kind kind;
    struct store_id id;
    struct server_ref *next, **link;
};

static int no_memory(struct server_txn *t)
{
    return api_problem_set(&t->call->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

static void let_go(struct server *s, struct server_hold *h, bool done)
{
    struct server_ref *ref = container_of(h, struct server_ref, hold);
    (void)done;
    *ref->link = ref->next;
    if (ref->next)
        ref->next->link = ref->link;
    server_call_wake(s, ref->kind, &ref->id);
}

int server_ref_keep(struct server_txn *t, const struct catalog_slot *slot)
{
    if (slot->leaving)
        return server_call_wait(t->call, slot);
    struct server_ref *ref = api_arena_alloc(&t->arena, sizeof(*ref));
    if (!ref)
        return no_memory(t);
    *ref = (struct server_ref){.hold = {.end = let_go},
                               .kind = slot->now->kind,
                               .id = slot->now->id,
                               .next = t->s->refs,
                               .link = &t->s->refs};
    if (ref->next)
        ref->next->link = &ref->next;
    t->s->refs = ref;
    server_txn_hold(t, &ref->hold);
    return 0;
}

int server_ref_keep_project(struct server_txn *t)
{
    struct server_call *c = t->call;
    const struct catalog_slot *slot = catalog_find(t->s->catalog, CATALOG_PROJECT, &c->project);
    if (slot)
        return server_ref_keep(t, slot);
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                           "the project is gone: name another one");
}

int server_ref_wait(struct server_call *c, const struct catalog_slot *slot)
{
    for (const struct server_ref *ref = c->s->refs; ref; ref = ref->next)
        if (ref->kind == slot->now->kind && !memcmp(&ref->id, &slot->now->id, sizeof(ref->id))) {
            c->wait_kind = ref->kind;
            c->wait_id = ref->id;
            return SERVER_WAIT;
        }
    return 0;
}

static int resolve(struct server_txn *t, struct catalog_object *v, enum catalog_kind kind,
                   const char **ref, const char *pointer, struct catalog_slot **slot)
{
    static const struct store_id nobody;
    const struct store_id *project = catalog_kinds[kind].in_project ? &v->project : &nobody;
    struct catalog_slot *found = catalog_find_text(t->s->catalog, kind, project, *ref);
    if (found && memcmp(&found->now->project, project, sizeof(*project)) != 0)
        found = NULL;
    if (!found)
        return api_problem_add(&t->call->refusal, API_PROBLEM_CODE_REFERENCE_NOT_FOUND, pointer,
                               "no %s is called %s: list them to see which there are",
                               catalog_kinds[kind].name, *ref);
    int e = server_ref_keep(t, found);
    if (e)
        return e;
    *ref = api_arena_text(&v->arena, found->now->id_text, UUID_TEXT_BYTES - 1);
    if (!*ref)
        return no_memory(t);
    *slot = found;
    return 0;
}

int server_ref_one(struct server_txn *t, struct catalog_object *v, enum catalog_kind kind,
                   struct api_text *ref, const char *pointer, struct catalog_slot **slot)
{
    struct catalog_slot *found = NULL;
    int e = ref->is == API_VALUE ? resolve(t, v, kind, &ref->v, pointer, &found) : 0;
    if (!e && slot)
        *slot = found;
    return e;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

int server_ref_list(struct server_txn *t, struct catalog_object *v, enum catalog_kind kind,
                    struct api_texts *refs, const char *pointer)
{
    if (refs->is != API_VALUE || !refs->n)
        return 0;
    /* A list of their own: what was read may be shared with the version before. */
    const char **ids = api_arena_array(&v->arena, refs->n, sizeof(*ids));
    if (!ids)
        return no_memory(t);
    for (uint32_t i = 0; i < refs->n; i++) {
        char where[192];
        struct catalog_slot *slot;
        snprintf(where, sizeof(where), "%s/%u", pointer, i);
        ids[i] = refs->v[i];
        int e = resolve(t, v, kind, &ids[i], where, &slot);
        if (e)
            return e;
    }
    qsort(ids, refs->n, sizeof(*ids), by_text);
    uint32_t n = 1;
    for (uint32_t i = 1; i < refs->n; i++)
        if (strcmp(ids[n - 1], ids[i]) != 0)
            ids[n++] = ids[i];
    refs->v = ids;
    refs->n = n;
    return 0;
}

bool server_ref_is(const struct api_text *ref, const struct catalog_object *v)
{
    return ref->is == API_VALUE && !strcmp(ref->v, v->id_text);
}

bool server_ref_has(const struct api_texts *refs, const struct catalog_object *v)
{
    for (uint32_t i = 0; refs->is == API_VALUE && i < refs->n; i++)
        if (!strcmp(refs->v[i], v->id_text))
            return true;
    return false;
}

int server_ref_unused(struct server_call *c, const struct catalog_object *v, enum catalog_kind by,
                      const char *field)
{
    const struct api_types_field *f = api_types_find(catalog_kinds[by].type, field, strlen(field));
    const struct catalog_list *list = catalog_all(c->s->catalog, by);
    for (size_t i = 0; f && i < list->n; i++) {
        const struct catalog_object *user = list->slots[i]->now;
        const void *at = api_types_at(user->doc, f);
        if (f->kind == API_KIND_LIST ? server_ref_has(at, v) : server_ref_is(at, v))
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                                   "%s %s is used by %s %s (%s): change or delete that first",
                                   catalog_kinds[v->kind].name, v->name, catalog_kinds[by].name,
                                   user->name, field);
    }
    return 0;
}
