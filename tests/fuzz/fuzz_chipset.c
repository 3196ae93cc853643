/* Every register of the chip set on one bus, with the clock, events from outside, resets and
 * damaged state: nothing may crash, hang or write outside of guest RAM.
 *   OFFSET  SIZE  MEANING, repeated
 *   0       1     what: bits 0..4 which block of ports (or event), bits 5..7 what to do
 *   1       1     offset in the block (low 6 bits), width (high 2)
 *   2       4     value, little-endian */
#include <stdlib.h>

#include "base/util.h"
#include "bus/bus.h"
#include "bus/memory_map.h"
#include "dev/chipset/acpi_pm.h"
#include "dev/chipset/debug_exit.h"
#include "dev/chipset/fw_cfg.h"
#include "dev/chipset/mc146818.h"
#include "dev/chipset/pci_hotplug.h"
#include "dev/chipset/reset_ports.h"
#include "dev/chipset/vmgenid.h"

#define STEP_BYTES 6
#define STEPS      2048
#define RAM_BYTES  (256 * KIB)
#define VMGENID    0x1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct chipset {
    struct bus bus;
    struct loop *loop;
    struct guest_mem mem;
    struct mc146818 rtc;
    struct acpi_pm pm;
    struct reset_ports reset;
    struct pci_hotplug hotplug;
    struct debug_exit debug_exit;
    struct fw_cfg fw_cfg;
    struct vmgenid vmgenid;
    int64_t base_ns;
};

static void ignore(void *opaque)
{
}

static void exited(void *opaque, int code)
{
    if (!(code & 1) || code > 255)
        abort();
}

static void eject(void *opaque, unsigned slot)
{
    struct chipset *c = opaque;
    if (!(c->hotplug.present & 1u << slot))
        abort();
    pci_hotplug_unplugged(&c->hotplug, slot);
}

static int64_t wall_clock(void *opaque)
{
    struct chipset *c = opaque;
    return INT64_C(1795250021) * 1000000000 + loop_now_ns(c->loop) - c->base_ns;
}

static void set_irq(void *opaque, unsigned gsi, bool level)
{
    if (gsi >= MEMORY_MAP_IOAPIC_PINS)
        abort();
}

static void start(struct chipset *c)
{
    static const struct bus_irq_ops irq_ops = {.set = set_irq};
    static const uint8_t file[300] = {1, 2, 3};
    bus_init(&c->bus);
    bus_set_irq(&c->bus, &irq_ops, c);
    c->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    c->base_ns = c->loop ? loop_now_ns(c->loop) : 0;
    if (!c->loop || guest_mem_init(&c->mem, RAM_BYTES, 0, NULL) ||
        mc146818_init(&c->rtc, &c->bus, c->loop, wall_clock, c, NULL) ||
        acpi_pm_init(&c->pm, &c->bus, c->loop, ignore, c, NULL) ||
        reset_ports_init(&c->reset, &c->bus, ignore, c, NULL) ||
        pci_hotplug_init(&c->hotplug, &c->bus, &c->pm, eject, c, NULL) ||
        debug_exit_init(&c->debug_exit, &c->bus, exited, c, NULL) ||
        fw_cfg_init(&c->fw_cfg, &c->bus, &c->mem, NULL) ||
        fw_cfg_add_file(&c->fw_cfg, "etc/fuzz", file, sizeof(file), NULL))
        abort();
    vmgenid_init(&c->vmgenid, &c->mem, &c->pm, VMGENID);
}

static void stop(struct chipset *c)
{
    fw_cfg_fini(&c->fw_cfg);
    debug_exit_fini(&c->debug_exit);
    pci_hotplug_fini(&c->hotplug);
    reset_ports_fini(&c->reset);
    acpi_pm_fini(&c->pm);
    mc146818_fini(&c->rtc);
    guest_mem_fini(&c->mem);
    loop_destroy(c->loop);
    bus_fini(&c->bus);
}

static void reset(struct chipset *c)
{
    mc146818_reset(&c->rtc);
    acpi_pm_reset(&c->pm);
    reset_ports_reset(&c->reset);
    pci_hotplug_reset(&c->hotplug);
    fw_cfg_reset(&c->fw_cfg);
}

/* Saves all, damages one byte, loads: a chip whose state is refused is reset, as a machine that
 * could not be restored is not run. */
static void reload(struct chipset *c, unsigned at, uint8_t damage)
{
    struct state_writer w;
    struct state_reader r;
    state_writer_init(&w);
    mc146818_save(&c->rtc, &w);
    acpi_pm_save(&c->pm, &w);
    reset_ports_save(&c->reset, &w);
    pci_hotplug_save(&c->hotplug, &w);
    fw_cfg_save(&c->fw_cfg, &w);
    vmgenid_save(&c->vmgenid, &w);
    if (w.error)
        abort();
    w.data[at % w.len_bytes] ^= damage;
    state_reader_init(&r, w.data, w.len_bytes);
    if (mc146818_load(&c->rtc, &r) || acpi_pm_load(&c->pm, &r) || reset_ports_load(&c->reset, &r) ||
        pci_hotplug_load(&c->hotplug, &r) || fw_cfg_load(&c->fw_cfg, &r) ||
        vmgenid_load(&c->vmgenid, &r)) {
        if (!damage)
            abort();
        reset(c);
    }
    state_writer_fini(&w);
}

static void event(struct chipset *c, unsigned which, uint32_t value)
{
    switch (which % 8) {
    case 0:
        loop_advance_ns(c->loop, value);
        break;
    case 1:
        loop_advance_ns(c->loop, (int64_t)(value % 64) * 1000000000);
        break;
    case 2:
        pci_hotplug_plugged(&c->hotplug, value % 32, value & 32);
        break;
    case 3:
        pci_hotplug_request_eject(&c->hotplug, value % 32);
        break;
    case 4:
        acpi_pm_press_power_button(&c->pm);
        break;
    case 5:
        reset(c);
        break;
    case 6:
        reload(c, value, (uint8_t)(value >> 24));
        break;
    case 7:
        vmgenid_publish(&c->vmgenid, NULL);
        break;
    }
}

static void step(struct chipset *c, const uint8_t *p)
{
    static const uint16_t blocks[] = {0x60,
                                      MEMORY_MAP_RESET_PORT,
                                      MEMORY_MAP_RTC,
                                      0x92,
                                      MEMORY_MAP_DEBUG_EXIT,
                                      MEMORY_MAP_FW_CFG,
                                      MEMORY_MAP_PM1A_EVT,
                                      MEMORY_MAP_GPE0,
                                      MEMORY_MAP_PCI_HOTPLUG};
    unsigned which = p[0] & 31, width = 1u << (p[1] >> 6) % 3;
    uint64_t port = blocks[which % ARRAY_LEN(blocks)] + (p[1] & 15u);
    uint8_t buf[4];
    switch (p[0] >> 5) {
    case 0:
    case 1:
    case 2:
        bus_access_write(&c->bus, BUS_PIO, port, p + 2, width);
        break;
    case 3:
    case 4:
        bus_access_read(&c->bus, BUS_PIO, port, buf, width);
        break;
    case 5: /* a fw_cfg DMA descriptor */
        guest_mem_write(&c->mem, 0x2000 + (p[1] & 15u), p + 2, 4);
        break;
    default:
        event(c, which, le32_read(p + 2));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chipset *c = calloc(1, sizeof(*c));
    if (!c)
        abort();
    start(c);
    for (unsigned i = 0; i < STEPS && size >= STEP_BYTES; i++) {
        step(c, data);
        data += STEP_BYTES;
        size -= STEP_BYTES;
    }
    stop(c);
    free(c);
    return 0;
}
