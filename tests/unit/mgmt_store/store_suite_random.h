/* The part of the conformance suite that is random: transactions against a naive model, and four
 * threads at once. Included by store_suite.h, which says how stores are opened. */
#ifndef TESTS_UNIT_MGMT_STORE_STORE_SUITE_RANDOM_H
#define TESTS_UNIT_MGMT_STORE_STORE_SUITE_RANDOM_H

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

#endif
