/* Hosts: leases, what is written of them and how often, what becomes of a removed one's claims, and
 * the requests that empty them. */
#include "mgmt/server/server_host.h"

#include "base/clock.h"
#include "mgmt/server/server_peer.h"
#include "server_rig.h"

static const struct api_host *host_doc(unsigned i)
{
    return catalog_find(rig.s->catalog, CATALOG_HOST, &rig.hosts[i])->now->doc;
}

static struct server_host *host_aux(unsigned i)
{
    return server_host_find(rig.s, &rig.hosts[i]);
}

static void tick(void)
{
    server_host_tick(rig.s);
    rig_pump();
    server_vm_tick(rig.s);
    rig_pump();
}

static enum sched_state sched_state(unsigned i)
{
    return sched_host(rig.s->sched, host_aux(i)->number)->state;
}

/* The lease is by the monotonic clock: nothing heard for long. */
static void a_host_whose_lease_ends_is_unreachable_and_takes_no_vms(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_create("vm", ""), 202);
    rig_obey();
    for (unsigned i = 0; i < RIG_HOSTS; i++) {
        CHECK_EQ(sched_state(i), SCHED_ENABLED);
        host_aux(i)->heard_ns -= INT64_C(60) * 1000000000;
    }
    tick();
    for (unsigned i = 0; i < RIG_HOSTS; i++) {
        CHECK_EQ(host_doc(i)->status.v->state.v, API_HOST_STATUS_STATE_UNREACHABLE);
        CHECK_EQ(sched_state(i), SCHED_DOWN);
    }
    CHECK_STR(rig_state("vm"), "lost");
    CHECK_EQ(rig_create("other", ""), 409);
    uint64_t seq = rig.s->seq;
    tick();
    CHECK_EQ(rig.s->seq, seq); /* written once */
    rig_fini();
}

/* As if the host were connected to the server of that id. */
static void connect_elsewhere(unsigned i, const struct store_id *server)
{
    char text[UUID_TEXT_BYTES];
    uuid_format(server->bytes, text);
    struct catalog_object *v =
        catalog_copy(catalog_find(rig.s->catalog, CATALOG_HOST, &rig.hosts[i])->now);
    CHECK_EQ(server_meta_text(v, &v->own->server, text), 0);
    rig_put(v);
    host_aux(i)->heard_ns -= INT64_C(60) * 1000000000;
}

/* Whoever hears a host ends its lease; the others do when they do not hear that server any more. */
static void another_servers_host_is_up_while_that_server_lives(void)
{
    REQUIRE(rig_init());
    static const struct store_id other = {{7}}, unknown = {{8}};
    const struct store_text name = store_text_of(SERVER_PEER_COUNTER);
    CHECK(!server_peer_heard(rig.s, &other, store_text_of("vms"), clock_now_ns()));
    CHECK(server_peer_heard(rig.s, &other, name, clock_now_ns()));
    connect_elsewhere(0, &other);
    connect_elsewhere(1, &unknown);
    connect_elsewhere(2, &rig.s->config.id);
    tick();
    CHECK_EQ(host_doc(0)->status.v->state.v, API_HOST_STATUS_STATE_UP);
    CHECK_EQ(host_doc(1)->status.v->state.v, API_HOST_STATUS_STATE_UNREACHABLE);
    CHECK_EQ(host_doc(2)->status.v->state.v, API_HOST_STATUS_STATE_UNREACHABLE);
    CHECK(server_peer_heard(rig.s, &other, name, clock_now_ns() - 2 * SERVER_PEER_LEASE_NS));
    tick();
    CHECK_EQ(host_doc(0)->status.v->state.v, API_HOST_STATUS_STATE_UNREACHABLE);
    rig_fini();
}

/* Those that were not heard for longest are forgotten. */
static void many_servers_come_and_go(void)
{
    REQUIRE(rig_init());
    const struct store_text name = store_text_of(SERVER_PEER_COUNTER);
    int64_t now_ns = clock_now_ns();
    char text[UUID_TEXT_BYTES];
    for (unsigned i = 1; i <= 200; i++) {
        struct store_id id = {{1, (uint8_t)i}};
        CHECK(server_peer_heard(rig.s, &id, name, now_ns + i));
        uuid_format(id.bytes, text);
        CHECK(server_peer_lives(rig.s, text, now_ns + i));
    }
    const struct store_id first = {{1, 1}};
    uuid_format(first.bytes, text);
    CHECK(!server_peer_lives(rig.s, text, now_ns));
    rig_fini();
}

static void what_could_not_be_written_is_tried_once_a_tick(void)
{
    REQUIRE(rig_init());
    for (unsigned i = 1; i < RIG_HOSTS; i++)
        rig_host_state(i, API_HOST_STATUS_STATE_FENCED);
    host_aux(0)->heard_ns -= INT64_C(60) * 1000000000;
    store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 1, 1000000);
    unsigned long before = rig.submitted;
    for (unsigned i = 1; i <= 3; i++) {
        tick();
        CHECK_EQ(rig.submitted - before, i);
    }
    store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 0, 0);
    tick();
    CHECK_EQ(host_doc(0)->status.v->state.v, API_HOST_STATUS_STATE_UNREACHABLE);
    rig_fini();
}

/* A claim on its way to a host that is removed: nobody else gets the host's number before it ends.
 */
static void a_removed_host_leaves_no_claim_behind(void)
{
    REQUIRE(rig_init());
    for (unsigned i = 1; i < RIG_HOSTS; i++)
        rig_host_state(i, API_HOST_STATUS_STATE_FENCED);
    uint32_t number = host_aux(0)->number;
    struct rig_reply reply;
    store_null_hold(rig.store, true);
    struct server_txn *t = server_txn_begin(rig.s, NULL);
    server_txn_remove(t, catalog_find(rig.s->catalog, CATALOG_HOST, &rig.hosts[0]));
    CHECK_EQ(server_txn_commit(t, NULL, NULL), 0);
    rig_send(&reply, "POST", "/v1/vms",
             "{\"name\":\"vm\",\"flavor\":\"flavor0\",\"image\":\"image\"}");
    store_null_hold(rig.store, false);
    rig_pump();
    CHECK(!host_aux(0));
    CHECK(!server_host_numbered(rig.s, number));
    const struct catalog_slot *slot = rig_vm("vm");
    if (slot) { /* the store took it: it is counted nowhere, and can be deleted */
        CHECK_EQ(rig_delete("vm", true), 202);
        rig_obey();
        CHECK_STR(rig_state("vm"), "gone");
    }
    CHECK(!sched_host(rig.s->sched, number));
    rig_add_host(0, 8, 16384);
    CHECK_EQ(rig_create("next", ""), 202);
    rig_obey();
    rig_check();
    rig_fini();
}

static int ask_host(unsigned i, const char *what, const char *body)
{
    char target[64];
    snprintf(target, sizeof(target), "/v1/hosts/host%u/%s", i, what);
    return rig_ask("POST", target, body);
}

static unsigned host_of(const char *name)
{
    struct store_id id = catalog_parent(rig_vm(name)->now);
    unsigned i = 0;
    while (i < RIG_HOSTS - 1 && memcmp(&rig.hosts[i], &id, sizeof(id)) != 0)
        i++;
    return i;
}

static const char *mode(unsigned i)
{
    return api_types_host_mode.names[host_doc(i)->mode.v];
}

/* With a server that ends after each step, and a store that fails at each commit. */
static void maintenance_comes_to_its_end(void)
{
    REQUIRE(rig_init());
    for (unsigned fail = 0; fail < 12; fail++) {
        CHECK_EQ(rig_create("vm", ""), 202);
        rig_obey();
        unsigned i = host_of("vm");
        CHECK_EQ(ask_host(i, "maintenance", NULL), 409);
        CHECK_EQ(ask_host(i, "maintenance", "{\"force\":true}"), 202);
        CHECK_STR(mode(i), "draining");
        store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, fail, 1);
        for (unsigned round = 0; round < 8; round++) {
            if (round == fail)
                REQUIRE(rig_restart());
            tick();
            rig_obey_one(rig_vm("vm")->now);
            rig_pump();
        }
        store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 0, 0);
        CHECK_STR(mode(i), "maintenance");
        CHECK_STR(rig_state("vm"), "stopped");
        CHECK_EQ(rig_act("vm", "start", NULL), 409);
        const struct catalog_list *all = catalog_all(rig.s->catalog, CATALOG_OPERATION);
        for (size_t k = 0; k < all->n; k++)
            CHECK(((const struct api_operation *)all->slots[k]->now->doc)->state.v >=
                  API_OPERATION_STATE_DONE);
        CHECK_EQ(ask_host(i, "activate", NULL), 200);
        CHECK_EQ(rig_delete("vm", true), 202);
        rig_obey();
        rig_check();
    }
    rig_fini();
}

static void a_fenced_host_is_activated_again(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(ask_host(0, "fence", "{\"confirmed\":false}"), 422);
    CHECK_EQ(ask_host(0, "fence", "{\"confirmed\":true}"), 202);
    CHECK_EQ(host_doc(0)->status.v->state.v, API_HOST_STATUS_STATE_FENCED);
    CHECK_EQ(sched_state(0), SCHED_DOWN);
    CHECK_EQ(ask_host(0, "activate", NULL), 200);
    CHECK_EQ(host_doc(0)->status.v->state.v, API_HOST_STATUS_STATE_UNREACHABLE);
    rig_fini();
}

int main(void)
{
    TAP_RUN(a_host_whose_lease_ends_is_unreachable_and_takes_no_vms);
    TAP_RUN(another_servers_host_is_up_while_that_server_lives);
    TAP_RUN(many_servers_come_and_go);
    TAP_RUN(what_could_not_be_written_is_tried_once_a_tick);
    TAP_RUN(a_removed_host_leaves_no_claim_behind);
    TAP_RUN(maintenance_comes_to_its_end);
    TAP_RUN(a_fenced_host_is_activated_again);
    return tap_done();
}
