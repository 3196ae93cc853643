/* What projects hold of what they may: the store's counters, in memory with what is in flight, so
 * that a request is refused before it is placed. The store checks again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"

#define BUCKETS 1024

struct counter {
    struct store_id project;
    char name[32];
    int64_t used; /* with what is in flight */
    int64_t stored;
    uint64_t seq; /* of that */
    struct counter *next;
};

struct server_quotas {
    struct counter *buckets[BUCKETS];
};

struct quota_hold {
    struct server_hold hold;
    struct counter *counter;
    const struct server_txn *t;
    unsigned op; /* its place in t->ops, which may move */
};

struct server_quotas *server_quotas_create(void)
{
    return calloc(1, sizeof(struct server_quotas));
}

void server_quotas_destroy(struct server_quotas *q)
{
    for (unsigned i = 0; q && i < BUCKETS; i++)
        while (q->buckets[i]) {
            struct counter *k = q->buckets[i];
            q->buckets[i] = k->next;
            free(k);
        }
    free(q);
}

/* NULL: no memory, or a name that is too long. */
static struct counter *counter_get(struct server_quotas *q, const struct store_id *project,
                                   const char *name, size_t bytes)
{
    uint64_t h = bytes ? (unsigned char)name[0] * 31u + (unsigned char)name[bytes - 1] : 0;
    for (size_t i = 0; i < sizeof(*project); i++)
        h = (h ^ project->bytes[i]) * UINT64_C(0x100000001b3);
    struct counter **b = &q->buckets[(h ^ h >> 17) % BUCKETS];
    for (struct counter *k = *b; k; k = k->next)
        if (!memcmp(&k->project, project, sizeof(*project)) && strlen(k->name) == bytes &&
            !memcmp(k->name, name, bytes))
            return k;
    struct counter *k = bytes < sizeof(k->name) ? calloc(1, sizeof(*k)) : NULL;
    if (!k)
        return NULL;
    k->project = *project;
    memcpy(k->name, name, bytes);
    k->next = *b;
    *b = k;
    return k;
}

/* What is in flight stays on top. */
static void set_stored(struct counter *k, uint64_t seq, int64_t value)
{
    if (seq <= k->seq)
        return;
    k->used += value - k->stored;
    k->stored = value;
    k->seq = seq;
}

void server_quotas_load(struct server_quotas *q, const struct store_id *project,
                        struct store_text name, int64_t value, uint64_t seq)
{
    struct counter *k = counter_get(q, project, name.data, name.len_bytes);
    if (k)
        set_stored(k, seq, value);
}

int64_t server_quota_used(struct server *s, const struct store_id *project, const char *name)
{
    const struct counter *k = counter_get(s->quotas, project, name, strlen(name));
    return k ? k->used : 0;
}

int64_t server_quota_limit(struct server *s, const struct store_id *project, const char *name)
{
    static const struct store_id zero;
    const struct api_types_field *f = api_types_find(&api_types_quota_limits, name, strlen(name));
    const struct catalog_slot *slots[] = {catalog_find(s->catalog, CATALOG_QUOTA, project),
                                          catalog_find(s->catalog, CATALOG_QUOTA, &zero)};
    if (!f)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        const struct api_quota *quota = slots[i] ? slots[i]->now->doc : NULL;
        const struct api_int *limit =
            quota && quota->limits.is == API_VALUE ? api_types_at(quota->limits.v, f) : NULL;
        if (limit && limit->is == API_VALUE)
            return limit->v;
    }
    return f->fallback ? strtoll(f->fallback, NULL, 10) : -1;
}

static void hold_end(struct server *s, struct server_hold *h, bool done)
{
    (void)s;
    const struct quota_hold *q = container_of(h, struct quota_hold, hold);
    const struct store_op *op = &q->t->ops[q->op];
    q->counter->used -= op->add.delta;
    if (done)
        set_stored(q->counter, op->seq, op->value);
}

int server_quota_add(struct server_txn *t, const struct store_id *project, const char *name,
                     int64_t delta)
{
    struct server *s = t->s;
    struct counter *k = counter_get(s->quotas, project, name, strlen(name));
    struct quota_hold *h = api_arena_alloc(&t->arena, sizeof(*h));
    int64_t limit = delta > 0 ? server_quota_limit(s, project, name) : -1;
    if (!delta)
        return 0;
    if (!k || !h) {
        t->failed = t->failed ? t->failed : -ENOMEM;
        return -ENOMEM;
    }
    if (limit >= 0 && k->used + delta > limit)
        return api_problem_set(t->call ? &t->call->refusal : NULL, API_PROBLEM_CODE_QUOTA_EXCEEDED,
                               "quota %s: %lld of %lld are used and %lld more are asked for: "
                               "delete some, or ask an administrator for more",
                               name, (long long)k->used, (long long)limit, (long long)delta);
    k->used += delta;
    struct store_op op = {
        .type = STORE_ADD,
        .add = {
            .owner = *project, .name = {k->name, strlen(k->name)}, .delta = delta, .limit = limit}};
    *h = (struct quota_hold){.hold = {.end = hold_end}, .counter = k, .t = t, .op = t->store.n_ops};
    server_txn_op(t, &op);
    if (h->op == t->store.n_ops) { /* it has no room */
        k->used -= delta;
        return -E2BIG;
    }
    server_txn_hold(t, &h->hold);
    return 0;
}
