#include "dev/pci/pci.h"

#include "pci_fixture.h"

static void both_mechanisms_show_the_same_space_and_ones_where_nothing_is(void)
{
    struct rig g;
    rig_init(&g);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(0, 8), 4), 0x06000000);
    CHECK_EQ(cfg(&g, 0, 4), 0x56781234);
    CHECK_EQ(cfg(&g, PCI_CLASS_REVISION, 4), 0x01020304);
    CHECK_EQ(cfg(&g, PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
    CHECK_EQ(cfg(&g, 0x100, 4), 0); /* no extended capabilities */
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(2, 0), 4), 0xffffffff);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(1, 0x1000), 4), 0xffffffff); /* function 1 */
    for (unsigned reg = 0; reg < 0x100; reg += 4) {
        uint32_t v;
        fake_bus_write(&g.f, BUS_PIO, 0xcf8, 4, 0x80000000 | 1 << 11 | reg);
        v = (uint32_t)fake_bus_read(&g.f, BUS_PIO, 0xcfc, 4);
        CHECK_EQ(v, cfg(&g, reg, 4));
        for (unsigned b = 0; b < 4; b++)
            CHECK_EQ(fake_bus_read(&g.f, BUS_PIO, 0xcfc + b, 1), v >> 8 * b & 0xff);
        CHECK_EQ(fake_bus_read(&g.f, BUS_PIO, 0xcfe, 2), v >> 16);
    }
    fake_bus_write(&g.f, BUS_PIO, 0xcf8, 4, 0x80000000 | 1 << 16 | 1 << 11); /* bus 1 */
    CHECK_EQ(fake_bus_read(&g.f, BUS_PIO, 0xcfc, 4), 0xffffffff);
    fake_bus_write(&g.f, BUS_PIO, 0xcf8, 4, 1 << 11); /* not enabled */
    CHECK_EQ(fake_bus_read(&g.f, BUS_PIO, 0xcfc, 4), 0xffffffff);
    CHECK_EQ(fake_bus_read(&g.f, BUS_PIO, 0xcf8, 4), 1 << 11);
    CHECK_EQ(fake_bus_read(&g.f, BUS_PIO, 0xcf9, 1), 0xff);
    fake_bus_write(&g.f, BUS_PIO, 0xcf8, 1, 0x80); /* bytes do not reach the latch */
    CHECK_EQ(fake_bus_read(&g.f, BUS_PIO, 0xcf8, 4), 1 << 11);
    rig_fini(&g);
}

static void every_width_at_every_offset_is_made_of_the_same_bytes(void)
{
    struct rig g;
    rig_init(&g);
    uint8_t bytes[0x110];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)cfg(&g, i, 1);
    for (unsigned size = 2; size <= 8; size *= 2)
        for (unsigned off = 0; off + size <= sizeof(bytes); off++) {
            uint64_t want = 0;
            memcpy(&want, bytes + off, size);
            CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(1, off), size), want);
        }
    /* Across the end of a function and of the last slot. */
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(0, 0x8000 - 4), 8) >> 32, 0x56781234);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(31, 0x7ffc), 4), 0xffffffff);
    fake_bus_write(&g.f, BUS_MMIO, ECAM(31, 0x7ff8), 8, 0);
    rig_fini(&g);
}

static void bars_are_assigned_sized_and_moved(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t bar0 = cfg(&g, 0x10, 4) & ~0xfu;
    CHECK_EQ(cfg(&g, 0x10, 4) & 0xf, 4); /* memory, 64 bit, not prefetchable */
    CHECK(bar0 >= MEMORY_MAP_PCI32_BASE && bar0 % 0x4000 == 0);
    CHECK_EQ(cfg(&g, 0x14, 4), 0);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar0, 1), 0xff); /* not decoded yet */
    cfg_write(&g, 0x10, 4, 0xffffffff);
    cfg_write(&g, 0x14, 4, 0xffffffff);
    CHECK_EQ(cfg(&g, 0x10, 4), 0xffffc004);
    CHECK_EQ(cfg(&g, 0x14, 4), 0xffffffff);
    cfg_write(&g, 0x10, 4, (uint32_t)bar0);
    cfg_write(&g, 0x14, 4, 0);
    cfg_write(&g, 0x18, 4, 0xffffffff);
    CHECK_EQ(cfg(&g, 0x18, 4), 0xfffff000);
    cfg_write(&g, 0x20, 4, 0xffffffff); /* no such BAR */
    CHECK_EQ(cfg(&g, 0x20, 4), 0);

    cfg_write(&g, PCI_COMMAND, 2, 0xffff);
    CHECK_EQ(cfg(&g, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
    CHECK_EQ(cfg(&g, PCI_COMMAND, 2) & PCI_COMMAND_IO, 0);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar0, 1), 0x77);
    CHECK_EQ(g.w->maps, 1);    /* BAR 2 points at 0xfffff000, outside the window */
    cfg_write(&g, 0x14, 4, 2); /* to 8 GiB + bar0's low half, in the 64-bit window */
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar0, 1), 0xff);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar0 | UINT64_C(2) << 32, 1), 0x77);
    cfg_write(&g, 0x14, 4, 0x7fffffff); /* far outside */
    CHECK_EQ(g.w->unmaps, 2);
    cfg_write(&g, 0x14, 4, 0);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar0 + 0x3fff, 1), 0);
    cfg_write(&g, PCI_COMMAND, 2, 0);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar0, 1), 0xff);
    rig_fini(&g);
}

static void bars_swap_places_and_never_cover_other_things(void)
{
    struct rig g;
    rig_init(&g);
    struct widget *second = widget_new(&g.f, 0);
    CHECK_EQ(pci_root_add(g.root, &second->pci, 5, NULL), 5);
    uint32_t a = cfg(&g, 0x10, 4), b = (uint32_t)fake_bus_read(&g.f, BUS_MMIO, ECAM(5, 0x10), 4);
    CHECK(a != b);
    cfg_write(&g, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    fake_bus_write(&g.f, BUS_MMIO, ECAM(5, PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
    cfg_write(&g, 0x10, 4, b); /* collides: not decoded */
    CHECK(!g.w->pci.bars[0].mapped && second->pci.bars[0].mapped);
    fake_bus_write(&g.f, BUS_MMIO, ECAM(5, 0x10), 4, a);
    CHECK(g.w->pci.bars[0].mapped && second->pci.bars[0].mapped);
    CHECK_EQ(g.w->pci.bars[0].region.base, b & ~0xfu);
    CHECK_EQ(second->pci.bars[0].region.base, a & ~0xfu);
    static const uint64_t elsewhere[] = {0,
                                         0x100000,
                                         MEMORY_MAP_ECAM_BASE,
                                         MEMORY_MAP_IOAPIC_BASE,
                                         MEMORY_MAP_LAPIC_BASE,
                                         MEMORY_MAP_PCI32_BASE - 0x4000};
    for (unsigned i = 0; i < ARRAY_LEN(elsewhere); i++) {
        cfg_write(&g, 0x10, 4, (uint32_t)elsewhere[i]);
        CHECK(!g.w->pci.bars[0].mapped);
    }
    rig_fini(&g);
}

static void removal_frees_the_slot_and_the_addresses(void)
{
    struct rig g;
    bool destroyed = false;
    rig_init(&g);
    g.w->destroyed = &destroyed;
    CHECK_EQ(pci_root_slots(g.root), 3);
    cfg_write(&g, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    pci_intx_set(&g.w->pci, true);
    uint32_t bar = cfg(&g, 0x10, 4);
    pci_root_remove(g.root, 1);
    CHECK(destroyed);
    CHECK(!g.f.level[pci_gsi(1, 0)]);
    CHECK_EQ(pci_root_slots(g.root), 1);
    CHECK_EQ(cfg(&g, 0, 4), 0xffffffff);
    pci_root_remove(g.root, 1); /* empty */
    pci_root_remove(g.root, 0); /* the host bridge stays */
    pci_root_remove(g.root, 77);
    CHECK_EQ(pci_root_slots(g.root), 1);
    struct widget *w = widget_new(&g.f, 0);
    CHECK_EQ(pci_root_add(g.root, &w->pci, 9, NULL), 9);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(9, 0x10), 4), bar);
    rig_fini(&g);
}

static void refuses_taken_slots_and_full_windows(void)
{
    struct rig g;
    struct err err;
    rig_init(&g);
    struct widget *w = widget_new(&g.f, UINT64_C(1) << 37);
    CHECK_EQ(pci_root_add(g.root, &w->pci, 1, &err), -EBUSY);
    CHECK_EQ(pci_root_add(g.root, &w->pci, 0, &err), -EBUSY);
    CHECK_EQ(pci_root_add(g.root, &w->pci, 32, &err), -EINVAL);
    CHECK_EQ(pci_root_add(g.root, &w->pci, 2, &err), -ENOSPC);
    CHECK(strstr(err.msg, "no PCI address space"));
    CHECK(!pci_root_device(g.root, 2));
    widget_destroy(&w->pci);
    w = widget_new(&g.f, GIB); /* large: above 4 GiB, above RAM */
    CHECK_EQ(pci_root_add(g.root, &w->pci, PCI_SLOT_ANY, &err), 2);
    CHECK_EQ(pci_root_window64(g.root).base, 0x180000000);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(2, 0x20), 8), 0x180000004);
    for (unsigned i = 3; i < 32; i++) {
        w = widget_new(&g.f, 0);
        CHECK_EQ(pci_root_add(g.root, &w->pci, PCI_SLOT_ANY, &err), i);
    }
    w = widget_new(&g.f, 0);
    CHECK_EQ(pci_root_add(g.root, &w->pci, PCI_SLOT_ANY, &err), -ENOSPC);
    widget_destroy(&w->pci);
    rig_fini(&g);
}

static void pins_share_lines_by_wired_or(void)
{
    struct rig g;
    rig_init(&g);
    struct widget *same = widget_new(&g.f, 0), *other = widget_new(&g.f, 0);
    CHECK_EQ(pci_root_add(g.root, &same->pci, 5, NULL), 5); /* 1 and 5: one line */
    CHECK_EQ(pci_root_add(g.root, &other->pci, 6, NULL), 6);
    unsigned gsi = pci_gsi(1, 0);
    CHECK_EQ(gsi, 17);
    pci_intx_set(&g.w->pci, true);
    pci_intx_set(&same->pci, true);
    pci_intx_set(&same->pci, true);
    CHECK(g.f.level[gsi] && g.f.edges[gsi] == 1);
    CHECK(!g.f.level[pci_gsi(6, 0)]);
    pci_intx_set(&g.w->pci, false);
    CHECK(g.f.level[gsi]);
    CHECK_EQ(cfg(&g, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
    pci_intx_set(&same->pci, false);
    CHECK(!g.f.level[gsi] && g.f.edges[gsi] == 2);
    pci_intx_set(&g.w->pci, true);
    CHECK_EQ(cfg(&g, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
    cfg_write(&g, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    CHECK(!g.f.level[gsi]);
    CHECK_EQ(cfg(&g, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
    cfg_write(&g, PCI_COMMAND, 2, 0);
    CHECK(g.f.level[gsi]);
    pci_intx_set(&g.w->pci, false);
    rig_fini(&g);
}

/* ---- state ---- */

static void a_loaded_bus_goes_on_where_it_was(void)
{
    struct rig a, b;
    struct state_writer w;
    struct state_reader r;
    uint8_t cap;
    uint64_t bar = msix_rig(&a, &cap);
    cfg_write(&a, cap + 2u, 2, PCI_MSIX_FLAGS_ENABLE);
    cfg_write(&a, 0x14, 4, 2);
    bar |= UINT64_C(2) << 32;
    set_vector(&a, bar, 0, 0x40, 0);
    set_vector(&a, bar, 1, 0x41, 1);
    pci_msix_signal(&a.w->pci, 1);
    pci_intx_set(&a.w->pci, true);
    fake_bus_write(&a.f, BUS_PIO, 0xcf8, 4, 0x80000804);
    state_writer_init(&w);
    pci_root_save(a.root, &w);
    CHECK_EQ(w.error, 0);

    rig_init(&b);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(pci_root_load(b.root, &r), 0);
    CHECK_EQ(fake_bus_read(&b.f, BUS_PIO, 0xcf8, 4), 0x80000804);
    CHECK(b.f.level[17]);
    pci_msix_signal(&b.w->pci, 0);
    CHECK_EQ(b.f.last.data, 0x40);
    fake_bus_write(&b.f, BUS_MMIO, bar + TABLE + 16 + 12, 4, 0);
    CHECK_EQ(b.f.last.data, 0x41); /* it was pending */
    pci_intx_set(&b.w->pci, false);
    rig_fini(&b);

    /* What does not match is refused by name. */
    rig_init(&b);
    pci_root_remove(b.root, 1);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK(pci_root_load(b.root, &r) < 0);
    CHECK(strstr(r.err.msg, "slots in use are 0x3, here 0x1"));
    rig_fini(&b);
    rig_init(&b);
    b.w->pci.config[PCI_DEVICE_ID]++;
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK(pci_root_load(b.root, &r) < 0);
    CHECK(strstr(r.err.msg, "differs at 0x02"));
    rig_fini(&b);
    for (size_t len = 0; len < w.len_bytes; len += 7) {
        rig_init(&b);
        state_reader_init(&r, w.data, len);
        CHECK(pci_root_load(b.root, &r) < 0);
        pci_intx_set(&b.w->pci, false);
        rig_fini(&b);
    }
    pci_intx_set(&a.w->pci, false);
    rig_fini(&a);
    state_writer_fini(&w);
}

static void a_reset_makes_everything_as_new(void)
{
    struct rig g;
    uint8_t cap;
    uint64_t bar = msix_rig(&g, &cap);
    uint8_t fresh[256];
    struct rig other;
    rig_init(&other);
    for (unsigned i = 0; i < 256; i++)
        fresh[i] = (uint8_t)cfg(&other, i, 1);
    rig_fini(&other);
    cfg_write(&g, cap + 2u, 2, PCI_MSIX_FLAGS_ENABLE);
    set_vector(&g, bar, 0, 0x40, 0);
    set_vector(&g, bar, 1, 0x41, 1);
    pci_msix_signal(&g.w->pci, 1);
    pci_intx_set(&g.w->pci, true);
    cfg_write(&g, 0x14, 4, 2); /* moves BAR 0 away */
    struct widget *second = widget_new(&g.f, 0);
    CHECK_EQ(pci_root_add(g.root, &second->pci, 5, NULL), 5); /* takes its place */
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, ECAM(5, 0x10), 8) & ~UINT64_C(15), bar);
    pci_root_reset(g.root);
    for (unsigned i = 0; i < 256; i++)
        CHECK_EQ(cfg(&g, i, 1), fresh[i]);
    CHECK(!g.f.level[17] && !g.w->pci.bars[0].mapped);
    CHECK(fake_bus_read(&g.f, BUS_MMIO, ECAM(5, 0x10), 4) != cfg(&g, 0x10, 4));
    unsigned before = g.f.signals;
    cfg_write(&g, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    cfg_write(&g, cap + 2u, 2, PCI_MSIX_FLAGS_ENABLE);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + TABLE + 12, 4), 1);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + PBA, 8), 0);
    set_vector(&g, bar, 1, 0x41, 0);
    CHECK_EQ(g.f.signals, before);
    rig_fini(&g);
}

static void survives_random_accesses(void)
{
    struct rig g;
    uint32_t s = 1;
    rig_init(&g);
    for (unsigned i = 0; i < 60000; i++) {
        s = s * 1664525u + 1013904223u;
        unsigned size = 1u << (s >> 30);
        uint64_t value = (uint64_t)s * 0x9e3779b97f4a7c15u;
        uint64_t at = MEMORY_MAP_ECAM_BASE + (s >> 8 & 0x81ff);
        if (s & 1)
            fake_bus_read(&g.f, BUS_MMIO, at, size);
        else if (s & 6)
            fake_bus_write(&g.f, BUS_MMIO, at, size, value);
        else
            fake_bus_write(&g.f, BUS_PIO, 0xcf8 + (s >> 20 & 7), MIN(size, 4), value);
        if (g.w->pci.bars[0].mapped && (s & 0x18) == 0)
            fake_bus_write(&g.f, BUS_MMIO, g.w->pci.bars[0].region.base + TABLE + (s >> 12 & 63),
                           size, value);
        pci_msix_signal(&g.w->pci, s >> 5 & 3);
    }
    cfg_write(&g, PCI_COMMAND, 2, 0);
    rig_fini(&g);
}

int main(void)
{
    TAP_RUN(both_mechanisms_show_the_same_space_and_ones_where_nothing_is);
    TAP_RUN(every_width_at_every_offset_is_made_of_the_same_bytes);
    TAP_RUN(bars_are_assigned_sized_and_moved);
    TAP_RUN(bars_swap_places_and_never_cover_other_things);
    TAP_RUN(removal_frees_the_slot_and_the_addresses);
    TAP_RUN(refuses_taken_slots_and_full_windows);
    TAP_RUN(pins_share_lines_by_wired_or);
    TAP_RUN(a_loaded_bus_goes_on_where_it_was);
    TAP_RUN(a_reset_makes_everything_as_new);
    TAP_RUN(survives_random_accesses);
    return tap_done();
}
