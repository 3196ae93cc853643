/* The loop's side of a VM: what is wanted against what is seen, one step at a time (step()).
 * Whatever ends (a worker's job, a request, the process, a timer) leads there again. */
#include "agent/agent_vm.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/agent_vm_internal.h"
#include "base/fault.h"
#include "base/util.h"
#include "base/uuid.h"
#include "vmmapi/vm_api.h"

#define MS             INT64_C(1000000)
#define ASK_AGAIN_MS   10    /* while a monitor starts */
#define REFUSED_MS     1000  /* after a monitor that runs has refused something, or not answered */
#define START_LIMIT_MS 60000 /* for a monitor to answer */
#define SOURCE_MS      500   /* while an image comes that its disks are made from */
#define REMOVE_MS      1000  /* after a removal that failed */
#define STOP_LIMIT_MS  5000  /* for a monitor to end when it is told to */

const char *agent_vm_state_name(enum vm_seen_state state)
{
    static const char *const NAMES[] = {"absent", "preparing", "starting", "running",
                                        "paused", "stopping",  "stopped",  "failed"};
    return (unsigned)state < ARRAY_LEN(NAMES) ? NAMES[state] : "?";
}

static void see(struct agent_vm *vm, enum vm_seen_state state, const char *reason)
{
    if (vm->seen.state == state && !strcmp(vm->seen.reason, reason) &&
        vm->seen.generation == vm->want.generation && !vm->news)
        return;
    vm->news = false;
    vm->seen.state = state;
    vm->seen.generation = vm->want.generation;
    snprintf(vm->seen.reason, sizeof(vm->seen.reason), "%s", reason);
    vm->host->seen(vm->host->opaque, &vm->seen);
}

void agent_vm_tell_news(struct agent_vm *vm)
{
    char reason[sizeof(vm->seen.reason)];
    memcpy(reason, vm->seen.reason, sizeof(reason));
    see(vm, vm->seen.state, reason);
}

/* ---- the process ---- */

/* The last line of the monitor's log: why it ended. */
static void read_last_words(const struct agent_vm *vm, char *text, size_t bytes)
{
    char path[VM_PROCESS_PATH_BYTES], line[256];
    text[0] = 0;
    if (vm_process_path(vm->run_dir, "log", path, NULL))
        return;
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fseek(f, -4096, SEEK_END) < 0)
        rewind(f);
    while (fgets(line, sizeof(line), f))
        if (line[0] != '\n')
            snprintf(text, bytes, "%.*s", (int)strcspn(line, "\n"), line);
    fclose(f);
}

static void forget_process(struct agent_vm *vm)
{
    loop_timer_cancel(vm->host->loop, &vm->timer);
    if (vm->pidfd >= 0) {
        loop_fd_remove(&vm->exit);
        close(vm->pidfd);
    }
    vm->pidfd = -1;
    struct vm_client *client = vm->client;
    vm->client = NULL;
    vm_client_destroy(client);
    vm->seen.n_addresses = vm->seen.n_disks = vm->seen.n_ports = vm->seen.n_problems = 0;
    vm->seen.devices_known = false;
    vm->asked = 0;
    vm->answered = vm->asks_again = false;
    vm->stopping = vm->button_pressed = vm->plug_pulled = false;
}

/* Of a process that is not our child (another agent's was it) the kernel tells no status: but one
 * that ended by itself has removed its socket, and one that was killed has not. */
static bool was_killed(const struct agent_vm *vm)
{
    return vm->seen.exit_status < 0 && access(vm->api, F_OK) == 0;
}

static void process_ended(struct loop_fd *w, uint32_t events)
{
    (void)events;
    struct agent_vm *vm = container_of(w, struct agent_vm, exit);
    char words[160], reason[256];
    vm->seen.exit_status = vm_process_reap(vm->pidfd);
    bool meant = vm->stopping;
    (void)fault_point("agent_vm.exit.seen");
    forget_process(vm);
    read_last_words(vm, words, sizeof(words));
    if (meant)
        see(vm, VM_SEEN_STOPPED, "it was stopped");
    else if (was_killed(vm))
        see(vm, VM_SEEN_FAILED, "its monitor was killed");
    else if (vm->seen.exit_status <= 0) /* -1: it was adopted; that it failed would be in its log */
        see(vm, VM_SEEN_STOPPED, "its guest switched itself off");
    else {
        snprintf(reason, sizeof(reason), "its monitor ended with %d%s%s", vm->seen.exit_status,
                 words[0] ? ": " : "", words);
        see(vm, VM_SEEN_FAILED, reason);
    }
    agent_vm_step(vm);
}

/* ---- what the monitor says ---- */

void agent_vm_arm(struct agent_vm *vm, int64_t ms)
{
    loop_timer_arm(vm->host->loop, &vm->timer, loop_now_ns(vm->host->loop) + ms * MS);
}

static void something_happened(void *opaque, const char *line, int status)
{
    struct agent_vm *vm = opaque;
    (void)line, (void)status;
    if (vm->client)
        agent_vm_ask(vm);
}

static void take_state(struct agent_vm *vm, const char *body)
{
    json_t *json = json_loads(body, 0, NULL);
    const char *state = json_string_value(json_object_get(json, "state"));
    const char *why = json_string_value(json_object_get(json, "reason"));
    if (state && !vm->answered) {
        vm->answered = true;
        loop_timer_cancel(vm->host->loop, &vm->timer);
        vm_client_follow(vm->client, 0, something_happened, vm);
    }
    if (agent_vm_take_addresses(&vm->seen, json_object_get(json, "addresses")))
        vm->news = true;
    if (state && json_object_get(json, "uuid")) /* all of it: not the answer to a change */
        agent_vm_take_devices(vm, json);
    if (state && !vm->stopping) {
        if (!strcmp(state, "running"))
            see(vm, VM_SEEN_RUNNING, "");
        else if (!strcmp(state, "paused"))
            see(vm, VM_SEEN_PAUSED, why ? why : "");
    }
    json_decref(json);
}

bool agent_vm_answered(struct agent_vm *vm)
{
    vm->asked--;
    return vm->client; /* else it is being destroyed */
}

static void answered(void *opaque, int status, const char *body, size_t bytes)
{
    struct agent_vm *vm = opaque;
    (void)bytes;
    if (!agent_vm_answered(vm))
        return;
    if (status == 200)
        take_state(vm, body);
    else if (!vm->answered && loop_now_ns(vm->host->loop) < vm->start_deadline_ns)
        agent_vm_arm(vm, ASK_AGAIN_MS);
    else if (!vm->answered)
        vm_process_kill(vm->pidfd, NULL);
    else if (status != 202 && !vm->stopping) {
        agent_vm_arm(vm,
                     REFUSED_MS); /* at once would be for ever: what is wanted has not changed */
        return;
    }
    if (vm->asks_again) {
        vm->asks_again = false;
        agent_vm_ask(vm);
    }
    if (vm->answered)
        agent_vm_step(vm);
}

void agent_vm_ask(struct agent_vm *vm)
{
    if (vm->asked) {
        vm->asks_again = true;
        return;
    }
    vm->asked += !vm_client_request(vm->client, "GET", VM_API_PATH_VM, NULL, answered, vm);
}

/* The answer to a change of the run state is the VM as it is then. It goes behind what is asked
 * just now: a button is not refused because of that, and a plug is pulled by it. */
static bool tell(struct agent_vm *vm, const char *what)
{
    char target[64];
    snprintf(target, sizeof(target), VM_API_PATH_VM "/%s", what);
    bool told = !vm_client_request(vm->client, "PUT", target, NULL, answered, vm);
    vm->asked += told;
    (void)fault_point("agent_vm.tell.said");
    return told;
}

/* Takes a process over, ours or one that was found. Owns pidfd. */
static int watch(struct agent_vm *vm, int pidfd, struct err *err)
{
    vm->client = vm_client_create(vm->host->loop, vm->api, err);
    if (!vm->client) {
        close(pidfd);
        return -ENOMEM;
    }
    vm->pidfd = pidfd;
    vm->exit.ready = process_ended;
    int ret = loop_fd_add(vm->host->loop, &vm->exit, pidfd, EPOLLIN);
    if (ret) {
        forget_process(vm);
        return err_sys(err, -ret, "could not watch the monitor");
    }
    vm->start_deadline_ns = loop_now_ns(vm->host->loop) + START_LIMIT_MS * MS;
    agent_vm_ask(vm);
    return 0;
}

/* ---- stopping ---- */

static void stop(struct agent_vm *vm)
{
    bool now = vm->want.power == VM_POWER_ABSENT || !vm->want.grace_ms || !vm->answered;
    (void)fault_point("agent_vm.stop.begin");
    if (!vm->stopping) {
        vm->stopping = true;
        see(vm, VM_SEEN_STOPPING, "");
        if (!now)
            agent_vm_arm(vm, vm->want.grace_ms);
    }
    if (!now && !vm->button_pressed)
        vm->button_pressed = tell(vm, "power-button");
    if (now && !vm->plug_pulled) {
        vm->plug_pulled = true;
        if (!vm->answered || !tell(vm, "stop"))
            vm_process_kill(vm->pidfd, NULL);
        agent_vm_arm(vm, STOP_LIMIT_MS);
    }
}

static void timer_expired(struct loop_timer *t)
{
    struct agent_vm *vm = container_of(t, struct agent_vm, timer);
    if (!vm->client) {
        vm->remove_failed = false;
        agent_vm_step(vm);
        return;
    }
    if (!vm->stopping) {
        agent_vm_ask(vm);
    } else if (!vm->plug_pulled) {
        vm->plug_pulled = true;
        if (!tell(vm, "stop"))
            vm_process_kill(vm->pidfd, NULL);
        agent_vm_arm(vm, STOP_LIMIT_MS);
    } else {
        vm_process_kill(vm->pidfd, NULL);
    }
}

/* ---- jobs ---- */

static void job_done(struct work *w)
{
    struct agent_vm *vm = container_of(w, struct agent_vm, work);
    char reason[256];
    vm->working = false;
    if (!w->ran)
        return;
    (void)fault_point("agent_vm.job.done");
    snprintf(reason, sizeof(reason), "%.*s", (int)sizeof(reason) - 1, vm->job_err.msg);
    if (vm->job_kind == AGENT_VM_JOB_PLUG) {
        agent_vm_plug_ready(vm);
    } else if (vm->job_kind == AGENT_VM_JOB_TRIM) {
        ; /* what is left is taken away at the next start, or with the VM */
    } else if (vm->job_kind == AGENT_VM_JOB_REMOVE) {
        vm->remove_failed = vm->job_err.code;
        if (vm->remove_failed)
            agent_vm_arm(vm, REMOVE_MS);
        see(vm, vm->job_err.code ? VM_SEEN_FAILED : VM_SEEN_ABSENT, reason);
    } else {
        vm->seen.epoch = agent_vm_read_epoch(vm->run_dir);
        struct err err = {0};
        if (!vm->job_err.code && !watch(vm, vm->job_pidfd, &err))
            see(vm, VM_SEEN_STARTING, "");
        else
            see(vm, VM_SEEN_FAILED, vm->job_err.code ? reason : err.msg);
    }
    agent_vm_step(vm);
}

void agent_vm_begin(struct agent_vm *vm, enum agent_vm_job kind)
{
    static void (*const RUN[])(struct work * w) = {[AGENT_VM_JOB_START] = agent_vm_job_start,
                                                   [AGENT_VM_JOB_REMOVE] = agent_vm_job_remove,
                                                   [AGENT_VM_JOB_TRIM] = agent_vm_job_trim,
                                                   [AGENT_VM_JOB_PLUG] = agent_vm_job_plug};
    if (agent_vm_want_copy(&vm->job, &vm->want)) {
        if (vm->pidfd < 0)
            see(vm, VM_SEEN_FAILED, "the agent has no memory left");
        return;
    }
    vm->job_kind = kind;
    vm->work.run = RUN[kind];
    vm->work.done = job_done;
    vm->working = true;
    worker_submit(vm->host->workers, &vm->work);
}

/* ---- the step ---- */

/* As agent_host.source, of all its disks. */
static int look_at_sources(const struct agent_vm *vm, char why[static 256])
{
    const struct agent_host *host = vm->host;
    int ret = 0;
    for (unsigned i = 0; host->source && i < vm->want.n_disks && ret >= 0; i++) {
        int one = host->source(host->opaque, &vm->want.disks[i].volume, why);
        ret = one ? one : ret;
    }
    return ret;
}

/* A start is tried once for an epoch; it is not tried before its images are here. */
static void begin_start(struct agent_vm *vm)
{
    char why[256] = "";
    int ret = look_at_sources(vm, why);
    if (ret > 0) {
        see(vm, VM_SEEN_PREPARING, why);
        agent_vm_arm(vm, SOURCE_MS);
        return;
    }
    vm->tried_epoch = vm->want.epoch;
    see(vm, ret ? VM_SEEN_FAILED : VM_SEEN_PREPARING, why);
    if (!ret)
        agent_vm_begin(vm, AGENT_VM_JOB_START);
}

static void step_running(struct agent_vm *vm)
{
    if (vm->pidfd < 0) {
        if (vm->want.epoch > vm->seen.epoch && vm->want.epoch > vm->tried_epoch)
            begin_start(vm);
        return;
    }
    if (!vm->answered || vm->asked || vm->stopping)
        return;
    if (vm->want.power == VM_POWER_PAUSED && vm->seen.state == VM_SEEN_RUNNING)
        tell(vm, "pause");
    else if (vm->want.power == VM_POWER_RUNNING && vm->seen.state == VM_SEEN_PAUSED &&
             vm->resumed_generation != vm->want.generation) {
        vm->resumed_generation = vm->want.generation;
        tell(vm, "resume");
    } else {
        agent_vm_step_devices(vm);
    }
}

void agent_vm_step(struct agent_vm *vm)
{
    if (vm->working || !vm->wanted)
        return;
    switch (vm->want.power) {
    case VM_POWER_RUNNING:
    case VM_POWER_PAUSED:
        step_running(vm);
        break;
    case VM_POWER_STOPPED:
        if (vm->pidfd >= 0)
            stop(vm);
        else if (vm->seen.state != VM_SEEN_FAILED)
            see(vm, VM_SEEN_STOPPED, vm->seen.reason);
        if (vm->pidfd < 0 && vm->stale_ports) {
            vm->stale_ports = false;
            agent_vm_begin(vm, AGENT_VM_JOB_TRIM);
        }
        break;
    case VM_POWER_ABSENT:
        if (vm->pidfd >= 0)
            stop(vm);
        else if (vm->seen.state != VM_SEEN_ABSENT && !vm->remove_failed)
            agent_vm_begin(vm, AGENT_VM_JOB_REMOVE);
        break;
    }
}

/* ---- from outside ---- */

struct agent_vm *agent_vm_create(const struct agent_host *host, const uint8_t id[16],
                                 struct err *err)
{
    char text[UUID_TEXT_BYTES];
    struct agent_vm *vm = calloc(1, sizeof(*vm));
    int pidfd;
    if (!vm) {
        err_set(err, ENOMEM, "could not allocate a VM");
        return NULL;
    }
    vm->host = host;
    vm->pidfd = vm->job_pidfd = -1;
    vm->timer.expired = timer_expired;
    memcpy(vm->seen.id, id, 16);
    vm->seen.exit_status = -1;
    uuid_format(id, text);
    if (vm_process_path(host->run_root, text, vm->run_dir, err) ||
        vm_process_path(vm->run_dir, "console", vm->console, err) || /* the longest name in it */
        vm_process_path(vm->run_dir, "api", vm->api, err))
        goto failed;
    vm->seen.epoch = vm->tried_epoch = agent_vm_read_epoch(vm->run_dir);
    if (vm_process_find(vm->run_dir, &pidfd, NULL) == 0) {
        vm->seen.state = VM_SEEN_STARTING;
        if (watch(vm, pidfd, err))
            goto failed;
    } else if (access(vm->run_dir, F_OK) == 0) {
        vm->seen.state = VM_SEEN_STOPPED;
    }
    return vm;
failed:
    free(vm);
    return NULL;
}

void agent_vm_destroy(struct agent_vm *vm)
{
    if (!vm)
        return;
    forget_process(vm);
    agent_vm_plug_fini(&vm->plug);
    agent_vm_want_fini(&vm->want);
    agent_vm_want_fini(&vm->job);
    free(vm);
}

int agent_vm_want(struct agent_vm *vm, const struct vm_want *want)
{
    if (vm->wanted && want->generation < vm->want.generation)
        return 0; /* an old message */
    int ret = agent_vm_want_copy(&vm->want, want);
    if (ret)
        return ret;
    vm->wanted = true;
    vm->remove_failed = false;
    if (vm->plug_generation != want->generation)
        vm->seen.n_problems = 0; /* they are tried again */
    vm->stale_ports = agent_vm_has_stale_ports(vm->run_dir, &vm->want);
    /* Resources of a VM that has none yet are there to be removed all the same. */
    if (want->power == VM_POWER_ABSENT && vm->seen.state == VM_SEEN_ABSENT && !vm->working &&
        (want->n_disks || want->n_ports))
        vm->seen.state = VM_SEEN_STOPPED;
    if (vm->seen.generation != want->generation && !vm->working)
        agent_vm_tell_news(vm);
    agent_vm_step(vm);
    return 0;
}

const struct vm_seen *agent_vm_seen(const struct agent_vm *vm)
{
    return &vm->seen;
}

bool agent_vm_busy(const struct agent_vm *vm)
{
    return vm->working;
}

void agent_vm_let_be(struct agent_vm *vm)
{
    vm->wanted = false;
}

const struct vm_want *agent_vm_wanted(const struct agent_vm *vm)
{
    return vm->wanted ? &vm->want : NULL;
}

const char *agent_vm_console(const struct agent_vm *vm)
{
    return vm->console;
}

static int push_button(struct agent_vm *vm, const char *what, struct err *err)
{
    if (vm->client && vm->answered && !vm->stopping && tell(vm, what))
        return 0;
    return err_set(err, EBUSY, "the VM is %s: only one that runs has buttons",
                   agent_vm_state_name(vm->seen.state));
}

int agent_vm_reset(struct agent_vm *vm, struct err *err)
{
    return push_button(vm, "reset", err);
}

int agent_vm_press(struct agent_vm *vm, struct err *err)
{
    return push_button(vm, "power-button", err);
}

/* ---- counters ---- */

static void counters_came(void *opaque, int status, const char *body, size_t bytes)
{
    struct agent_vm *vm = opaque;
    agent_vm_counted *done = vm->counted;
    (void)bytes;
    vm->counted = NULL;
    done(vm->counted_opaque, status == 200 ? body : NULL);
}

void agent_vm_look(struct agent_vm *vm)
{
    if (vm->client && vm->answered && !vm->asked && !vm->stopping)
        agent_vm_ask(vm);
}

int agent_vm_count(struct agent_vm *vm, agent_vm_counted *done, void *opaque)
{
    if (!vm->client || !vm->answered)
        return -ESRCH;
    if (vm->counted)
        return -EBUSY;
    int ret = vm_client_request(vm->client, "GET", VM_API_PATH_COUNTERS, NULL, counters_came, vm);
    if (ret)
        return ret;
    vm->counted = done;
    vm->counted_opaque = opaque;
    return 0;
}
