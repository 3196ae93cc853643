#include "mgmt/store/store.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/store/store_internal.h"
#include "mgmt/store/store_provider.h"

static bool name_fits(struct store_text t)
{
    return t.len_bytes >= 1 && t.len_bytes <= STORE_NAME_MAX;
}

static bool body_fits(struct store_text t)
{
    return t.len_bytes <= STORE_BODY_MAX;
}

static bool op_is_valid(const struct store_op *op)
{
    switch (op->type) {
    case STORE_PUT:
        return op->object.when <= STORE_IF_SEQ && name_fits(op->object.name) &&
               body_fits(op->object.body);
    case STORE_DELETE:
        return op->object.when == STORE_ALWAYS || op->object.when == STORE_IF_SEQ;
    case STORE_RAISE:
        return op->raise.expected < INT64_MAX;
    case STORE_ADD:
        return name_fits(op->add.name);
    case STORE_EVENT:
    case STORE_AUDIT:
        return name_fits(op->row.name) && body_fits(op->row.body);
    case STORE_USAGE:
        return name_fits(op->row.name) && body_fits(op->row.body) && op->row.epoch <= INT64_MAX &&
               op->row.number <= INT64_MAX;
    case STORE_KEY:
        return name_fits(op->key.key) && body_fits(op->key.answer);
    case STORE_EXPIRE:
        return op->expire.what <= STORE_OLD_EVENTS && op->expire.max_rows >= 1 &&
               op->expire.max_rows <= 10000;
    case STORE_OP_TYPES:
        break;
    }
    return false;
}

bool store_txn_is_valid(const struct store_txn *txn)
{
    if (txn->n_ops < 1 || txn->n_ops > STORE_OPS_MAX)
        return false;
    for (unsigned i = 0; i < txn->n_ops; i++)
        if (!op_is_valid(&txn->ops[i]))
            return false;
    return true;
}

int store_refuse(struct store_txn *txn, unsigned op, int result, int64_t current)
{
    txn->failed_op = op;
    txn->current = current;
    txn->result = result;
    return result;
}

int store_load(struct store *s, uint64_t *seq, store_each_record *each, void *ctx, struct err *err)
{
    uint64_t at = 0;
    int r = s->ops->read(s, true, &at, each, ctx, err);
    if (!r)
        *seq = at;
    return r;
}

int store_follow(struct store *s, uint64_t *seq, store_each_record *each, void *ctx,
                 struct err *err)
{
    uint64_t at = *seq;
    int r = s->ops->read(s, false, &at, each, ctx, err);
    if (!r)
        *seq = at;
    return r;
}

int store_rows(struct store *s, enum store_table table, uint64_t after, unsigned limit,
               store_each_row *each, void *ctx, struct err *err)
{
    if (after > INT64_MAX)
        return 0;
    return s->ops->rows(s, table, after, limit, each, ctx, err);
}

int store_key_get(struct store *s, const struct store_id *principal, struct store_text key,
                  uint8_t hash[STORE_HASH_BYTES], char **answer, size_t *answer_bytes,
                  int64_t *expires_ms, struct err *err)
{
    if (!name_fits(key))
        return -ENOENT;
    return s->ops->key_get(s, principal, key, hash, answer, answer_bytes, expires_ms, err);
}

int store_backup(struct store *s, const char *path, struct err *err)
{
    if (access(path, F_OK) == 0)
        return err_set(err, EEXIST, "%s exists; a backup goes to a new file", path);
    return s->ops->backup(s, path, err);
}

bool store_lead(struct store *s, uint32_t duty)
{
    return !s->ops->lead || s->ops->lead(s, duty);
}

void store_unlead(struct store *s, uint32_t duty)
{
    if (s->ops->unlead)
        s->ops->unlead(s, duty);
}

/* A waiter on its own stack for store_submit_wait(). */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void waiter_done(struct store_txn *txn, void *ctx)
{
    struct waiter *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

int store_submit_wait(struct store *s, struct store_txn *txn)
{
    struct waiter w = {.done = false};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.cond, NULL);
    int r = store_enqueue(s, txn, waiter_done, &w, true);
    if (!r) {
        pthread_mutex_lock(&w.lock);
        while (!w.done)
            pthread_cond_wait(&w.cond, &w.lock);
        pthread_mutex_unlock(&w.lock);
        r = txn->result;
    }
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
    return r;
}
