/* Volumes and NICs that come to VMs that run and leave them: what is wanted of the host, what it
 * says, and who has the device meanwhile. */
#include "server_rig.h"

static char data_id[UUID_TEXT_BYTES], operation[UUID_TEXT_BYTES], port_id[UUID_TEXT_BYTES];

/* A VM that runs and has only its first disk; on its host a volume that is free: data_id. */
static void set_up(void)
{
    char target[160];
    REQUIRE(rig_init());
    CHECK_EQ(rig_create("vm", ",\"start\":false,\"volumes\":[{\"size_gib\":1}]"), 202);
    rig_obey();
    const struct catalog_object *v = rig_vm("vm")->now;
    REQUIRE(v->own->volumes.n == 2);
    snprintf(data_id, sizeof(data_id), "%s", v->own->volumes.v[1]);
    snprintf(target, sizeof(target), "/v1/vms/vm/volumes/%s", data_id);
    CHECK_EQ(rig_ask("DELETE", target, NULL), 202);
    CHECK_EQ(rig_act("vm", "start", NULL), 202);
    rig_obey();
    CHECK_STR(rig_state("vm"), "running");
}

static void tear_down(void)
{
    if (rig_vm("vm"))
        CHECK_EQ(rig_delete("vm", true), 202);
    rig_obey();
    CHECK_STR(rig_state("vm"), "gone");
    rig_check();
    rig_fini();
}

static const struct catalog_object *vm(void)
{
    return rig_vm("vm")->now;
}

static void keep_operation(void)
{
    const char *at = strstr(rig_answer.text, "\"id\":\"");
    REQUIRE(at);
    snprintf(operation, sizeof(operation), "%.36s", at + 6);
}

static int ask_attach(void)
{
    char body[128];
    snprintf(body, sizeof(body), "{\"volume\":\"%s\"}", data_id);
    return rig_ask("POST", "/v1/vms/vm/volumes", body);
}

static void attach(void)
{
    CHECK_EQ(ask_attach(), 202);
    keep_operation();
}

static int ask_detach(const char *what, const char *id)
{
    char target[160];
    snprintf(target, sizeof(target), "/v1/vms/vm/%s/%s", what, id);
    return rig_ask("DELETE", target, NULL);
}

static void detach(void)
{
    CHECK_EQ(ask_detach("volumes", data_id), 202);
    keep_operation();
}

/* Whether the operation's text has that. */
static bool operation_is(const char *text)
{
    char target[128];
    snprintf(target, sizeof(target), "/v1/operations/%s", operation);
    CHECK_EQ(rig_ask("GET", target, NULL), 200);
    if (strstr(rig_answer.text, text))
        return true;
    printf("# %s\n", rig_answer.text);
    return false;
}

static bool in_use(void)
{
    const struct catalog_slot *slot = catalog_find_id(rig.s->catalog, CATALOG_VOLUME, data_id);
    CHECK(slot);
    return slot && slot->now->own->vm.is == API_VALUE;
}

/* Whether the VM has it: in both of its lists, or in none. */
static bool has(void)
{
    const struct api_vm *doc = vm()->doc;
    uint32_t shown = doc->volumes.is == API_VALUE ? doc->volumes.n : 0;
    CHECK_EQ(vm()->own->volumes.n, shown + 1);
    return shown == 1 && !strcmp(doc->volumes.v[0].volume.v, data_id) &&
           !strcmp(vm()->own->volumes.v[1], data_id);
}

static bool wanted(const char *id)
{
    const char *ids[64];
    uint32_t n = rig_wanted_devices(vm(), ids);
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(ids[i], id))
            return true;
    return false;
}

/* The host has said that it has the first disk and, it may be, that. */
static void say(const char *more, const char *problem, const char *why)
{
    const char *ids[] = {vm()->own->volumes.v[0], more};
    rig_say_devices(vm(), LINK_VM_SEEN_STATE_RUNNING, ids, more ? 2 : 1, problem, why);
    rig_pump();
}

static bool settled(const char *state)
{
    return !strcmp(rig_state("vm"), state) && !server_vm_step(vm()) &&
           rig_status("vm")->operation.is != API_VALUE && vm()->own->resource.is != API_VALUE &&
           vm()->own->why.is != API_VALUE;
}

static void a_volume_is_attached_once_its_host_has_said_so(void)
{
    set_up();
    attach();
    CHECK(operation_is("\"running\"") && has() && in_use() && wanted(data_id));
    CHECK_STR(rig_state("vm"), "running");
    CHECK_STR(rig_status("vm")->operation.v, operation);
    rig_say(vm(), LINK_VM_SEEN_STATE_RUNNING, vm()->seq, rig_status("vm")->run_epoch.v, NULL);
    rig_pump();
    say(NULL, NULL, NULL);
    say(NULL, vm()->own->volumes.v[0], "that is another one");
    CHECK(server_vm_plugs(vm()) && operation_is("\"running\""));
    say(data_id, NULL, NULL);
    CHECK(settled("running") && operation_is("\"done\"") && has() && in_use());
    CHECK_EQ(ask_detach("volumes", vm()->own->volumes.v[0]), 409); /* the first */
    tear_down();
}

static void a_volume_is_in_use_until_its_host_has_said_that_it_is_out(void)
{
    set_up();
    attach();
    rig_obey();
    detach();
    CHECK(operation_is("\"running\"") && has() && in_use() && !wanted(data_id));
    say(data_id, NULL, NULL);
    CHECK(server_vm_plugs(vm()) && in_use());
    rig.busy_volumes = true;
    say(NULL, NULL, NULL);
    CHECK(server_vm_plugs(vm()) && in_use());
    rig.busy_volumes = false;
    rig_obey();
    CHECK(settled("running") && operation_is("\"done\"") && !has() && !in_use());
    CHECK_EQ(ask_detach("volumes", data_id), 404);
    tear_down();
}

static void one_that_cannot_come_is_taken_back_and_then_free(void)
{
    set_up();
    attach();
    say(NULL, data_id, "its file is gone");
    CHECK(server_vm_plugs(vm()) && operation_is("\"running\""));
    CHECK(in_use() && !wanted(data_id)); /* the host may be about to try it again */
    say(NULL, NULL, NULL);
    CHECK(settled("running") && !has() && !in_use());
    CHECK(operation_is("\"failed\"") && operation_is("host.failed") &&
          operation_is("its file is gone"));
    /* It came all the same, and its guest keeps it. */
    attach();
    say(NULL, data_id, "it was slow");
    say(data_id, data_id, "the guest has not let go of it");
    CHECK(settled("running") && has() && in_use() && wanted(data_id));
    CHECK(operation_is("it was slow; and it could not be taken back: the guest has not"));
    tear_down();
}

static void one_that_its_guest_keeps_stays_attached(void)
{
    set_up();
    attach();
    rig_obey();
    detach();
    say(data_id, data_id, "the guest has not let go of it");
    CHECK(settled("running") && has() && in_use() && wanted(data_id));
    CHECK(operation_is("\"failed\"") && operation_is("the guest has not let go of it"));
    detach();                                          /* and is let go when it is asked again */
    say(data_id, vm()->id_text, "its monitor is old"); /* which stands against every device */
    CHECK(settled("running") && has() && operation_is("its monitor is old"));
    detach();
    rig_obey();
    CHECK(settled("running") && !has() && !in_use());
    tear_down();
}

static void nothing_else_is_done_meanwhile_but_what_ends_the_run(void)
{
    set_up();
    attach();
    CHECK_EQ(rig_act("vm", "pause", NULL), 409);
    CHECK(strstr(rig_answer.text, "resource.busy") && strstr(rig_answer.text, operation));
    CHECK_EQ(rig_act("vm", "reboot", NULL), 409);
    CHECK_EQ(ask_attach(), 409);
    CHECK_EQ(rig_act("vm", "stop", NULL), 202);
    CHECK(operation_is("\"failed\"") && operation_is("vm_stop took its place"));
    CHECK_STR(rig_state("vm"), "stopping");
    CHECK(in_use() && !wanted(data_id)); /* until nothing runs */
    rig_obey();
    CHECK(settled("stopped") && !has() && !in_use());
    CHECK_EQ(ask_attach(), 202);
    CHECK(strstr(rig_answer.text, "\"done\"")); /* with the commit */
    CHECK_EQ(rig_act("vm", "start", NULL), 202);
    rig_obey();
    detach();
    CHECK_EQ(rig_act("vm", "stop", NULL), 202);
    rig_obey();
    CHECK(settled("stopped") && has() && in_use() && operation_is("\"failed\""));
    CHECK_EQ(rig_act("vm", "start", NULL), 202);
    rig_obey();
    detach();
    CHECK_EQ(rig_delete("vm", true), 202);
    rig_obey();
    CHECK(!in_use());
    tear_down();
}

static void where_nothing_runs_any_more_it_is_done(void)
{
    set_up();
    attach();
    rig_say(vm(), LINK_VM_SEEN_STATE_STOPPED, vm()->seq, rig_status("vm")->run_epoch.v, NULL);
    rig_pump();
    CHECK(operation_is("\"done\"") && has());
    rig_say(vm(), LINK_VM_SEEN_STATE_STOPPED, vm()->seq, rig_status("vm")->run_epoch.v, NULL);
    rig_pump();
    CHECK(settled("stopped"));
    CHECK_EQ(rig_act("vm", "start", NULL), 202);
    rig_obey();
    detach();
    rig_say(vm(), LINK_VM_SEEN_STATE_FAILED, vm()->seq, rig_status("vm")->run_epoch.v, "it broke");
    rig_pump();
    CHECK(operation_is("\"done\"") && !has() && !in_use());
    tear_down();
}

static void a_paused_vm_is_given_a_volume_and_cannot_lose_one(void)
{
    set_up();
    CHECK_EQ(rig_act("vm", "pause", NULL), 202);
    rig_obey();
    attach();
    rig_obey();
    CHECK(settled("paused") && has() && operation_is("\"done\""));
    CHECK_EQ(vm()->own->want.v, LINK_VM_WANT_POWER_PAUSED);
    CHECK_EQ(ask_detach("volumes", data_id), 409);
    CHECK(strstr(rig_answer.text, "one that is running, stopped"));
    tear_down();
}

static void a_host_that_does_not_answer_is_not_asked(void)
{
    set_up();
    attach();
    rig_obey();
    rig_host_state(0, API_HOST_STATUS_STATE_UNREACHABLE);
    rig_host_state(1, API_HOST_STATUS_STATE_UNREACHABLE);
    CHECK_EQ(ask_detach("volumes", data_id), 409);
    CHECK(strstr(rig_answer.text, "does not answer"));
    rig_host_state(0, API_HOST_STATUS_STATE_UP);
    rig_host_state(1, API_HOST_STATUS_STATE_UP);
    rig_obey();
    detach();
    rig_host_state(0, API_HOST_STATUS_STATE_FENCED);
    rig_host_state(1, API_HOST_STATUS_STATE_FENCED);
    server_vm_tick(rig.s);
    rig_pump();
    CHECK(operation_is("\"done\"") && !has() && !in_use()); /* it is off */
    rig_host_state(0, API_HOST_STATUS_STATE_UP);
    rig_host_state(1, API_HOST_STATUS_STATE_UP);
    tear_down();
}

static bool has_port(void)
{
    const struct api_vm *doc = vm()->doc;
    uint32_t shown = doc->nics.is == API_VALUE ? doc->nics.n : 0;
    CHECK_EQ(vm()->own->ports.is == API_VALUE ? vm()->own->ports.n : 0, shown);
    return shown == 1;
}

static void nics_come_and_go_as_volumes_do(void)
{
    set_up();
    CHECK_EQ(rig_ask("POST", "/v1/networks", "{\"name\":\"net\",\"kind\":\"nat\"}"), 201);
    for (unsigned fails = 0; fails < 2; fails++) {
        CHECK_EQ(rig_ask("POST", "/v1/vms/vm/nics", "{\"network\":\"net\"}"), 202);
        keep_operation();
        REQUIRE(has_port());
        snprintf(port_id, sizeof(port_id), "%s", vm()->own->ports.v[0]);
        CHECK(wanted(port_id) && operation_is("\"running\""));
        if (!fails) {
            say(NULL, port_id, "no passt");
            say(NULL, NULL, NULL);
            CHECK(settled("running") && !has_port() && operation_is("no passt"));
            CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_PORT)->n, 0);
        }
    }
    say(port_id, NULL, NULL);
    CHECK(settled("running") && has_port() && operation_is("\"done\""));
    CHECK_EQ(ask_detach("nics", port_id), 202);
    keep_operation();
    CHECK(has_port() && !wanted(port_id));
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_PORT)->n, 1);
    say(NULL, NULL, NULL);
    CHECK(settled("running") && !has_port() && operation_is("\"done\""));
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_PORT)->n, 0);
    tear_down();
}

static void a_server_that_ends_at_any_step_is_taken_up_by_the_next(void)
{
    set_up();
    for (unsigned fails = 0; fails < 2; fails++) {
        attach();
        REQUIRE(rig_restart());
        CHECK(server_vm_plugs(vm()) && has() && in_use());
        if (!fails) {
            say(NULL, data_id, "no");
            REQUIRE(rig_restart());
            CHECK(server_vm_plugs(vm()) && in_use() && !wanted(data_id));
            say(NULL, NULL, NULL);
            CHECK(!has() && !in_use() && operation_is("\"failed\""));
        }
    }
    rig_obey();
    detach();
    REQUIRE(rig_restart());
    CHECK(in_use() && !wanted(data_id));
    rig_obey();
    REQUIRE(rig_restart());
    CHECK(settled("running") && !has() && !in_use());
    tear_down();
}

/* Asked again, as a client does that is told 503. */
static void insist(int (*ask)(void))
{
    int status = 503;
    for (int i = 0; i < 10 && status == 503; i++)
        status = ask();
    CHECK_EQ(status, 202);
    for (int i = 0; i < 3; i++)
        rig_obey();
}

static int ask_for_it_back(void)
{
    return ask_detach("volumes", data_id);
}

static void a_store_that_fails_at_any_commit_is_overcome(void)
{
    set_up();
    for (unsigned n = 1; n < 8; n++) {
        store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, n, 1);
        insist(ask_attach);
        CHECK(settled("running") && has() && in_use());
        insist(ask_for_it_back);
        CHECK(settled("running") && !has() && !in_use());
        store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 0, 0);
        rig_obey();
        rig_check();
    }
    tear_down();
}

int main(void)
{
    TAP_RUN(a_volume_is_attached_once_its_host_has_said_so);
    TAP_RUN(a_volume_is_in_use_until_its_host_has_said_that_it_is_out);
    TAP_RUN(one_that_cannot_come_is_taken_back_and_then_free);
    TAP_RUN(one_that_its_guest_keeps_stays_attached);
    TAP_RUN(nothing_else_is_done_meanwhile_but_what_ends_the_run);
    TAP_RUN(where_nothing_runs_any_more_it_is_done);
    TAP_RUN(a_paused_vm_is_given_a_volume_and_cannot_lose_one);
    TAP_RUN(a_host_that_does_not_answer_is_not_asked);
    TAP_RUN(nics_come_and_go_as_volumes_do);
    TAP_RUN(a_server_that_ends_at_any_step_is_taken_up_by_the_next);
    TAP_RUN(a_store_that_fails_at_any_commit_is_overcome);
    return tap_done();
}
