/* MSI-X: vectors, masks, pending bits, from one thread and from two. */
#include "dev/pci/pci.h"

#include "pci_fixture.h"

/* ---- MSI-X ---- */

static void vectors_are_sent_masked_and_remembered(void)
{
    struct rig g;
    uint8_t cap;
    uint64_t bar = msix_rig(&g, &cap);
    for (unsigned v = 0; v < 3; v++) {
        CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + TABLE + v * 16 + 12, 4), 1);
        set_vector(&g, bar, v, 0x40 + v, 0);
    }
    CHECK(!pci_msix_enabled(&g.w->pci));
    cfg_write(&g, cap + 2u, 2, PCI_MSIX_FLAGS_ENABLE);
    CHECK(pci_msix_enabled(&g.w->pci));
    pci_msix_signal(&g.w->pci, 2);
    CHECK_EQ(g.f.signals, 1);
    CHECK_EQ(g.f.last.address, 0xfee02000);
    CHECK_EQ(g.f.last.data, 0x42);
    pci_msix_signal(&g.w->pci, 3); /* no such vector */
    pci_msix_signal(&g.w->pci, 0xffff);
    CHECK_EQ(g.f.signals, 1);

    set_vector(&g, bar, 1, 0x51, 1);
    pci_msix_signal(&g.w->pci, 1);
    pci_msix_signal(&g.w->pci, 1);
    CHECK_EQ(g.f.signals, 1);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + PBA, 8), 2);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + PBA + 1, 1), 0);
    fake_bus_write(&g.f, BUS_MMIO, bar + TABLE + 16 + 12, 1, 0); /* unmask by a byte */
    CHECK_EQ(g.f.signals, 2);                                    /* once, with the message of now */
    CHECK_EQ(g.f.last.data, 0x51);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + PBA, 8), 0);

    cfg_write(&g, cap + 3u, 1, 0xc0); /* function mask, by a byte write */
    for (unsigned v = 0; v < 3; v++)
        pci_msix_signal(&g.w->pci, v);
    CHECK_EQ(g.f.signals, 2);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + PBA, 4), 7);
    cfg_write(&g, cap + 2u, 2, PCI_MSIX_FLAGS_ENABLE);
    CHECK_EQ(g.f.signals, 5);
    rig_fini(&g);
}

static void a_new_message_takes_effect_without_masking(void)
{
    struct rig g;
    uint8_t cap;
    uint64_t bar = msix_rig(&g, &cap);
    cfg_write(&g, cap + 2u, 2, PCI_MSIX_FLAGS_ENABLE);
    set_vector(&g, bar, 0, 0x40, 0);
    fake_bus_write(&g.f, BUS_MMIO, bar + TABLE + 8, 2, 0x99);
    pci_msix_signal(&g.w->pci, 0);
    CHECK_EQ(g.f.last.data, 0x99);
    int fd = pci_msix_fd(&g.w->pci, 0);
    CHECK(fd >= 0 && fd == pci_msix_fd(&g.w->pci, 0));
    CHECK_EQ(pci_msix_fd(&g.w->pci, 3), -ENOENT);
    pci_msix_forget(&g.w->pci);
    rig_fini(&g);
}

static void the_table_takes_any_width_and_keeps_reserved_bits_clear(void)
{
    struct rig g;
    uint8_t cap;
    uint64_t bar = msix_rig(&g, &cap);
    for (unsigned off = 0; off + 8 <= 0x40; off++)
        for (unsigned size = 1; size <= 8; size *= 2) {
            fake_bus_write(&g.f, BUS_MMIO, bar + TABLE + off, size, UINT64_MAX);
            CHECK(fake_bus_read(&g.f, BUS_MMIO, bar + TABLE + off, size) <= UINT64_MAX);
        }
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + TABLE, 4), 0xfffffffc);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + TABLE + 12, 4), 1);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + TABLE + 0x30, 8), 0); /* behind the table */
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + PBA + 7, 8), 0);
    rig_fini(&g);
}

/* ---- threads ---- */

#define SIGNALS 20000

static void *signaller(void *arg)
{
    struct rig *g = arg;
    for (unsigned i = 0; i < SIGNALS; i++) {
        pci_msix_signal(&g->w->pci, 0);
        pci_intx_set(&g->w->pci, i % 2 == 0);
    }
    return NULL;
}

/* Masking while another thread signals: no signal meets a masked route, and one that was held back
 * arrives with the unmasking. */
static void masking_races_with_signals_without_losing_one(void)
{
    struct rig g;
    uint8_t cap;
    uint64_t bar = msix_rig(&g, &cap);
    pthread_t t;
    cfg_write(&g, cap + 2u, 2, PCI_MSIX_FLAGS_ENABLE);
    set_vector(&g, bar, 0, 0x40, 0);
    REQUIRE(!pthread_create(&t, NULL, signaller, &g));
    for (unsigned i = 0; i < 5000; i++) {
        fake_bus_write(&g.f, BUS_MMIO, bar + TABLE + 12, 4, 1);
        cfg_write(&g, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | (i % 2 ? PCI_COMMAND_INTX_DISABLE : 0));
        fake_bus_write(&g.f, BUS_MMIO, bar + TABLE + 12, 4, 0);
    }
    pthread_join(t, NULL);
    CHECK_EQ(g.f.lost, 0);
    CHECK(g.f.signals > 0);
    CHECK_EQ(fake_bus_read(&g.f, BUS_MMIO, bar + PBA, 4), 0);
    rig_fini(&g);
}

int main(void)
{
    TAP_RUN(vectors_are_sent_masked_and_remembered);
    TAP_RUN(a_new_message_takes_effect_without_masking);
    TAP_RUN(the_table_takes_any_width_and_keeps_reserved_bits_clear);
    TAP_RUN(masking_races_with_signals_without_losing_one);
    return tap_done();
}
