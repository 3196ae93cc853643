#include "mgmt/server/server_follow_anew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_follow.h"
#include "mgmt/server/server_internal.h"

struct server_follow_living {
    uint8_t kind;
    struct store_id id;
};

int server_follow_anew_note(struct server_follow_anew *a, const struct store_record *r)
{
    if (a->n == a->room) {
        size_t room = MAX(2 * a->room, (size_t)1024);
        struct server_follow_living *more = reallocarray(a->living, room, sizeof(*more));
        if (!more)
            return -ENOMEM;
        a->living = more;
        a->room = room;
    }
    a->living[a->n++] = (struct server_follow_living){r->kind, r->id};
    a->is_sorted = false;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct server_follow_living *x = a, *y = b;
    return x->kind != y->kind ? x->kind - y->kind : memcmp(&x->id, &y->id, sizeof(x->id));
}

static bool lives(const struct server_follow_anew *a, const struct catalog_object *v)
{
    struct server_follow_living key = {(uint8_t)v->kind, v->id};
    return a->n && bsearch(&key, a->living, a->n, sizeof(key), compare);
}

/* The youngest first, as they will have gone. */
static size_t remove_of(const struct server_follow_anew *a, struct server *s, uint64_t seq,
                        enum catalog_kind kind)
{
    size_t removed = 0;
    for (size_t i = catalog_all(s->catalog, kind)->n; i-- > 0;) {
        const struct catalog_list *all = catalog_all(s->catalog, kind);
        const struct catalog_object *v = i < all->n ? all->slots[i]->now : NULL;
        if (!v || v->seq > seq || lives(a, v))
            continue;
        const struct store_record gone = {
            .type = STORE_TOMBSTONE, .seq = seq, .kind = (uint8_t)kind, .id = v->id};
        (void)server_follow_record(s, &gone, NULL);
        removed++;
    }
    return removed;
}

size_t server_follow_anew_remove(struct server_follow_anew *a, struct server *s, uint64_t seq,
                                 bool bases)
{
    size_t removed = 0;
    if (!a->is_sorted && a->n)
        qsort(a->living, a->n, sizeof(*a->living), compare);
    a->is_sorted = true;
    if (bases)
        return remove_of(a, s, seq, CATALOG_POOL) + remove_of(a, s, seq, CATALOG_HOST);
    removed += remove_of(a, s, seq, CATALOG_VM);
    for (unsigned kind = CATALOG_KINDS - 1; kind > CATALOG_NONE; kind--)
        if (kind != CATALOG_POOL && kind != CATALOG_HOST)
            removed += remove_of(a, s, seq, (enum catalog_kind)kind);
    return removed;
}

void server_follow_anew_fini(struct server_follow_anew *a)
{
    free(a->living);
    *a = (struct server_follow_anew){0};
}
