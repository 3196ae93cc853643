/* The PCI transport of a device that echoes, and a guest's driver of both. */
#ifndef TESTS_UNIT_VIRTIO_PCI_FIXTURE_H
#define TESTS_UNIT_VIRTIO_PCI_FIXTURE_H

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "dev/virtio/virtio_pci.h"
#include "echo_device.h"
#include "fake_bus.h"
#include "io/iothread.h"
#include "tap.h"
#include "virtio_driver.h"

/* The guest's driver of the transport: it knows only what it finds in configuration space. */
struct rig {
    struct fake_bus f;
    struct guest_mem mem;
    struct loop *loop;
    struct pci_root *root;
    struct echo *e;
    unsigned slot;
    uint64_t ecam, bar;
    uint64_t common, isr, device, notify; /* addresses of the structures */
    uint32_t notify_mult;
    unsigned msix_cap, window_cap;
    uint64_t next_gpa;
    struct vdrv_ring rings[2];
    bool destroyed;
};

static inline uint64_t rd(struct rig *g, uint64_t addr, unsigned size)
{
    return fake_bus_read(&g->f, BUS_MMIO, addr, size);
}
static inline void wr(struct rig *g, uint64_t addr, unsigned size, uint64_t v)
{
    fake_bus_write(&g->f, BUS_MMIO, addr, size, v);
}

static inline void find_structures(struct rig *g)
{
    for (unsigned at = (unsigned)rd(g, g->ecam + 0x34, 1), n = 0; at && n < 10; n++) {
        uint64_t cap = g->ecam + at;
        uint64_t addr = g->bar + rd(g, cap + VIRTIO_PCI_CAP_OFFSET, 4);
        if (rd(g, cap, 1) == PCI_CAP_ID_MSIX)
            g->msix_cap = at;
        else if (rd(g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == VIRTIO_PCI_CAP_COMMON_CFG)
            g->common = addr;
        else if (rd(g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == VIRTIO_PCI_CAP_ISR_CFG)
            g->isr = addr;
        else if (rd(g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == VIRTIO_PCI_CAP_DEVICE_CFG)
            g->device = addr;
        else if (rd(g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == VIRTIO_PCI_CAP_PCI_CFG)
            g->window_cap = at;
        else if (rd(g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == VIRTIO_PCI_CAP_NOTIFY_CFG) {
            g->notify = addr;
            g->notify_mult = (uint32_t)rd(g, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
        }
        at = (unsigned)rd(g, cap + 1, 1);
    }
}

static inline void rig_add(struct rig *g)
{
    g->e = echo_new(&g->mem, g->loop);
    g->e->destroyed = &g->destroyed;
    g->destroyed = false;
    int slot = virtio_pci_create(&g->f.bus, g->root, PCI_SLOT_ANY, &g->e->dev, NULL);
    CHECK(slot > 0);
    g->slot = (unsigned)slot;
    g->ecam = MEMORY_MAP_ECAM_BASE + g->slot * 0x8000;
    g->bar = rd(g, g->ecam + 0x10, 8) & ~UINT64_C(0xf);
    find_structures(g);
}

static inline void rig_init(struct rig *g)
{
    memset(g, 0, sizeof(*g));
    fake_bus_init(&g->f);
    guest_mem_init(&g->mem, 4 * MIB, 0, NULL);
    g->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    g->root = pci_root_create(&g->f.bus, 4 * MIB, NULL);
    g->next_gpa = 0x10000;
    rig_add(g);
    wr(g, g->ecam + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline void rig_fini(struct rig *g)
{
    pci_root_destroy(g->root);
    CHECK(g->destroyed);
    CHECK_EQ(g->f.routes, 0);
    CHECK_EQ(g->f.ioeventfds, 0);
    CHECK_EQ(g->f.bus.n_ioeventfds, 0);
    CHECK_EQ(g->f.lost, 0);
    loop_destroy(g->loop);
    guest_mem_fini(&g->mem);
    fake_bus_fini(&g->f);
}

static inline void negotiate(struct rig *g, bool packed)
{
    uint64_t c = g->common, features;
    wr(g, c + VIRTIO_PCI_COMMON_STATUS, 1, 0);
    wr(g, c + VIRTIO_PCI_COMMON_STATUS, 1, 1);
    wr(g, c + VIRTIO_PCI_COMMON_STATUS, 1, 3);
    wr(g, c + VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    features = rd(g, c + VIRTIO_PCI_COMMON_DF, 4);
    wr(g, c + VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    features |= rd(g, c + VIRTIO_PCI_COMMON_DF, 4) << 32;
    CHECK_EQ(features, VIRTIO_F_COMMON | ECHO_FEATURE);
    if (!packed)
        features &= ~VIRTIO_F_PACKED;
    for (unsigned i = 0; i < 2; i++) {
        wr(g, c + VIRTIO_PCI_COMMON_GFSELECT, 4, i);
        wr(g, c + VIRTIO_PCI_COMMON_GF, 4, features >> 32 * i);
    }
    wr(g, c + VIRTIO_PCI_COMMON_STATUS, 1, 11);
    CHECK_EQ(rd(g, c + VIRTIO_PCI_COMMON_STATUS, 1), 11);
}

static inline void set_up_queues(struct rig *g, bool packed)
{
    uint64_t c = g->common;
    CHECK_EQ(rd(g, c + VIRTIO_PCI_COMMON_NUMQ, 2), 2);
    for (unsigned q = 0; q < 2; q++) {
        wr(g, c + VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
        CHECK_EQ(rd(g, c + VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
        struct virtq_config config = {
            .size = 8, .packed = packed, .event_idx = true, .indirect = true};
        vdrv_ring_init(&g->rings[q], &g->mem, &g->next_gpa, config);
        wr(g, c + VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
        wr(g, c + VIRTIO_PCI_COMMON_Q_DESCLO, 4, g->rings[q].config.desc);
        wr(g, c + VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0);
        wr(g, c + VIRTIO_PCI_COMMON_Q_AVAILLO, 8, g->rings[q].config.driver);
        wr(g, c + VIRTIO_PCI_COMMON_Q_USEDLO, 4, g->rings[q].config.device);
        wr(g, c + VIRTIO_PCI_COMMON_Q_MSIX, 2, q + 1);
        CHECK_EQ(rd(g, c + VIRTIO_PCI_COMMON_Q_MSIX, 2), q + 1);
        wr(g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
        CHECK_EQ(rd(g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
        CHECK_EQ(rd(g, c + VIRTIO_PCI_COMMON_Q_NOFF, 2), q);
    }
    wr(g, c + VIRTIO_PCI_COMMON_MSIX, 2, 0);
}

static inline void enable_msix(struct rig *g)
{
    uint64_t table = g->bar + rd(g, g->ecam + g->msix_cap + 4, 4);
    for (unsigned v = 0; v < 3; v++) {
        wr(g, table + v * 16, 8, 0xfee00000);
        wr(g, table + v * 16 + 8, 8, 0x40 + v);
    }
    wr(g, g->ecam + g->msix_cap + 2, 2, PCI_MSIX_FLAGS_ENABLE);
}

static inline void start(struct rig *g, bool packed, bool msix)
{
    if (msix)
        enable_msix(g);
    negotiate(g, packed);
    set_up_queues(g, packed);
    wr(g, g->common + VIRTIO_PCI_COMMON_STATUS, 1, 15);
    CHECK_EQ(rd(g, g->common + VIRTIO_PCI_COMMON_STATUS, 1), 15);
}

static inline void run_loop(struct rig *g)
{
    while (loop_run_once(g->loop, 0) > 0)
        ;
}

/* One request through a queue, by its doorbell. */
static inline void check_echo(struct rig *g, unsigned q)
{
    uint64_t at = 0x200000;
    struct vdrv_buf bufs[2] = {{at, 4}, {at + 64, 4}};
    uint32_t *p = guest_mem_ptr(&g->mem, at, 68), len = 0;
    uintptr_t cookie = 0;
    int id;
    p[0] = 0xabcdef01;
    p[16] = 0;
    CHECK(vdrv_ring_add(&g->rings[q], bufs, 1, 1, false, 1) >= 0);
    if (vdrv_ring_publish(&g->rings[q]))
        wr(g, g->notify + q * g->notify_mult, 2, q);
    run_loop(g);
    CHECK(vdrv_ring_used(&g->rings[q], &id, &cookie, &len));
    CHECK_EQ(len, 4);
    CHECK_EQ(p[16], ~p[0]);
    vdrv_ring_enable_interrupts(&g->rings[q]);
}

#endif
