/* The conformance suite: what every store must do, whatever it is made of. A program that includes
 * this says how its stores are opened, and runs suite_run(). */
#ifndef TESTS_UNIT_MGMT_STORE_STORE_SUITE_H
#define TESTS_UNIT_MGMT_STORE_STORE_SUITE_H

#include <pthread.h>

#include "store_model.h"
#include "tap.h"

/* Opens an empty store; NULL ends the case. suite_reopen: the same one again; NULL where a store
 * does not outlive its closing. */
static struct store *(*suite_open)(const struct store_config *config);
static struct store *(*suite_reopen)(const struct store_config *config);
static unsigned suite_model_txns = 600, suite_stress_txns = 300;

#define SUITE_OPEN(s)                                                                              \
    struct store_config config = rig_config(77);                                                   \
    struct store *s = suite_open(&config);                                                         \
    REQUIRE(s)

static inline void suite_check_load(struct store *s, const char *want)
{
    struct rig_text t = rig_load(s, NULL);
    CHECK_STR(rig_str(&t), want);
    rig_text_free(&t);
}

static inline void keeps_an_object_and_says_its_seq(void)
{
    SUITE_OPEN(s);
    struct store_op op = rig_put(1, 10, 5, "a", "{1}", STORE_IF_ABSENT, 0);
    CHECK_EQ(rig_run(s, &op, 1, NULL), 0);
    CHECK_EQ(op.seq, 1);
    op = rig_put(1, 10, 5, "a", "{2}", STORE_IF_SEQ, 1);
    CHECK_EQ(rig_run(s, &op, 1, NULL), 0);
    CHECK_EQ(op.seq, 2);
    suite_check_load(s, "2 object 1/10 of 5 a={2}\n");
    store_close(s);
}

static inline void refuses_what_its_precondition_forbids(void)
{
    SUITE_OPEN(s);
    struct store_txn txn;
    CHECK_EQ(rig_one(s, rig_put(1, 10, 5, "a", "x", STORE_ALWAYS, 0)), 0);
    struct store_op ops[2] = {rig_put(1, 11, 5, "b", "x", STORE_ALWAYS, 0),
                              rig_put(1, 10, 5, "a", "y", STORE_IF_ABSENT, 0)};
    CHECK_EQ(rig_run(s, ops, 2, &txn), -EEXIST);
    CHECK_EQ(txn.failed_op, 1);
    CHECK_EQ(txn.current, 1);
    ops[1] = rig_put(1, 10, 5, "a", "y", STORE_IF_SEQ, 9);
    CHECK_EQ(rig_run(s, ops, 2, &txn), -ESTALE);
    CHECK_EQ(txn.current, 1);
    ops[1] = rig_put(1, 12, 5, "a", "y", STORE_IF_SEQ, 9);
    CHECK_EQ(rig_run(s, ops, 2, &txn), -ESTALE);
    CHECK_EQ(txn.current, 0);
    ops[1] = rig_delete(1, 10, STORE_IF_SEQ, 9, 0);
    CHECK_EQ(rig_run(s, ops, 2, &txn), -ESTALE);
    ops[1] = rig_delete(1, 12, STORE_ALWAYS, 0, 0);
    CHECK_EQ(rig_run(s, ops, 2, &txn), -ENOENT);
    suite_check_load(s, "1 object 1/10 of 5 a=x\n");
    store_close(s);
}

static inline void keeps_names_unique_per_kind_and_project(void)
{
    SUITE_OPEN(s);
    struct store_txn txn;
    CHECK_EQ(rig_one(s, rig_put(1, 10, 5, "a", "", STORE_ALWAYS, 0)), 0);
    struct store_op op = rig_put(1, 11, 5, "a", "", STORE_ALWAYS, 0);
    CHECK_EQ(rig_run(s, &op, 1, &txn), -ENOTUNIQ);
    CHECK_EQ(txn.current, 1);
    CHECK_EQ(rig_one(s, rig_put(1, 12, 6, "a", "", STORE_ALWAYS, 0)), 0);
    CHECK_EQ(rig_one(s, rig_put(2, 13, 5, "a", "", STORE_ALWAYS, 0)), 0);
    CHECK_EQ(rig_one(s, rig_put(1, 14, 5, "b", "", STORE_ALWAYS, 0)), 0);
    op = rig_put(1, 14, 5, "a", "", STORE_ALWAYS, 0);
    CHECK_EQ(rig_run(s, &op, 1, &txn), -ENOTUNIQ);
    /* Renamed away or deleted, it is free again, in the same transaction too. */
    struct store_op ops[3] = {rig_put(1, 10, 5, "c", "", STORE_ALWAYS, 0),
                              rig_put(1, 14, 5, "a", "", STORE_ALWAYS, 0),
                              rig_delete(1, 14, STORE_ALWAYS, 0, 7)};
    CHECK_EQ(rig_run(s, ops, 3, NULL), 0);
    CHECK_EQ(rig_one(s, rig_put(1, 11, 5, "a", "", STORE_IF_ABSENT, 0)), 0);
    CHECK_EQ(rig_one(s, rig_put(1, 14, 5, "d", "", STORE_IF_ABSENT, 0)), 0);
    suite_check_load(s, "2 object 1/12 of 6 a=\n3 object 2/13 of 5 a=\n5 object 1/10 of 5 c=\n"
                        "8 object 1/11 of 5 a=\n9 object 1/14 of 5 d=\n");
    store_close(s);
}

static inline void follows_what_came_later_and_shows_deletions(void)
{
    SUITE_OPEN(s);
    struct err err;
    uint64_t seq = 0;
    CHECK_EQ(rig_one(s, rig_put(1, 10, 5, "a", "x", STORE_ALWAYS, 0)), 0);
    struct rig_text t = rig_load(s, &seq);
    CHECK_EQ(seq, 1);
    rig_text_free(&t);
    struct store_op ops[4] = {rig_put(1, 11, 5, "b", "y", STORE_ALWAYS, 0),
                              rig_delete(1, 10, STORE_IF_SEQ, 1, 100), rig_raise(40, 0),
                              rig_add(5, "vcpus", 8, 10)};
    CHECK_EQ(rig_run(s, ops, 4, NULL), 0);
    CHECK_EQ(ops[2].value, 1);
    CHECK_EQ(ops[3].value, 8);
    CHECK_EQ(store_follow(s, &seq, rig_add_record, &t, &err), 0);
    CHECK_STR(rig_str(&t), "2 object 1/11 of 5 b=y\n3 tombstone 1/10\n4 claim 40=1\n"
                           "5 counter 5.vcpus=8\n");
    CHECK_EQ(seq, 5);
    rig_text_free(&t);
    CHECK_EQ(store_follow(s, &seq, rig_add_record, &t, &err), 0);
    CHECK_EQ(t.n, 0);
    suite_check_load(s, "2 object 1/11 of 5 b=y\n4 claim 40=1\n5 counter 5.vcpus=8\n");
    store_close(s);
}

static inline void expires_keys_tombstones_and_events(void)
{
    SUITE_OPEN(s);
    struct err err;
    struct rig_text t = {.text = NULL};
    for (unsigned i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%u", i);
        CHECK_EQ(rig_one(s, rig_put(1, i, 5, name, "", STORE_ALWAYS, 0)), 0);
        CHECK_EQ(rig_one(s, rig_delete(1, i, STORE_ALWAYS, 0, 10 * i)), 0);
        CHECK_EQ(rig_one(s, rig_row(STORE_EVENT, name, "", 10 * i)), 0);
        CHECK_EQ(rig_one(s, rig_key(1, name, "ok", 0, 10 * i + 1)), 0);
    }
    struct store_op ops[3] = {rig_expire(STORE_OLD_KEYS, 21, 100),
                              rig_expire(STORE_OLD_TOMBSTONES, 20, 2),
                              rig_expire(STORE_OLD_EVENTS, 10, 100)};
    CHECK_EQ(rig_run(s, ops, 3, NULL), 0);
    CHECK_EQ(ops[0].value, 3);
    CHECK_EQ(ops[1].value, 2);
    CHECK_EQ(ops[2].value, 2);
    uint64_t seq = 5;
    CHECK_EQ(store_follow(s, &seq, rig_add_record, &t, &err), -ESTALE);
    CHECK_EQ(seq, 5);
    seq = 6;
    CHECK_EQ(store_follow(s, &seq, rig_add_record, &t, &err), 0);
    CHECK_STR(rig_str(&t), "10 tombstone 1/2\n14 tombstone 1/3\n");
    rig_text_free(&t);
    CHECK_EQ(store_rows(s, STORE_EVENTS, 3, 10, rig_add_row, &t, &err), -ESTALE);
    CHECK_EQ(store_rows(s, STORE_EVENTS, 7, 10, rig_add_row, &t, &err), 0);
    CHECK_EQ(t.n, 2);
    rig_text_free(&t);
    ops[0] = rig_expire(STORE_OLD_KEYS, 21, 100);
    ops[1] = rig_expire(STORE_OLD_TOMBSTONES, 20, 100);
    CHECK_EQ(rig_run(s, ops, 2, NULL), 0);
    CHECK_EQ(ops[0].value, 0);
    CHECK_EQ(ops[1].value, 1);
    store_close(s);
}

static inline void counts_within_limits(void)
{
    SUITE_OPEN(s);
    struct store_txn txn;
    struct store_op op = rig_add(5, "vcpus", 6, 10);
    CHECK_EQ(rig_run(s, &op, 1, &txn), 0);
    CHECK_EQ(rig_run(s, &op, 1, &txn), -EDQUOT);
    CHECK_EQ(txn.current, 6);
    op = rig_add(5, "vcpus", -7, 10);
    CHECK_EQ(rig_run(s, &op, 1, &txn), -ERANGE);
    CHECK_EQ(txn.current, 6);
    op = rig_add(5, "vcpus", -1,
                 2); /* a limit that was lowered does not keep anybody from giving back */
    CHECK_EQ(rig_run(s, &op, 1, &txn), 0);
    CHECK_EQ(op.value, 5);
    CHECK_EQ(rig_one(s, rig_add(5, "vcpus", 100, -1)), 0);
    CHECK_EQ(rig_one(s, rig_add(5, "vcpus", INT64_MAX, -1)), -EDQUOT);
    CHECK_EQ(rig_one(s, rig_add(5, "vcpu", 1, 1)), 0);
    CHECK_EQ(rig_one(s, rig_add(6, "vcpus", 1, 1)), 0);
    /* One that is refused later in its transaction gives back what it added earlier. */
    struct store_op ops[2] = {rig_add(6, "vcpus", 5, -1), rig_add(6, "vcpus", 1, 6)};
    CHECK_EQ(rig_run(s, ops, 2, &txn), -EDQUOT);
    CHECK_EQ(txn.current, 6);
    suite_check_load(s, "3 counter 5.vcpus=105\n4 counter 5.vcpu=1\n5 counter 6.vcpus=1\n");
    store_close(s);
}

static inline void raises_a_claim_once_for_each_generation(void)
{
    SUITE_OPEN(s);
    struct store_txn txn;
    struct store_op op = rig_raise(40, 0);
    CHECK_EQ(rig_run(s, &op, 1, &txn), 0);
    CHECK_EQ(op.value, 1);
    CHECK_EQ(rig_run(s, &op, 1, &txn), -ESTALE);
    CHECK_EQ(txn.current, 1);
    struct store_op ops[2] = {rig_raise(40, 1), rig_raise(40, 2)};
    CHECK_EQ(rig_run(s, ops, 2, &txn), 0);
    suite_check_load(s, "3 claim 40=3\n");
    store_close(s);
}

static inline void counts_usage_exactly_once(void)
{
    SUITE_OPEN(s);
    struct store_txn txn;
    struct store_op ops[2] = {rig_add(5, "bytes", 100, -1), rig_usage(9, 1, 1)};
    CHECK_EQ(rig_run(s, ops, 2, &txn), 0);
    CHECK_EQ(rig_run(s, ops, 2, &txn), -EALREADY);
    CHECK_EQ(txn.failed_op, 1);
    CHECK_EQ(txn.current, 1);
    CHECK_EQ(rig_one(s, rig_usage(9, 1, 3)), 0);
    CHECK_EQ(rig_one(s, rig_usage(9, 1, 2)), -EALREADY);
    CHECK_EQ(rig_one(s, rig_usage(9, 0, 9)), -EALREADY);
    CHECK_EQ(rig_one(s, rig_usage(9, 2, 0)), 0);
    CHECK_EQ(rig_one(s, rig_usage(10, 0, 0)), 0);
    suite_check_load(s, "1 counter 5.bytes=100\n");
    struct rig_text t = rig_rows(s, STORE_USAGE_ROWS);
    CHECK_STR(rig_str(&t), "2 at 5 4/2 of 1 by 9 egress_bytes={} 1.1\n"
                           "3 at 5 4/2 of 1 by 9 egress_bytes={} 1.3\n"
                           "4 at 5 4/2 of 1 by 9 egress_bytes={} 2.0\n"
                           "5 at 5 4/2 of 1 by 10 egress_bytes={} 0.0\n");
    rig_text_free(&t);
    store_close(s);
}

static inline void remembers_answers_until_they_expire(void)
{
    SUITE_OPEN(s);
    struct store_txn txn;
    struct err err;
    uint8_t hash[STORE_HASH_BYTES];
    char *answer = NULL;
    size_t bytes;
    int64_t expires;
    struct store_id who = rig_id(3);
    struct store_op op = rig_key(3, "k-1", "{\"id\":1}", 100, 200);
    CHECK_EQ(store_key_get(s, &who, store_text_of("k-1"), hash, &answer, &bytes, &expires, &err),
             -ENOENT);
    CHECK_EQ(rig_run(s, &op, 1, &txn), 0);
    CHECK_EQ(rig_run(s, &op, 1, &txn), -EEXIST);
    CHECK_EQ(txn.current, 1);
    CHECK_EQ(rig_one(s, rig_key(4, "k-1", "other", 100, 200)), 0);
    CHECK_EQ(store_key_get(s, &who, store_text_of("k-1"), hash, &answer, &bytes, &expires, &err),
             0);
    CHECK(answer && !strcmp(answer, "{\"id\":1}") && bytes == 8 && expires == 200 && hash[0] == 4);
    free(answer);
    CHECK_EQ(rig_one(s, rig_key(3, "k-1", "new", 200, 300)), 0);
    answer = NULL;
    CHECK_EQ(store_key_get(s, &who, store_text_of("k-1"), hash, &answer, &bytes, &expires, &err),
             0);
    CHECK(answer && !strcmp(answer, "new") && expires == 300);
    free(answer);
    store_close(s);
}

static inline void lists_rows_from_a_position_on(void)
{
    SUITE_OPEN(s);
    struct err err;
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(rig_one(s, rig_row(STORE_EVENT, "vm.created", "{}", i)), 0);
    CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "vm.create", "{}", 9)), 0);
    struct rig_text t = {.text = NULL};
    CHECK_EQ(store_rows(s, STORE_EVENTS, 1, 2, rig_add_row, &t, &err), 0);
    CHECK_STR(rig_str(&t), "2 at 1 4/2 of 1 by 3 vm.created={} 0.0\n"
                           "3 at 2 4/2 of 1 by 3 vm.created={} 0.0\n");
    rig_text_free(&t);
    CHECK_EQ(store_rows(s, STORE_EVENTS, 5, 2, rig_add_row, &t, &err), 0);
    CHECK_EQ(t.n, 0);
    CHECK_EQ(store_rows(s, STORE_AUDIT_TRAIL, 0, 2, rig_add_row, &t, &err), 0);
    CHECK_EQ(t.n, 1);
    rig_text_free(&t);
    CHECK_EQ(store_audit_verify(s, &err), 0);
    store_close(s);
}

/* Bytes of any kind in a document, and as much as is allowed. */
static inline void keeps_documents_as_they_are(void)
{
    SUITE_OPEN(s);
    char *big = malloc(STORE_BODY_MAX + 1);
    REQUIRE(big);
    memset(big, 'x', STORE_BODY_MAX + 1);
    memcpy(big, "\xc3\xa9\"'\\\x7f", 6);
    struct store_op op = rig_put(1, 10, 5, "n\xc3\xa9'\"\\%", "", STORE_ALWAYS, 0);
    op.object.body = (struct store_text){big, STORE_BODY_MAX + 1};
    CHECK_EQ(rig_run(s, &op, 1, NULL), -EINVAL);
    op.object.body.len_bytes = STORE_BODY_MAX;
    CHECK_EQ(rig_run(s, &op, 1, NULL), 0);
    struct rig_text t = rig_load(s, NULL);
    CHECK(!strncmp(rig_str(&t), "1 object 1/10 of 5 n\xc3\xa9'\"\\%=\xc3\xa9\"'\\\x7fxxx", 36));
    rig_text_free(&t);
    free(big);
    store_close(s);
}

static inline void stays_what_it_was_over_a_restart(void)
{
    if (!suite_reopen)
        SKIP("this store is in memory");
    SUITE_OPEN(s);
    struct err err;
    struct store_op ops[] = {rig_put(1, 10, 5, "a", "x", STORE_ALWAYS, 0), rig_raise(40, 0),
                             rig_add(5, "n", 3, 9), rig_row(STORE_AUDIT, "do", "{}", 1),
                             rig_usage(9, 1, 1)};
    CHECK_EQ(rig_run(s, ops, 5, NULL), 0);
    store_close(s);
    s = suite_reopen(&config);
    REQUIRE(s);
    suite_check_load(s, "1 object 1/10 of 5 a=x\n2 claim 40=1\n3 counter 5.n=3\n");
    CHECK_EQ(rig_one(s, rig_usage(9, 1, 1)), -EALREADY);
    struct store_op op = rig_row(STORE_AUDIT, "again", "{}", 2);
    CHECK_EQ(rig_run(s, &op, 1, NULL), 0);
    CHECK_EQ(op.seq, 6);
    CHECK_EQ(store_audit_verify(s, &err), 0);
    store_close(s);
}

static inline struct store_op suite_random_op(uint64_t *rng, uint64_t seq)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    static const char *const bodies[] = {"{}", "{1}", "{2}", ""};
    const char *name = names[rig_random(rng) % 6], *body = bodies[rig_random(rng) % 4];
    uint8_t kind = 1 + rig_random(rng) % 2;
    unsigned id = rig_random(rng) % 12, small = rig_random(rng) % 3;
    uint64_t near = seq > 20 ? seq - rig_random(rng) % 20 : seq;
    switch (rig_random(rng) % 12) {
    case 0:
    case 1:
    case 2:
        return rig_put(kind, id, small, name, body, rig_random(rng) % 3, near);
    case 3:
        return rig_delete(kind, id, rig_random(rng) % 2 ? STORE_IF_SEQ : STORE_ALWAYS, near,
                          (int64_t)seq);
    case 4:
        return rig_raise(small, rig_random(rng) % 30);
    case 5:
    case 6:
        return rig_add(small, names[id % 2], (int)(rig_random(rng) % 9) - 3, 40);
    case 7:
        return rig_row(STORE_EVENT, name, body, (int64_t)seq);
    case 8:
        return rig_row(STORE_AUDIT, name, body, (int64_t)seq);
    case 9:
        return rig_usage(small, seq / 200, rig_random(rng) % 100);
    case 10:
        return rig_key(small, name, body, (int64_t)seq, (int64_t)seq + rig_random(rng) % 200);
    default:
        return rig_expire(small % 2 ? STORE_OLD_EVENTS : STORE_OLD_TOMBSTONES, (int64_t)seq - 60,
                          1 + rig_random(rng) % 4);
    }
}

#define SUITE_BATCH   8
#define SUITE_OPS_MAX 6

struct suite_batch {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned left;
    struct store_txn txns[SUITE_BATCH];
    struct store_op ops[SUITE_BATCH][SUITE_OPS_MAX];
};

static inline void suite_batch_done(struct store_txn *txn, void *ctx)
{
    struct suite_batch *b = ctx;
    pthread_mutex_lock(&b->lock);
    if (--b->left == 0)
        pthread_cond_signal(&b->cond);
    pthread_mutex_unlock(&b->lock);
}

/* Submits a batch, so that it is committed in groups, and compares each result with the model. */
static inline bool suite_batch_agrees(struct store *s, struct suite_batch *b, struct model *m,
                                      uint64_t *rng)
{
    b->left = SUITE_BATCH;
    for (unsigned i = 0; i < SUITE_BATCH; i++) {
        unsigned n = 1 + rig_random(rng) % SUITE_OPS_MAX;
        for (unsigned k = 0; k < n; k++)
            b->ops[i][k] = suite_random_op(rng, m->s.seq + k);
        b->txns[i] = (struct store_txn){.ops = b->ops[i], .n_ops = n};
        if (store_submit(s, &b->txns[i], suite_batch_done, b))
            return false;
    }
    pthread_mutex_lock(&b->lock);
    while (b->left)
        pthread_cond_wait(&b->cond, &b->lock);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < SUITE_BATCH; i++) {
        struct store_txn *t = &b->txns[i];
        unsigned failed = 0;
        int64_t current = 0;
        uint64_t seq = m->s.seq;
        int want = model_txn(m, t, &failed, &current);
        bool same =
            t->result == want && (!want || (t->failed_op == failed && t->current == current));
        for (unsigned k = 0; !want && k < t->n_ops; k++)
            same &= t->ops[k].type == STORE_EXPIRE || t->ops[k].seq == ++seq;
        if (!same) {
            printf("# result %d, op %u, current %" PRId64 "; the model: %d, %u, %" PRId64 "\n",
                   t->result, t->failed_op, t->current, want, failed, current);
            return false;
        }
    }
    return true;
}

static inline bool suite_same(struct rig_text have, struct rig_text want)
{
    bool same = !strcmp(rig_str(&have), rig_str(&want));
    if (!same)
        printf("# have:\n%s# want:\n%s", rig_str(&have), rig_str(&want));
    rig_text_free(&have);
    rig_text_free(&want);
    return same;
}

static inline void suite_check_model(struct store *s, struct model *m, uint64_t *rng)
{
    uint64_t at = 0, after = m->s.tombstone_horizon;
    struct err err;
    CHECK(suite_same(rig_load(s, &at), model_records(m, 0, true)));
    CHECK_EQ(at, m->s.seq);
    if (m->s.seq > after)
        after += rig_random(rng) % (m->s.seq - after);
    struct rig_text t = {.text = NULL};
    uint64_t from = after;
    CHECK_EQ(store_follow(s, &from, rig_add_record, &t, &err), 0);
    CHECK(suite_same(t, model_records(m, after, false)));
    for (unsigned table = 0; table < 3; table++)
        CHECK(suite_same(rig_rows(s, table), model_rows(m, table)));
    CHECK_EQ(store_audit_verify(s, &err), 0);
}

static inline void does_what_a_naive_model_does(void)
{
    SUITE_OPEN(s);
    struct model *m = calloc(1, sizeof(*m));
    struct suite_batch *b = calloc(1, sizeof(*b));
    REQUIRE(m && b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->cond, NULL);
    uint64_t rng = 88172645463325252u;
    unsigned batches = suite_model_txns / SUITE_BATCH * (rig_long() ? 5 : 1);
    bool agrees = true;
    for (unsigned i = 0; agrees && i < batches; i++) {
        agrees = suite_batch_agrees(s, b, m, &rng);
        if (i % 25 == 24)
            suite_check_model(s, m, &rng);
        if (suite_reopen && i % 40 == 39) {
            store_close(s);
            s = suite_reopen(&config);
            REQUIRE(s);
        }
    }
    CHECK(agrees);
    if (agrees)
        suite_check_model(s, m, &rng);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->cond);
    free(b);
    model_free(m);
    store_close(s);
}

struct suite_thread {
    pthread_t thread;
    struct store *store;
    unsigned index, added, raised;
};

/* Adds to one counter that is too small for all, claims one host that all want, writes objects. */
static inline void *suite_stress(void *arg)
{
    struct suite_thread *t = arg;
    uint64_t generation = 0;
    for (unsigned i = 0; i < suite_stress_txns; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u-%u", t->index, i);
        struct store_op ops[4] = {
            rig_add(1, "all", 1, (int64_t)suite_stress_txns * 3),
            rig_put(1, t->index * 100000 + i, 5, name, "{}", STORE_IF_ABSENT, 0),
            rig_row(STORE_AUDIT, "stress", name, i), rig_raise(1, generation)};
        struct store_txn txn;
        unsigned n = i % 4 == 0 ? 4 : 3;
        int r = rig_run(t->store, ops, n, &txn);
        if (!r) {
            t->added++;
            t->raised += n == 4;
            generation += n == 4;
        } else if (r == -ESTALE) {
            generation = (uint64_t)txn.current;
        } else if (r != -EDQUOT) {
            printf("# stress: %d\n", r);
            break;
        }
    }
    return NULL;
}

static inline int suite_find_sum(const struct store_record *r, void *ctx)
{
    int64_t *found = ctx;
    if (r->type == STORE_COUNTER)
        found[0] = r->value;
    else if (r->type == STORE_CLAIM)
        found[1] = r->value;
    else if (r->type == STORE_OBJECT)
        found[2]++;
    return 0;
}

static inline void keeps_its_sums_under_four_threads(void)
{
    SUITE_OPEN(s);
    struct suite_thread t[4];
    struct err err;
    unsigned added = 0, raised = 0;
    for (unsigned i = 0; i < 4; i++) {
        t[i] = (struct suite_thread){.store = s, .index = i};
        REQUIRE(pthread_create(&t[i].thread, NULL, suite_stress, &t[i]) == 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(t[i].thread, NULL);
        added += t[i].added;
        raised += t[i].raised;
    }
    int64_t found[3] = {0, 0, 0};
    uint64_t seq;
    CHECK_EQ(store_load(s, &seq, suite_find_sum, found, &err), 0);
    CHECK_EQ(found[0], added);
    CHECK_EQ(found[1], raised);
    CHECK_EQ(found[2], added);
    CHECK(added <= suite_stress_txns * 3 && raised > 0);
    CHECK_EQ(store_audit_verify(s, &err), 0);
    store_close(s);
}

static inline void suite_run(void)
{
    TAP_RUN(keeps_an_object_and_says_its_seq);
    TAP_RUN(refuses_what_its_precondition_forbids);
    TAP_RUN(keeps_names_unique_per_kind_and_project);
    TAP_RUN(follows_what_came_later_and_shows_deletions);
    TAP_RUN(expires_keys_tombstones_and_events);
    TAP_RUN(counts_within_limits);
    TAP_RUN(raises_a_claim_once_for_each_generation);
    TAP_RUN(counts_usage_exactly_once);
    TAP_RUN(remembers_answers_until_they_expire);
    TAP_RUN(lists_rows_from_a_position_on);
    TAP_RUN(keeps_documents_as_they_are);
    TAP_RUN(stays_what_it_was_over_a_restart);
    TAP_RUN(does_what_a_naive_model_does);
    TAP_RUN(keeps_its_sums_under_four_threads);
}

#endif
