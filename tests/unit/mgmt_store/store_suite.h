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

#include "store_suite_random.h"

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
