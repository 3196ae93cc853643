/* Ports plugged and unplugged on a store that fails: whatever happens, no two ports have one
 * address, MAC or host port, and what is in use is exactly what ports have. */
#include "mgmt/server/server_network.h"

#include <errno.h>
#include <sched.h>

#include "mgmt/server/server_network_internal.h"
#include "mgmt/store/null/store_null.h"
#include "shown.h"
#include "tap.h"

#define FIRST "10.0.0.0"
#define N     32 /* 10.0.0.0/27 */

static uint64_t state = 1;
static struct server *s;
static struct store_id project = {{7}}, network_id;
static unsigned in_flight;
static int last_result;

static unsigned roll(unsigned below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)((state >> 33) % below);
}

static struct store *open_null(void *ctx, const struct store_config *config, struct err *err)
{
    (void)ctx;
    return store_null_create(config, err);
}

static void done(struct server_txn *t, int result)
{
    (void)t;
    in_flight--;
    last_result = result;
}

static void settle(void)
{
    while (in_flight) {
        if (!store_deliver(s->store))
            sched_yield();
    }
}

static void commit(struct server_txn *t)
{
    in_flight++;
    if (server_txn_commit(t, done, NULL))
        in_flight--;
}

static void call_init(struct server_call *c)
{
    memset(c, 0, sizeof(*c));
    c->s = s;
    c->project = project;
    api_arena_init(&c->arena, 1 << 20);
    api_problem_init(&c->refusal);
}

static struct catalog_object *object(enum catalog_kind kind, const char *name)
{
    struct store_id id = catalog_id(server_now_ms());
    struct catalog_object *v = catalog_new(kind, &id, &project);
    struct api_network *doc = v ? v->doc : NULL; /* the head is every kind's */
    if (!v || server_meta_text(v, &doc->name, name))
        abort();
    return v;
}

static void publish(struct catalog_object *v)
{
    struct server_txn *t = server_txn_begin(s, NULL);
    if (!t)
        abort();
    server_txn_put(t, NULL, v, true);
    commit(t);
    settle();
}

static struct store_id add_network(const char *name, bool shared)
{
    struct catalog_object *v = object(CATALOG_NETWORK, name);
    struct api_network *doc = v->doc;
    struct store_id id = v->id;
    api_json_fill(&api_types_network, doc, &v->arena);
    doc->shared.v = shared;
    publish(v);
    return id;
}

static void start(void)
{
    const struct server_config config = {
        .open_store = open_null,
        .id = {{1}},
        .address = "127.0.0.1",
        .password_cost = {.memory_kib = 64, .passes = 1, .lanes = 1}};
    struct err err = {0};
    char text[UUID_TEXT_BYTES];
    s = server_create(&config, &err);
    if (!s) {
        printf("# %s\n", err.msg);
        abort();
    }
    network_id = add_network("net", false);
    struct catalog_object *v = object(CATALOG_SUBNET, "sub");
    struct api_subnet *doc = v->doc;
    uuid_format(network_id.bytes, text);
    if (server_meta_text(v, &doc->network, text) || server_meta_text(v, &doc->cidr, FIRST "/27"))
        abort();
    publish(v);
}

static void end(void)
{
    settle();
    server_destroy(s);
    s = NULL;
}

static void nic_in(struct api_vm_nic *nic, char text[UUID_TEXT_BYTES])
{
    uuid_format(network_id.bytes, text);
    memset(nic, 0, sizeof(*nic));
    nic->network = (struct api_text){API_VALUE, text};
}

/* Plugs a NIC into a new VM; the commit is under way, or the code says why not. */
static int plug(const struct api_vm_nic *nic, struct store_id *port)
{
    struct server_call c;
    call_init(&c);
    struct catalog_object *vm = object(CATALOG_VM, "vm"), *v = NULL;
    struct server_txn *t = server_txn_begin(s, NULL);
    int r = server_network_plug(&c, t, vm, nic, 0, &v);
    if (!r && port)
        *port = v->id;
    if (r)
        server_txn_abandon(t);
    else
        commit(t);
    catalog_unref(vm);
    api_arena_fini(&c.arena);
    return r < 0 ? -(int)(1000 + c.refusal.code) : r;
}

static int refusal(enum api_problem_code code)
{
    return -(int)(1000 + code);
}

/* ---- what must hold ---- */

static bool has(const struct server_ipam *ipam, server_ipam_number first, unsigned n,
                const bool *expected)
{
    bool same = true;
    for (unsigned i = 0; i < n; i++)
        same &= server_ipam_has(&ipam->shown, first + i) == expected[i];
    return same;
}

static void check_all(void)
{
    static const struct store_id cloud;
    const struct catalog_list *ports = catalog_all(s->catalog, CATALOG_PORT);
    bool addresses[N] = {false}, forwards[64] = {false};
    server_ipam_number first, x;
    unsigned n_forwards = 0;
    const struct server_network_entry *e = server_network_entry(s, &network_id);
    const struct server_ipam *macs = server_network_numbers(s, SERVER_NETWORK_MAC, &cloud);
    const struct server_ipam *hosts = server_network_numbers(s, SERVER_NETWORK_FORWARD, &cloud);
    CHECK(!server_address_parse(FIRST, &first));
    for (size_t i = 0; i < ports->n; i++) {
        const struct api_port *doc = ports->slots[i]->now->doc;
        const struct api_port_status *status = doc->status.v;
        CHECK_EQ(status->addresses.n, 1);
        CHECK(!server_address_parse(status->addresses.v[0], &x));
        CHECK(!addresses[x - first]); /* nobody else has it */
        addresses[x - first] = true;
        CHECK(server_ipam_has(&macs->shown, server_address_mac_parse(status->mac.v)));
        for (uint32_t k = 0; status->forwards.is == API_VALUE && k < status->forwards.n; k++) {
            int64_t at = status->forwards.v[k].host_port.v - 20000;
            CHECK(at >= 0 && at < 64 && !forwards[at]);
            forwards[at & 63] = true;
            n_forwards++;
        }
    }
    CHECK(has(&e->addresses, first, N, addresses));
    CHECK(has(hosts, server_network_forward(false, 20000), 64, forwards));
    CHECK_EQ(server_ipam_count(&macs->shown, 0, SERVER_IPAM_MAX), ports->n); /* so none is shared */
    CHECK_EQ(server_ipam_count(&hosts->shown, 0, SERVER_IPAM_MAX), n_forwards);
    CHECK_EQ(server_ipam_count(&e->addresses.flight, 0, SERVER_IPAM_MAX), 0);
    CHECK_EQ(server_ipam_count(&macs->flight, 0, SERVER_IPAM_MAX), 0);
    CHECK_EQ(server_ipam_count(&hosts->flight, 0, SERVER_IPAM_MAX), 0);
    CHECK_EQ(e->ports, ports->n);
    CHECK_EQ(e->others, 1);
    CHECK_EQ(e->holds, 0);
    CHECK_EQ(server_quota_used(s, &project, "ports"), ports->n);
}

static void random_step(void)
{
    struct api_vm_nic nic;
    char text[UUID_TEXT_BYTES], ip[SERVER_ADDRESS_BYTES];
    struct api_port_forward forward = {.guest_port = {API_VALUE, 22}};
    const struct catalog_list *ports = catalog_all(s->catalog, CATALOG_PORT);
    if (ports->n && roll(5) < 2 + (ports->n > 20)) {
        struct server_txn *t = server_txn_begin(s, NULL);
        int r = server_network_unplug(t, ports->slots[roll((unsigned)ports->n)]);
        CHECK(r == 0 || r == SERVER_WAIT);
        if (r)
            server_txn_abandon(t);
        else
            commit(t);
        return;
    }
    nic_in(&nic, text);
    if (!roll(3)) {
        snprintf(ip, sizeof(ip), "10.0.0.%u", roll(N));
        nic.ip = (struct api_text){API_VALUE, ip};
    }
    if (roll(2)) {
        nic.forwards.is = API_VALUE;
        nic.forwards.n = 1;
        nic.forwards.v = &forward;
    }
    int r = plug(&nic, NULL);
    CHECK(!r || r == refusal(API_PROBLEM_CODE_RESOURCE_IN_USE) ||
          r == refusal(API_PROBLEM_CODE_REQUEST_INVALID));
}

static void nothing_is_lost_or_doubled_whatever_fails(void)
{
    start();
    unsigned failed = 0;
    for (unsigned round = 0; round < 3000; round++) {
        if (!roll(4))
            store_null_fail(s->store, (enum store_null_fault)roll(4), 1 + roll(8), 1 + roll(2));
        for (unsigned i = 1 + roll(6); i; i--)
            random_step();
        settle();
        failed += last_result != 0;
        store_null_fail(s->store, STORE_NULL_FAIL_OP, 0, 0);
        check_all();
    }
    CHECK(failed > 50); /* or the test has tested nothing */
    end();
}

/* What another server took is in the store only: here a lease that no port stands for. */
static void another_servers_address_is_passed_over(void)
{
    struct api_vm_nic nic;
    char text[UUID_TEXT_BYTES];
    struct store_id port;
    server_ipam_number x;
    start();
    struct catalog_object *v = object(CATALOG_PORT, "theirs");
    struct server_txn *t = server_txn_begin(s, NULL);
    CHECK(!server_address_parse("10.0.0.2", &x));
    CHECK_EQ(server_network_take(t, SERVER_NETWORK_ADDRESS, &network_id, x, v), 0);
    commit(t);
    settle();
    CHECK_EQ(last_result, 0);
    nic_in(&nic, text);
    CHECK_EQ(plug(&nic, &port), 0);
    settle();
    CHECK_EQ(last_result, -ESTALE); /* a call would run again */
    CHECK(!catalog_find(s->catalog, CATALOG_PORT, &port));
    CHECK_EQ(plug(&nic, &port), 0);
    settle();
    CHECK_EQ(last_result, 0);
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_PORT, &port);
    REQUIRE(slot);
    const struct api_port *doc = slot->now->doc;
    CHECK_STR(doc->status.v->addresses.v[0], "10.0.0.3");
    catalog_unref(v);
    end();
}

static struct store_id add_port(const char *name)
{
    struct server_call c;
    static const struct server_network_where where;
    char text[UUID_TEXT_BYTES];
    call_init(&c);
    struct catalog_object *v = object(CATALOG_PORT, name);
    struct api_port *doc = v->doc;
    struct store_id id = v->id;
    struct server_txn *t = server_txn_begin(s, NULL);
    uuid_format(network_id.bytes, text);
    CHECK(!server_meta_text(v, &doc->network, text) &&
          !api_json_fill(&api_types_port, doc, &v->arena));
    CHECK_EQ(server_network_port_make(&c, t, v, &where), 0);
    server_txn_put(t, NULL, v, true);
    commit(t);
    settle();
    api_arena_fini(&c.arena);
    return id;
}

static void a_port_that_existed_outlives_its_vm(void)
{
    start();
    struct store_id id = add_port("mine"), got;
    struct api_vm_nic nic = {.port = {API_VALUE, "mine"}};
    CHECK_EQ(plug(&nic, &got), 0);
    CHECK(!memcmp(&id, &got, sizeof(id)));
    CHECK_EQ(plug(&nic, NULL), SERVER_WAIT); /* it is being written */
    settle();
    struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_PORT, &id);
    REQUIRE(slot);
    const struct api_port *doc = slot->now->doc;
    CHECK(slot->now->own->vm.is == API_VALUE && doc->status.v->vm.is == API_VALUE);
    CHECK_EQ(plug(&nic, NULL), refusal(API_PROBLEM_CODE_RESOURCE_IN_USE));
    struct server_txn *t = server_txn_begin(s, NULL);
    CHECK_EQ(server_network_unplug(t, slot), 0);
    commit(t);
    settle();
    doc = slot->now->doc;
    CHECK(slot->now->own->vm.is == API_ABSENT && doc->status.v->vm.is == API_ABSENT);
    CHECK_STR(doc->status.v->addresses.v[0], "10.0.0.2");
    nic.mac = (struct api_text){API_VALUE, "02:00:00:00:00:01"};
    CHECK_EQ(plug(&nic, NULL), refusal(API_PROBLEM_CODE_REQUEST_INVALID));
    end();
}

/* As another server's transaction may leave it. */
static void a_port_whose_network_is_gone_is_not_plugged(void)
{
    start();
    struct store_id id = add_port("mine");
    struct api_vm_nic nic = {.port = {API_VALUE, "mine"}};
    struct server_network_wiring w;
    struct server_txn *t = server_txn_begin(s, NULL);
    server_txn_remove(t, catalog_find(s->catalog, CATALOG_NETWORK, &network_id));
    commit(t);
    settle();
    struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_PORT, &id);
    REQUIRE(slot);
    CHECK_EQ(plug(&nic, NULL), refusal(API_PROBLEM_CODE_RESOURCE_WRONG_STATE));
    CHECK_EQ(server_network_wire(s, slot->now, &w), -ENOENT);
    t = server_txn_begin(s, NULL);
    server_network_give_all(t, slot->now);
    server_txn_remove(t, slot);
    commit(t);
    settle();
    CHECK_EQ(last_result, 0);
    end();
}

static void two_nics_of_a_vm_cannot_be_one_port(void)
{
    start();
    add_port("mine");
    struct api_vm_nic nic = {.port = {API_VALUE, "mine"}};
    struct server_call c;
    struct catalog_object *vm = object(CATALOG_VM, "vm"), *v;
    call_init(&c);
    struct server_txn *t = server_txn_begin(s, NULL);
    CHECK_EQ(server_network_plug(&c, t, vm, &nic, 0, &v), 0);
    CHECK(server_network_plug(&c, t, vm, &nic, 1, &v) < 0);
    CHECK_STR(c.refusal.errors[0].pointer, "/nics/1/port");
    server_txn_abandon(t);
    catalog_unref(vm);
    api_arena_fini(&c.arena);
    end();
}

static void a_vm_that_names_no_nic_gets_the_only_network(void)
{
    struct server_call c;
    struct api_vm_nic nic = {{0}};
    char text[UUID_TEXT_BYTES];
    bool none = true;
    start();
    call_init(&c);
    uuid_format(network_id.bytes, text);
    CHECK_EQ(server_network_default_nic(&c, false, &nic, &none), 0);
    CHECK(!none && nic.network.is == API_VALUE);
    CHECK_STR(nic.network.v, text);
    CHECK(nic.forwards.is == API_ABSENT);
    CHECK_EQ(server_network_default_nic(&c, true, &nic, &none), 0);
    REQUIRE(nic.forwards.is == API_VALUE && nic.forwards.n == 1);
    CHECK_EQ(nic.forwards.v[0].guest_port.v, 22);
    CHECK_EQ(nic.forwards.v[0].protocol.v, API_PORT_FORWARD_PROTOCOL_TCP);
    c.project.bytes[0]++;
    memset(&nic, 0, sizeof(nic));
    CHECK_EQ(server_network_default_nic(&c, false, &nic, &none), 0);
    CHECK(none && nic.network.is == API_ABSENT);
    struct store_id shared = add_network("shared", true);
    uuid_format(shared.bytes, text);
    CHECK_EQ(server_network_default_nic(&c, false, &nic, &none), 0);
    CHECK(!none && nic.network.is == API_VALUE);
    CHECK_STR(nic.network.v, text);
    add_network("shared2", true);
    CHECK(server_network_default_nic(&c, false, &nic, &none) < 0);
    CHECK(strstr(c.refusal.errors[0].detail, "shared2"));
    api_arena_fini(&c.arena);
    end();
}

static void an_agent_is_told_what_a_port_is(void)
{
    struct server_network_wiring w;
    struct api_vm_nic nic;
    struct api_port_forward forward = {.guest_port = {API_VALUE, 22}};
    struct store_id port;
    char text[UUID_TEXT_BYTES];
    start();
    nic_in(&nic, text);
    nic.forwards.is = API_VALUE;
    nic.forwards.n = 1;
    nic.forwards.v = &forward;
    CHECK_EQ(plug(&nic, &port), 0);
    settle();
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_PORT, &port);
    REQUIRE(slot && !server_network_wire(s, slot->now, &w));
    CHECK_EQ(w.kind, API_NETWORK_KIND_NAT);
    CHECK_STR(w.driver, "user");
    CHECK_EQ(w.mtu_bytes, 1500);
    CHECK(w.enabled && !w.bridge && !w.spoofing && w.mac);
    REQUIRE(w.n_addresses == 1 && w.n_forwards == 1);
    CHECK_STR(w.addresses[0].ip, "10.0.0.2");
    CHECK_STR(w.addresses[0].gateway, "10.0.0.1");
    CHECK_EQ(w.addresses[0].prefix_bits, 27);
    CHECK(!w.addresses[0].ipv6 && w.addresses[0].dhcp);
    CHECK(w.forwards[0].host_port == 20000 && w.forwards[0].guest_port == 22 && !w.forwards[0].udp);
    end();
}

/* Publishes a VM's next state. */
static void set_state(struct catalog_object *vm, enum api_vm_state vm_state, const char *host)
{
    struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_VM, &vm->id);
    struct catalog_object *v = slot ? catalog_copy(slot->now) : catalog_ref(vm);
    struct api_vm *doc = v->doc;
    struct server_txn *t = server_txn_begin(s, NULL);
    if (doc->status.is != API_VALUE)
        doc->status.v = api_json_new(&api_types_vm_status, &v->arena);
    doc->status.is = API_VALUE;
    doc->status.v->state.is = API_VALUE;
    doc->status.v->state.v = vm_state;
    CHECK(!server_meta_text(v, &doc->status.v->host, host));
    server_txn_put(t, slot, v, false);
    commit(t);
    settle();
}

static void a_port_shows_whether_its_vm_runs(void)
{
    static const char host[] = "01234567-0000-7000-8000-000000000000";
    struct server_call c;
    struct api_vm_nic nic;
    char text[UUID_TEXT_BYTES];
    start();
    call_init(&c);
    nic_in(&nic, text);
    struct catalog_object *vm = object(CATALOG_VM, "vm"), *v;
    struct server_txn *t = server_txn_begin(s, NULL);
    CHECK_EQ(server_network_plug(&c, t, vm, &nic, 0, &v), 0);
    struct store_id id = v->id;
    commit(t);
    settle();
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_PORT, &id);
    REQUIRE(slot);
    set_state(vm, API_VM_STATE_BUILDING, host);
    const struct api_port *doc = slot->now->doc;
    CHECK_EQ(doc->status.v->state.v, API_PORT_STATUS_STATE_DOWN);
    set_state(vm, API_VM_STATE_RUNNING, host);
    doc = slot->now->doc;
    CHECK_EQ(doc->status.v->state.v, API_PORT_STATUS_STATE_ACTIVE);
    CHECK_STR(doc->status.v->host.v, host);
    CHECK(shows(slot->now, "active"));
    set_state(vm, API_VM_STATE_STOPPED, host);
    doc = slot->now->doc;
    CHECK_EQ(doc->status.v->state.v, API_PORT_STATUS_STATE_DOWN);
    catalog_unref(vm);
    api_arena_fini(&c.arena);
    end();
}

int main(void)
{
    TAP_RUN(nothing_is_lost_or_doubled_whatever_fails);
    TAP_RUN(another_servers_address_is_passed_over);
    TAP_RUN(a_port_that_existed_outlives_its_vm);
    TAP_RUN(a_port_whose_network_is_gone_is_not_plugged);
    TAP_RUN(two_nics_of_a_vm_cannot_be_one_port);
    TAP_RUN(a_vm_that_names_no_nic_gets_the_only_network);
    TAP_RUN(an_agent_is_told_what_a_port_is);
    TAP_RUN(a_port_shows_whether_its_vm_runs);
    return tap_done();
}
