#include "dev/virtio/virtio_pci.h"

#include "virtio_pci_fixture.h"

static void has_the_identity_of_a_modern_device(void)
{
    struct rig g;
    rig_init(&g);
    CHECK_EQ(rd(&g, g.ecam, 4), (0x1040u + 42) << 16 | 0x1af4);
    CHECK_EQ(rd(&g, g.ecam + 8, 4), 0xff000001);
    CHECK(g.common && g.isr && g.device && g.notify && g.msix_cap && g.window_cap);
    CHECK_EQ(g.notify_mult, 4);
    CHECK_EQ(rd(&g, g.device, 4), 0x666e6f63); /* "conf" */
    CHECK_EQ(rd(&g, g.device + 4, 4), 0x00006769);
    wr(&g, g.device + 5, 1, 'G');
    CHECK_EQ(g.e->config[5], 'G');
    CHECK(virtio_pci_device(g.root, g.slot) == &g.e->dev);
    CHECK(!virtio_pci_device(g.root, 0) && !virtio_pci_device(g.root, 7));
    rig_fini(&g);
}

static void a_driver_negotiates_and_is_served_by_msix(void)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct rig g;
        rig_init(&g);
        start(&g, packed, true);
        CHECK_EQ(g.f.ioeventfds, 2);
        for (unsigned i = 0; i < 40; i++)
            check_echo(&g, i % 2);
        CHECK(g.f.signals > 2);
        CHECK_EQ(g.f.last.data, 0x42);
        CHECK(g.f.bus.counters.ioeventfds > 0);
        virtio_config_changed(&g.e->dev);
        CHECK_EQ(g.f.last.data, 0x40);
        CHECK_EQ(rd(&g, g.common + VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1);
        wr(&g, g.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
        CHECK_EQ(g.f.ioeventfds, 0);
        CHECK_EQ(rd(&g, g.common + VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
        start(&g, packed, true);
        check_echo(&g, 0);
        pci_root_reset(g.root); /* the machine's reset */
        CHECK_EQ(g.e->dev.status, 0);
        CHECK_EQ(g.f.ioeventfds, 0);
        CHECK_EQ(g.e->reset, 2);
        wr(&g, g.ecam + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
        start(&g, packed, true);
        check_echo(&g, 1);
        rig_fini(&g);
    }
}

static void falls_back_to_the_pin_with_an_isr_that_reading_clears(void)
{
    struct rig g;
    rig_init(&g);
    start(&g, false, false);
    check_echo(&g, 0);
    CHECK(g.f.level[pci_gsi(g.slot, 0)]);
    CHECK_EQ(rd(&g, g.isr + 1, 1), 0); /* beside the register */
    CHECK(g.f.level[pci_gsi(g.slot, 0)]);
    CHECK_EQ(rd(&g, g.isr, 1), 1);
    CHECK(!g.f.level[pci_gsi(g.slot, 0)]);
    CHECK_EQ(rd(&g, g.isr, 1), 0);
    virtio_config_changed(&g.e->dev);
    check_echo(&g, 1);
    CHECK_EQ(rd(&g, g.isr, 4), 3);
    virtio_config_changed(&g.e->dev);
    CHECK(g.f.level[pci_gsi(g.slot, 0)]);
    wr(&g, g.common + VIRTIO_PCI_COMMON_STATUS, 1, 0); /* reset drops the line */
    CHECK(!g.f.level[pci_gsi(g.slot, 0)]);
    CHECK_EQ(g.f.signals, 0);
    rig_fini(&g);
}

static void doorbells_follow_the_bar(void)
{
    struct rig g;
    rig_init(&g);
    start(&g, false, true);
    check_echo(&g, 0);
    wr(&g, g.ecam + PCI_COMMAND, 2, 0);
    CHECK_EQ(g.f.ioeventfds, 0);
    wr(&g, g.ecam + 0x14, 4, 3);
    wr(&g, g.ecam + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    CHECK_EQ(g.f.ioeventfds, 2);
    g.notify += UINT64_C(3) << 32;
    check_echo(&g, 0);
    check_echo(&g, 1);
    rig_fini(&g);
}

/* Without ioeventfds the register itself rings. */
static void a_doorbell_without_an_ioeventfd_still_rings(void)
{
    struct rig g;
    rig_init(&g);
    start(&g, false, true);
    for (unsigned i = 0; i < 2; i++) {
        struct bus_ioeventfd io = {BUS_MMIO, g.notify + 4 * i,          0, false,
                                   0,        g.e->dev.queues[i].kick_fd};
        bus_ioeventfd_remove(&g.f.bus, &io);
    }
    for (unsigned size = 1; size <= 8; size *= 2)
        wr(&g, g.notify + 4, size, 0xffff);
    wr(&g, g.notify + 8, 4, 0); /* no such queue */
    run_loop(&g);
    check_echo(&g, 0);
    rig_fini(&g);
}

static void a_plugged_device_can_be_pulled_while_it_works(void)
{
    struct rig g;
    rig_init(&g);
    struct iothread *t = iothread_create("echo", NULL, NULL);
    g.e->loop = iothread_loop(t);
    start(&g, true, false);
    struct vdrv_buf buf = {0x200000, 4};
    for (unsigned i = 0; i < 4; i++)
        vdrv_ring_add(&g.rings[0], &buf, 1, 0, false, 0);
    wr(&g, g.notify, 2, 0);
    bus_lock(&g.f.bus);
    pci_root_remove(g.root, g.slot);
    bus_unlock(&g.f.bus);
    CHECK(g.destroyed);
    CHECK(!g.f.level[pci_gsi(g.slot, 0)]);
    CHECK_EQ(rd(&g, g.ecam, 4), 0xffffffff);
    wr(&g, g.notify, 2, 0);
    rig_add(&g); /* and another takes its place and addresses */
    wr(&g, g.ecam + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    start(&g, false, true);
    check_echo(&g, 0);
    iothread_destroy(t);
    rig_fini(&g);
}

static void refuses_when_the_engine_has_no_routes_left(void)
{
    struct rig g;
    struct err err = {0};
    rig_init(&g);
    g.f.routes_max = g.f.routes + 2;
    struct echo *e = echo_new(&g.mem, g.loop);
    CHECK_EQ(virtio_pci_create(&g.f.bus, g.root, PCI_SLOT_ANY, &e->dev, &err), -ENOSPC);
    CHECK_EQ(g.f.routes, g.f.routes_max - 2);
    CHECK_EQ(virtio_pci_create(&g.f.bus, g.root, g.slot, &e->dev, &err), -ENOSPC);
    g.f.routes_max = 99;
    CHECK_EQ(virtio_pci_create(&g.f.bus, g.root, g.slot, &e->dev, &err), -EBUSY);
    CHECK_EQ(virtio_pci_create(&g.f.bus, g.root, 12, &e->dev, &err), 12); /* still good */
    rig_fini(&g);
}

static void a_saved_machine_goes_on(void)
{
    struct rig a, b;
    struct state_writer w;
    struct state_reader r;
    rig_init(&a);
    start(&a, true, true);
    check_echo(&a, 0);
    a.e->number = 4711;
    virtio_device_pause(&a.e->dev);
    state_writer_init(&w);
    pci_root_save(a.root, &w);
    CHECK_EQ(w.error, 0);

    rig_init(&b);
    memcpy(b.mem.regions[0].hva, a.mem.regions[0].hva, 4 * MIB);
    wr(&b, b.ecam + PCI_COMMAND, 2, 0);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(pci_root_load(b.root, &r), 0);
    CHECK_EQ(b.e->number, 4711);
    CHECK_EQ(b.f.ioeventfds, 0);
    virtio_device_resume(&b.e->dev);
    CHECK_EQ(b.f.ioeventfds, 2);
    for (unsigned i = 0; i < 2; i++) {
        b.rings[i] = a.rings[i];
        b.rings[i].mem = &b.mem;
        b.rings[i].pdesc = guest_mem_ptr(&b.mem, a.rings[i].config.desc, 16);
        b.rings[i].driver_event = guest_mem_ptr(&b.mem, a.rings[i].config.driver, 4);
        b.rings[i].device_event = guest_mem_ptr(&b.mem, a.rings[i].config.device, 4);
    }
    run_loop(&b);
    unsigned before = b.f.signals;
    for (unsigned i = 0; i < 20; i++)
        check_echo(&b, i % 2);
    CHECK(b.f.signals > before);
    CHECK_EQ(b.f.last.data, 0x42);
    rig_fini(&b);
    state_writer_fini(&w);
    rig_fini(&a);
}

int main(void)
{
    TAP_RUN(has_the_identity_of_a_modern_device);
    TAP_RUN(a_driver_negotiates_and_is_served_by_msix);
    TAP_RUN(falls_back_to_the_pin_with_an_isr_that_reading_clears);
    TAP_RUN(doorbells_follow_the_bar);
    TAP_RUN(a_doorbell_without_an_ioeventfd_still_rings);
    TAP_RUN(a_plugged_device_can_be_pulled_while_it_works);
    TAP_RUN(refuses_when_the_engine_has_no_routes_left);
    TAP_RUN(a_saved_machine_goes_on);
    return tap_done();
}
