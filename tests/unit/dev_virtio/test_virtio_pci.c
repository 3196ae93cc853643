#include "dev/virtio/virtio_pci.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "fake_bus.h"
#include "io/iothread.h"
#include "tap.h"
#include "virtio_driver.h"

#include "echo_device.h"

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

static uint64_t rd(struct rig *g, uint64_t addr, unsigned size)
{
    return fake_bus_read(&g->f, BUS_MMIO, addr, size);
}
static void wr(struct rig *g, uint64_t addr, unsigned size, uint64_t v)
{
    fake_bus_write(&g->f, BUS_MMIO, addr, size, v);
}

static void find_structures(struct rig *g)
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

static void rig_add(struct rig *g)
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

static void rig_init(struct rig *g)
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

static void rig_fini(struct rig *g)
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

static void negotiate(struct rig *g, bool packed)
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

static void set_up_queues(struct rig *g, bool packed)
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

static void enable_msix(struct rig *g)
{
    uint64_t table = g->bar + rd(g, g->ecam + g->msix_cap + 4, 4);
    for (unsigned v = 0; v < 3; v++) {
        wr(g, table + v * 16, 8, 0xfee00000);
        wr(g, table + v * 16 + 8, 8, 0x40 + v);
    }
    wr(g, g->ecam + g->msix_cap + 2, 2, PCI_MSIX_FLAGS_ENABLE);
}

static void start(struct rig *g, bool packed, bool msix)
{
    if (msix)
        enable_msix(g);
    negotiate(g, packed);
    set_up_queues(g, packed);
    wr(g, g->common + VIRTIO_PCI_COMMON_STATUS, 1, 15);
    CHECK_EQ(rd(g, g->common + VIRTIO_PCI_COMMON_STATUS, 1), 15);
}

static void run_loop(struct rig *g)
{
    while (loop_run_once(g->loop, 0) > 0)
        ;
}

/* One request through a queue, by its doorbell. */
static void check_echo(struct rig *g, unsigned q)
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

static void queues_are_closed_to_changes_once_enabled(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t c = g.common;
    negotiate(&g, false);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2); /* only 1 enables */
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    set_up_queues(&g, false);
    uint64_t desc = g.rings[1].config.desc;
    wr(&g, c + VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0);
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_Q_DESCLO, 8), desc);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_SELECT, 2, 2); /* no such queue */
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x1000);
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
    wr(&g, c + VIRTIO_PCI_COMMON_Q_MSIX, 2, 3); /* vectors are 0 to 2 */
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
    rig_fini(&g);
}

static void feature_words_beyond_64_bits_are_empty(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t c = g.common;
    wr(&g, c + VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_DF, 4), 0);
    wr(&g, c + VIRTIO_PCI_COMMON_GFSELECT, 4, UINT32_MAX);
    wr(&g, c + VIRTIO_PCI_COMMON_GF, 4, UINT32_MAX);
    CHECK_EQ(rd(&g, c + VIRTIO_PCI_COMMON_GF, 4), 0);
    CHECK_EQ(g.e->dev.features_driver, 0);
    rig_fini(&g);
}

static void reads_of_any_width_are_made_of_the_same_bytes(void)
{
    struct rig g;
    rig_init(&g);
    negotiate(&g, false);
    set_up_queues(&g, false);
    uint8_t bytes[0x48];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)rd(&g, g.common + i, 1);
    for (unsigned size = 2; size <= 8; size *= 2)
        for (unsigned off = 0; off + size <= sizeof(bytes); off++) {
            uint64_t want = 0;
            memcpy(&want, bytes + off, size);
            CHECK_EQ(rd(&g, g.common + off, size), want);
        }
    rig_fini(&g);
}

static void the_configuration_window_reaches_the_bar(void)
{
    struct rig g;
    rig_init(&g);
    uint64_t cap = g.ecam + g.window_cap;
    wr(&g, g.ecam + PCI_COMMAND, 2, 0); /* works with the BAR not decoded */
    wr(&g, cap + VIRTIO_PCI_CAP_BAR, 1, 0);
    wr(&g, cap + VIRTIO_PCI_CAP_OFFSET, 4, g.device - g.bar);
    wr(&g, cap + VIRTIO_PCI_CAP_LENGTH, 4, 4);
    CHECK_EQ(rd(&g, cap + 16, 4), 0x666e6f63);
    wr(&g, cap + VIRTIO_PCI_CAP_LENGTH, 4, 2);
    wr(&g, cap + 16, 2, 0x4241);
    CHECK(!memcmp(g.e->config, "ABnfig", 6));
    static const struct {
        uint32_t bar, off, len;
    } nowhere[] = {{1, 0, 4}, {0, 1, 4},          {0, 0x8000, 4}, {0, 0, 3},
                   {0, 0, 0}, {0, 0xfffffffc, 4}, {0, 0, 8}};
    for (unsigned i = 0; i < ARRAY_LEN(nowhere); i++) {
        wr(&g, cap + VIRTIO_PCI_CAP_BAR, 1, nowhere[i].bar);
        wr(&g, cap + VIRTIO_PCI_CAP_OFFSET, 4, nowhere[i].off);
        wr(&g, cap + VIRTIO_PCI_CAP_LENGTH, 4, nowhere[i].len);
        wr(&g, cap + 16, 4, 0x11223344);
        CHECK_EQ(rd(&g, cap + 16, 4), 0x11223344); /* plain bytes */
    }
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

static void survives_random_register_accesses(void)
{
    struct rig g;
    uint32_t s = 7;
    rig_init(&g);
    start(&g, false, true);
    for (unsigned i = 0; i < 100000; i++) {
        s = s * 1664525u + 1013904223u;
        unsigned size = 1u << (s >> 30), page = s >> 27 & 7;
        uint64_t at = g.bar + page * 0x1000 + (s >> 8 & (page ? 0xfff : 0x3f));
        uint64_t value = s & 64 ? s >> 12 & 15 : (uint64_t)s * 0x9e3779b97f4a7c15u;
        if (s & 128)
            rd(&g, at, size);
        else
            wr(&g, at, size, value);
        if (i % 1000 == 0)
            run_loop(&g);
        if (i % 5000 == 0)
            start(&g, s & 1, true);
    }
    wr(&g, g.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
    rig_fini(&g);
}

int main(void)
{
    TAP_RUN(has_the_identity_of_a_modern_device);
    TAP_RUN(a_driver_negotiates_and_is_served_by_msix);
    TAP_RUN(falls_back_to_the_pin_with_an_isr_that_reading_clears);
    TAP_RUN(doorbells_follow_the_bar);
    TAP_RUN(a_doorbell_without_an_ioeventfd_still_rings);
    TAP_RUN(queues_are_closed_to_changes_once_enabled);
    TAP_RUN(feature_words_beyond_64_bits_are_empty);
    TAP_RUN(reads_of_any_width_are_made_of_the_same_bytes);
    TAP_RUN(the_configuration_window_reaches_the_bar);
    TAP_RUN(a_plugged_device_can_be_pulled_while_it_works);
    TAP_RUN(refuses_when_the_engine_has_no_routes_left);
    TAP_RUN(a_saved_machine_goes_on);
    TAP_RUN(survives_random_register_accesses);
    return tap_done();
}
