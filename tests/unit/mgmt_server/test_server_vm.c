/* VMs, from state to state: every action from every state, reports as they come, a store that
 * fails, a server that ends in between. */
#include "mgmt/server/server_vm.h"

#include "server_rig.h"
#include "shown.h"

/* ---- how a VM gets into each state ---- */

struct way {
    const char *state;
    const char *made; /* the rest of the create's body */
    const char *actions[3];
    bool last_unanswered; /* the agent does not say a word after the last one */
};

static const struct way ways[] = {
    {"building", "", {NULL}, true},
    {"running", "", {NULL}, false},
    {"stopped", ",\"start\":false", {NULL}, false},
    {"starting", ",\"start\":false", {"start"}, true},
    {"stopping", "", {"stop"}, true},
    {"rebooting", "", {"reboot"}, true},
    {"pausing", "", {"pause"}, true},
    {"paused", "", {"pause"}, false},
    {"resuming", "", {"pause", "resume"}, true},
    {"resizing", "", {"resize"}, true},
    {"rebuilding", "", {"rebuild"}, true},
    {"rescuing", "", {"rescue"}, true},
    {"rescued", "", {"rescue"}, false},
    {"unrescuing", "", {"rescue", "unrescue"}, true},
    {"shelving", "", {"shelve"}, true},
    {"shelved", "", {"shelve"}, false},
    {"unshelving", "", {"shelve", "unshelve"}, true},
    {"deleted", "", {"DELETE"}, false},
    {"deleting", "", {"PURGE"}, true},
    {"undeleting", "", {"DELETE", "undelete"}, true},
    {"error", "", {"FAIL"}, false},
    {"lost", "", {"LOSE"}, false},
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static const char *body_of(const char *action)
{
    return !strcmp(action, "resize")    ? "{\"flavor\":\"flavor1\"}"
           : !strcmp(action, "rebuild") ? "{\"image\":\"image\"}"
           : !strcmp(action, "image")   ? "{\"name\":\"copy\"}"
           : !strcmp(action, "nics")    ? "{\"network\":\"none\"}"
           : !strcmp(action, "volumes") ? "{\"volume\":\"none\"}"
                                        : NULL;
}

static unsigned host_of(const char *name)
{
    struct store_id id = catalog_parent(rig_vm(name)->now);
    for (unsigned i = 0; i < RIG_HOSTS; i++)
        if (!memcmp(&rig.hosts[i], &id, sizeof(id)))
            return i;
    return 0;
}

static void do_one(const char *name, const char *action)
{
    if (!strcmp(action, "DELETE") || !strcmp(action, "PURGE")) {
        CHECK_EQ(rig_delete(name, action[0] == 'P'), 202);
    } else if (!strcmp(action, "FAIL")) {
        const struct catalog_object *v = rig_vm(name)->now;
        rig_say(v, LINK_VM_SEEN_STATE_FAILED, v->seq, rig_status(name)->run_epoch.v, "it broke");
        rig_pump();
    } else if (!strcmp(action, "LOSE")) {
        rig_host_state(host_of(name), API_HOST_STATUS_STATE_UNREACHABLE);
        server_vm_tick(rig.s);
        rig_pump();
    } else {
        CHECK_EQ(rig_act(name, action, body_of(action)), 202);
    }
}

static void reach(const char *name, const struct way *way)
{
    CHECK_EQ(rig_create(name, way->made), 202);
    for (unsigned i = 0; i < 3 && way->actions[i]; i++) {
        rig_obey();
        do_one(name, way->actions[i]);
    }
    if (!way->last_unanswered)
        rig_obey();
    CHECK_STR(rig_state(name), way->state);
}

/* Back to nothing, whatever it is in. */
static void end(const char *name)
{
    for (unsigned i = 0; i < RIG_HOSTS; i++)
        rig_host_state(i, API_HOST_STATUS_STATE_UP);
    rig_obey();
    if (rig_vm(name))
        CHECK_EQ(rig_delete(name, true), 202);
    rig_obey();
    CHECK_STR(rig_state(name), "gone");
    const struct catalog_list *volumes = catalog_all(rig.s->catalog, CATALOG_VOLUME);
    CHECK_EQ(volumes->n, 0);
    rig_check();
}

/* ---- actions ---- */

static const struct {
    const char *name;
    enum api_op op;
} actions[] = {
    {"start", API_OP_VM_START},       {"stop", API_OP_VM_STOP},
    {"reboot", API_OP_VM_REBOOT},     {"pause", API_OP_VM_PAUSE},
    {"resume", API_OP_VM_RESUME},     {"resize", API_OP_VM_RESIZE},
    {"rebuild", API_OP_VM_REBUILD},   {"rescue", API_OP_VM_RESCUE},
    {"unrescue", API_OP_VM_UNRESCUE}, {"shelve", API_OP_VM_SHELVE},
    {"unshelve", API_OP_VM_UNSHELVE}, {"undelete", API_OP_VM_UNDELETE},
    {"migrate", API_OP_VM_MIGRATE},
};
#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

static void take_up(const struct way *way, unsigned a)
{
    const struct api_route *route = &api_route_table[actions[a].op];
    int status;
    reach("vm", way);
    bool may = api_route_in_state(route, rig_status("vm")->state.v);
    bool runs = !strcmp(way->state, "running");
    status = rig_act("vm", actions[a].name, body_of(actions[a].name));
    int wanted = !may ? 409 : actions[a].op == API_OP_VM_MIGRATE ? 501 : 202;
    if (status != wanted)
        printf("# %s from %s: %s\n", actions[a].name, way->state, rig_answer.text);
    CHECK_EQ(status, wanted);
    if (status == 202) {
        CHECK_STR(rig_state("vm"), api_types_vm_state.names[route->via_state]);
        rig_obey();
        enum api_vm_state to = route->to_state >= 0 ? (enum api_vm_state)route->to_state
                               : runs               ? API_VM_STATE_RUNNING
                                                    : API_VM_STATE_STOPPED;
        CHECK_STR(rig_state("vm"), api_types_vm_state.names[to]);
        CHECK(rig_status("vm")->operation.is != API_VALUE);
        rig_check();
    }
    end("vm");
}

static void every_action_from_every_state(void)
{
    REQUIRE(rig_init());
    for (unsigned w = 0; w < N_WAYS; w++)
        for (unsigned a = 0; a < N_ACTIONS; a++)
            take_up(&ways[w], a);
    rig_fini();
}

/* An operator gets out of every state: by a stop or a delete if the host answers or not, and where
 * neither is offered (it is being deleted), by the host's answer or its fencing. */
static void get_out(const struct way *way, bool fenced)
{
    reach("vm", way);
    unsigned host = rig_status("vm")->host.is == API_VALUE ? host_of("vm") : 0;
    if (fenced) {
        rig_host_state(host, API_HOST_STATUS_STATE_FENCED);
        server_vm_tick(rig.s);
        rig_pump();
    }
    bool may = rig_vm("vm") &&
               api_route_in_state(&api_route_table[API_OP_VM_DELETE], rig_status("vm")->state.v);
    if (rig_vm("vm") && strcmp(rig_state("vm"), "deleting") != 0)
        CHECK(may);
    if (may)
        CHECK_EQ(rig_delete("vm", true), 202);
    rig_obey();
    if (!strcmp(way->state, "lost") && !fenced) { /* nobody knows what its host still runs */
        CHECK_STR(rig_state("vm"), "deleting");
        rig_host_state(host, API_HOST_STATUS_STATE_FENCED);
        rig_obey();
    }
    CHECK_STR(rig_state("vm"), "gone");
    end("vm");
}

static void no_state_is_a_trap(void)
{
    REQUIRE(rig_init());
    bool known[API_VM_STATE_N] = {false};
    for (unsigned w = 0; w < N_WAYS; w++) {
        get_out(&ways[w], false);
        get_out(&ways[w], true);
        for (unsigned i = 0; i < API_VM_STATE_N; i++)
            known[i] |= !strcmp(api_types_vm_state.names[i], ways[w].state);
    }
    /* Those that nothing leads to. */
    known[API_VM_STATE_MIGRATING] = known[API_VM_STATE_IMAGING] = true;
    for (unsigned i = 0; i < API_VM_STATE_N; i++)
        CHECK(known[i]);
    rig_fini();
}

/* What is on its way when a host is fenced comes to an end, and so does its operation. */
static void fencing_ends_what_is_under_way(void)
{
    REQUIRE(rig_init());
    for (unsigned w = 0; w < N_WAYS; w++) {
        reach("vm", &ways[w]);
        rig_host_state(host_of("vm"), API_HOST_STATUS_STATE_FENCED);
        rig_obey();
        if (rig_vm("vm")) {
            CHECK(!server_vm_step(rig_vm("vm")->now));
            CHECK(rig_status("vm")->operation.is != API_VALUE);
        }
        const struct catalog_list *all = catalog_all(rig.s->catalog, CATALOG_OPERATION);
        for (size_t i = 0; i < all->n; i++)
            CHECK(((const struct api_operation *)all->slots[i]->now->doc)->state.v >=
                  API_OPERATION_STATE_DONE);
        end("vm");
    }
    rig_fini();
}

/* ---- reports ---- */

static void reports_that_are_late_or_repeated_change_nothing(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[1]);
    uint64_t old = rig_vm("vm")->now->seq;
    CHECK_EQ(rig_act("vm", "stop", NULL), 202);
    const struct catalog_object *v = rig_vm("vm")->now;
    int64_t epoch = rig_status("vm")->run_epoch.v;
    rig_say(v, LINK_VM_SEEN_STATE_STOPPED, old, epoch, NULL); /* from before the want */
    rig_pump();
    CHECK_STR(rig_state("vm"), "stopping");
    rig_say(v, LINK_VM_SEEN_STATE_RUNNING, v->seq, epoch, NULL); /* not yet */
    rig_pump();
    CHECK_STR(rig_state("vm"), "stopping");
    for (int i = 0; i < 3; i++)
        rig_say(v, LINK_VM_SEEN_STATE_STOPPED, v->seq, epoch, NULL);
    rig_pump();
    CHECK_STR(rig_state("vm"), "stopped");
    CHECK_EQ(rig_act("vm", "start", NULL), 202);
    v = rig_vm("vm")->now;
    rig_say(v, LINK_VM_SEEN_STATE_RUNNING, v->seq, epoch, NULL); /* the run before */
    rig_pump();
    CHECK_STR(rig_state("vm"), "starting");
    rig_say(v, LINK_VM_SEEN_STATE_RUNNING, v->seq, epoch + 1, NULL);
    rig_pump();
    CHECK_STR(rig_state("vm"), "running");
    end("vm");
    rig_fini();
}

static void another_hosts_reports_are_left(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[4]);
    const struct catalog_object *v = rig_vm("vm")->now;
    unsigned other = (host_of("vm") + 1) % RIG_HOSTS;
    const struct link_vm_seen seen = {.id = {API_VALUE, v->id_text},
                                      .generation = {API_VALUE, (int64_t)v->seq},
                                      .epoch = {API_VALUE, rig_status("vm")->run_epoch.v},
                                      .state = {API_VALUE, LINK_VM_SEEN_STATE_STOPPED}};
    server_vm_seen(rig.s, &rig.hosts[other], &seen);
    rig_pump();
    CHECK_STR(rig_state("vm"), "stopping");
    end("vm");
    rig_fini();
}

/* What a guest or a monitor does by itself. */
static void a_running_vm_drifts(void)
{
    REQUIRE(rig_init());
    static const struct {
        enum link_vm_seen_state seen;
        const char *state;
    } cases[] = {
        {LINK_VM_SEEN_STATE_STOPPED, "stopped"},  {LINK_VM_SEEN_STATE_FAILED, "error"},
        {LINK_VM_SEEN_STATE_PAUSED, "paused"},    {LINK_VM_SEEN_STATE_ABSENT, "running"},
        {LINK_VM_SEEN_STATE_STARTING, "running"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reach("vm", &ways[1]);
        const struct catalog_object *v = rig_vm("vm")->now;
        rig_say(v, cases[i].seen, v->seq, rig_status("vm")->run_epoch.v, "a reason");
        rig_pump();
        CHECK_STR(rig_state("vm"), cases[i].state);
        if (strcmp(cases[i].state, "running") != 0)
            CHECK_STR(rig_status("vm")->reason.v, "a reason");
        end("vm");
    }
    rig_fini();
}

static void a_lost_vm_comes_back_as_what_it_was(void)
{
    REQUIRE(rig_init());
    static const char *const states[] = {"running", "paused", "rescued"};
    for (unsigned w = 0; w < N_WAYS; w++)
        for (unsigned i = 0; i < 3; i++) {
            if (strcmp(ways[w].state, states[i]) != 0)
                continue;
            reach("vm", &ways[w]);
            do_one("vm", "LOSE");
            CHECK_STR(rig_state("vm"), "lost");
            CHECK_EQ(rig_act("vm", "stop", NULL), 409);
            rig_host_state(host_of("vm"), API_HOST_STATUS_STATE_UP);
            rig_obey();
            CHECK_STR(rig_state("vm"), states[i]);
            end("vm");
        }
    rig_fini();
}

/* Its host has booted: it is started again, if that is wanted, and once. */
static void a_vm_starts_again_after_its_hosts_reboot(void)
{
    REQUIRE(rig_init());
    for (int autostart = 0; autostart < 2; autostart++) {
        struct store_id first = {{1}}, second = {{2}};
        for (unsigned i = 0; i < RIG_HOSTS; i++)
            server_host_find(rig.s, &rig.hosts[i])->boot = first;
        CHECK_EQ(rig_create("vm", autostart ? "" : ",\"autostart\":false"), 202);
        rig_obey();
        int64_t epoch = rig_status("vm")->run_epoch.v;
        for (unsigned i = 0; i < RIG_HOSTS; i++)
            server_host_find(rig.s, &rig.hosts[i])->boot = second;
        const struct catalog_object *v = rig_vm("vm")->now;
        rig_say(v, LINK_VM_SEEN_STATE_STOPPED, v->seq, epoch, NULL);
        rig_pump();
        CHECK_STR(rig_state("vm"), autostart ? "starting" : "stopped");
        rig_obey();
        CHECK_STR(rig_state("vm"), autostart ? "running" : "stopped");
        v = rig_vm("vm")->now;
        rig_say(v, LINK_VM_SEEN_STATE_STOPPED, v->seq, rig_status("vm")->run_epoch.v, NULL);
        rig_pump();
        CHECK_STR(rig_state("vm"), "stopped");
        end("vm");
    }
    rig_fini();
}

static void what_the_guest_reports_is_shown(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[1]);
    const struct catalog_object *v = rig_vm("vm")->now;
    struct link_address address = {.ip = {API_VALUE, "192.0.2.7"},
                                   .mac = {API_VALUE, "02:00:00:00:00:01"}};
    struct link_vm_seen seen = {.id = {API_VALUE, v->id_text},
                                .generation = {API_VALUE, (int64_t)v->seq},
                                .epoch = {API_VALUE, rig_status("vm")->run_epoch.v},
                                .state = {API_VALUE, LINK_VM_SEEN_STATE_RUNNING},
                                .addresses = {API_VALUE, 1, &address}};
    struct store_id host = catalog_parent(v);
    char id[UUID_TEXT_BYTES];
    memcpy(id, v->id_text, sizeof(id));
    seen.id.v = id; /* the version is another soon */
    unsigned long submitted = rig.submitted;
    server_vm_seen(rig.s, &host, &seen);
    rig_pump();
    const struct api_vm_status *status = rig_status("vm");
    REQUIRE(status->addresses.is == API_VALUE && status->addresses.n == 1);
    CHECK_STR(status->addresses.v[0].ip.v, "192.0.2.7");
    CHECK_STR(status->addresses.v[0].mac.v, "02:00:00:00:00:01");
    CHECK_EQ(status->addresses.v[0].source.v, API_VM_ADDRESS_SOURCE_GUEST);
    CHECK(status->addresses.v[0].seen.is == API_VALUE && status->addresses.v[0].seen.v);
    CHECK_EQ(rig.submitted, submitted);
    const struct catalog_object *shown = rig_vm("vm")->now;
    server_vm_seen(rig.s, &host, &seen); /* no news */
    CHECK(rig_vm("vm")->now == shown);
    address.ip.v = "192.0.2.8";
    server_vm_seen(rig.s, &host, &seen);
    CHECK_STR(rig_status("vm")->addresses.v[0].ip.v, "192.0.2.8");
    seen.addresses.is = API_ABSENT;
    seen.addresses.n = 0;
    server_vm_seen(rig.s, &host, &seen);
    CHECK_EQ(rig_status("vm")->addresses.is, API_ABSENT);
    CHECK_EQ(rig.submitted, submitted); /* nothing was written for any of it */
    end("vm");
    rig_fini();
}

/* A VM of which its host says that its guest has 192.0.2.7, in its present run or another one. */
static void say_address(const char *name, enum link_vm_seen_state state, int64_t later_epoch)
{
    const struct catalog_object *v = rig_vm(name)->now;
    char id[UUID_TEXT_BYTES];
    struct link_address address = {.ip = {API_VALUE, "192.0.2.7"}};
    memcpy(id, v->id_text, sizeof(id));
    struct link_vm_seen seen = {.id = {API_VALUE, id},
                                .generation = {API_VALUE, (int64_t)v->seq},
                                .epoch = {API_VALUE, rig_status(name)->run_epoch.v + later_epoch},
                                .state = {API_VALUE, state},
                                .addresses = {API_VALUE, 1, &address}};
    struct store_id host = catalog_parent(v);
    server_vm_seen(rig.s, &host, &seen);
    rig_pump();
}

static bool shows_address(const char *name)
{
    return shows(rig_vm(name)->now, "192.0.2.7");
}

/* What is written for another reason has them, and what is loaded has not. */
static void a_guests_addresses_outlive_writes_and_not_the_server(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[1]);
    say_address("vm", LINK_VM_SEEN_STATE_RUNNING, 0);
    CHECK(shows_address("vm"));
    CHECK_EQ(rig_act("vm", "pause", NULL), 202);
    CHECK(shows_address("vm"));
    rig_pump();
    CHECK(shows_address("vm"));
    say_address("vm", LINK_VM_SEEN_STATE_PAUSED, 0);
    CHECK_STR(rig_state("vm"), "paused");
    CHECK(shows_address("vm"));
    REQUIRE(rig_restart());
    CHECK(!shows_address("vm"));
    say_address("vm", LINK_VM_SEEN_STATE_PAUSED, 0);
    CHECK(shows_address("vm"));
    end("vm");
    rig_fini();
}

static void only_what_runs_now_and_is_heard_of_has_them(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[1]);
    say_address("vm", LINK_VM_SEEN_STATE_RUNNING, 1); /* of another run */
    CHECK(!shows_address("vm"));
    say_address("vm", LINK_VM_SEEN_STATE_STARTING, 0);
    CHECK(!shows_address("vm"));
    say_address("vm", LINK_VM_SEEN_STATE_RUNNING, 0);
    CHECK(shows_address("vm"));
    struct server_host *host = server_host_find(rig.s, &rig.hosts[host_of("vm")]);
    host->lease_ended = true; /* it has gone to another server, say */
    server_vm_host_changed(rig.s, &host->id);
    server_vm_tick(rig.s);
    CHECK(!shows_address("vm"));
    host->lease_ended = false;
    say_address("vm", LINK_VM_SEEN_STATE_RUNNING, 0);
    CHECK(shows_address("vm"));
    CHECK_EQ(rig_act("vm", "stop", NULL), 202);
    rig_obey();
    CHECK_STR(rig_state("vm"), "stopped");
    CHECK(!shows_address("vm"));
    end("vm");
    rig_fini();
}

/* ---- a store that fails, a server that ends ---- */

/* A life with all kinds of steps; `between` is called after each action, before the agent does it.
 */
static const char *const life[] = {
    "stop",   "start",    "pause",  "resume",   "reboot", "resize",   "rebuild",
    "rescue", "unrescue", "shelve", "unshelve", "DELETE", "undelete",
};
#define N_LIFE (sizeof(life) / sizeof(life[0]))

/* Asked again and again, as a client does that is told 503. */
static void insist(const char *name, const char *action)
{
    for (int i = 0; i < 10; i++) {
        int status = !action                     ? rig_create(name, "")
                     : !strcmp(action, "DELETE") ? rig_delete(name, false)
                     : !strcmp(action, "PURGE")  ? rig_delete(name, true)
                                                 : rig_act(name, action, body_of(action));
        if (status != 503) {
            CHECK_EQ(status, 202);
            return;
        }
    }
    CHECK(!"the store answers in the end");
}

static unsigned live_with_fault(enum store_null_fault fault, unsigned n, unsigned times)
{
    unsigned long before = rig.submitted;
    store_null_fail(rig.store, fault, n, times);
    insist("vm", NULL);
    rig_obey();
    for (unsigned i = 0; i < N_LIFE; i++) {
        insist("vm", life[i]);
        rig_obey();
        rig_obey(); /* after a failure nothing changes in a round */
        rig_obey();
    }
    CHECK_STR(rig_state("vm"), "stopped");
    insist("vm", "PURGE");
    rig_obey();
    rig_obey();
    store_null_fail(rig.store, fault, 0, 0);
    rig_obey();
    CHECK_STR(rig_state("vm"), "gone");
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VOLUME)->n, 0);
    rig_check();
    return (unsigned)(rig.submitted - before);
}

static void a_store_that_fails_at_any_commit_is_overcome(void)
{
    REQUIRE(rig_init());
    unsigned commits = live_with_fault(STORE_NULL_FAIL_COMMIT, 0, 0);
    CHECK(commits > 30);
    for (unsigned n = 1; n <= commits; n++) {
        live_with_fault(STORE_NULL_FAIL_COMMIT, n, 1);
        live_with_fault(STORE_NULL_FAIL_COMMIT, n, 2);
    }
    rig_fini();
}

static void a_store_that_is_gone_is_not_asked_in_a_loop(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[4]);
    store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 1, 1000000);
    unsigned long before = rig.submitted;
    const struct catalog_object *v = rig_vm("vm")->now;
    for (int i = 0; i < 5; i++)
        rig_say(v, LINK_VM_SEEN_STATE_STOPPED, v->seq, rig_status("vm")->run_epoch.v, NULL);
    rig_pump();
    CHECK_EQ(rig.submitted - before, 1);
    server_vm_tick(rig.s);
    rig_pump();
    CHECK_EQ(rig.submitted - before, 2);
    store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 0, 0);
    server_vm_tick(rig.s);
    rig_pump();
    CHECK_STR(rig_state("vm"), "stopped");
    end("vm");
    rig_fini();
}

static void a_server_that_ends_at_any_step_is_taken_up_by_the_next(void)
{
    REQUIRE(rig_init());
    insist("vm", NULL);
    REQUIRE(rig_restart());
    CHECK_STR(rig_state("vm"), "building");
    rig_check();
    rig_obey();
    CHECK_STR(rig_state("vm"), "running");
    for (unsigned i = 0; i < N_LIFE; i++) {
        insist("vm", life[i]);
        /* One step, a restart, one step. */
        for (int step = 0; step < 6; step++) {
            char state[32];
            snprintf(state, sizeof(state), "%s", rig_state("vm"));
            REQUIRE(rig_restart());
            CHECK_STR(rig_state("vm"), state);
            rig_check();
            rig_obey_one(rig_vm("vm")->now);
            rig_pump();
        }
        CHECK(!server_vm_step(rig_vm("vm")->now));
    }
    CHECK_STR(rig_state("vm"), "stopped");
    insist("vm", "PURGE");
    REQUIRE(rig_restart());
    rig_obey();
    CHECK_STR(rig_state("vm"), "gone");
    rig_check();
    rig_fini();
}

static void a_volume_that_is_busy_is_waited_for(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[1]);
    rig.busy_volumes = true;
    CHECK_EQ(rig_delete("vm", true), 202);
    rig_obey();
    CHECK_STR(rig_state("vm"), "deleting");
    rig.busy_volumes = false;
    rig_obey();
    CHECK_STR(rig_state("vm"), "gone");
    rig_check();
    rig_fini();
}

static void a_deleted_vm_goes_when_its_window_is_over(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[17]);
    struct catalog_object *v = catalog_copy(rig_vm("vm")->now);
    server_meta_text(v, &((struct api_vm *)v->doc)->status.v->purge_at, "2001-01-01T00:00:00.000Z");
    rig_put(v);
    rig_obey();
    CHECK_STR(rig_state("vm"), "gone");
    rig_check();
    rig_fini();
}

/* It has no place, so it must not be stopped: to be shelved again would give its quota back twice.
 */
static void a_shelved_vm_is_had_back_shelved(void)
{
    REQUIRE(rig_init());
    reach("vm", &ways[15]);
    do_one("vm", "DELETE");
    rig_obey();
    CHECK_STR(rig_state("vm"), "deleted");
    do_one("vm", "undelete");
    rig_obey();
    CHECK_STR(rig_state("vm"), "shelved");
    rig_check();
    do_one("vm", "unshelve");
    rig_obey();
    CHECK_STR(rig_state("vm"), "running");
    end("vm");
    rig_fini();
}

/* ---- refusals and batches ---- */

static void protection_and_quota_are_kept(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_create("vm", ",\"delete_protection\":true"), 202);
    rig_obey();
    CHECK_EQ(rig_delete("vm", true), 409);
    CHECK(strstr(rig_answer.text, "resource.protected"));
    CHECK_EQ(rig_ask("PATCH", "/v1/vms/vm", "{\"delete_protection\":false}"), 200);
    end("vm");
    CHECK_EQ(rig_create("vm", ",\"zone\":\"nowhere\""), 422);
    CHECK_EQ(rig_ask("POST", "/v1/vms", "{\"name\":\"x\",\"flavor\":\"flavor0\"}"), 422);
    rig_check();
    rig_fini();
}

static void a_batch_is_made_whole_or_not_at_all(void)
{
    REQUIRE(rig_init());
    char *body = malloc(32768);
    size_t n = (size_t)snprintf(body, 32768, "{\"vms\":[");
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(body + n, 32768 - n,
                              "%s{\"name\":\"b%d\",\"flavor\":\"flavor%d\",\"image\":\"image\"}",
                              i ? "," : "", i, i < 50);
    snprintf(body + n, 32768 - n, "]}");
    CHECK_EQ(rig_ask("POST", "/v1/vm-batches", body), 409); /* 3 hosts hold 48 GiB */
    CHECK(strstr(rig_answer.text, "placement.no_host"));
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VM)->n, 0);
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VOLUME)->n, 0);
    rig_check();
    snprintf(body + n, 32768 - n, "],\"mode\":\"best_effort\"}");
    CHECK_EQ(rig_ask("POST", "/v1/vm-batches", body), 202);
    size_t made = catalog_all(rig.s->catalog, CATALOG_VM)->n;
    CHECK(made >= 12 && made < 100);
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VOLUME)->n, made);
    rig_check();
    rig_obey();
    rig_check();
    free(body);
    rig_fini();
}

static void names_of_a_batch_are_taken_once(void)
{
    REQUIRE(rig_init());
    static const char all[] =
        "{\"vms\":[{\"name\":\"a\",\"flavor\":\"flavor0\",\"image\":\"image\"},"
        "{\"name\":\"a\",\"flavor\":\"flavor0\",\"image\":\"image\"}]%s}";
    char body[512];
    snprintf(body, sizeof(body), all, "");
    CHECK_EQ(rig_ask("POST", "/v1/vm-batches", body), 409);
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VM)->n, 0);
    snprintf(body, sizeof(body), all, ",\"mode\":\"best_effort\"");
    CHECK_EQ(rig_ask("POST", "/v1/vm-batches", body), 202);
    CHECK(strstr(rig_answer.text, "resource.name_taken"));
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VM)->n, 1);
    rig_check();
    rig_fini();
}

static void volumes_are_plugged_into_stopped_vms(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_create("other", ",\"start\":false,\"volumes\":[{\"size_gib\":1}]"), 202);
    rig_obey();
    const struct catalog_object *v = rig_vm("other")->now;
    REQUIRE(v->own->volumes.n == 2);
    char target[160], body[128], id[UUID_TEXT_BYTES];
    snprintf(id, sizeof(id), "%s", v->own->volumes.v[1]);
    snprintf(target, sizeof(target), "/v1/vms/other/volumes/%s", id);
    CHECK_EQ(rig_ask("DELETE", target, NULL), 202);
    CHECK(strstr(rig_answer.text, "\"done\""));
    CHECK_EQ(rig_vm("other")->now->own->volumes.n, 1);
    CHECK_EQ(rig_ask("DELETE", target, NULL), 404);
    snprintf(body, sizeof(body), "{\"volume\":\"%s\",\"readonly\":true}", id);
    CHECK_EQ(rig_ask("POST", "/v1/vms/other/volumes", body), 202);
    CHECK_EQ(rig_vm("other")->now->own->volumes.n, 2);
    snprintf(target, sizeof(target), "/v1/vms/other/volumes/%s",
             rig_vm("other")->now->own->volumes.v[0]);
    CHECK_EQ(rig_ask("DELETE", target, NULL), 409);
    /* What was not made for it stays. */
    CHECK_EQ(rig_delete("other", true), 202);
    rig_obey();
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VOLUME)->n, 1);
    rig_check();
    rig_fini();
}

int main(void)
{
    TAP_RUN(every_action_from_every_state);
    TAP_RUN(no_state_is_a_trap);
    TAP_RUN(fencing_ends_what_is_under_way);
    TAP_RUN(reports_that_are_late_or_repeated_change_nothing);
    TAP_RUN(another_hosts_reports_are_left);
    TAP_RUN(a_running_vm_drifts);
    TAP_RUN(a_lost_vm_comes_back_as_what_it_was);
    TAP_RUN(a_vm_starts_again_after_its_hosts_reboot);
    TAP_RUN(what_the_guest_reports_is_shown);
    TAP_RUN(a_guests_addresses_outlive_writes_and_not_the_server);
    TAP_RUN(only_what_runs_now_and_is_heard_of_has_them);
    TAP_RUN(a_store_that_fails_at_any_commit_is_overcome);
    TAP_RUN(a_store_that_is_gone_is_not_asked_in_a_loop);
    TAP_RUN(a_server_that_ends_at_any_step_is_taken_up_by_the_next);
    TAP_RUN(a_volume_that_is_busy_is_waited_for);
    TAP_RUN(a_deleted_vm_goes_when_its_window_is_over);
    TAP_RUN(a_shelved_vm_is_had_back_shelved);
    TAP_RUN(protection_and_quota_are_kept);
    TAP_RUN(a_batch_is_made_whole_or_not_at_all);
    TAP_RUN(names_of_a_batch_are_taken_once);
    TAP_RUN(volumes_are_plugged_into_stopped_vms);
    return tap_done();
}
