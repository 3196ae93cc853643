/* Counters of agents. The row's number in the store is the counter itself, so the store takes a
 * value only if it is higher than the last of its epoch, and says what that last one was: which is
 * how a server that has just begun learns it, by a row of number zero. What is known is forgotten
 * after a while, since another server may have gone on counting. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_usage_row.h"

#define BUCKETS  4096
#define KNOWN_NS (INT64_C(600) * 1000000000) /* usage_list looks back further than this */

struct source {
    struct store_id id;
    bool known, busy;
    uint64_t epoch, cumulative;
    int64_t learned_ns;
    struct source *next;
};

struct server_usage {
    struct server *s;
    struct source *buckets[BUCKETS];
};

/* A report on its way to the store; a probe first where nothing is known. */
struct count {
    struct server_usage *u;
    struct source *source;
    struct server_usage_counter counter;
    server_usage_counted *counted;
    void *ctx;
    bool probe;
    char body[48];
    struct store_txn txn;
    struct store_op op;
};

struct server_usage *server_usage_create(struct server *s)
{
    struct server_usage *u = calloc(1, sizeof(*u));
    if (u)
        u->s = s;
    return u;
}

void server_usage_destroy(struct server_usage *u)
{
    for (unsigned i = 0; u && i < BUCKETS; i++)
        while (u->buckets[i]) {
            struct source *source = u->buckets[i];
            u->buckets[i] = source->next;
            free(source);
        }
    free(u);
}

/* One thing may have several counters. */
static struct store_id source_id(const struct server_usage_counter *c)
{
    struct store_id id = c->object;
    for (unsigned i = 0; memcmp(&c->by, &c->object, sizeof(id)) != 0 && i < STORE_ID_BYTES; i++)
        id.bytes[i] ^= c->by.bytes[i];
    id.bytes[STORE_ID_BYTES - 1] ^= (uint8_t)(c->meter + 1);
    return id;
}

/* Forgets on its way what was not heard of for long. NULL: no memory. */
static struct source *find(struct server_usage *u, const struct store_id *id, int64_t now_ns)
{
    struct source **at = &u->buckets[(id->bytes[15] << 8 | id->bytes[14]) % BUCKETS], *found = NULL;
    while (*at) {
        struct source *source = *at;
        if (!memcmp(&source->id, id, sizeof(*id)))
            found = source;
        if (!source->busy && now_ns - source->learned_ns > KNOWN_NS) {
            if (source != found) {
                *at = source->next;
                free(source);
                continue;
            }
            source->known = false;
        }
        at = &source->next;
    }
    if (!found)
        found = *at = calloc(1, sizeof(*found));
    if (found && !found->learned_ns) {
        found->id = *id;
        found->learned_ns = now_ns;
    }
    return found;
}

static int submit(struct count *k);

static void learn(struct count *k, int result)
{
    struct source *source = k->source;
    source->known = !result || result == -EALREADY;
    source->learned_ns = clock_now_ns();
    source->epoch = k->counter.epoch;
    source->cumulative = result ? (uint64_t)MAX(k->txn.current, 0) : k->op.row.number;
}

static void finish(struct count *k, int result)
{
    k->source->busy = false;
    server_usage_counted *counted = k->counted;
    void *ctx = k->ctx;
    free(k);
    counted(ctx, !result || result == -EALREADY ? 0 : -EAGAIN);
}

static void committed(struct store_txn *txn, void *ctx)
{
    struct count *k = ctx;
    int result = txn->result;
    learn(k, result);
    bool more = k->probe && k->source->known && k->counter.cumulative > k->source->cumulative;
    if (more) {
        k->probe = false;
        result = submit(k);
        if (!result)
            return;
    }
    finish(k, result);
}

static int submit(struct count *k)
{
    const struct server_usage_counter *c = &k->counter;
    const struct source *source = k->source;
    uint64_t cumulative = k->probe ? 0 : c->cumulative;
    uint64_t previous = k->probe || source->epoch != c->epoch ? 0 : source->cumulative;
    snprintf(k->body, sizeof(k->body), "%llu %llu", (unsigned long long)cumulative,
             (unsigned long long)previous);
    k->op = (struct store_op){.type = STORE_USAGE,
                              .row = {.at_ms = server_now_ms(),
                                      .project = c->project,
                                      .object = c->object,
                                      .actor = source->id,
                                      .name = store_text_of(server_usage_row_meter(c->meter)),
                                      .body = store_text_of(k->body),
                                      .epoch = c->epoch,
                                      .number = cumulative}};
    k->txn = (struct store_txn){.ops = &k->op, .n_ops = 1};
    return store_submit(k->u->s->store, &k->txn, committed, k);
}

void server_usage_count(struct server *s, const struct server_usage_counter *c,
                        server_usage_counted *counted, void *ctx)
{
    struct server_usage *u = s->usage;
    struct store_id id = source_id(c);
    struct source *source = find(u, &id, clock_now_ns());
    if (!source || source->busy || c->cumulative > INT64_MAX || c->epoch > INT64_MAX) {
        counted(ctx, -EAGAIN);
        return;
    }
    if (source->known && (c->epoch < source->epoch ||
                          (c->epoch == source->epoch && c->cumulative <= source->cumulative))) {
        counted(ctx, 0);
        return;
    }
    struct count *k = calloc(1, sizeof(*k));
    if (!k) {
        counted(ctx, -EAGAIN);
        return;
    }
    *k = (struct count){.u = u, .source = source, .counter = *c, .counted = counted, .ctx = ctx};
    k->probe = !source->known;
    source->busy = true;
    int r = submit(k);
    if (r)
        finish(k, r);
}
