/* Disks and ports that come to a VM that runs, and leave it: volumes of the driver of files, ports
 * of the null one, and a monitor that is this program again (fake_monitor.h). */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent_vm.h"
#include "agent/agent_vm_internal.h"
#include "agent/network_null.h"
#include "agent/volume_file.h"
#include "base/clock.h"
#include "base/fault.h"
#include "blk/image.h"
#include "fake_monitor.h"
#include "tap.h"

#define LIMIT_NS (INT64_C(20) * 1000000000)

static const uint8_t ID[16] = {0xa}, DISK[2][16] = {{0xd, 1}, {0xd, 2}},
                     PORT[2][16] = {{0xe, 1}, {0xe, 2}};

struct fixture {
    char dir[40], vmm[64], pool[64], run_dir[VM_PROCESS_PATH_BYTES];
    struct agent_host host;
    struct agent_vm *vm;
    struct vm_want want;
    unsigned told, leaving;
};

static void seen(void *opaque, const struct vm_seen *s)
{
    struct fixture *f = opaque;
    (void)s;
    f->told++;
}

static void unplugs(void *opaque, const uint8_t vm[16])
{
    struct fixture *f = opaque;
    CHECK(!memcmp(vm, ID, 16));
    f->leaving++;
}

static void open_host(struct fixture *f)
{
    struct err err = {0};
    f->host = (struct agent_host){.loop = loop_create(0, &err),
                                  .vmm_path = f->vmm,
                                  .run_root = f->dir,
                                  .unplug_ms = 1500,
                                  .seen = seen,
                                  .unplugs = unplugs,
                                  .opaque = f};
    f->host.workers = worker_pool_create(f->host.loop, 2, &err);
    f->host.volumes = volume_file_open(f->pool, &err);
    f->host.networks = network_null_open(&err);
    f->vm = agent_vm_create(&f->host, ID, &err);
    REQUIRE(f->vm && f->host.volumes);
}

static void close_host(struct fixture *f)
{
    worker_pool_destroy(f->host.workers);
    agent_vm_destroy(f->vm);
    f->host.volumes->ops->close(f->host.volumes);
    f->host.networks->ops->close(f->host.networks);
    loop_destroy(f->host.loop);
}

/* Both volumes are there; the VM shall have the first of each. */
static void set_up(struct fixture *f, const char *append)
{
    char self[4096];
    memset(f, 0, sizeof(*f));
    strcpy(f->dir, "/tmp/virga-test-XXXXXX");
    REQUIRE(mkdtemp(f->dir));
    snprintf(f->vmm, sizeof(f->vmm), "%s/vmm", f->dir);
    snprintf(f->pool, sizeof(f->pool), "%s/pool", f->dir);
    CHECK(realpath("/proc/self/exe", self));
    CHECK_EQ(symlink(self, f->vmm), 0);
    snprintf(f->run_dir, sizeof(f->run_dir), "%s/0a000000-0000-0000-0000-000000000000", f->dir);
    open_host(f);
    f->want = (struct vm_want){.generation = 1,
                               .epoch = 1,
                               .power = VM_POWER_RUNNING,
                               .tell_devices = true,
                               .n_disks = 1,
                               .n_ports = 1};
    CHECK(asprintf(&f->want.config_json, "{\"kernel\": \"/k\", \"append\": \"%s\"}", append) > 0);
    for (unsigned i = 0; i < 2; i++) {
        struct volume_spec *v = &f->want.disks[i].volume;
        struct network_port *p = &f->want.ports[i];
        memcpy(v->id, DISK[i], 16);
        v->size_bytes = MIB;
        CHECK_EQ(f->host.volumes->ops->create(f->host.volumes, v, NULL), 0);
        v->must_exist = true;
        memcpy(p->id, PORT[i], 16);
        memcpy(p->mac, (const uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(i + 1)}, 6);
    }
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

#define WAIT(condition)                                                                            \
    do {                                                                                           \
        int64_t end_ns = clock_now_ns() + LIMIT_NS;                                                \
        while (!(condition) && clock_now_ns() < end_ns)                                            \
            loop_run_once(f.host.loop, 20);                                                        \
        REQUIRE(condition);                                                                        \
    } while (0)

static void ask_for(struct fixture *f, enum vm_power power, unsigned n_disks, unsigned n_ports)
{
    f->want.generation++;
    f->want.power = power;
    f->want.n_disks = n_disks;
    f->want.n_ports = n_ports;
    CHECK_EQ(agent_vm_want(f->vm, &f->want), 0);
}

/* What its monitor says that it has. */
static bool has(struct fixture *f, unsigned n_disks, unsigned n_ports)
{
    const struct vm_seen *s = agent_vm_seen(f->vm);
    return s->devices_known && s->n_disks == n_disks && s->n_ports == n_ports;
}

static bool is(struct fixture *f, enum vm_seen_state state)
{
    return agent_vm_seen(f->vm)->state == state;
}

static bool count_port(void *opaque, const uint8_t id[16])
{
    (void)id;
    ++*(unsigned *)opaque;
    return true;
}

static unsigned n_ports(struct fixture *f)
{
    unsigned n = 0;
    f->host.networks->ops->list(f->host.networks, count_port, &n, NULL);
    return n;
}

/* Whether somebody has a volume's image open to write. */
static bool in_use(struct fixture *f, unsigned disk)
{
    struct volume_info info;
    struct image_fds image;
    struct image_options options = {.format = IMAGE_RAW};
    CHECK_EQ(f->host.volumes->ops->info(f->host.volumes, VOLUME_VOLUME, DISK[disk], &info, NULL),
             0);
    int ret = image_open(info.path, &options, &image, NULL);
    if (!ret)
        image_close(&image);
    CHECK(!ret || ret == -EBUSY);
    return ret;
}

static const char *problem(struct fixture *f, const uint8_t id[16])
{
    const struct vm_seen *s = agent_vm_seen(f->vm);
    for (unsigned i = 0; i < s->n_problems; i++)
        if (!memcmp(s->problems[i].id, id, 16))
            return s->problems[i].reason;
    return "";
}

static void a_vm_that_runs_is_given_what_it_lacks_and_loses_what_is_not_wanted(void)
{
    struct fixture f;
    set_up(&f, "obeys");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING) && has(&f, 1, 1));
    CHECK(!memcmp(agent_vm_seen(f.vm)->disks[0], DISK[0], 16));
    CHECK(!in_use(&f, 1));
    ask_for(&f, VM_POWER_RUNNING, 2, 1);
    WAIT(has(&f, 2, 1));
    CHECK(!memcmp(agent_vm_seen(f.vm)->disks[1], DISK[1], 16));
    CHECK(in_use(&f, 1)); /* the agent has closed what the monitor has now */
    ask_for(&f, VM_POWER_RUNNING, 2, 2);
    WAIT(has(&f, 2, 2));
    CHECK_EQ(n_ports(&f), 2);
    CHECK_EQ(f.leaving, 0);
    ask_for(&f, VM_POWER_RUNNING, 2, 1);
    WAIT(has(&f, 2, 1) && n_ports(&f) == 1); /* what it had on the host has gone, too */
    CHECK_EQ(f.leaving, 1);
    ask_for(&f, VM_POWER_RUNNING, 1, 1);
    WAIT(has(&f, 1, 1));
    CHECK(!memcmp(agent_vm_seen(f.vm)->disks[0], DISK[0], 16));
    CHECK_EQ(agent_vm_seen(f.vm)->n_problems, 0);
    CHECK_EQ(agent_vm_seen(f.vm)->generation, f.want.generation);
    CHECK(is(&f, VM_SEEN_RUNNING));
    ask_for(&f, VM_POWER_PAUSED, 2, 2); /* all of it at once */
    WAIT(is(&f, VM_SEEN_PAUSED) && has(&f, 2, 2));
    tear_down(&f);
}

static void changes_are_told_to_who_has_asked_and_to_nobody_else(void)
{
    struct fixture f;
    set_up(&f, "");
    f.want.tell_devices = false;
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING) && has(&f, 1, 1));
    unsigned told = f.told;
    ask_for(&f, VM_POWER_RUNNING, 2, 1);
    WAIT(has(&f, 2, 1));
    CHECK_EQ(f.told, told + 1); /* the generation */
    f.want.tell_devices = true;
    ask_for(&f, VM_POWER_RUNNING, 1, 1);
    WAIT(has(&f, 1, 1));
    CHECK_EQ(f.told, told + 3);
    tear_down(&f);
}

static void an_agent_that_starts_again_goes_on_by_what_the_monitor_has(void)
{
    struct fixture f;
    set_up(&f, "");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING));
    ask_for(&f, VM_POWER_RUNNING, 2, 1);
    WAIT(has(&f, 2, 1));
    close_host(&f);
    open_host(&f);
    WAIT(is(&f, VM_SEEN_RUNNING) && has(&f, 2, 1));
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    ask_for(&f, VM_POWER_RUNNING, 1, 2);
    WAIT(has(&f, 1, 2));
    CHECK_EQ(agent_vm_seen(f.vm)->n_problems, 0);
    tear_down(&f);
}

static void a_guest_that_lets_nothing_go_keeps_it_and_that_is_said(void)
{
    struct fixture f;
    set_up(&f, "holds");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING));
    ask_for(&f, VM_POWER_RUNNING, 2, 2);
    WAIT(has(&f, 2, 2));
    ask_for(&f, VM_POWER_RUNNING, 1, 1);
    WAIT(agent_vm_seen(f.vm)->n_problems == 2);
    CHECK(strstr(problem(&f, DISK[1]), "the guest has not let go of it in 1 s: "));
    CHECK(strstr(problem(&f, PORT[1]), "the guest has not let go of it in 1 s: "));
    CHECK(has(&f, 2, 2));
    CHECK_EQ(n_ports(&f), 2); /* it is in the guest */
    ask_for(&f, VM_POWER_RUNNING, 2, 2);
    CHECK_EQ(agent_vm_seen(f.vm)->n_problems, 0);
    loop_run_once(f.host.loop, 20);
    CHECK(has(&f, 2, 2));
    ask_for(&f, VM_POWER_STOPPED, 1, 1); /* it cannot be held then */
    WAIT(is(&f, VM_SEEN_STOPPED) && n_ports(&f) == 1);
    tear_down(&f);
}

static void a_monitor_that_refuses_to_unplug_is_asked_again_and_its_words_are_said(void)
{
    struct fixture f;
    set_up(&f, "busy");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING));
    ask_for(&f, VM_POWER_RUNNING, 1, 0);
    WAIT(agent_vm_seen(f.vm)->n_problems);
    CHECK(strstr(problem(&f, PORT[0]), "it could not be unplugged: cannot detach '0e010000"));
    CHECK(f.leaving >= 2);
    CHECK(has(&f, 1, 1));
    CHECK_EQ(n_ports(&f), 1);
    tear_down(&f);
}

static void what_cannot_be_plugged_is_said_and_keeps_nothing_else_out(void)
{
    static const uint8_t LOST[16] = {0xd, 9};
    struct fixture f;
    set_up(&f, "");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING));
    memcpy(f.want.disks[1].volume.id, LOST, 16);
    ask_for(&f, VM_POWER_RUNNING, 2, 2);
    WAIT(has(&f, 1, 2));
    CHECK(strstr(problem(&f, LOST), "its file is gone"));
    memcpy(f.want.disks[1].volume.id, DISK[1], 16);
    ask_for(&f, VM_POWER_RUNNING, 2, 2);
    WAIT(has(&f, 2, 2));
    CHECK_EQ(agent_vm_seen(f.vm)->n_problems, 0);
    tear_down(&f);
}

static void what_its_monitor_refuses_is_said_in_its_words(void)
{
    struct fixture f;
    set_up(&f, "full");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING));
    ask_for(&f, VM_POWER_RUNNING, 2, 2);
    WAIT(agent_vm_seen(f.vm)->n_problems == 2);
    CHECK(strstr(problem(&f, DISK[1]), "no slot is free for 0d020000"));
    CHECK(strstr(problem(&f, PORT[1]), "no slot is free for 0e020000"));
    CHECK(!in_use(&f, 1)); /* it is not held by who could not give it away */
    CHECK_EQ(n_ports(&f), 2);
    ask_for(&f, VM_POWER_RUNNING, 1, 1);
    WAIT(n_ports(&f) == 1); /* what was made for it goes */
    CHECK(has(&f, 1, 1));
    tear_down(&f);
}

static void a_monitor_whose_devices_have_other_names_is_left_as_it_is(void)
{
    struct fixture f;
    set_up(&f, "\", \"disks\": [{\"id\": \"disk0\", \"path\": \"/x\"}], \"initrd\": \"/i");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING));
    ask_for(&f, VM_POWER_RUNNING, 2, 2);
    WAIT(agent_vm_seen(f.vm)->n_problems);
    CHECK(strstr(problem(&f, ID), "earlier version"));
    CHECK(!agent_vm_seen(f.vm)->devices_known);
    CHECK(!in_use(&f, 1));
    tear_down(&f);
}

/* ---- the agent dies at each step ---- */

static char POINTS[64][64];
static _Atomic unsigned n_points;
static void note(void *arg, const char *name)
{
    (void)arg;
    bool ours = strstr(name, ".plug.") || strstr(name, ".unplug.") || strstr(name, ".trim.");
    for (unsigned i = 0; i < n_points; i++)
        ours = ours && strcmp(POINTS[i], name) != 0;
    if (ours && n_points < ARRAY_LEN(POINTS))
        snprintf(POINTS[n_points++], sizeof(POINTS[0]), "%s", name);
}

/* An agent that gives the VM more and takes it away, as long as it lives. */
static void live_until_killed(struct fixture *f, const char *point)
{
    alarm(60);
    open_host(f);
    agent_vm_want(f->vm, &f->want);
    fault_arm(point, 1, FAULT_KILL);
    for (bool more = true;; more = !more) {
        ask_for(f, VM_POWER_RUNNING, more ? 2 : 1, more ? 2 : 1);
        while (!has(f, more ? 2 : 1, more ? 2 : 1) || agent_vm_busy(f->vm))
            loop_run_once(f->host.loop, 100);
    }
}

static void whatever_step_the_agent_dies_at_the_next_one_makes_it_what_is_wanted(void)
{
    struct fixture f;
    int status;
    set_up(&f, "");
    CHECK_EQ(agent_vm_want(f.vm, &f.want), 0);
    WAIT(is(&f, VM_SEEN_RUNNING));
    fault_tell(note, NULL);
    ask_for(&f, VM_POWER_RUNNING, 2, 2);
    WAIT(has(&f, 2, 2));
    ask_for(&f, VM_POWER_RUNNING, 1, 1);
    WAIT(has(&f, 1, 1) && n_ports(&f) == 1);
    fault_tell(NULL, NULL);
    CHECK(n_points >= 8);
    for (unsigned i = 0; i < n_points && !tap_case_failures; i++) {
        close_host(&f);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            live_until_killed(&f, POINTS[i]);
        waitpid(pid, &status, 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        open_host(&f);
        f.want.generation += 10;
        for (unsigned n = 2; n > 0; n--) {
            ask_for(&f, VM_POWER_RUNNING, n, n);
            WAIT(has(&f, n, n) && !agent_vm_busy(f.vm));
            CHECK_EQ(agent_vm_seen(f.vm)->n_problems, 0);
        }
        if (tap_case_failures)
            printf("# after a death at %s\n", POINTS[i]);
    }
    tear_down(&f);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--config"))
        _exit(fake_monitor_main(argv[2]));
    TAP_RUN(a_vm_that_runs_is_given_what_it_lacks_and_loses_what_is_not_wanted);
    TAP_RUN(changes_are_told_to_who_has_asked_and_to_nobody_else);
    TAP_RUN(an_agent_that_starts_again_goes_on_by_what_the_monitor_has);
    TAP_RUN(a_guest_that_lets_nothing_go_keeps_it_and_that_is_said);
    TAP_RUN(a_monitor_that_refuses_to_unplug_is_asked_again_and_its_words_are_said);
    TAP_RUN(what_cannot_be_plugged_is_said_and_keeps_nothing_else_out);
    TAP_RUN(what_its_monitor_refuses_is_said_in_its_words);
    TAP_RUN(a_monitor_whose_devices_have_other_names_is_left_as_it_is);
    TAP_RUN(whatever_step_the_agent_dies_at_the_next_one_makes_it_what_is_wanted);
    return tap_done();
}
