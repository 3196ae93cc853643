/* The chip set: what a PC has besides memory, CPUs and PCI devices. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "boot/boot_layout.h"
#include "bus/memory_map.h"
#include "machine/machine_internal.h"

/* ---- what the chips report ---- */

static void power_off(void *opaque)
{
    machine_request(opaque, MACHINE_REQUEST_POWER_OFF);
}

static void guest_wants_reset(void *opaque)
{
    machine_request(opaque, MACHINE_REQUEST_RESET);
}

static void debug_exit(void *opaque, int code)
{
    struct machine *m = opaque;
    atomic_store(&m->debug_exit_code, code);
    machine_request(m, MACHINE_REQUEST_DEBUG_EXIT);
}

static void ejected(void *opaque, unsigned slot)
{
    struct machine *m = opaque;
    atomic_fetch_or(&m->eject_slots, UINT32_C(1) << slot);
    machine_request(m, MACHINE_REQUEST_EJECT);
}

/* ---- the serial console ---- */

static void uart_output(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;
    if (m->serial)
        serial_port_output(m->serial, data, len);
}

static void uart_input_ready(void *opaque)
{
    struct machine *m = opaque;
    if (m->serial)
        serial_port_input_ready(m->serial);
}

static size_t serial_input(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;
    bus_lock(&m->bus);
    size_t n = uart16550_input(&m->uart, data, len);
    bus_unlock(&m->bus);
    return n;
}

static int init_serial(struct machine *m, struct machine_console_files *files, struct err *err)
{
    struct uart16550_backend backend = {
        .output = uart_output, .input_ready = uart_input_ready, .opaque = m};
    int ret = uart16550_init(&m->uart, &m->bus, m->setup.loop, MEMORY_MAP_COM1, MEMORY_MAP_IRQ_COM1,
                             &backend, err);
    if (ret || (files->in_fd < 0 && files->out_fd < 0 && files->listen_fd < 0))
        return ret;
    struct serial_port_config config = {
        .loop = m->setup.loop,
        .in_fd = files->in_fd,
        .out_fd = files->out_fd,
        .listen_fd = files->listen_fd,
        .max_bytes = m->config->console.max_bytes,
        .input = serial_input,
        .opaque = m,
    };
    *files = (struct machine_console_files){.in_fd = -1, .out_fd = -1, .listen_fd = -1};
    m->serial = serial_port_create(&config, err);
    return m->serial ? 0 : -(err && err->code ? err->code : ENOMEM);
}

/* ---- interrupt controllers, as the engine sees them ---- */

const struct engine_irqchip_ops machine_irqchip_ops = {
    .eoi = irqchip_eoi,
    .extint_pending = irqchip_extint_pending,
    .extint_acknowledge = irqchip_extint_acknowledge,
};

static void extint_changed(void *opaque)
{
    struct machine *m = opaque;
    engine_vm_extint(m->vm);
}

static void pins_changed(void *opaque, const struct bus_ioapic_pin *pins)
{
    struct machine *m = opaque;
    engine_vm_set_ioapic(m->vm, pins);
}

static const struct irqchip_ops irqchip_wiring = {.set_ioapic = pins_changed,
                                                  .extint = extint_changed};

/* What firmware asks for: how much memory and how many CPUs. */
static int init_fw_cfg(struct machine *m, struct err *err)
{
    uint64_t low = m->mem.regions[0].size_bytes;
    unsigned n = m->config->cpus.count;
    mc146818_set_memory(&m->rtc, low, m->mem.total_bytes - low);
    int ret = fw_cfg_init(&m->fw_cfg, &m->bus, &m->mem, err);
    if (!ret)
        ret = fw_cfg_add_value(&m->fw_cfg, FW_CFG_RAM_SIZE, m->mem.total_bytes, 8, err);
    if (!ret)
        ret = fw_cfg_add_value(&m->fw_cfg, FW_CFG_N_CPUS, n, 2, err);
    if (!ret)
        ret = fw_cfg_add_value(&m->fw_cfg, FW_CFG_MAX_CPUS, n, 2, err);
    return ret;
}

int machine_chipset_init(struct machine *m, struct machine_files *files, struct err *err)
{
    struct loop *loop = m->setup.loop;
    int ret = irqchip_init(&m->irqchip, &m->bus, loop, &irqchip_wiring, m, err);
    if (!ret)
        ret = mc146818_init(&m->rtc, &m->bus, loop, NULL, NULL, err);
    if (!ret)
        ret = acpi_pm_init(&m->pm, &m->bus, loop, power_off, m, err);
    if (!ret)
        ret = reset_ports_init(&m->reset_ports, &m->bus, guest_wants_reset, m, err);
    if (!ret)
        ret = pci_hotplug_init(&m->hotplug, &m->bus, &m->pm, ejected, m, err);
    if (!ret && m->config->debug_exit)
        ret = debug_exit_init(&m->debug_exit, &m->bus, debug_exit, m, err);
    if (!ret)
        ret = init_fw_cfg(m, err);
    vmgenid_init(&m->vmgenid, &m->mem, &m->pm, BOOT_LAYOUT_VMGENID);
    if (!ret && m->config->vmgenid)
        ret = vmgenid_renew(&m->vmgenid, false, err);
    if (!ret)
        ret = init_serial(m, &files->serial, err);
    return ret;
}

void machine_chipset_fini(struct machine *m)
{
    uart16550_fini(&m->uart);
    serial_port_destroy(m->serial);
    debug_exit_fini(&m->debug_exit);
    fw_cfg_fini(&m->fw_cfg);
    pci_hotplug_fini(&m->hotplug);
    reset_ports_fini(&m->reset_ports);
    acpi_pm_fini(&m->pm);
    mc146818_fini(&m->rtc);
    irqchip_fini(&m->irqchip);
}

void machine_chipset_reset(struct machine *m)
{
    uart16550_reset(&m->uart);
    fw_cfg_reset(&m->fw_cfg);
    reset_ports_reset(&m->reset_ports);
    pci_hotplug_reset(&m->hotplug);
    acpi_pm_reset(&m->pm);
    mc146818_reset(&m->rtc);
    irqchip_reset(&m->irqchip);
}
