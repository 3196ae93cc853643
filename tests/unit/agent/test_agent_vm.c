/* One VM on a host of null drivers. Its monitor is this program again: the real API over a VM that
 * is not there. What the guest is to do stands in the kernel's command line. */
#include "agent/agent_vm.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent_vm_internal.h"
#include "agent/network_null.h"
#include "agent/vm_client.h"
#include "agent/vm_process.h"
#include "agent/volume_null.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/util.h"
#include "control/control.h"
#include "control/control_null.h"
#include "tap.h"

#define LIMIT_NS (INT64_C(20) * 1000000000)

static const uint8_t ID[16] = {0xa}, DISK[16] = {0xd}, PORT[16] = {0xe};
#define NIC "0e000000-0000-0000-0000-000000000000" /* as its monitor has the port */

/* A guest whose address is another after a while ("moves"). */
struct guest {
    struct loop_timer timer;
    struct control *control;
    const char *ip;
};
static struct guest guest;

static void guest_addresses(void *vm, control_address_fn *fn, void *arg)
{
    (void)vm;
    if (guest.ip)
        fn(arg, NIC, guest.ip);
}

static void guest_moves(struct loop_timer *t)
{
    (void)t;
    guest.ip = "10.0.0.6";
    control_event(guest.control, VM_API_EVENT_ADDRESSES, NULL, NULL);
}

static int be_a_monitor(const char *path)
{
    struct vm_config c;
    struct err err = {0};
    struct control_null vm;
    struct loop *loop = loop_create(0, &err);
    alarm(120); /* nothing of a failed test stays */
    vm_config_init(&c);
    if (vm_config_from_file(&c, path, &err) || vm_config_finish(&c, &err)) {
        fprintf(stderr, "error: %s\n", err.msg);
        return 2;
    }
    if (!strcmp(c.append ? c.append : "", "refuses")) {
        fprintf(stderr, "error vmm: this host has no such thing\n");
        return 1;
    }
    control_null_init(&vm);
    vm.config = c;
    struct control_ops ops = control_null_ops;
    ops.addresses = guest_addresses;
    const struct control_config config = {.listen_fd = control_listen(c.api_socket, &err),
                                          .allowed_uid = geteuid(),
                                          .ops = &ops,
                                          .vm = &vm,
                                          .stopped = control_null_stopped};
    struct control *control = config.listen_fd < 0 ? NULL : control_create(loop, &config, &err);
    if (!control) {
        fprintf(stderr, "error: %s\n", err.msg);
        return 3;
    }
    control_null_ops.boot(&vm, &err);
    if (c.append && !strcmp(c.append, "moves")) {
        guest = (struct guest){{.expired = guest_moves}, control, "10.0.0.5"};
        loop_timer_arm(loop, &guest.timer, loop_now_ns(loop) + 300000000);
    }
    bool refuses = c.append && !strcmp(c.append, "refuses pauses");
    for (unsigned turns = 0;; turns++) {
        vm.fail_next = refuses ? EBUSY : 0;
        loop_run_once(loop, -1);
        if (refuses && turns > 200)
            return 5; /* asked again and again */
        bool off = vm.last_call && !strcmp(vm.last_call, "power-button") &&
                   !strcmp(c.append ? c.append : "", "obeys");
        if (vm.stopped || off)
            return 0;
        if (vm.last_call && !strcmp(vm.last_call, "reset"))
            return 9; /* "the guest crashed" */
    }
}

struct fixture {
    char dir[40], vmm[64], run_dir[VM_PROCESS_PATH_BYTES];
    struct agent_host host;
    struct agent_vm *vm;
    struct vm_want want;
    unsigned told;
};

static void seen(void *opaque, const struct vm_seen *s)
{
    struct fixture *f = opaque;
    CHECK(!memcmp(s->id, ID, 16));
    f->told++;
}

static void open_host(struct fixture *f)
{
    struct err err = {0};
    f->host = (struct agent_host){.loop = loop_create(0, &err),
                                  .vmm_path = f->vmm,
                                  .run_root = f->dir,
                                  .seen = seen,
                                  .opaque = f};
    f->host.workers = worker_pool_create(f->host.loop, 2, &err);
    f->host.volumes = volume_null_open(&err);
    f->host.networks = network_null_open(&err);
    f->vm = agent_vm_create(&f->host, ID, &err);
    CHECK(f->vm);
}

static void close_host(struct fixture *f)
{
    worker_pool_destroy(f->host.workers);
    agent_vm_destroy(f->vm);
    f->host.volumes->ops->close(f->host.volumes);
    f->host.networks->ops->close(f->host.networks);
    loop_destroy(f->host.loop);
}

static void set_up(struct fixture *f, const char *append)
{
    char self[4096];
    memset(f, 0, sizeof(*f));
    strcpy(f->dir, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(f->dir));
    snprintf(f->vmm, sizeof(f->vmm), "%s/vmm", f->dir);
    CHECK(realpath("/proc/self/exe", self));
    CHECK_EQ(symlink(self, f->vmm), 0);
    snprintf(f->run_dir, sizeof(f->run_dir), "%s/0a000000-0000-0000-0000-000000000000", f->dir);
    open_host(f);
    f->want = (struct vm_want){
        .generation = 1, .epoch = 1, .power = VM_POWER_RUNNING, .n_disks = 1, .n_ports = 1};
    CHECK(asprintf(&f->want.config_json, "{\"kernel\": \"/k\", \"append\": \"%s\"}", append) > 0);
    memcpy(f->want.disks[0].volume.id, DISK, 16);
    f->want.disks[0].volume.size_bytes = MIB;
    memcpy(f->want.ports[0].id, PORT, 16);
}

static void tear_down(struct fixture *f)
{
    char command[128];
    int pidfd;
    close_host(f);
    if (!vm_process_find(f->run_dir, &pidfd, NULL)) {
        vm_process_kill(pidfd, NULL);
        close(pidfd);
    }
    snprintf(command, sizeof(command), "rm -rf %s", f->dir);
    CHECK_EQ(system(command), 0);
    free(f->want.config_json);
}

static bool comes(struct fixture *f, enum vm_seen_state state)
{
    int64_t end = clock_now_ns() + LIMIT_NS;
    while (agent_vm_seen(f->vm)->state != state && clock_now_ns() < end)
        loop_run_once(f->host.loop, 20);
    if (agent_vm_seen(f->vm)->state != state)
        printf("# %s (%s), not %s\n", agent_vm_state_name(agent_vm_seen(f->vm)->state),
               agent_vm_seen(f->vm)->reason, agent_vm_state_name(state));
    return agent_vm_seen(f->vm)->state == state;
}

/* Whatever is due happens. */
static void settle(struct fixture *f)
{
    while (loop_run_once(f->host.loop, 100) > 0)
        ;
}

static void ask_for(struct fixture *f, enum vm_power power)
{
    f->want.generation++;
    f->want.power = power;
    CHECK_EQ(agent_vm_want(f->vm, &f->want), 0);
}

static bool count_volume(void *opaque, const struct volume_info *info)
{
    (void)info;
    ++*(unsigned *)opaque;
    return true;
}

static bool count_port(void *opaque, const uint8_t id[16])
{
    (void)id;
    ++*(unsigned *)opaque;
    return true;
}

/* Volumes and ports that are on the host. */
static unsigned n_resources(struct fixture *f)
{
    unsigned n = 0;
    f->host.volumes->ops->list(f->host.volumes, count_volume, &n, NULL);
    f->host.networks->ops->list(f->host.networks, count_port, &n, NULL);
    return n;
}

static bool runs(struct fixture *f)
{
    int pidfd;
    if (vm_process_find(f->run_dir, &pidfd, NULL))
        return false;
    close(pidfd);
    return true;
}

static void a_vm_is_started_paused_resumed_stopped_and_removed(void)
{
    struct fixture f;
    set_up(&f, "obeys");
    CHECK_EQ(agent_vm_seen(f.vm)->state, VM_SEEN_ABSENT);
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    CHECK_EQ(agent_vm_seen(f.vm)->generation, 1);
    CHECK_EQ(agent_vm_seen(f.vm)->epoch, 1);
    CHECK_EQ(n_resources(&f), 2);
    ask_for(&f, VM_POWER_PAUSED);
    CHECK(comes(&f, VM_SEEN_PAUSED));
    ask_for(&f, VM_POWER_RUNNING);
    CHECK(comes(&f, VM_SEEN_RUNNING));
    CHECK_EQ(agent_vm_seen(f.vm)->generation, 3);
    f.want.grace_ms = 20000;
    ask_for(&f, VM_POWER_STOPPED);
    CHECK(comes(&f, VM_SEEN_STOPPED));
    CHECK_EQ(agent_vm_seen(f.vm)->exit_status, 0);
    CHECK(!runs(&f));
    f.want.epoch = 2;
    ask_for(&f, VM_POWER_RUNNING);
    CHECK(comes(&f, VM_SEEN_RUNNING));
    CHECK_EQ(agent_vm_seen(f.vm)->epoch, 2);
    ask_for(&f, VM_POWER_ABSENT);
    CHECK(comes(&f, VM_SEEN_ABSENT));
    CHECK(!runs(&f));
    CHECK_EQ(n_resources(&f), 0);
    CHECK(access(f.run_dir, F_OK) < 0);
    tear_down(&f);
}

static bool has_address(struct fixture *f, const char *ip)
{
    const struct vm_seen *s = agent_vm_seen(f->vm);
    return s->n_addresses == 1 && !memcmp(s->addresses[0].port, PORT, 16) &&
           !strcmp(s->addresses[0].ip, ip);
}

/* An event says that they are others; nothing is asked again without one. */
static void the_guests_addresses_are_seen_and_told_when_they_change(void)
{
    struct fixture f;
    set_up(&f, "moves");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    CHECK(has_address(&f, "10.0.0.5"));
    unsigned told = f.told;
    int64_t end = clock_now_ns() + LIMIT_NS;
    while (f.told == told && clock_now_ns() < end)
        loop_run_once(f.host.loop, 20);
    CHECK_EQ(f.told, told + 1);
    CHECK(has_address(&f, "10.0.0.6"));
    agent_vm_look(f.vm);
    settle(&f);
    CHECK_EQ(f.told, told + 1); /* they are the same */
    close_host(&f);
    open_host(&f); /* an agent that begins */
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    CHECK(has_address(&f, "10.0.0.6"));
    f.want.generation++;
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    ask_for(&f, VM_POWER_STOPPED);
    CHECK(comes(&f, VM_SEEN_STOPPED));
    CHECK_EQ(agent_vm_seen(f.vm)->n_addresses, 0);
    agent_vm_look(f.vm); /* there is none to look at */
    tear_down(&f);
}

/* The monitor is just being asked: a button is pressed after that, and not refused. */
static void a_button_is_pressed_while_a_look_is_under_way(void)
{
    struct fixture f;
    set_up(&f, "");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    settle(&f);
    agent_vm_look(f.vm);
    CHECK_EQ(agent_vm_reset(f.vm, NULL), 0);
    REQUIRE(comes(&f, VM_SEEN_FAILED)); /* "the guest crashed" */
    CHECK_EQ(agent_vm_seen(f.vm)->exit_status, 9);
    f.want.epoch = 2;
    ask_for(&f, VM_POWER_RUNNING);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    settle(&f);
    agent_vm_look(f.vm);
    ask_for(&f, VM_POWER_STOPPED);
    CHECK(comes(&f, VM_SEEN_STOPPED));
    CHECK_EQ(agent_vm_seen(f.vm)->exit_status, 0); /* it was told to stop, and not killed */
    tear_down(&f);
}

static unsigned taken(struct vm_seen *s, const char *text)
{
    json_t *list = json_loads(text, JSON_DECODE_ANY, NULL);
    CHECK(list);
    agent_vm_take_addresses(s, list);
    json_decref(list);
    return s->n_addresses;
}

/* The guest may have taken its monitor over. */
static void addresses_that_are_none_are_not_told(void)
{
    static const char *const bad[] = {"7",
                                      "{}",
                                      "null",
                                      "\"" NIC "\"",
                                      "{\"nic\":\"" NIC "\"}",
                                      "{\"ip\":\"10.0.0.5\"}",
                                      "{\"nic\":0,\"ip\":\"10.0.0.5\"}",
                                      "{\"nic\":\"" NIC "\",\"ip\":5}",
                                      "{\"nic\":\"net0\",\"ip\":\"10.0.0.5\"}",
                                      "{\"nic\":\"\",\"ip\":\"10.0.0.5\"}",
                                      "{\"nic\":\"" NIC "0\",\"ip\":\"10.0.0.5\"}",
                                      "{\"nic\":\"" NIC " \",\"ip\":\"10.0.0.5\"}",
                                      "{\"nic\":\"" NIC "\",\"ip\":\"10.0.0.5/8\"}",
                                      "{\"nic\":\"" NIC "\",\"ip\":\"\"}",
                                      "{\"nic\":\"" NIC "\",\"ip\":\"fe80::1%eth0\"}",
                                      "{\"nic\":\"" NIC "\",\"ip\":\"10.0.0.5\\n\"}"};
    struct vm_seen s = {.n_addresses = 0};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        char text[256];
        snprintf(text, sizeof(text), "[%s,{\"nic\":\"" NIC "\",\"ip\":\"2001:DB8:0::5\"}]", bad[i]);
        CHECK_EQ(taken(&s, text), 1);
        CHECK(!memcmp(s.addresses[0].port, PORT, 16));
        CHECK_STR(s.addresses[0].ip, "2001:db8::5");
    }
    CHECK_EQ(taken(&s, "{}"), 1); /* an answer without a list: as it was */
    json_t *many = json_array();
    for (unsigned i = 0; i < 200; i++)
        json_array_append_new(many, json_pack("{ssss}", "nic", NIC, "ip", "10.0.0.5"));
    CHECK(agent_vm_take_addresses(&s, many));
    CHECK(!agent_vm_take_addresses(&s, many));
    CHECK_EQ(s.n_addresses, VM_SEEN_ADDRESSES_MAX);
    json_decref(many);
    CHECK_EQ(taken(&s, "[]"), 0);
}

static void what_is_wanted_twice_is_done_once(void)
{
    struct fixture f;
    set_up(&f, "");
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
        loop_run_once(f.host.loop, 0);
    }
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    unsigned told = f.told;
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    f.want.generation = 0; /* an old message */
    f.want.power = VM_POWER_ABSENT;
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    settle(&f);
    CHECK_EQ(f.told, told);
    CHECK_EQ(agent_vm_seen(f.vm)->state, VM_SEEN_RUNNING);
    tear_down(&f);
}

static void a_guest_that_does_not_listen_loses_its_power(void)
{
    struct fixture f;
    set_up(&f, "ignores");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    f.want.grace_ms = 50;
    ask_for(&f, VM_POWER_STOPPED);
    CHECK(comes(&f, VM_SEEN_STOPPED));
    CHECK(!runs(&f));
    tear_down(&f);
}

static void a_guest_that_crashed_is_not_started_again_for_the_same_epoch(void)
{
    struct fixture f;
    set_up(&f, "");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    CHECK_EQ(agent_vm_reset(f.vm, NULL), 0);
    CHECK(comes(&f, VM_SEEN_FAILED));
    CHECK_EQ(agent_vm_seen(f.vm)->exit_status, 9);
    ask_for(&f, VM_POWER_RUNNING);
    settle(&f);
    CHECK_EQ(agent_vm_seen(f.vm)->state, VM_SEEN_FAILED);
    CHECK_EQ(agent_vm_reset(f.vm, NULL), -EBUSY);
    f.want.epoch = 2;
    ask_for(&f, VM_POWER_RUNNING);
    CHECK(comes(&f, VM_SEEN_RUNNING));
    tear_down(&f);
}

static void what_cannot_be_done_says_why_and_is_tried_again_when_asked(void)
{
    struct fixture f;
    set_up(&f, "refuses");
    volume_null_fail(f.host.volumes, ENOSPC);
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    CHECK(comes(&f, VM_SEEN_FAILED));
    CHECK(strstr(agent_vm_seen(f.vm)->reason, "disk 0: the null driver"));
    CHECK_EQ(agent_vm_seen(f.vm)->epoch, 0);
    f.want.epoch = 2;
    ask_for(&f, VM_POWER_RUNNING);
    settle(&f);
    CHECK(comes(&f, VM_SEEN_FAILED)); /* the monitor refuses */
    CHECK_EQ(agent_vm_seen(f.vm)->epoch, 2);
    CHECK_EQ(agent_vm_seen(f.vm)->exit_status, 1);
    CHECK(strstr(agent_vm_seen(f.vm)->reason, "this host has no such thing"));
    network_null_fail(f.host.networks, EIO);
    ask_for(&f, VM_POWER_ABSENT);
    settle(&f);
    CHECK(comes(&f, VM_SEEN_FAILED));
    CHECK(comes(&f, VM_SEEN_ABSENT)); /* nobody has to ask again */
    CHECK_EQ(agent_vm_seen(f.vm)->generation, f.want.generation);
    CHECK_EQ(n_resources(&f), 0);
    tear_down(&f);
}

static int source_says;

static int source(void *opaque, const struct volume_spec *volume, char why[static 256])
{
    (void)opaque;
    CHECK(!memcmp(volume->id, DISK, 16));
    snprintf(why, 256, "%s", source_says < 0 ? "its image is lost" : "its image comes");
    return source_says;
}

static void a_start_waits_for_what_its_disks_are_made_from(void)
{
    struct fixture f;
    set_up(&f, "obeys");
    f.host.source = source;
    source_says = 1;
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    CHECK_EQ(agent_vm_seen(f.vm)->state, VM_SEEN_PREPARING);
    CHECK_STR(agent_vm_seen(f.vm)->reason, "its image comes");
    settle(&f);
    CHECK_EQ(n_resources(&f), 0);
    source_says = 0;
    CHECK(comes(&f, VM_SEEN_RUNNING));
    CHECK_STR(agent_vm_seen(f.vm)->reason, "");
    ask_for(&f, VM_POWER_STOPPED);
    CHECK(comes(&f, VM_SEEN_STOPPED));
    source_says = -ENOENT; /* the disk is there, but that is not this function's to know */
    f.want.epoch = 2;
    ask_for(&f, VM_POWER_RUNNING);
    CHECK(comes(&f, VM_SEEN_FAILED));
    CHECK_STR(agent_vm_seen(f.vm)->reason, "its image is lost");
    tear_down(&f);
}

static void an_agent_that_starts_again_takes_over_what_runs(void)
{
    struct fixture f;
    set_up(&f, "");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    close_host(&f);
    CHECK(runs(&f));
    open_host(&f);
    CHECK(comes(&f, VM_SEEN_RUNNING)); /* before anybody says what is wanted */
    CHECK_EQ(agent_vm_seen(f.vm)->epoch, 1);
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    settle(&f);
    CHECK_EQ(agent_vm_seen(f.vm)->state, VM_SEEN_RUNNING);
    ask_for(&f, VM_POWER_ABSENT);
    CHECK(comes(&f, VM_SEEN_ABSENT));
    CHECK(!runs(&f));
    tear_down(&f);
}

static void a_monitor_that_refuses_is_not_pestered(void)
{
    struct fixture f;
    set_up(&f, "refuses pauses");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    ask_for(&f, VM_POWER_PAUSED);
    for (unsigned i = 0; i < 5;
         i++) /* half a second, in which a loop would turn thousands of times */
        settle(&f);
    CHECK_EQ(agent_vm_seen(f.vm)->state, VM_SEEN_RUNNING);
    ask_for(&f, VM_POWER_ABSENT);
    CHECK(comes(&f, VM_SEEN_ABSENT));
    tear_down(&f);
}

static void a_monitor_that_is_killed_is_noticed(void)
{
    struct fixture f;
    int pidfd;
    set_up(&f, "");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    CHECK_EQ(vm_process_find(f.run_dir, &pidfd, NULL), 0);
    vm_process_kill(pidfd, NULL);
    close(pidfd);
    CHECK(comes(&f, VM_SEEN_FAILED));
    CHECK_EQ(agent_vm_seen(f.vm)->exit_status, 128 + SIGKILL);
    tear_down(&f);
}

static void a_monitor_that_is_killed_is_noticed_by_an_agent_that_did_not_start_it(void)
{
    struct fixture f;
    int pidfd, status;
    set_up(&f, "");
    close_host(&f);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) { /* the agent that starts it, and ends */
        alarm(60);
        open_host(&f);
        agent_vm_want(f.vm, &f.want);
        _exit(!comes(&f, VM_SEEN_RUNNING));
    }
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
    open_host(&f);
    CHECK(comes(&f, VM_SEEN_RUNNING));
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(!vm_process_find(f.run_dir, &pidfd, NULL));
    vm_process_kill(pidfd, NULL);
    close(pidfd);
    CHECK(comes(&f, VM_SEEN_FAILED));
    CHECK_STR(agent_vm_seen(f.vm)->reason, "its monitor was killed");
    tear_down(&f);
}

static void a_port_that_is_detached_is_taken_away(void)
{
    struct fixture f;
    unsigned n = 0;
    set_up(&f, "");
    REQUIRE(f.want.n_ports == 1);
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    f.want.grace_ms = 0;
    ask_for(&f, VM_POWER_STOPPED);
    CHECK(comes(&f, VM_SEEN_STOPPED));
    f.want.n_ports = 0;
    ask_for(&f, VM_POWER_STOPPED);
    CHECK(agent_vm_busy(f.vm));
    while (agent_vm_busy(f.vm))
        loop_run_once(f.host.loop, 100);
    f.host.networks->ops->list(f.host.networks, count_port, &n, NULL);
    CHECK_EQ(n, 0);
    CHECK_EQ(agent_vm_seen(f.vm)->state, VM_SEEN_STOPPED);
    CHECK_EQ(agent_vm_seen(f.vm)->generation, f.want.generation);
    tear_down(&f);
}

/* ---- the agent dies at each step ---- */

static char POINTS[32][64];
static _Atomic unsigned n_points;
static void note(void *arg, const char *name)
{
    (void)arg;
    /* A null volume is nothing that can be plugged, which is tried: test_agent_vm_plug.c. */
    if (n_points < ARRAY_LEN(POINTS) && !strstr(name, ".plug."))
        snprintf(POINTS[n_points++], sizeof(POINTS[0]), "%s", name);
}

/* As an agent would: starts or removes the VM, and dies at the point. */
static int die_at(struct fixture *f, const char *point, enum vm_power power)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        open_host(f);
        if (power == VM_POWER_ABSENT) { /* one that runs */
            agent_vm_want(f->vm, &f->want);
            comes(f, VM_SEEN_RUNNING);
            f->want.generation++;
        }
        f->want.power = power;
        fault_arm(point, 1, FAULT_KILL);
        agent_vm_want(f->vm, &f->want);
        for (;;)
            loop_run_once(f->host.loop, 100);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static void whatever_step_the_agent_dies_at_the_next_one_ends_it_and_nothing_runs_twice(void)
{
    struct fixture f;
    set_up(&f, "");
    fault_tell(note, NULL);
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    REQUIRE(comes(&f, VM_SEEN_RUNNING));
    unsigned n_start = n_points;
    ask_for(&f, VM_POWER_ABSENT);
    CHECK(comes(&f, VM_SEEN_ABSENT));
    fault_tell(NULL, NULL);
    tear_down(&f);
    CHECK(n_start >= 4 && n_points > n_start);
    for (unsigned i = 0; i < n_points && !tap_case_failures; i++) {
        set_up(&f, "");
        close_host(&f);
        CHECK_EQ(die_at(&f, POINTS[i], i < n_start ? VM_POWER_RUNNING : VM_POWER_ABSENT), SIGKILL);
        open_host(&f);
        bool ran = runs(&f);
        uint64_t epoch = agent_vm_seen(f.vm)->epoch;
        CHECK(!ran || epoch == 1);
        f.want.generation = i < n_start ? 1 : 2;
        CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
        settle(&f);
        /* It runs by this epoch, once; or its start was lost, and it takes a new one. */
        if (i < n_start && !epoch)
            CHECK(comes(&f, VM_SEEN_RUNNING));
        else if (i < n_start && ran)
            CHECK(comes(&f, VM_SEEN_RUNNING));
        else if (i < n_start)
            CHECK(agent_vm_seen(f.vm)->state == VM_SEEN_STOPPED ||
                  agent_vm_seen(f.vm)->state == VM_SEEN_RUNNING);
        ask_for(&f, VM_POWER_ABSENT);
        CHECK(comes(&f, VM_SEEN_ABSENT));
        CHECK(!runs(&f));
        CHECK_EQ(n_resources(&f), 0);
        CHECK(access(f.run_dir, F_OK) < 0);
        if (tap_case_failures)
            printf("# after a death at %s\n", POINTS[i]);
        tear_down(&f);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--config"))
        _exit(be_a_monitor(argv[2])); /* as it is: what it has not freed is no concern here */
    TAP_RUN(a_vm_is_started_paused_resumed_stopped_and_removed);
    TAP_RUN(the_guests_addresses_are_seen_and_told_when_they_change);
    TAP_RUN(a_button_is_pressed_while_a_look_is_under_way);
    TAP_RUN(addresses_that_are_none_are_not_told);
    TAP_RUN(what_is_wanted_twice_is_done_once);
    TAP_RUN(a_guest_that_does_not_listen_loses_its_power);
    TAP_RUN(a_guest_that_crashed_is_not_started_again_for_the_same_epoch);
    TAP_RUN(what_cannot_be_done_says_why_and_is_tried_again_when_asked);
    TAP_RUN(a_start_waits_for_what_its_disks_are_made_from);
    TAP_RUN(an_agent_that_starts_again_takes_over_what_runs);
    TAP_RUN(a_monitor_that_refuses_is_not_pestered);
    TAP_RUN(a_monitor_that_is_killed_is_noticed);
    TAP_RUN(a_monitor_that_is_killed_is_noticed_by_an_agent_that_did_not_start_it);
    TAP_RUN(a_port_that_is_detached_is_taken_away);
    TAP_RUN(whatever_step_the_agent_dies_at_the_next_one_ends_it_and_nothing_runs_twice);
    return tap_done();
}
