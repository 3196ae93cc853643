#include "dev/chipset/pci_hotplug.h"

#include <string.h>

#include "bus/memory_map.h"

enum { REG_UP = 0, REG_DOWN = 4, REG_EJECT = 8, REG_PRESENT = 12 };

static uint64_t reg_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pci_hotplug *hp = opaque;
    uint32_t value = UINT32_MAX;
    if (size != 4)
        return value;
    switch (offset) {
    case REG_UP:
        value = hp->up;
        hp->up = 0;
        break;
    case REG_DOWN:
        value = hp->down;
        hp->down = 0;
        break;
    case REG_EJECT:
        value = 0;
        break;
    case REG_PRESENT:
        value = hp->present;
        break;
    }
    return value;
}

static void reg_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_hotplug *hp = opaque;
    if (offset != REG_EJECT || size != 4)
        return;
    uint32_t slots = (uint32_t)value & hp->present;
    for (unsigned slot = 0; slot < 32; slot++)
        if (slots & (UINT32_C(1) << slot))
            hp->eject(hp->opaque, slot);
}

static const struct bus_region_ops region_ops = {.read = reg_read, .write = reg_write};

int pci_hotplug_init(struct pci_hotplug *hp, struct bus *bus, struct acpi_pm *pm,
                     void (*eject)(void *opaque, unsigned slot), void *opaque, struct err *err)
{
    memset(hp, 0, sizeof(*hp));
    hp->pm = pm;
    hp->eject = eject;
    hp->opaque = opaque;
    hp->region = (struct bus_region){.name = "pci-hotplug",
                                     .base = MEMORY_MAP_PCI_HOTPLUG,
                                     .size = 16,
                                     .ops = &region_ops,
                                     .opaque = hp};
    int ret = bus_add(bus, BUS_PIO, &hp->region, err);
    if (!ret)
        hp->bus = bus;
    return ret;
}

void pci_hotplug_fini(struct pci_hotplug *hp)
{
    if (!hp->bus)
        return;
    bus_remove(hp->bus, BUS_PIO, &hp->region);
    hp->bus = NULL;
}

void pci_hotplug_plugged(struct pci_hotplug *hp, unsigned slot, bool notify)
{
    hp->present |= UINT32_C(1) << slot;
    if (!notify)
        return;
    hp->up |= UINT32_C(1) << slot;
    acpi_pm_raise_gpe(hp->pm, MEMORY_MAP_GPE_PCI_HOTPLUG);
}

void pci_hotplug_request_eject(struct pci_hotplug *hp, unsigned slot)
{
    hp->down |= UINT32_C(1) << slot;
    acpi_pm_raise_gpe(hp->pm, MEMORY_MAP_GPE_PCI_HOTPLUG);
}

void pci_hotplug_unplugged(struct pci_hotplug *hp, unsigned slot)
{
    uint32_t others = ~(UINT32_C(1) << slot);
    hp->present &= others;
    hp->up &= others;
    hp->down &= others;
}

void pci_hotplug_reset(struct pci_hotplug *hp)
{
    hp->up = hp->down = 0;
}

#define STATE_VERSION 1

void pci_hotplug_save(const struct pci_hotplug *hp, struct state_writer *w)
{
    state_begin(w, "pci-hotplug", 0, STATE_VERSION);
    state_put_u32(w, hp->up);
    state_put_u32(w, hp->down);
    state_put_u32(w, hp->present);
    state_end(w);
}

int pci_hotplug_load(struct pci_hotplug *hp, struct state_reader *r)
{
    if (state_open(r, "pci-hotplug", 0, STATE_VERSION) < 0)
        return -r->err.code;
    hp->up = state_get_u32(r);
    hp->down = state_get_u32(r);
    uint32_t present = state_get_u32(r);
    if (present != hp->present)
        state_invalid(r, "saved with PCI slots 0x%x in use, this machine has 0x%x", present,
                      hp->present);
    return state_close(r);
}
