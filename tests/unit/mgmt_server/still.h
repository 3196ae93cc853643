/* A server on the null store whose loop does not run: the test is its thread, and says when what
 * was submitted has been committed. */
#ifndef TESTS_UNIT_MGMT_SERVER_STILL_H
#define TESTS_UNIT_MGMT_SERVER_STILL_H

#include "mgmt/server/server_internal.h"
#include "mgmt/store/null/store_null.h"
#include "tap.h"

static inline struct store *still_open(void *ctx, const struct store_config *config,
                                       struct err *err)
{
    (void)ctx;
    return store_null_create(config, err);
}

static inline struct server *still_create(void)
{
    const struct server_config config = {
        .open_store = still_open,
        .id = {{1}},
        .address = "127.0.0.1",
        .password_cost = {.memory_kib = 64, .passes = 1, .lanes = 1}};
    struct err err = {0};
    struct server *s = server_create(&config, &err);
    if (!s) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return s;
}

/* Commits and delivers all that was submitted. */
static inline void still_settle(struct server *s)
{
    struct store_op op = {.type = STORE_ADD,
                          .add = {.owner = {{9}}, .name = store_text_of("x"), .delta = 1, -1}};
    struct store_txn txn = {.ops = &op, .n_ops = 1};
    if (store_submit_wait(s->store, &txn))
        abort();
    store_deliver(s->store);
}

/* The only, or the first, object of a kind. */
static inline struct catalog_slot *still_first(struct server *s, enum catalog_kind kind)
{
    const struct catalog_list *list = catalog_all(s->catalog, kind);
    return list->n ? list->slots[0] : NULL;
}

#endif
