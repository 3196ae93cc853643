/* What is common to all stores: the queue, the delivery, the checks; over a store in memory. */
#include "mgmt/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#include "mgmt/store/null/store_null.h"
#include "store_rig.h"
#include "tap.h"

struct counted {
    _Atomic unsigned done, wakes;
    int last_result;
    pthread_t thread;
};

static void on_done(struct store_txn *txn, void *ctx)
{
    struct counted *c = ctx;
    c->last_result = txn->result;
    c->thread = pthread_self();
    c->done++;
}

static void on_wake(void *ctx)
{
    struct counted *c = ctx;
    c->wakes++;
}

static void refuses_what_is_out_of_bounds(void)
{
    struct store_config config = rig_config(1);
    struct store *s = store_null_create(&config, NULL);
    REQUIRE(s);
    struct store_op op = rig_add(1, "n", 1, -1);
    CHECK_EQ(rig_run(s, &op, 0, NULL), -EINVAL);
    CHECK_EQ(rig_run(s, &op, STORE_OPS_MAX + 1, NULL), -EINVAL);
    op.add.name.len_bytes = 0;
    CHECK_EQ(rig_run(s, &op, 1, NULL), -EINVAL);
    op.add.name.len_bytes = STORE_NAME_MAX + 1;
    CHECK_EQ(rig_run(s, &op, 1, NULL), -EINVAL);
    op = rig_delete(1, 1, STORE_IF_ABSENT, 0, 0);
    CHECK_EQ(rig_run(s, &op, 1, NULL), -EINVAL);
    op = rig_expire(STORE_OLD_KEYS, 0, 0);
    CHECK_EQ(rig_run(s, &op, 1, NULL), -EINVAL);
    op.type = STORE_OP_TYPES;
    CHECK_EQ(rig_run(s, &op, 1, NULL), -EINVAL);
    store_close(s);
}

static void says_again_when_the_queue_is_full(void)
{
    enum { MAX = 4, ALL = 8 };
    struct counted c = {.done = 0};
    struct store_config config = rig_config(1);
    config.queue_max = MAX;
    config.group_max = 1;
    struct store *s = store_null_create(&config, NULL);
    REQUIRE(s);
    store_null_hold(s, true);
    struct store_op ops[ALL];
    struct store_txn txns[ALL];
    unsigned accepted = 0, refused = 0;
    for (unsigned i = 0; i < ALL; i++) {
        ops[i] = rig_add(1, "n", 1, -1);
        txns[i] = (struct store_txn){.ops = &ops[i], .n_ops = 1};
        int r = store_submit(s, &txns[i], on_done, &c);
        accepted += r == 0;
        refused += r == -EAGAIN;
    }
    /* One of them may be with the commit thread. */
    CHECK(accepted == MAX || accepted == MAX + 1);
    CHECK_EQ(accepted + refused, ALL);
    store_null_hold(s, false);
    store_close(s);
    CHECK_EQ(c.done, accepted);
}

static void wakes_once_and_delivers_in_the_callers_thread(void)
{
    struct counted c = {.done = 0};
    struct store_config config = rig_config(1);
    config.wake = on_wake;
    config.wake_ctx = &c;
    struct store *s = store_null_create(&config, NULL);
    REQUIRE(s);
    struct store_op ops[3];
    struct store_txn txns[3];
    for (unsigned i = 0; i < 3; i++) {
        ops[i] = rig_add(1, "n", 1, -1);
        txns[i] = (struct store_txn){.ops = &ops[i], .n_ops = 1};
        CHECK_EQ(store_submit(s, &txns[i], on_done, &c), 0);
    }
    /* Committed behind the three, but not delivered with them: it is waited for directly. */
    CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), 0);
    CHECK_EQ(c.done, 0);
    CHECK_EQ(store_deliver(s), 3);
    CHECK_EQ(c.done, 3);
    CHECK_EQ(c.wakes, 1);
    CHECK(pthread_equal(c.thread, pthread_self()));
    CHECK_EQ(store_deliver(s), 0);
    CHECK_EQ(ops[2].value, 3);
    txns[0] = (struct store_txn){.ops = &ops[0], .n_ops = 1};
    CHECK_EQ(store_submit(s, &txns[0], on_done, &c), 0);
    store_close(s); /* commits and delivers what was submitted */
    CHECK_EQ(c.done, 4);
    CHECK_EQ(c.wakes, 2);
    CHECK_EQ(ops[0].value, 5);
}

struct chain {
    struct store *store;
    struct store_op ops[5];
    struct store_txn txns[5];
    struct counted counted;
};

static void submit_five(struct store_txn *txn, void *ctx)
{
    struct chain *c = ctx;
    for (unsigned i = 0; i < 5; i++) {
        c->ops[i] = rig_add(1, "n", 1, -1);
        c->txns[i] = (struct store_txn){.ops = &c->ops[i], .n_ops = 1};
        CHECK_EQ(store_submit(c->store, &c->txns[i], on_done, &c->counted), 0);
    }
}

static void what_a_delivery_submits_is_one_group(void)
{
    struct chain c = {.store = NULL};
    struct store_config config = rig_config(1);
    config.wake = on_wake;
    config.wake_ctx = &c.counted;
    struct store *s = c.store = store_null_create(&config, NULL);
    REQUIRE(s);
    struct store_op op = rig_add(1, "n", 1, -1);
    struct store_txn txn = {.ops = &op, .n_ops = 1};
    CHECK_EQ(store_submit(s, &txn, submit_five, &c), 0);
    while (!store_deliver(s))
        ;
    CHECK_EQ(rig_one(s, rig_add(2, "n", 1, -1)), 0); /* with the five, or after them */
    struct store_status st;
    store_status(s, &st);
    CHECK(st.groups == 2 || st.groups == 3);
    store_close(s);
    CHECK_EQ(c.counted.done, 5);
    CHECK_EQ(c.ops[4].value, 6);
}

static void in_doubt_it_refuses_others_and_on_closing_says_so(void)
{
    struct counted c = {.done = 0};
    struct store_config config = rig_config(1);
    config.group_max = 1; /* the second shall not share the first one's doubt */
    struct store *s = store_null_create(&config, NULL);
    REQUIRE(s);
    store_null_fail(s, STORE_NULL_DOUBT_DONE, 1, 1000000);
    struct store_op ops[2] = {rig_add(1, "n", 1, -1), rig_add(1, "n", 1, -1)};
    struct store_txn txns[2] = {{.ops = &ops[0], .n_ops = 1}, {.ops = &ops[1], .n_ops = 1}};
    CHECK_EQ(store_submit(s, &txns[0], on_done, &c), 0);
    CHECK_EQ(store_submit_wait(s, &txns[1]), -EAGAIN);
    store_close(s);
    CHECK_EQ(c.done, 1);
    CHECK_EQ(c.last_result, -EINPROGRESS);
}

static void leads_alone(void)
{
    struct store_config config = rig_config(1);
    struct store *s = store_null_create(&config, NULL);
    REQUIRE(s);
    CHECK(store_lead(s, 1));
    store_unlead(s, 1);
    store_close(s);
    store_close(NULL);
}

int main(void)
{
    TAP_RUN(refuses_what_is_out_of_bounds);
    TAP_RUN(says_again_when_the_queue_is_full);
    TAP_RUN(wakes_once_and_delivers_in_the_callers_thread);
    TAP_RUN(what_a_delivery_submits_is_one_group);
    TAP_RUN(in_doubt_it_refuses_others_and_on_closing_says_so);
    TAP_RUN(leads_alone);
    return tap_done();
}
