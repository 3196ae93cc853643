#include "mgmt/store/null/store_null.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/store/null/store_null_internal.h"

#define GROUP_BEST 256

/* What a transaction or a group can lose beside what the undo list holds. */
struct mark {
    size_t undo;
    uint64_t seq, tombstone_horizon, event_horizon;
    unsigned n_digests;
};

static struct mark mark_here(const struct store_null *n)
{
    return (struct mark){n->n_undo, n->seq, n->tombstone_horizon, n->event_horizon, n->n_digests};
}

static void back_to(struct store_null *n, const struct mark *m)
{
    store_null_roll_back(n, m->undo);
    n->seq = m->seq;
    n->tombstone_horizon = m->tombstone_horizon;
    n->event_horizon = m->event_horizon;
    n->n_digests = m->n_digests;
}

static bool fault_now(struct store_null *n, bool op)
{
    if (!n->fault_in || op != (n->fault == STORE_NULL_FAIL_OP))
        return false;
    if (n->fault_in > 1) {
        n->fault_in--;
        return false;
    }
    if (n->fault == STORE_NULL_DOUBT_DONE || n->fault == STORE_NULL_DOUBT_UNDONE || !n->fault_times)
        n->fault_in = 0;
    else if (--n->fault_times == 0)
        n->fault_in = 0;
    return true;
}

static int apply_txn(struct store_null *n, struct store_txn *txn)
{
    struct mark before = mark_here(n);
    for (unsigned i = 0; i < txn->n_ops; i++) {
        int r = fault_now(n, true) ? -EAGAIN : store_null_apply(n, txn, i);
        if (r == -EAGAIN)
            return r;
        if (r) {
            back_to(n, &before);
            return 0;
        }
    }
    return 0;
}

static int add_link(struct store_null *n)
{
    if (!n->n_digests)
        return 0;
    if (n->n_links == n->links_room) {
        size_t room = n->links_room ? 2 * n->links_room : 64;
        void *p = reallocarray(n->links, room, sizeof(*n->links));
        if (!p)
            return -EAGAIN;
        n->links = p;
        n->links_room = room;
    }
    const struct store_id *server = &n->store.config.server;
    store_audit_extend(&n->chain, server, n->digests, n->n_digests);
    struct store_link *link = &n->links[n->n_links++];
    *link = (struct store_link){.server = *server, .number = n->chain.number};
    memcpy(link->hash, n->chain.hash, sizeof(link->hash));
    return 0;
}

/* A commit whose outcome is to be unknown is made or undone here at once; resolve() only tells. */
static int commit(struct store *s, struct store_txn **txns, unsigned count, struct err *err)
{
    struct store_null *n = (struct store_null *)s;
    pthread_mutex_lock(&n->lock);
    while (n->hold)
        pthread_cond_wait(&n->held, &n->lock);
    struct mark before = mark_here(n);
    int r = 0;
    for (unsigned i = 0; i < count && !r; i++)
        r = apply_txn(n, txns[i]);
    enum store_null_fault fault = n->fault;
    bool faulty = !r && fault_now(n, false);
    if (faulty && fault != STORE_NULL_DOUBT_DONE)
        r = -EAGAIN;
    if (!r)
        r = add_link(n);
    if (r)
        back_to(n, &before);
    else
        store_null_keep(n);
    n->n_digests = 0;
    s->seq = n->seq;
    pthread_mutex_unlock(&n->lock);
    if (faulty && fault != STORE_NULL_FAIL_COMMIT)
        return -EINPROGRESS;
    return r ? err_set(err, EAGAIN, "the store was told to fail") : 0;
}

static int resolve(struct store *s, struct store_txn **txns, unsigned count, struct err *err)
{
    struct store_null *n = (struct store_null *)s;
    pthread_mutex_lock(&n->lock);
    bool known = n->fault_times <= 1;
    n->fault_times -= known ? 0 : 1;
    int r = n->fault == STORE_NULL_DOUBT_DONE ? 0 : -EAGAIN;
    pthread_mutex_unlock(&n->lock);
    return known ? r : -EINPROGRESS;
}

static int compare_seq(const void *a, const void *b)
{
    const struct store_null_cell *x = *(struct store_null_cell *const *)a;
    const struct store_null_cell *y = *(struct store_null_cell *const *)b;
    return (x->value.seq > y->value.seq) - (x->value.seq < y->value.seq);
}

static struct store_record record_of(const struct store_null_cell *c)
{
    const struct store_null_value *v = &c->value;
    return (struct store_record){
        .type = c->type == CELL_CLAIM     ? STORE_CLAIM
                : c->type == CELL_COUNTER ? STORE_COUNTER
                : v->deleted              ? STORE_TOMBSTONE
                                          : STORE_OBJECT,
        .seq = v->seq,
        .kind = v->kind,
        .id = v->id,
        .project = v->project,
        .name = {v->name ? v->name : "", v->name_bytes},
        .body = {v->body ? v->body : "", v->body_bytes},
        .value = v->number,
    };
}

static bool is_shown(const struct store_null_cell *c, bool everything, uint64_t after)
{
    bool record = c->type == CELL_OBJECT || c->type == CELL_CLAIM || c->type == CELL_COUNTER;
    return record && c->value.there && c->value.seq > after && !(everything && c->value.deleted);
}

static int read_records(struct store *s, bool everything, uint64_t *seq, store_each_record *each,
                        void *ctx, struct err *err)
{
    struct store_null *n = (struct store_null *)s;
    int r = 0;
    size_t count = 0;
    pthread_mutex_lock(&n->lock);
    struct store_null_cell **list = calloc(n->n_cells + 1, sizeof(struct store_null_cell *));
    if (!list)
        r = err_set(err, EAGAIN, "could not allocate for a list of the null store");
    else if (!everything && *seq < n->tombstone_horizon)
        r = err_set(err, ESTALE, "deletions after %llu are no longer known", (long long)*seq);
    for (size_t i = 0; !r && i < n->n_buckets; i++)
        for (struct store_null_cell *c = n->buckets[i]; c; c = c->next)
            if (is_shown(c, everything, *seq))
                list[count++] = c;
    if (count)
        qsort(list, count, sizeof(struct store_null_cell *), compare_seq);
    for (size_t i = 0; !r && i < count; i++) {
        struct store_record record = record_of(list[i]);
        r = each(&record, ctx);
    }
    *seq = n->seq;
    pthread_mutex_unlock(&n->lock);
    free(list);
    return r;
}

static int read_rows(struct store *s, enum store_table table, uint64_t after, unsigned limit,
                     store_each_row *each, void *ctx, struct err *err)
{
    struct store_null *n = (struct store_null *)s;
    struct store_null_lines *t = &n->tables[table];
    int r = 0;
    pthread_mutex_lock(&n->lock);
    if (table == STORE_EVENTS && after && after < n->event_horizon)
        r = err_set(err, ESTALE, "events after %llu have expired", (long long)after);
    for (size_t i = 0; !r && i < t->n && limit; i++) {
        if (t->lines[i].removed || t->lines[i].row.position <= after)
            continue;
        limit--;
        r = each(&t->lines[i].row, ctx);
    }
    pthread_mutex_unlock(&n->lock);
    return r;
}

static int key_get(struct store *s, const struct store_id *principal, struct store_text key,
                   uint8_t hash[STORE_HASH_BYTES], char **answer, size_t *answer_bytes,
                   int64_t *expires_ms, struct err *err)
{
    struct store_null *n = (struct store_null *)s;
    pthread_mutex_lock(&n->lock);
    struct store_null_cell *c =
        store_null_cell(n, CELL_KEY, &(struct store_null_cell_key){.id = principal, .text = key});
    char *copy = NULL;
    if (c && c->value.there)
        copy = store_null_copy((struct store_text){c->value.body, c->value.body_bytes});
    if (copy) {
        memcpy(hash, c->value.hash, STORE_HASH_BYTES);
        *answer = copy;
        *answer_bytes = c->value.body_bytes;
        *expires_ms = c->value.time_ms;
    }
    pthread_mutex_unlock(&n->lock);
    return copy ? 0 : -ENOENT;
}

static int read_links(struct store *s, store_each_link *each, void *ctx, struct err *err)
{
    struct store_null *n = (struct store_null *)s;
    int r = 0;
    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < n->n_links && !r; i++)
        r = each(&n->links[i], ctx);
    pthread_mutex_unlock(&n->lock);
    return r;
}

static int backup(struct store *s, const char *path, struct err *err)
{
    return err_set(err, EOPNOTSUPP, "a store in memory has no backup");
}

static void close_null(struct store *s)
{
    struct store_null *n = (struct store_null *)s;
    store_null_free_data(n);
    pthread_cond_destroy(&n->held);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static const struct store_ops null_ops = {
    .commit = commit,
    .resolve = resolve,
    .read = read_records,
    .rows = read_rows,
    .key_get = key_get,
    .links = read_links,
    .backup = backup,
    .close = close_null,
};

struct store *store_null_create(const struct store_config *config, struct err *err)
{
    struct store_null *n = calloc(1, sizeof(*n));
    if (!n) {
        err_set(err, ENOMEM, "could not allocate a null store");
        return NULL;
    }
    store_init(&n->store, &null_ops, config, GROUP_BEST);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->held, NULL);
    if (store_start(&n->store, err)) {
        store_close(&n->store);
        return NULL;
    }
    return &n->store;
}

void store_null_fail(struct store *s, enum store_null_fault fault, unsigned n_th, unsigned times)
{
    struct store_null *n = (struct store_null *)s;
    pthread_mutex_lock(&n->lock);
    n->fault = fault;
    n->fault_in = n_th;
    n->fault_times = times;
    pthread_mutex_unlock(&n->lock);
}

void store_null_hold(struct store *s, bool on)
{
    struct store_null *n = (struct store_null *)s;
    pthread_mutex_lock(&n->lock);
    n->hold = on;
    pthread_cond_broadcast(&n->held);
    pthread_mutex_unlock(&n->lock);
}

int store_null_tamper(struct store *s, unsigned index)
{
    struct store_null *n = (struct store_null *)s;
    pthread_mutex_lock(&n->lock);
    struct store_null_lines *t = &n->tables[STORE_AUDIT_TRAIL];
    bool possible = index < t->n && t->lines[index].row.body.len_bytes;
    if (possible)
        *(char *)(uintptr_t)t->lines[index].row.body.data ^= 1;
    pthread_mutex_unlock(&n->lock);
    return possible ? 0 : -ENOENT;
}
