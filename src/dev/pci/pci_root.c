/* The root bus: how configuration accesses find a device, where BARs may lie and which of them are
 * decoded, and the four interrupt lines that the devices' pins share. */
#include "dev/pci/pci.h"

#include <errno.h>

#include "base/log.h"
#include "base/util.h"
#include "dev/pci/pci_internal.h"

#define CONFIG_ADDRESS        0xcf8
#define CONFIG_DATA_OFFSET    4
#define RESET_CONTROL_OFFSET  1
#define CONFIG_ADDRESS_ENABLE (1u << 31)
#define ECAM_FUNCTION_BYTES   4096

/* The generic host bridge of QEMU's vendor id: no driver and no quirk of any guest binds to it. */
static const struct pci_ids host_bridge_ids = {
    .vendor = 0x1b36,
    .device = 0x0008,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class_code = 0x060000,
};
static const struct pci_device_ops host_bridge_ops = {.name = "pci-host-bridge"};

/* ---- configuration accesses ---- */

/* The device behind "bus << 8 | slot << 3 | function", or NULL. */
static struct pci_device *find(const struct pci_root *root, unsigned bdf)
{
    return bdf >> 8 || bdf & 7 ? NULL : root->devices[bdf >> 3 & 31];
}

/* `at` is bdf << 12 | offset. Accesses of any width at any alignment are made of bytes unless they
 * lie in one dword, so that none straddles two functions. */
static uint64_t config_read(struct pci_root *root, uint64_t at, unsigned size)
{
    uint64_t value = 0;
    unsigned step = at % 4 + size <= 4 ? size : 1;
    for (unsigned i = 0; i < size; i += step) {
        struct pci_device *dev = find(root, (unsigned)((at + i) / ECAM_FUNCTION_BYTES));
        uint64_t part = dev ? pci_config_read(dev, (at + i) % ECAM_FUNCTION_BYTES, step)
                            : (UINT64_C(1) << 8 * step) - 1;
        value |= part << 8 * i;
    }
    return value;
}

static void config_write(struct pci_root *root, uint64_t at, unsigned size, uint64_t value)
{
    unsigned step = at % 4 + size <= 4 ? size : 1;
    if (at % 4 == 0 && size == 8)
        step = 4;
    for (unsigned i = 0; i < size; i += step) {
        struct pci_device *dev = find(root, (unsigned)((at + i) / ECAM_FUNCTION_BYTES));
        if (dev)
            pci_config_write(dev, (at + i) % ECAM_FUNCTION_BYTES, step, (uint32_t)(value >> 8 * i));
    }
}

static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned size)
{
    return config_read(opaque, offset, size);
}

static void ecam_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    config_write(opaque, offset, size, value);
}

/* Mechanism #1: the address register answers to dword accesses only (3.2.2.3.2). */
static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pci_root *root = opaque;
    if (offset == 0 && size == 4)
        return root->address;
    if (offset == RESET_CONTROL_OFFSET && size == 1 && root->reset_control)
        return root->reset_control->ops->read(root->reset_control->opaque, 0, 1);
    if (offset < CONFIG_DATA_OFFSET || !(root->address & CONFIG_ADDRESS_ENABLE))
        return UINT64_MAX;
    uint64_t bdf = root->address >> 8 & 0xffff;
    return config_read(
        root, bdf * ECAM_FUNCTION_BYTES + (root->address & 0xfc) + offset - CONFIG_DATA_OFFSET,
        size);
}

static void ports_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_root *root = opaque;
    if (offset == 0 && size == 4) {
        root->address = (uint32_t)value & ~3u;
        return;
    }
    if (offset == RESET_CONTROL_OFFSET && size == 1 && root->reset_control)
        root->reset_control->ops->write(root->reset_control->opaque, 0, 1, value);
    if (offset < CONFIG_DATA_OFFSET || !(root->address & CONFIG_ADDRESS_ENABLE))
        return;
    uint64_t bdf = root->address >> 8 & 0xffff;
    config_write(root,
                 bdf * ECAM_FUNCTION_BYTES + (root->address & 0xfc) + offset - CONFIG_DATA_OFFSET,
                 size, value);
}

static const struct bus_region_ops ecam_ops = {.read = ecam_read, .write = ecam_write};
static const struct bus_region_ops ports_ops = {.read = ports_read, .write = ports_write};

/* ---- BARs ---- */

static bool in_window(const struct pci_window *w, uint64_t addr, uint64_t size)
{
    return addr >= w->base && range_within(addr - w->base, size, w->size);
}

/* Whether the guest wants the BAR decoded, at a place that this bus forwards. */
static bool wanted(const struct pci_root *root, const struct pci_device *dev, unsigned bar,
                   uint64_t *addr)
{
    uint64_t size = dev->bars[bar].size;
    *addr = pci_bar_address(dev, bar);
    return size && (dev->config[PCI_COMMAND] & PCI_COMMAND_MEMORY) &&
           (in_window(&root->window32, *addr, size) || in_window(&root->window64, *addr, size));
}

static void unmap(struct pci_device *dev, unsigned bar)
{
    struct pci_bar *b = &dev->bars[bar];
    if (!b->mapped)
        return;
    if (dev->ops->bar_unmapping)
        dev->ops->bar_unmapping(dev, bar);
    bus_remove(dev->bus, BUS_MMIO, &b->region);
    b->mapped = false;
}

static void map(struct pci_device *dev, unsigned bar, uint64_t addr)
{
    struct pci_bar *b = &dev->bars[bar];
    struct err err = {0};
    b->region.base = addr;
    if (bus_add(dev->bus, BUS_MMIO, &b->region, &err)) {
        LOG_LIMITED(LOG_WARN, "pci", "BAR %u is not decoded: %s slot=%u", bar, err.msg, dev->slot);
        return;
    }
    b->mapped = true;
    if (dev->ops->bar_mapped)
        dev->ops->bar_mapped(dev, bar);
}

/* In two rounds, so that BARs may swap places. */
void pci_root_remap(struct pci_root *root)
{
    uint64_t addr;
    for (unsigned i = 0; i < PCI_SLOTS * PCI_BARS; i++) {
        struct pci_device *dev = root->devices[i / PCI_BARS];
        unsigned bar = i % PCI_BARS;
        if (dev && dev->bars[bar].mapped &&
            (!wanted(root, dev, bar, &addr) || dev->bars[bar].region.base != addr))
            unmap(dev, bar);
    }
    for (unsigned i = 0; i < PCI_SLOTS * PCI_BARS; i++) {
        struct pci_device *dev = root->devices[i / PCI_BARS];
        unsigned bar = i % PCI_BARS;
        if (dev && !dev->bars[bar].mapped && wanted(root, dev, bar, &addr))
            map(dev, bar, addr);
    }
}

/* The end of a BAR, of any device on the bus, that overlaps [addr, addr + size); 0 if none does. */
static uint64_t taken_until(const struct pci_root *root, uint64_t addr, uint64_t size)
{
    for (unsigned i = 0; i < PCI_SLOTS * PCI_BARS; i++) {
        const struct pci_device *dev = root->devices[i / PCI_BARS];
        uint64_t len = dev ? dev->bars[i % PCI_BARS].size : 0;
        uint64_t at = len ? pci_bar_address(dev, i % PCI_BARS) : 0;
        if (len && at < addr + size && addr < at + len)
            return at + len;
    }
    return 0;
}

/* First fit. */
static uint64_t find_space(const struct pci_root *root, const struct pci_window *w, uint64_t size)
{
    uint64_t addr = align_up(w->base, size);
    for (uint64_t end; in_window(w, addr, size); addr = align_up(end, size)) {
        end = taken_until(root, addr, size);
        if (end <= addr)
            return addr;
    }
    return 0;
}

/* Small BARs go below 4 GiB, which every guest can address; large ones above, if they can. */
static int assign_bars(struct pci_root *root, struct pci_device *dev, struct err *err)
{
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        struct pci_bar *b = &dev->bars[bar];
        if (!b->size)
            continue;
        bool high = b->is_64bit && b->size > MIB;
        uint64_t addr = find_space(root, high ? &root->window64 : &root->window32, b->size);
        if (!addr && b->is_64bit)
            addr = find_space(root, high ? &root->window32 : &root->window64, b->size);
        if (!addr)
            return err_set(err, ENOSPC, "no PCI address space left for %llu bytes of %s",
                           (unsigned long long)b->size, dev->ops->name);
        pci_bar_assign(dev, bar, addr);
    }
    return 0;
}

/* ---- slots ---- */

static int choose_slot(const struct pci_root *root, unsigned slot, struct err *err)
{
    if (slot == PCI_SLOT_ANY) {
        for (slot = 1; slot < PCI_SLOTS; slot++)
            if (!root->devices[slot])
                return (int)slot;
        return err_set(err, ENOSPC, "all %d PCI slots are taken", PCI_SLOTS - 1);
    }
    if (slot >= PCI_SLOTS)
        return err_set(err, EINVAL, "there is no PCI slot %u, only 1 to %d", slot, PCI_SLOTS - 1);
    if (root->devices[slot])
        return err_set(err, EBUSY, "PCI slot %u is taken by %s", slot,
                       root->devices[slot]->ops->name);
    return (int)slot;
}

int pci_root_add(struct pci_root *root, struct pci_device *dev, unsigned slot, struct err *err)
{
    int ret = choose_slot(root, slot, err);
    if (ret < 0)
        return ret;
    slot = (unsigned)ret;
    root->devices[slot] = dev; /* so that its own BARs keep clear of each other */
    ret = assign_bars(root, dev, err);
    if (ret) {
        root->devices[slot] = NULL;
        return ret;
    }
    dev->root = root;
    dev->slot = slot;
    dev->config[PCI_INTERRUPT_LINE] = (uint8_t)pci_gsi(slot, 0);
    return (int)slot;
}

/* BARs are assigned anew because the guest may have moved some, and devices may have been plugged
 * where others were before. All were found a place at their time, so all will be again: in the
 * worst case a device is left undecoded, which is logged. */
void pci_root_reset(struct pci_root *root)
{
    root->address = 0;
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
        if (root->devices[slot])
            pci_device_reset(root->devices[slot]);
    pci_root_remap(root);
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++) {
        struct pci_device *dev = root->devices[slot];
        struct err err = {0};
        if (!dev)
            continue;
        if (assign_bars(root, dev, &err))
            LOG_LIMITED(LOG_WARN, "pci", "no address after reset: %s slot=%u", err.msg, slot);
        dev->config[PCI_INTERRUPT_LINE] = (uint8_t)pci_gsi(slot, 0);
    }
}

static void detach(struct pci_root *root, unsigned slot)
{
    struct pci_device *dev = root->devices[slot];
    for (unsigned bar = 0; bar < PCI_BARS; bar++)
        unmap(dev, bar);
    pci_intx_disable(dev, true); /* its threads may still try, until it is destroyed */
    root->devices[slot] = NULL;
    if (dev->ops->destroy)
        dev->ops->destroy(dev);
}

void pci_root_remove(struct pci_root *root, unsigned slot)
{
    if (!slot || slot >= PCI_SLOTS || !root->devices[slot])
        return;
    detach(root, slot);
    pci_root_remap(root); /* another BAR may have waited for the space */
}

struct pci_device *pci_root_device(const struct pci_root *root, unsigned slot)
{
    return slot < PCI_SLOTS ? root->devices[slot] : NULL;
}

uint32_t pci_root_slots(const struct pci_root *root)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < PCI_SLOTS; i++)
        mask |= (uint32_t)(root->devices[i] != NULL) << i;
    return mask;
}

void pci_root_set_reset_control(struct pci_root *root, const struct bus_region *region)
{
    root->reset_control = region;
}

/* ---- interrupt pins ---- */

/* The line is high while any device drives it; changes reach the controllers in order, so the lock
 * is held across. */
static void drive_line(struct pci_device *dev)
{
    struct pci_root *root = dev->root;
    bool drive = dev->intx_level && !dev->intx_disabled;
    unsigned line = dev->slot % 4;
    if (drive == dev->intx_driven)
        return;
    dev->intx_driven = drive;
    if (drive ? root->intx_asserted[line]++ == 0 : --root->intx_asserted[line] == 0)
        bus_irq_set(root->bus, pci_gsi(dev->slot, 0), drive);
}

void pci_intx_set(struct pci_device *dev, bool level)
{
    if (!dev->root)
        return;
    pthread_mutex_lock(&dev->root->intx_lock);
    dev->intx_level = level;
    drive_line(dev);
    pthread_mutex_unlock(&dev->root->intx_lock);
}

void pci_intx_disable(struct pci_device *dev, bool disabled)
{
    if (!dev->root)
        return;
    pthread_mutex_lock(&dev->root->intx_lock);
    dev->intx_disabled = disabled;
    drive_line(dev);
    pthread_mutex_unlock(&dev->root->intx_lock);
}

/* ---- life ---- */

struct pci_root *pci_root_create(struct bus *bus, uint64_t ram_end, struct err *err)
{
    struct pci_root *root = calloc(1, sizeof(*root));
    if (!root) {
        err_set(err, ENOMEM, "could not allocate the PCI bus");
        return NULL;
    }
    root->bus = bus;
    pthread_mutex_init(&root->intx_lock, NULL);
    root->window32 = (struct pci_window){MEMORY_MAP_PCI32_BASE, MEMORY_MAP_PCI32_SIZE};
    root->window64 =
        (struct pci_window){align_up(MAX(ram_end, 4 * GIB), GIB), MEMORY_MAP_PCI64_SIZE};
    root->ports = (struct bus_region){"pci-config", CONFIG_ADDRESS, 8, &ports_ops, root, false};
    root->ecam = (struct bus_region){
        "pci-ecam", MEMORY_MAP_ECAM_BASE, MEMORY_MAP_ECAM_SIZE, &ecam_ops, root, false};
    pci_device_init(&root->host_bridge, bus, &host_bridge_ops, &host_bridge_ids);
    root->host_bridge.config[PCI_INTERRUPT_PIN] = 0;
    if (pci_root_add(root, &root->host_bridge, 0, err) < 0 ||
        bus_add(bus, BUS_PIO, &root->ports, err) || bus_add(bus, BUS_MMIO, &root->ecam, err)) {
        pci_root_destroy(root);
        return NULL;
    }
    return root;
}

void pci_root_destroy(struct pci_root *root)
{
    if (!root)
        return;
    for (unsigned slot = PCI_SLOTS; slot-- > 0;)
        if (root->devices[slot])
            detach(root, slot);
    bus_remove(root->bus, BUS_PIO, &root->ports);
    bus_remove(root->bus, BUS_MMIO, &root->ecam);
    pthread_mutex_destroy(&root->intx_lock);
    free(root);
}

struct pci_window pci_root_window64(const struct pci_root *root)
{
    return root->window64;
}

/* ---- state ---- */

void pci_root_save(const struct pci_root *root, struct state_writer *w)
{
    state_begin(w, "pci-root", 0, 1);
    state_put_u32(w, root->address);
    state_put_u32(w, pci_root_slots(root));
    pci_device_save(&root->host_bridge, w);
    state_end(w);
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
        if (root->devices[slot] && root->devices[slot]->ops->save)
            root->devices[slot]->ops->save(root->devices[slot], w);
}

int pci_root_load(struct pci_root *root, struct state_reader *r)
{
    int ret = state_open(r, "pci-root", 0, 1);
    if (ret < 0)
        return ret;
    root->address = state_get_u32(r) & ~3u;
    uint32_t slots = state_get_u32(r);
    if (!r->err.code && slots != pci_root_slots(root))
        return state_invalid(r, "PCI slots in use are 0x%x, here 0x%x", slots,
                             pci_root_slots(root));
    ret = pci_device_load(&root->host_bridge, r);
    if (!ret)
        ret = state_close(r);
    for (unsigned slot = 1; !ret && slot < PCI_SLOTS; slot++)
        if (root->devices[slot] && root->devices[slot]->ops->load)
            ret = root->devices[slot]->ops->load(root->devices[slot], r);
    return ret;
}
