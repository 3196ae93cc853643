/* All state of a machine but its RAM and its disks, as sections in a fixed order: machine, clock,
 * vCPUs, chip set, PCI bus with its devices by slot. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "machine/machine_internal.h"

#define STATE_VERSION 1

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

int machine_save(struct machine *m, struct state_writer *w, struct err *err)
{
    if (m->state != MACHINE_PAUSED)
        return err_set(err, EBUSY, "cannot save a VM that is %s: pause it first",
                       machine_state_name(m->state));
    struct kvm_clock_data clock;
    int ret = engine_vm_get_clock(m->vm, &clock, err);
    if (ret)
        return ret;
    state_begin(w, "machine", 0, STATE_VERSION);
    state_put_u32(w, m->vcpus.n);
    state_put_u64(w, m->mem.total_bytes);
    state_put_u64(w, clock.clock);
    state_end(w);
    ret = save_vcpus(m, w, err);
    if (ret)
        return ret;
    bus_lock(&m->bus);
    save_devices(m, w);
    bus_unlock(&m->bus);
    return w->error ? err_sys(err, -w->error, "could not save the VM's state") : 0;
}

/* ---- load ---- */

static int load_machine(struct machine *m, struct state_reader *r, struct kvm_clock_data *clock)
{
    if (state_open(r, "machine", 0, STATE_VERSION) < 0)
        return -r->err.code;
    uint32_t n_vcpus = state_get_u32(r);
    uint64_t mem_bytes = state_get_u64(r);
    clock->clock = state_get_u64(r);
    if (n_vcpus != m->vcpus.n || mem_bytes != m->mem.total_bytes)
        state_invalid(r, "saved with %u vCPUs and %llu bytes of RAM, this machine has %u and %llu",
                      n_vcpus, (unsigned long long)mem_bytes, m->vcpus.n,
                      (unsigned long long)m->mem.total_bytes);
    return state_close(r);
}

static int load_vcpus(struct machine *m, struct state_reader *r, struct err *err)
{
    CLEANUP_FREE struct engine_vcpu_state *state = malloc(sizeof(*state));
    if (!state)
        return err_set(err, ENOMEM, "could not allocate a vCPU's state");
    for (unsigned i = 0; i < m->vcpus.n; i++) {
        int ret = engine_vcpu_state_load(state, r, i);
        if (ret)
            return err_set(err, -ret, "%s", r->err.msg);
        ret = engine_vcpu_set_state(m->vcpus.v[i].vcpu, state, err);
        if (ret)
            return ret;
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
    int ret = load_machine(m, r, &clock);
    if (ret)
        return err_set(err, -ret, "%s", r->err.msg);
    ret = engine_vm_set_clock(m->vm, &clock, err);
    if (!ret)
        ret = load_vcpus(m, r, err);
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
    if (!m->config->vmgenid)
        return 0;
    bus_lock(&m->bus);
    int ret = vmgenid_renew(&m->vmgenid, true, err);
    bus_unlock(&m->bus);
    return ret;
}
