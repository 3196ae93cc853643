/* Counters of several servers: what is in flight here stays on top of what the store says, in
 * whatever order the two are heard of. */
#include "mgmt/server/server_internal.h"

#include "tap.h"

static const struct store_id project = {{1}};

/* A server that has counters and no more. */
struct rig {
    struct server s;
    struct server_txn t;
};

static struct rig *rig_create(void)
{
    struct rig *r = calloc(1, sizeof(*r));
    r->s.catalog = catalog_create(NULL, NULL);
    r->s.quotas = server_quotas_create();
    r->t.s = &r->s;
    api_arena_init(&r->t.arena, 1u << 20);
    r->t.store.ops = r->t.ops;
    return r;
}

static void rig_destroy(struct rig *r)
{
    api_arena_fini(&r->t.arena);
    free(r->t.ops);
    free(r->t.changes);
    server_quotas_destroy(r->s.quotas);
    catalog_destroy(r->s.catalog);
    free(r);
}

static void stored(struct rig *r, int64_t value, uint64_t seq)
{
    server_quotas_load(r->s.quotas, &project, store_text_of("vms"), value, seq);
}

static void committed(struct rig *r, int64_t value, uint64_t seq, bool done)
{
    r->t.ops[0].value = value;
    r->t.ops[0].seq = seq;
    r->t.holds->end(&r->s, r->t.holds, done);
}

static int64_t used(struct rig *r)
{
    return server_quota_used(&r->s, &project, "vms");
}

static void what_is_in_flight_counts_until_it_is_stored(void)
{
    struct rig *r = rig_create();
    stored(r, 5, 10);
    CHECK_EQ(server_quota_add(&r->t, &project, "vms", 2), 0);
    CHECK_EQ(used(r), 7);
    stored(r, 8, 12); /* another server took three */
    CHECK_EQ(used(r), 10);
    committed(r, 10, 14, true);
    CHECK_EQ(used(r), 10);
    stored(r, 10, 14); /* one's own, come back */
    CHECK_EQ(used(r), 10);
    rig_destroy(r);
}

static void ones_own_may_come_back_first(void)
{
    struct rig *r = rig_create();
    stored(r, 5, 10);
    CHECK_EQ(server_quota_add(&r->t, &project, "vms", 2), 0);
    stored(r, 7, 14);
    committed(r, 7, 14, true);
    CHECK_EQ(used(r), 7);
    rig_destroy(r);
}

static void what_is_older_changes_nothing(void)
{
    struct rig *r = rig_create();
    CHECK_EQ(server_quota_add(&r->t, &project, "vms", 2), 0);
    committed(r, 9, 20, true);
    CHECK_EQ(used(r), 9);
    stored(r, 3, 15);
    CHECK_EQ(used(r), 9);
    rig_destroy(r);
}

static void what_failed_is_given_back(void)
{
    struct rig *r = rig_create();
    stored(r, 5, 10);
    CHECK_EQ(server_quota_add(&r->t, &project, "vms", 2), 0);
    committed(r, 0, 0, false);
    CHECK_EQ(used(r), 5);
    rig_destroy(r);
}

int main(void)
{
    TAP_RUN(what_is_in_flight_counts_until_it_is_stored);
    TAP_RUN(ones_own_may_come_back_first);
    TAP_RUN(what_is_older_changes_nothing);
    TAP_RUN(what_failed_is_given_back);
    return tap_done();
}
