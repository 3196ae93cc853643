/* Two tables: what agents said last of each object, and what objects add up to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_storage_internal.h"

#define FIRST_BUCKETS 1024
#define SUM_BUCKETS   16384

struct server_storage_sum {
    enum catalog_kind kind;
    struct store_id id, host;
    int64_t value;
    struct server_storage_sum *next;
};

static size_t hash(enum catalog_kind kind, const struct store_id *id, const struct store_id *host)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)kind;
    for (size_t i = 0; i < sizeof(*id); i++)
        h = (h ^ id->bytes[i]) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < sizeof(*host); i++)
        h = (h ^ host->bytes[i]) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ h >> 29);
}

static bool same(const struct store_id *a, const struct store_id *b)
{
    return !memcmp(a, b, sizeof(*a));
}

/* ---- facts ---- */

static struct server_storage_fact **fact_at(const struct server_storage *st, enum catalog_kind kind,
                                            const struct store_id *id, const struct store_id *host)
{
    struct server_storage_fact **at = &st->facts[hash(kind, id, host) & (st->n_buckets - 1)];
    while (*at && ((*at)->kind != kind || !same(&(*at)->id, id) || !same(&(*at)->host, host)))
        at = &(*at)->next;
    return at;
}

struct server_storage_fact *server_storage_fact_find(const struct server_storage *st,
                                                     enum catalog_kind kind,
                                                     const struct store_id *id,
                                                     const struct store_id *host)
{
    return st->n_buckets ? *fact_at(st, kind, id, host) : NULL;
}

/* Without memory the table stays as it is. */
static bool grow(struct server_storage *st)
{
    size_t n = st->n_buckets ? st->n_buckets * 2 : FIRST_BUCKETS;
    struct server_storage_fact **facts = calloc(n, sizeof(struct server_storage_fact *));
    if (!facts)
        return st->n_buckets;
    for (size_t i = 0; i < st->n_buckets; i++)
        for (struct server_storage_fact *f = st->facts[i], *next; f; f = next) {
            struct server_storage_fact **b = &facts[hash(f->kind, &f->id, &f->host) & (n - 1)];
            next = f->next;
            f->next = *b;
            *b = f;
        }
    free(st->facts);
    st->facts = facts;
    st->n_buckets = n;
    return true;
}

struct server_storage_fact *server_storage_fact_get(struct server_storage *st,
                                                    enum catalog_kind kind,
                                                    const struct store_id *id,
                                                    const struct store_id *host)
{
    static const struct store_id nowhere;
    struct server_storage_fact *f = server_storage_fact_find(st, kind, id, host), *whole = NULL;
    if (f)
        return f;
    bool copy = !same(host, &nowhere);
    if (copy && !(whole = server_storage_fact_get(st, kind, id, &nowhere)))
        return NULL;
    if (st->n_facts >= st->n_buckets && !grow(st))
        return NULL;
    f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->kind = kind;
    f->id = *id;
    f->host = *host;
    if (copy) {
        f->next_copy = whole->copies;
        whole->copies = f;
    }
    *fact_at(st, kind, id, host) = f;
    st->n_facts++;
    return f;
}

static void fact_free(struct server_storage_fact *f)
{
    free(f->reason);
    free(f->sha256);
    free(f);
}

static void fact_drop(struct server_storage *st, struct server_storage_fact *f)
{
    struct server_storage_fact **at = fact_at(st, f->kind, &f->id, &f->host);
    *at = f->next;
    st->n_facts--;
    fact_free(f);
}

void server_storage_fact_forget(struct server_storage *st, enum catalog_kind kind,
                                const struct store_id *id)
{
    static const struct store_id nowhere;
    struct server_storage_fact *whole = server_storage_fact_find(st, kind, id, &nowhere), *next;
    if (!whole)
        return;
    for (struct server_storage_fact *f = whole->copies; f; f = next) {
        next = f->next_copy;
        fact_drop(st, f);
    }
    fact_drop(st, whole);
}

void server_storage_fact_text(char **field, const char *text)
{
    if (text && *field && !strcmp(text, *field))
        return;
    free(*field);
    *field = text ? strdup(text) : NULL;
}

/* ---- sums ---- */

static struct server_storage_sum **sum_at(const struct server_storage *st, enum catalog_kind kind,
                                          const struct store_id *id, const struct store_id *host)
{
    struct server_storage_sum **at = &st->sums[hash(kind, id, host) % SUM_BUCKETS];
    while (*at && ((*at)->kind != kind || !same(&(*at)->id, id) || !same(&(*at)->host, host)))
        at = &(*at)->next;
    return at;
}

int64_t server_storage_sum(const struct server_storage *st, enum catalog_kind kind,
                           const struct store_id *id, const struct store_id *host)
{
    const struct server_storage_sum *sum = st->sums ? *sum_at(st, kind, id, host) : NULL;
    return sum ? sum->value : 0;
}

/* What there is no memory for is not counted. */
void server_storage_sum_add(struct server_storage *st, enum catalog_kind kind,
                            const struct store_id *id, const struct store_id *host, int64_t delta)
{
    if (!st->sums && !(st->sums = calloc(SUM_BUCKETS, sizeof(struct server_storage_sum *))))
        return;
    struct server_storage_sum **at = sum_at(st, kind, id, host), *sum = *at;
    if (!sum) {
        if (delta <= 0 || !(sum = calloc(1, sizeof(*sum))))
            return;
        sum->kind = kind;
        sum->id = *id;
        sum->host = *host;
        *at = sum;
    }
    sum->value += delta;
    if (sum->value <= 0) {
        *at = sum->next;
        free(sum);
    }
}

struct sum_hold {
    struct server_hold hold;
    enum catalog_kind kind;
    struct store_id id, host;
    int64_t delta;
};

/* Whether it was done or not: what is published counts by itself. */
static void hold_end(struct server *s, struct server_hold *h, bool done)
{
    (void)done;
    const struct sum_hold *sum = container_of(h, struct sum_hold, hold);
    server_storage_sum_add(s->storage, sum->kind, &sum->id, &sum->host, -sum->delta);
}

void server_storage_sum_hold(struct server_txn *t, enum catalog_kind kind,
                             const struct store_id *id, const struct store_id *host, int64_t delta)
{
    struct sum_hold *h = api_arena_alloc(&t->arena, sizeof(*h));
    if (!h) {
        t->failed = t->failed ? t->failed : -ENOMEM;
        return;
    }
    *h = (struct sum_hold){{.end = hold_end}, kind, *id, *host, delta};
    server_storage_sum_add(t->s->storage, kind, id, host, delta);
    server_txn_hold(t, &h->hold);
}

void server_storage_fact_fini(struct server_storage *st)
{
    for (size_t i = 0; i < st->n_buckets; i++)
        while (st->facts[i]) {
            struct server_storage_fact *f = st->facts[i];
            st->facts[i] = f->next;
            fact_free(f);
        }
    for (size_t i = 0; st->sums && i < SUM_BUCKETS; i++)
        while (st->sums[i]) {
            struct server_storage_sum *sum = st->sums[i];
            st->sums[i] = sum->next;
            free(sum);
        }
    free(st->facts);
    free(st->sums);
}
