/* A root bus with one device on it, whose BARs note what reaches them. */
#ifndef TESTS_UNIT_PCI_FIXTURE_H
#define TESTS_UNIT_PCI_FIXTURE_H

#include <linux/pci_regs.h>

#include "base/util.h"
#include "dev/pci/pci.h"
#include "dev/pci/pci_provider.h"
#include "fake_bus.h"
#include "tap.h"

#define ECAM(slot, reg) (MEMORY_MAP_ECAM_BASE + (uint64_t)(slot)*0x8000 + (reg))
#define TABLE           0x1000
#define PBA             0x2000

/* A device with a 16 KiB BAR of 64 bits (MSI-X inside), a 4 KiB one of 32, and a large one. */
struct widget {
    struct pci_device pci;
    unsigned reads, writes, maps, unmaps;
    uint64_t value;
    bool *destroyed;
};

static inline uint64_t widget_read(void *opaque, uint64_t off, unsigned size)
{
    struct widget *w = opaque;
    w->reads++;
    if (off >= PBA)
        return pci_msix_pba_read(&w->pci, off - PBA, size);
    return off >= TABLE ? pci_msix_table_read(&w->pci, off - TABLE, size) : 0x77;
}
static inline void widget_write(void *opaque, uint64_t off, unsigned size, uint64_t value)
{
    struct widget *w = opaque;
    w->writes++;
    w->value = value;
    if (off >= TABLE && off < PBA)
        pci_msix_table_write(&w->pci, off - TABLE, size, value);
}
static const struct bus_region_ops widget_bar_ops = {widget_read, widget_write};

static inline void widget_mapped(struct pci_device *dev, unsigned bar)
{
    ((struct widget *)dev)->maps++;
}
static inline void widget_unmapping(struct pci_device *dev, unsigned bar)
{
    ((struct widget *)dev)->unmaps++;
}
static inline void widget_save(struct pci_device *dev, struct state_writer *w)
{
    state_begin(w, "widget", dev->slot, 1);
    pci_device_save(dev, w);
    state_end(w);
}
static inline int widget_load(struct pci_device *dev, struct state_reader *r)
{
    int ret = state_open(r, "widget", dev->slot, 1);
    if (ret < 0)
        return ret;
    ret = pci_device_load(dev, r);
    return ret ? ret : state_close(r);
}
static inline void widget_destroy(struct pci_device *dev)
{
    struct widget *w = (struct widget *)dev;
    if (w->destroyed)
        *w->destroyed = true;
    pci_device_fini(dev);
    free(w);
}
static const struct pci_device_ops widget_ops = {
    .name = "widget",
    .bar_mapped = widget_mapped,
    .bar_unmapping = widget_unmapping,
    .save = widget_save,
    .load = widget_load,
    .destroy = widget_destroy,
};

static inline struct widget *widget_new(struct fake_bus *f, uint64_t big)
{
    static const struct pci_ids ids = {0x1234, 0x5678, 0x9abc, 0xdef0, 0x010203, 4};
    struct widget *w = calloc(1, sizeof(*w));
    pci_device_init(&w->pci, &f->bus, &widget_ops, &ids);
    pci_device_add_bar(&w->pci, 0, 0x4000, true, &widget_bar_ops, w);
    pci_device_add_bar(&w->pci, 2, 0x1000, false, &widget_bar_ops, w);
    if (big)
        pci_device_add_bar(&w->pci, 4, big, true, &widget_bar_ops, w);
    struct err err;
    CHECK_EQ(pci_msix_init(&w->pci, 3, 0, TABLE, PBA, &err), 0);
    return w;
}

struct rig {
    struct fake_bus f;
    struct pci_root *root;
    struct widget *w;
    unsigned slot;
};

static inline void rig_init(struct rig *g)
{
    fake_bus_init(&g->f);
    g->root = pci_root_create(&g->f.bus, 0x180000000, NULL);
    g->w = widget_new(&g->f, 0);
    int slot = pci_root_add(g->root, &g->w->pci, PCI_SLOT_ANY, NULL);
    CHECK_EQ(slot, 1);
    g->slot = (unsigned)slot;
}

static inline void rig_fini(struct rig *g)
{
    pci_root_destroy(g->root);
    CHECK_EQ(g->f.routes, 0);
    CHECK_EQ(g->f.bus.n_regions[BUS_MMIO], 0);
    CHECK_EQ(g->f.bus.n_regions[BUS_PIO], 0);
    CHECK_EQ(g->f.lost, 0);
    for (unsigned i = 16; i < 20; i++)
        CHECK(!g->f.level[i]);
    fake_bus_fini(&g->f);
}

static inline uint32_t cfg(struct rig *g, unsigned reg, unsigned size)
{
    return (uint32_t)fake_bus_read(&g->f, BUS_MMIO, ECAM(1, reg), size);
}
static inline void cfg_write(struct rig *g, unsigned reg, unsigned size, uint32_t v)
{
    fake_bus_write(&g->f, BUS_MMIO, ECAM(1, reg), size, v);
}

/* ---- MSI-X ---- */

static inline uint64_t msix_rig(struct rig *g, uint8_t *cap)
{
    rig_init(g);
    cfg_write(g, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    *cap = (uint8_t)cfg(g, PCI_CAPABILITY_LIST, 1);
    CHECK_EQ(cfg(g, *cap, 1), PCI_CAP_ID_MSIX);
    CHECK_EQ(cfg(g, *cap + 2u, 2), 2); /* 3 vectors */
    CHECK_EQ(cfg(g, *cap + 4u, 4), TABLE);
    CHECK_EQ(cfg(g, *cap + 8u, 4), PBA);
    return g->w->pci.bars[0].region.base;
}

static inline void set_vector(struct rig *g, uint64_t bar, unsigned v, uint32_t data, uint32_t ctrl)
{
    fake_bus_write(&g->f, BUS_MMIO, bar + TABLE + v * 16, 8, 0xfee00000 + v * 0x1000);
    fake_bus_write(&g->f, BUS_MMIO, bar + TABLE + v * 16 + 8, 4, data);
    fake_bus_write(&g->f, BUS_MMIO, bar + TABLE + v * 16 + 12, 4, ctrl);
}

#endif
