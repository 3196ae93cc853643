/* All state of a machine but its RAM and its disks, as sections in a fixed order: machine, clock,
 * vCPUs, chip set, PCI bus with its devices by slot. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "machine/machine_internal.h"
#include "x86/msr.h"

#define STATE_VERSION 2 /* 1 had no wall clock, and no CPUID followed */

/* Since 1970. */
static uint64_t wall_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int save_vcpus(struct machine *m, struct state_writer *w, struct err *err)
{
    CLEANUP_FREE struct engine_vcpu_state *state = malloc(sizeof(*state));
    if (!state)
        return err_set(err, ENOMEM, "could not allocate a vCPU's state");
    for (unsigned i = 0; i < m->vcpus.n; i++) {
        int ret = engine_vcpu_get_state(m->vcpus.v[i].vcpu, state, err);
        if (ret)
            return ret;
        engine_vcpu_state_save(state, w, i);
    }
    return 0;
}

static void save_devices(struct machine *m, struct state_writer *w)
{
    irqchip_save(&m->irqchip, w);
    mc146818_save(&m->rtc, w);
    acpi_pm_save(&m->pm, w);
    pci_hotplug_save(&m->hotplug, w);
    uart16550_save(&m->uart, w, 0);
    reset_ports_save(&m->reset_ports, w);
    fw_cfg_save(&m->fw_cfg, w);
    vmgenid_save(&m->vmgenid, w);
    pci_root_save(m->pci, w);
}

/* What the server of a share knows of its client (which file a handle is) cannot be had from it,
 * and another server would take the handles for other files. */
static int check_shares(const struct machine *m, struct err *err)
{
    for (unsigned i = 0; i < m->n_devices; i++) {
        const struct machine_device *d = m->devices[i];
        if (!strcmp(d->kind, "share") && atomic_load(&d->dev->status) & VIRTIO_STATUS_DRIVER_OK)
            return err_set(
                err, ENOTSUP,
                "cannot save a VM whose guest uses the share '%s': unmount it and unload "
                "virtiofs in the guest first",
                d->id);
    }
    return 0;
}

int machine_save(struct machine *m, struct state_writer *w, struct err *err)
{
    if (m->state != MACHINE_PAUSED)
        return err_set(err, EBUSY, "cannot save a VM that is %s: pause it first",
                       machine_state_name(m->state));
    struct kvm_clock_data clock;
    int ret = check_shares(m, err);
    if (!ret)
        ret = engine_vm_get_clock(m->vm, &clock, err);
    if (ret)
        return ret;
    state_begin(w, "machine", 0, STATE_VERSION);
    state_put_u32(w, m->vcpus.n);
    state_put_u64(w, m->mem.total_bytes);
    state_put_u64(w, clock.clock);
    state_put_u64(w, wall_ns());
    state_end(w);
    machine_cpuid_save(m, w);
    ret = save_vcpus(m, w, err);
    if (ret)
        return ret;
    bus_lock(&m->bus);
    save_devices(m, w);
    bus_unlock(&m->bus);
    return w->error ? err_sys(err, -w->error, "could not save the VM's state") : 0;
}

/* ---- load ---- */

/* How far the guest's time is behind; a host whose clock is behind the saver's adds nothing. */
static uint64_t time_away_ns(uint64_t saved_at_ns)
{
    uint64_t now = wall_ns();
    return now > saved_at_ns ? now - saved_at_ns : 0;
}

static int load_machine(struct machine *m, struct state_reader *r, struct kvm_clock_data *clock,
                        uint64_t *away_ns)
{
    int version = state_open(r, "machine", 0, STATE_VERSION);
    if (version < 0)
        return version;
    if (version < STATE_VERSION)
        return state_invalid(r, "section machine has version %d: %d is read", version,
                             STATE_VERSION);
    uint32_t n_vcpus = state_get_u32(r);
    uint64_t mem_bytes = state_get_u64(r);
    clock->clock = state_get_u64(r);
    *away_ns = time_away_ns(state_get_u64(r));
    clock->clock += *away_ns;
    if (n_vcpus != m->vcpus.n || mem_bytes != m->mem.total_bytes)
        state_invalid(r, "saved with %u vCPUs and %llu bytes of RAM, this machine has %u and %llu",
                      n_vcpus, (unsigned long long)mem_bytes, m->vcpus.n,
                      (unsigned long long)m->mem.total_bytes);
    int ret = state_close(r);
    return ret ? ret : machine_cpuid_check(m, r);
}

/* A guest that reads its TSC for the time has to see the same time pass as one that uses the
 * paravirtual clock. */
static void advance_tsc(struct engine_vcpu_state *state, uint64_t ns)
{
    for (unsigned i = 0; i < state->n_msrs; i++)
        if (state->msrs[i].index == X86_MSR_TSC)
            state->msrs[i].data += (uint64_t)((unsigned __int128)ns * state->tsc_khz / 1000000);
}

static int load_vcpus(struct machine *m, struct state_reader *r, uint64_t away_ns, struct err *err)
{
    CLEANUP_FREE struct engine_vcpu_state *state = malloc(sizeof(*state));
    if (!state)
        return err_set(err, ENOMEM, "could not allocate a vCPU's state");
    for (unsigned i = 0; i < m->vcpus.n; i++) {
        int ret = engine_vcpu_state_load(state, r, i);
        if (ret)
            return err_set(err, -ret, "%s", r->err.msg);
        advance_tsc(state, away_ns);
        ret = engine_vcpu_set_state(m->vcpus.v[i].vcpu, state, err);
        if (ret)
            return ret;
        engine_vcpu_paused(m->vcpus.v[i].vcpu);
    }
    return 0;
}

static int load_devices(struct machine *m, struct state_reader *r)
{
    int ret = irqchip_load(&m->irqchip, r);
    if (!ret)
        ret = mc146818_load(&m->rtc, r);
    if (!ret)
        ret = acpi_pm_load(&m->pm, r);
    if (!ret)
        ret = pci_hotplug_load(&m->hotplug, r);
    if (!ret)
        ret = uart16550_load(&m->uart, r, 0);
    if (!ret)
        ret = reset_ports_load(&m->reset_ports, r);
    if (!ret)
        ret = fw_cfg_load(&m->fw_cfg, r);
    if (!ret)
        ret = vmgenid_load(&m->vmgenid, r);
    if (!ret)
        ret = pci_root_load(m->pci, r);
    return ret;
}

static int load(struct machine *m, struct state_reader *r, struct err *err)
{
    struct kvm_clock_data clock = {0};
    uint64_t away_ns = 0;
    int ret = load_machine(m, r, &clock, &away_ns);
    if (ret)
        return err_set(err, -ret, "%s", r->err.msg);
    ret = engine_vm_set_clock(m->vm, &clock, err);
    if (!ret)
        ret = load_vcpus(m, r, away_ns, err);
    if (ret)
        return ret;
    bus_lock(&m->bus);
    machine_devices_pause(m);
    ret = load_devices(m, r);
    bus_unlock(&m->bus);
    return ret ? err_set(err, -ret, "%s", r->err.msg) : 0;
}

int machine_load(struct machine *m, struct state_reader *r, struct err *err)
{
    if (m->state != MACHINE_CREATED)
        return err_set(err, EBUSY, "cannot load state into a VM that is %s: it has to be new",
                       machine_state_name(m->state));
    int ret = load(m, r, err);
    m->booted_before = true;
    m->state = ret ? MACHINE_STOPPED : MACHINE_PAUSED;
    return ret;
}

int machine_new_generation(struct machine *m, struct err *err)
{
    if (m->state != MACHINE_PAUSED)
        return err_set(err, EBUSY, "cannot renew the generation id of a VM that is %s: pause it",
                       machine_state_name(m->state));
    int ret = machine_check_free(m, "renew the generation id of", err);
    if (ret || !m->config->vmgenid)
        return ret;
    bus_lock(&m->bus);
    ret = vmgenid_renew(&m->vmgenid, true, err);
    bus_unlock(&m->bus);
    return ret;
}
