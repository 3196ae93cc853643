/* Run states. What a guest or a device thread wants (reset, power off, "this disk failed") is
 * noted in m->requests, all vCPUs are asked to hold, and the main thread acts on it from its loop:
 * so every change of state happens in one thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "machine/machine_internal.h"

const char *machine_state_name(enum machine_state state)
{
    static const char *const names[] = {"created", "running", "paused", "stopped"};
    return names[state];
}

enum machine_state machine_state(const struct machine *m)
{
    return m->state;
}

void machine_emit(struct machine *m, enum machine_event_kind kind, const char *device,
                  const char *text, int value)
{
    struct machine_event event = {.kind = kind, .device = device, .text = text, .value = value};
    if (m->setup.callbacks.event)
        m->setup.callbacks.event(m->setup.callbacks.opaque, &event);
}

static void set_state(struct machine *m, enum machine_state state)
{
    if (m->state == state)
        return;
    m->state = state;
    machine_emit(m, MACHINE_EVENT_STATE, NULL, machine_state_name(state), state);
}

void machine_request(struct machine *m, unsigned requests)
{
    atomic_fetch_or(&m->requests, requests);
    if (requests & MACHINE_REQUESTS_HOLD)
        vcpus_hold(&m->vcpus);
    loop_post(m->setup.loop, &m->request_post);
}

void machine_fail(struct machine *m, struct machine_failure *which, enum machine_request request,
                  const char *device, const struct err *why)
{
    pthread_mutex_lock(&m->failure_lock);
    if (!which->why.code) {
        which->why = *why;
        snprintf(which->device, sizeof(which->device), "%s", device);
    }
    pthread_mutex_unlock(&m->failure_lock);
    machine_request(m, request);
}

static struct machine_failure take_failure(struct machine *m, struct machine_failure *which)
{
    pthread_mutex_lock(&m->failure_lock);
    struct machine_failure f = *which;
    which->why.code = 0;
    pthread_mutex_unlock(&m->failure_lock);
    return f;
}

/* A breakpoint or a step: noted for the debugger, unless there is none. */
static bool debugger_takes(struct machine *m, unsigned index, const struct engine_exit_info *info)
{
    pthread_mutex_lock(&m->failure_lock);
    bool mine = m->debugger && info->reason == ENGINE_EXIT_DEBUG;
    if (mine && m->debug_vcpu < 0) {
        m->debug_vcpu = (int)index;
        m->debug_exit_info = info->debug;
    }
    pthread_mutex_unlock(&m->failure_lock);
    if (mine)
        machine_request(m, MACHINE_REQUEST_DEBUGGER);
    return mine;
}

static void vcpu_stopped(void *opaque, unsigned index, const struct engine_exit_info *info)
{
    struct machine *m = opaque;
    struct err why = info->err;
    if (debugger_takes(m, index, info))
        return;
    if (info->reason == ENGINE_EXIT_SHUTDOWN)
        err_set(&why, EFAULT, "triple fault");
    else if (!why.code)
        err_set(&why, EIO, "the CPU engine stopped with exit %d", (int)info->reason);
    err_wrap(&why, "vCPU %u", index);
    machine_fail(m, &m->crash, MACHINE_REQUEST_CRASH, "", &why);
}

const struct vcpus_ops machine_vcpus_ops = {.stopped = vcpu_stopped};

static int wrong_state(struct machine *m, const char *verb, const char *wanted, struct err *err)
{
    return err_set(err, EBUSY, "cannot %s a VM that is %s: it has to be %s", verb,
                   machine_state_name(m->state), wanted);
}

int machine_check_free(const struct machine *m, const char *verb, struct err *err)
{
    return m->held
               ? err_set(err, EBUSY, "cannot %s a VM that is being saved: wait for the end", verb)
               : 0;
}

int machine_hold(struct machine *m, struct err *err)
{
    if (m->state != MACHINE_PAUSED)
        return wrong_state(m, "save", "paused", err);
    int ret = machine_check_free(m, "save", err);
    if (ret)
        return ret;
    if (m->debugger)
        return err_set(err, EBUSY, "cannot save a VM that is debugged: detach the debugger first");
    if (atomic_load(&m->requests) & MACHINE_REQUESTS_HOLD)
        return err_set(err, EBUSY,
                       "the guest asked for a reset or its end: try again when that is "
                       "done");
    m->held = true;
    return 0;
}

void machine_release(struct machine *m)
{
    m->held = false;
}

bool machine_held(const struct machine *m)
{
    return m->held;
}

/* Lets the vCPUs run, unless something was asked for meanwhile that has to be done first. Whoever
 * asks notes it before the hold, so one of the two always sees the other. */
static void let_run(struct machine *m)
{
    vcpus_resume(&m->vcpus);
    if (atomic_load(&m->requests) & MACHINE_REQUESTS_HOLD)
        vcpus_hold(&m->vcpus);
}

/* Everything stands still afterwards: no vCPU in the guest, no request in flight. */
static void freeze(struct machine *m)
{
    vcpus_pause(&m->vcpus);
    bus_lock(&m->bus);
    machine_devices_pause(m);
    bus_unlock(&m->bus);
}

static void thaw(struct machine *m)
{
    bus_lock(&m->bus);
    machine_devices_resume(m);
    bus_unlock(&m->bus);
    let_run(m);
}

static void stop_with(struct machine *m, enum machine_event_kind kind, const char *text, int value)
{
    machine_emit(m, kind, NULL, text, value);
    machine_stop(m, NULL);
}

int machine_boot(struct machine *m, struct err *err)
{
    if (m->state != MACHINE_CREATED)
        return wrong_state(m, "boot", "created", err);
    int ret = machine_boot_load(m, err);
    if (ret)
        return ret;
    set_state(m, MACHINE_RUNNING);
    m->ready_cpu_ns = clock_process_cpu_ns();
    vcpus_resume(&m->vcpus);
    return 0;
}

int machine_pause(struct machine *m, struct err *err)
{
    if (m->state == MACHINE_PAUSED)
        return 0;
    if (m->state != MACHINE_RUNNING)
        return wrong_state(m, "pause", "running", err);
    freeze(m);
    for (unsigned i = 0; i < m->vcpus.n; i++)
        engine_vcpu_paused(m->vcpus.v[i].vcpu);
    set_state(m, MACHINE_PAUSED);
    return 0;
}

int machine_resume(struct machine *m, struct err *err)
{
    if (m->state == MACHINE_RUNNING)
        return 0;
    if (m->state != MACHINE_PAUSED)
        return wrong_state(m, "resume", "paused", err);
    int ret = machine_check_free(m, "resume", err);
    if (ret)
        return ret;
    thaw(m);
    set_state(m, MACHINE_RUNNING);
    return 0;
}

static int reset(struct machine *m, struct err *err)
{
    freeze(m);
    bus_lock(&m->bus);
    machine_chipset_reset(m);
    pci_root_reset(m->pci);
    bus_unlock(&m->bus);
    /* No disk holds a request any more. */
    take_failure(m, &m->io_error);
    atomic_fetch_and(&m->requests, ~(unsigned)MACHINE_REQUEST_IO_ERROR);
    int ret = machine_boot_load(m, err);
    if (ret)
        return err_wrap(err, "could not reset the VM");
    machine_emit(m, MACHINE_EVENT_RESET, NULL, NULL, 0);
    return 0;
}

int machine_reset(struct machine *m, struct err *err)
{
    if (m->state != MACHINE_RUNNING && m->state != MACHINE_PAUSED)
        return wrong_state(m, "reset", "running or paused", err);
    int ret = machine_check_free(m, "reset", err);
    if (ret)
        return ret;
    struct err why = {0};
    ret = reset(m, &why);
    if (ret) {
        if (err)
            *err = why;
        stop_with(m, MACHINE_EVENT_CRASH, why.msg, 0);
        return ret;
    }
    if (m->state == MACHINE_RUNNING)
        thaw(m);
    return 0;
}

int machine_stop(struct machine *m, struct err *err)
{
    if (m->state == MACHINE_STOPPED)
        return 0;
    freeze(m);
    set_state(m, MACHINE_STOPPED);
    return 0;
}

int machine_power_button(struct machine *m, struct err *err)
{
    if (m->state != MACHINE_RUNNING)
        return wrong_state(m, "press the power button of", "running", err);
    bus_lock(&m->bus);
    bool heard = acpi_pm_press_power_button(&m->pm);
    bus_unlock(&m->bus);
    if (!heard)
        return err_set(err, ENOTSUP,
                       "the guest has not enabled the power button yet: wait, or stop the VM");
    return 0;
}

void machine_set_debugger(struct machine *m, const struct machine_debugger *debugger)
{
    pthread_mutex_lock(&m->failure_lock);
    m->debugger = debugger;
    m->debug_vcpu = -1;
    pthread_mutex_unlock(&m->failure_lock);
}

int machine_resume_one(struct machine *m, unsigned index, struct err *err)
{
    if (m->state != MACHINE_PAUSED)
        return wrong_state(m, "step", "paused", err);
    int ret = machine_check_free(m, "step", err);
    if (ret)
        return ret;
    bus_lock(&m->bus);
    machine_devices_resume(m);
    bus_unlock(&m->bus);
    set_state(m, MACHINE_RUNNING);
    vcpus_resume_one(&m->vcpus, index);
    if (atomic_load(&m->requests) & MACHINE_REQUESTS_HOLD)
        vcpus_hold(&m->vcpus);
    return 0;
}

static void pause_for_debugger(struct machine *m)
{
    pthread_mutex_lock(&m->failure_lock);
    const struct machine_debugger *d = m->debugger;
    int index = m->debug_vcpu;
    struct kvm_debug_exit_arch why = m->debug_exit_info;
    m->debug_vcpu = -1;
    pthread_mutex_unlock(&m->failure_lock);
    if (!d || index < 0)
        return;
    machine_pause(m, NULL);
    d->stopped(d->opaque, (unsigned)index, &why);
}

static void pause_on_io_error(struct machine *m)
{
    struct machine_failure f = take_failure(m, &m->io_error);
    machine_emit(m, MACHINE_EVENT_IO_ERROR, f.device, f.why.msg, f.why.code);
    machine_pause(m, NULL);
}

static void report_failed_devices(struct machine *m)
{
    for (unsigned i = 0; i < m->n_devices; i++) {
        struct machine_failure f = take_failure(m, &m->devices[i]->failure);
        if (f.why.code)
            machine_emit(m, MACHINE_EVENT_DEVICE_FAILED, f.device, f.why.msg, f.why.code);
    }
}

void machine_requests_run(struct loop_post *p)
{
    struct machine *m = p->opaque;
    unsigned requests = atomic_exchange(&m->requests, 0);
    if (m->state == MACHINE_STOPPED)
        return;
    if (requests & MACHINE_REQUEST_DEBUG_EXIT)
        stop_with(m, MACHINE_EVENT_DEBUG_EXIT, NULL, atomic_load(&m->debug_exit_code));
    else if (requests & MACHINE_REQUEST_POWER_OFF)
        stop_with(m, MACHINE_EVENT_SHUTDOWN, NULL, 0);
    else if (requests & MACHINE_REQUEST_CRASH)
        stop_with(m, MACHINE_EVENT_CRASH, take_failure(m, &m->crash).why.msg, 0);
    else if ((requests & MACHINE_REQUEST_RESET) && m->config->no_reboot)
        stop_with(m, MACHINE_EVENT_SHUTDOWN, "by a reset", 0);
    else if (requests & MACHINE_REQUEST_RESET)
        machine_reset(m, NULL);
    else if (requests & MACHINE_REQUEST_IO_ERROR)
        pause_on_io_error(m);
    if (requests & MACHINE_REQUEST_DEBUGGER && m->state != MACHINE_STOPPED)
        pause_for_debugger(m);
    if (requests & MACHINE_REQUEST_DEVICE_FAILED)
        report_failed_devices(m);
    if (requests & MACHINE_REQUEST_ADDRESSES)
        machine_addresses_request(m);
    if (requests & MACHINE_REQUEST_EJECT)
        machine_devices_eject(m, atomic_exchange(&m->eject_slots, 0));
    if (m->state == MACHINE_RUNNING)
        let_run(m); /* they were asked to hold when the request was made */
}
