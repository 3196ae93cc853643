/* Claims: the scheduler's free room against what VMs say, after any history; generations that are
 * never stuck, however claims of one host fail. */
#include "mgmt/server/server_claim.h"

#include "mgmt/server/server_numbers.h"
#include "server_rig.h"

#define FLIGHT 16

static struct rig_reply replies[FLIGHT];

static void send_create(unsigned i, const char *name, const char *flavor)
{
    char body[256];
    snprintf(body, sizeof(body), "{\"name\":\"%s\",\"flavor\":\"%s\",\"image\":\"image\"}", name,
             flavor);
    rig_send(&replies[i], "POST", "/v1/vms", body);
}

/* Only the first host takes VMs, so that all claims are of one. */
static void one_host(void)
{
    for (unsigned i = 1; i < RIG_HOSTS; i++)
        rig_host_state(i, API_HOST_STATUS_STATE_FENCED);
}

static uint64_t committed(void)
{
    return server_host_find(rig.s, &rig.hosts[0])->committed;
}

static void claims_under_way_need_not_wait_for_each_other(void)
{
    REQUIRE(rig_init());
    one_host();
    store_null_hold(rig.store, true);
    for (unsigned i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof(name), "v%u", i);
        send_create(i, name, "flavor0");
    }
    CHECK_EQ(server_host_find(rig.s, &rig.hosts[0])->in_flight, 8);
    unsigned long before = rig.submitted;
    store_null_hold(rig.store, false);
    rig_pump();
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(replies[i].status, 202);
    CHECK_EQ(rig.submitted - before, 0); /* none had to run again */
    CHECK_EQ(committed(), 8);
    rig_check();
    rig_fini();
}

/* The one at `at` of eight has a name that is taken. */
static void fail_one(unsigned at)
{
    uint64_t before = committed();
    char name[16];
    store_null_hold(rig.store, true);
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "v%u-%u", at, i);
        send_create(i, i == at ? "taken" : name, "flavor0");
    }
    store_null_hold(rig.store, false);
    rig_pump();
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(replies[i].status, i == at ? 409 : 202);
    CHECK_EQ(committed(), before + 7);
    rig_check();
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "v%u-%u", at, i);
        if (i != at)
            CHECK_EQ(rig_delete(name, true), 202);
    }
    rig_obey();
    rig_check();
}

static void those_behind_one_that_fails_run_again(void)
{
    REQUIRE(rig_init());
    one_host();
    CHECK_EQ(rig_create("taken", ""), 202);
    rig_obey();
    for (unsigned at = 0; at < 8; at++)
        fail_one(at);
    rig_fini();
}

/* Four at a time, the next as soon as one is answered; every other claim fails. */
static void a_host_that_is_never_at_rest_is_not_stuck(void)
{
    REQUIRE(rig_init());
    one_host();
    CHECK_EQ(rig_create("taken", ""), 202);
    char name[16];
    unsigned made = 0, failed = 0, n = 0;
    bool valid[4] = {false};
    for (unsigned i = 0; i < 4; i++)
        replies[i].status = -1; /* free */
    while (n < 28 || made + failed < n) {
        for (unsigned i = 0; i < 4; i++) {
            if (!replies[i].status)
                continue;
            if (replies[i].status > 0) {
                made++;
                failed += valid[i] && replies[i].status != 202;
                made -= !valid[i] || replies[i].status != 202;
            }
            replies[i].status = -1;
            if (n == 28)
                continue;
            valid[i] = i % 2;
            snprintf(name, sizeof(name), "n%u", n);
            n += valid[i];
            send_create(i, valid[i] ? name : "taken", "flavor0");
        }
        rig.delivered += store_deliver(rig.store);
        if (made + failed == 11) /* the host holds 16, with those under way */
            break;
    }
    rig_pump();
    CHECK_EQ(failed, 0);
    CHECK_EQ(made, 11);
    rig_check();
    rig_fini();
}

static void raise_done(struct store_txn *txn, void *ctx)
{
    *(int *)ctx = txn->result;
}

/* As another server would: behind this one's back. */
static void raise_elsewhere(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        int result = 1;
        struct store_op op = {.type = STORE_RAISE,
                              .raise = {.host = rig.hosts[0], .expected = committed() + i}};
        struct store_txn txn = {.ops = &op, .n_ops = 1};
        CHECK_EQ(__wrap_store_submit(rig.store, &txn, raise_done, &result), 0);
        rig_pump();
        CHECK_EQ(result, 0);
    }
}

static void another_servers_claims_are_caught_up_with(void)
{
    REQUIRE(rig_init());
    one_host();
    raise_elsewhere(5);
    store_null_hold(rig.store, true);
    for (unsigned i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof(name), "v%u", i);
        send_create(i, name, "flavor0");
    }
    store_null_hold(rig.store, false);
    rig_pump();
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(replies[i].status, 202);
    CHECK_EQ(committed(), 9);
    rig_check();
    rig_fini();
}

static void a_full_queue_gives_everything_back(void)
{
    REQUIRE(rig_init());
    one_host();
    unsigned n = 0, refused = 0;
    struct rig_reply *many = calloc(5000, sizeof(*many));
    store_null_hold(rig.store, true);
    /* A claim that is refused before it was submitted, with others under way. */
    while (n < 5000 && !refused) {
        char target[64];
        snprintf(target, sizeof(target), "{\"name\":\"f%u\",\"vcpus\":1,\"memory_mib\":64}", n);
        rig_send(&many[n], "POST", "/v1/flavors", target);
        refused += many[n++].status == 503;
    }
    CHECK_EQ(refused, 1);
    send_create(0, "vm", "flavor0");
    CHECK_EQ(replies[0].status, 503);
    CHECK_EQ(server_host_find(rig.s, &rig.hosts[0])->in_flight, 0);
    store_null_hold(rig.store, false);
    rig_pump();
    CHECK_EQ(rig_create("vm", ""), 202);
    rig_check();
    free(many);
    rig_fini();
}

/* ---- random histories ---- */

static unsigned long seed = 1;

static unsigned draw(unsigned n)
{
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return (unsigned)(seed >> 33) % n;
}

static void random_request(struct rig_reply *reply)
{
    static const char *const verbs[] = {"start", "stop",   "shelve",   "unshelve",
                                        "pause", "resize", "undelete", "rebuild"};
    char target[96], body[160] = "";
    unsigned vm = draw(24), what = draw(20);
    if (what < 6) {
        snprintf(body, sizeof(body),
                 "{\"name\":\"v%u\",\"flavor\":\"flavor%u\",\"image\":\"image\"}", vm, draw(2));
        rig_send(reply, "POST", "/v1/vms", body);
    } else if (what < 10) {
        snprintf(target, sizeof(target), "/v1/vms/v%u%s", vm, draw(4) ? "?purge=true" : "");
        rig_send(reply, "DELETE", target, NULL);
    } else {
        const char *verb = verbs[draw(8)];
        snprintf(target, sizeof(target), "/v1/vms/v%u/%s", vm, verb);
        if (!strcmp(verb, "resize"))
            snprintf(body, sizeof(body), "{\"flavor\":\"flavor%u\"}", draw(2));
        else if (!strcmp(verb, "rebuild"))
            snprintf(body, sizeof(body), "{\"image\":\"image\"}");
        rig_send(reply, "POST", target, body[0] ? body : NULL);
    }
}

static void random_fault(void)
{
    unsigned what = draw(12);
    if (what == 0)
        store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 1 + draw(4), 1 + draw(2));
    else if (what == 1)
        store_null_fail(rig.store, STORE_NULL_FAIL_OP, 1 + draw(30), 1);
    else if (what == 2)
        store_null_fail(rig.store, draw(2) ? STORE_NULL_DOUBT_DONE : STORE_NULL_DOUBT_UNDONE,
                        1 + draw(3), draw(2));
}

static bool random_round(unsigned *answers)
{
    unsigned n = 1 + draw(FLIGHT - 1);
    bool hold = draw(2);
    random_fault();
    if (hold)
        store_null_hold(rig.store, true);
    for (unsigned i = 0; i < n; i++) {
        random_request(&replies[i]);
        if (!hold && !draw(3))
            rig_pump();
    }
    store_null_hold(rig.store, false);
    rig_pump();
    for (unsigned i = 0; i < n; i++) {
        answers[replies[i].status == 202 ? 0 : replies[i].status == 503 ? 1 : 2]++;
        if (replies[i].status < 200 || replies[i].status == 500)
            printf("# %d %s\n", replies[i].status, replies[i].text);
        CHECK(replies[i].status >= 200 && replies[i].status != 500);
    }
    if (draw(2))
        rig_obey();
    if (draw(20))
        return true;
    store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 0, 0);
    return rig_restart();
}

static void after_any_history_what_is_free_is_what_vms_leave(void)
{
    REQUIRE(rig_init());
    const char *other = getenv("VIRGA_CLAIM_SEED"); /* another history */
    seed = other ? strtoul(other, NULL, 10) : 1;
    unsigned answers[3] = {0};
    for (unsigned round = 0; round < 400; round++) {
        REQUIRE(random_round(answers));
        rig_check();
        if (tap_case_failures) {
            printf("# in round %u\n", round);
            break;
        }
    }
    printf("# %u done, %u unavailable, %u refused\n", answers[0], answers[1], answers[2]);
    CHECK(answers[0] > 300 && answers[1] > 20);
    store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 0, 0);
    rig_obey();
    rig_obey();
    const struct catalog_list *all = catalog_all(rig.s->catalog, CATALOG_VM);
    while (all->n) {
        CHECK_EQ(rig_delete(all->slots[0]->now->name, true), 202);
        rig_obey();
        if (tap_case_failures)
            break;
    }
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VOLUME)->n, 0);
    uint64_t generation = committed();
    REQUIRE(rig_restart());
    CHECK_EQ(committed(), generation);
    rig_check();
    rig_fini();
}

/* ---- what is there later than its VMs ---- */

static int64_t cpus0[] = {0, 1, 2, 3, 4, 5, 6, 7};
static struct link_numa_node node = {
    .node = {API_VALUE, 0}, .cpus = {API_VALUE, 8, cpus0}, .memory_mib = {API_VALUE, 16384}};
static const struct link_inventory inventory = {
    .cpus = {API_VALUE, 8}, .memory_mib = {API_VALUE, 16384}, .numa = {API_VALUE, 1, &node}};

static void bring_inventories(void)
{
    for (unsigned i = 0; i < RIG_HOSTS; i++) {
        struct catalog_slot *slot = catalog_find(rig.s->catalog, CATALOG_HOST, &rig.hosts[i]);
        server_host_find(rig.s, &rig.hosts[i])->inventory = &inventory;
        server_host_changed(rig.s, slot, slot->now, slot->now);
    }
}

static uint32_t claims_on(unsigned i)
{
    struct sched_free left;
    const struct server_host *host = server_host_find(rig.s, &rig.hosts[i]);
    return sched_free(rig.s->sched, host->number, &left) ? 99 : left.claims;
}

static void a_vm_with_nodes_is_counted_when_its_host_says_what_it_has(void)
{
    REQUIRE(rig_init());
    one_host();
    bring_inventories();
    CHECK_EQ(rig_ask("POST", "/v1/flavors",
                     "{\"name\":\"pinned\",\"vcpus\":4,\"memory_mib\":1024,"
                     "\"cpu_policy\":\"dedicated\"}"),
             201);
    CHECK_EQ(
        rig_ask("POST", "/v1/vms", "{\"name\":\"vm\",\"flavor\":\"pinned\",\"image\":\"image\"}"),
        202);
    CHECK_EQ(claims_on(0), 1);
    REQUIRE(rig_restart());
    CHECK_EQ(claims_on(0), 0); /* what it has is not known yet */
    bring_inventories();
    CHECK_EQ(claims_on(0), 1);
    rig_obey();
    CHECK_EQ(rig_delete("vm", true), 202);
    rig_obey();
    CHECK_EQ(claims_on(0), 0);
    rig_fini();
}

static void nodes_that_are_in_use_do_not_keep_a_host_enabled(void)
{
    REQUIRE(rig_init());
    one_host();
    bring_inventories();
    CHECK_EQ(rig_ask("POST", "/v1/flavors",
                     "{\"name\":\"pinned\",\"vcpus\":4,\"memory_mib\":1024,"
                     "\"cpu_policy\":\"dedicated\"}"),
             201);
    CHECK_EQ(
        rig_ask("POST", "/v1/vms", "{\"name\":\"vm\",\"flavor\":\"pinned\",\"image\":\"image\"}"),
        202);
    const struct link_inventory none = {.cpus = {API_VALUE, 8}, .memory_mib = {API_VALUE, 16384}};
    server_host_find(rig.s, &rig.hosts[0])->inventory = &none;
    rig_host_state(0, API_HOST_STATUS_STATE_UNREACHABLE);
    const struct server_host *host = server_host_find(rig.s, &rig.hosts[0]);
    CHECK_EQ(sched_host(rig.s->sched, host->number)->state, SCHED_DOWN);
    server_host_find(rig.s, &rig.hosts[0])->inventory = NULL;
    rig_fini();
}

static void a_group_that_is_gone_leaves_its_vms_counted(void)
{
    REQUIRE(rig_init());
    struct store_id id;
    struct catalog_object *v = rig_object(CATALOG_SERVER_GROUP, &id, true);
    server_meta_text(v, &((struct api_server_group *)v->doc)->name, "group");
    ((struct api_server_group *)v->doc)->policy.is = API_VALUE;
    ((struct api_server_group *)v->doc)->policy.v = API_SERVER_GROUP_POLICY_ANTI_AFFINITY;
    rig_put(v);
    CHECK_EQ(rig_create("a", ",\"server_group\":\"group\""), 202);
    CHECK_EQ(rig_create("b", ",\"server_group\":\"group\""), 202);
    CHECK_EQ(rig_create("c", ",\"server_group\":\"group\""), 202);
    CHECK_EQ(rig_create("d", ",\"server_group\":\"group\""), 409);
    struct server_txn *t = server_txn_begin(rig.s, NULL);
    server_txn_remove(t, catalog_find(rig.s->catalog, CATALOG_SERVER_GROUP, &id));
    CHECK_EQ(server_txn_commit(t, NULL, NULL), 0);
    rig_pump();
    REQUIRE(rig_restart());
    rig_check();
    rig_obey();
    static const char *const names[] = {"a", "b", "c"};
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(rig_delete(names[i], true), 202);
    rig_obey();
    rig_check();
    rig_fini();
}

/* A resize claims the difference, and only that. */
static void a_resize_that_does_not_fit_is_refused(void)
{
    REQUIRE(rig_init());
    one_host();
    for (unsigned i = 0; i < 13; i++) { /* of 16 GiB */
        char name[8];
        snprintf(name, sizeof(name), "v%u", i);
        CHECK_EQ(rig_create(name, ""), 202);
    }
    rig_obey();
    CHECK_EQ(rig_act("v0", "resize", "{\"flavor\":\"flavor1\"}"), 202); /* 3 GiB more: just */
    rig_obey();
    CHECK_STR(rig_state("v0"), "running");
    CHECK_EQ(rig_act("v1", "resize", "{\"flavor\":\"flavor1\"}"), 409);
    CHECK(strstr(rig_answer.text, "placement.no_host"));
    CHECK_STR(rig_state("v1"), "running");
    rig_check();
    CHECK_EQ(rig_act("v0", "resize", "{\"flavor\":\"flavor0\"}"), 202);
    rig_obey();
    rig_check();
    CHECK_EQ(rig_act("v1", "resize?dry_run=true", "{\"flavor\":\"flavor1\"}"), 200);
    rig_check();
    rig_fini();
}

int main(void)
{
    TAP_RUN(claims_under_way_need_not_wait_for_each_other);
    TAP_RUN(those_behind_one_that_fails_run_again);
    TAP_RUN(a_host_that_is_never_at_rest_is_not_stuck);
    TAP_RUN(another_servers_claims_are_caught_up_with);
    TAP_RUN(a_full_queue_gives_everything_back);
    TAP_RUN(after_any_history_what_is_free_is_what_vms_leave);
    TAP_RUN(a_vm_with_nodes_is_counted_when_its_host_says_what_it_has);
    TAP_RUN(nodes_that_are_in_use_do_not_keep_a_host_enabled);
    TAP_RUN(a_group_that_is_gone_leaves_its_vms_counted);
    TAP_RUN(a_resize_that_does_not_fit_is_refused);
    return tap_done();
}
