/* The registers of the PCI transport, driven as they should be and as they should not. */
#include "dev/virtio/virtio_pci.h"

#include "virtio_pci_fixture.h"

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
    TAP_RUN(queues_are_closed_to_changes_once_enabled);
    TAP_RUN(feature_words_beyond_64_bits_are_empty);
    TAP_RUN(reads_of_any_width_are_made_of_the_same_bytes);
    TAP_RUN(the_configuration_window_reaches_the_bar);
    TAP_RUN(survives_random_register_accesses);
    return tap_done();
}
