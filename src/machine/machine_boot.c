/* From power-on to the kernel's first instruction: vCPUs back to their power-on state, firmware
 * tables and kernel into guest RAM, registers of vCPU 0. The same for a first boot and a reset. */
#include <string.h>

#include "base/util.h"
#include "boot/acpi.h"
#include "boot/boot_layout.h"
#include "boot/smbios.h"
#include "machine/machine_internal.h"

static int install_tables(struct machine *m, uint64_t *rsdp_gpa, struct err *err)
{
    const struct vm_config *c = m->config;
    struct pci_window window64 = pci_root_window64(m->pci);
    struct acpi_config acpi = {
        .n_vcpus = c->cpus.count,
        .pci64_base = window64.base,
        .pci64_size_bytes = window64.size,
        .hotplug_slots = ~UINT32_C(1), /* all but the host bridge's */
        .com1 = true,
        .fw_cfg = true,
        .vmgenid = c->vmgenid,
    };
    int ret = acpi_install(&m->mem, &acpi, rsdp_gpa, err);
    struct smbios_config smbios = {.name = c->name, .n_vcpus = c->cpus.count};
    memcpy(smbios.uuid, c->uuid, sizeof(smbios.uuid));
    if (!ret)
        ret = smbios_install(&m->mem, &smbios, err);
    if (!ret && c->vmgenid)
        ret = vmgenid_publish(&m->vmgenid, err);
    return ret;
}

/* The null engine runs no guest: without a kernel it does without. */
static bool has_kernel(const struct machine *m)
{
    return m->kernel_fd >= 0 || strcmp(engine_name(m->engine), "null") != 0;
}

static int load_kernel(struct machine *m, uint64_t rsdp_gpa, struct err *err)
{
    const struct vm_config *c = m->config;
    if (!has_kernel(m))
        return 0;
    struct boot_config boot = {
        .kernel_fd = m->kernel_fd,
        .kernel_name = c->kernel,
        .initrd_fd = m->initrd_fd,
        .initrd_name = c->initrd,
        .cmdline = c->append,
        .rsdp_gpa = rsdp_gpa,
        .will_use = m->booted_before || c->memory.prealloc ? NULL : machine_populate,
        .opaque = m,
    };
    return m->kernel_fd < 0 ? machine_disk_kernel_load(m, &boot, err)
                            : boot_load(&m->mem, &boot, &m->boot, err);
}

int machine_boot_load(struct machine *m, struct err *err)
{
    uint64_t rsdp_gpa = 0;
    int ret = install_tables(m, &rsdp_gpa, err);
    if (!ret)
        ret = load_kernel(m, rsdp_gpa, err);
    for (unsigned i = 0; !ret && i < m->vcpus.n; i++)
        if (m->booted_before)
            ret = engine_vcpu_set_state(m->vcpus.v[i].vcpu, m->power_on[i], err);
    if (ret)
        return ret;
    m->booted_before = true;
    if (!has_kernel(m))
        return 0;
    m->boot.sregs.apic_base = m->power_on[0]->sregs.apic_base;
    return engine_vcpu_set_regs(m->vcpus.v[0].vcpu, &m->boot.regs, &m->boot.sregs, err);
}
