/* The PCI bus, by a list of guest accesses. Two slots hold virtio-rng devices, whose registers,
 * MSI-X table and doorbells are thus reached as well; one of them comes and goes. Repeated:
 *
 *   OFFSET  SIZE  MEANING
 *   0       1     low 2 bits: log2 of the width; bit 2: write; bits 3 to 5: where
 *   1       2     offset
 *   3       n     value, if a write
 *
 * Where: 0 and 1 ECAM of slot 1, 2 ECAM of any slot, 3 ports 0xcf8 to 0xcff, 4 and 5 BAR of slot 1,
 * 6 guest memory, 7 the host's side: the low bits of the offset say what, see host_side(). */
#include "dev/pci/pci.h"

#include "../unit/fake_bus.h"
#include "base/log.h"
#include "base/util.h"
#include "dev/pci/pci_provider.h"
#include "dev/virtio/virtio_pci.h"
#include "dev/virtio/virtio_provider.h"
#include "dev/virtio/virtio_rng.h"
#include "mem/guest_mem.h"

struct world {
    struct fake_bus f;
    struct guest_mem mem;
    struct loop *loop;
    struct pci_root *root;
};

static void plug(struct world *w, unsigned slot)
{
    struct virtio_rng_options o = {.loop = w->loop};
    struct virtio_device *dev = virtio_rng_create(&w->mem, &o, NULL);
    if (virtio_pci_create(&w->f.bus, w->root, slot, dev, NULL) < 0)
        virtio_device_destroy(dev);
}

static void save_and_load(struct world *w)
{
    struct state_writer sw;
    struct state_reader r;
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
        if (virtio_pci_device(w->root, slot))
            virtio_device_pause(virtio_pci_device(w->root, slot));
    state_writer_init(&sw);
    pci_root_save(w->root, &sw);
    uint32_t slots = pci_root_slots(w->root);
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++) {
        pci_root_remove(w->root, slot);
        if (slots >> slot & 1)
            plug(w, slot);
    }
    state_reader_init(&r, sw.data, sw.len_bytes);
    if (sw.error || pci_root_load(w->root, &r))
        abort(); /* what we saved must load */
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
        if (virtio_pci_device(w->root, slot))
            virtio_device_resume(virtio_pci_device(w->root, slot));
    state_writer_fini(&sw);
}

static void host_side(struct world *w, uint16_t off)
{
    struct pci_device *dev = pci_root_device(w->root, 1);
    switch (off & 7) {
    case 0:
        pci_msix_signal(dev, off >> 3);
        break;
    case 1:
        pci_intx_set(dev, off & 8);
        break;
    case 2:
        pci_root_remove(w->root, 2);
        break;
    case 3:
        plug(w, 2);
        break;
    case 4:
        save_and_load(w);
        break;
    case 5:
        virtio_config_changed(virtio_pci_device(w->root, 1));
        break;
    case 6:
        pci_root_reset(w->root);
        break;
    default:
        for (unsigned n = 0; n < 16 && loop_run_once(w->loop, 0) > 0; n++)
            ;
    }
}

static uint64_t address(struct world *w, unsigned where, uint16_t off, enum bus_space *space)
{
    *space = where == 3 ? BUS_PIO : BUS_MMIO;
    struct pci_device *dev = pci_root_device(w->root, 1);
    switch (where) {
    case 0:
    case 1:
        return MEMORY_MAP_ECAM_BASE + 0x8000 + (off & 0x1ff);
    case 2:
        return MEMORY_MAP_ECAM_BASE + off * UINT64_C(16);
    case 3:
        return 0xcf8 + (off & 7);
    default:
        return dev->bars[0].region.base + (off & 0x7fff);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    log_setup(2, LOG_ERROR, NULL);
    fake_bus_init(&w.f);
    if (guest_mem_init(&w.mem, MIB, 0, NULL))
        abort();
    w.loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    w.root = pci_root_create(&w.f.bus, MIB, NULL);
    plug(&w, 1);
    plug(&w, 2);
    fake_bus_write(&w.f, BUS_MMIO, MEMORY_MAP_ECAM_BASE + 0x8004, 2, 6);
    for (unsigned n = 0; n < 512 && size >= 3; n++) {
        unsigned width = 1u << (data[0] & 3), where = data[0] >> 3 & 7;
        bool write = data[0] & 4;
        uint16_t off = le16_read(data + 1);
        uint64_t value = 0;
        enum bus_space space;
        data += 3;
        size -= 3;
        if (write) {
            memcpy(&value, data, MIN(width, size));
            data += MIN(width, size);
            size -= MIN(width, size);
        }
        if (where == 7) {
            host_side(&w, off);
            continue;
        }
        if (where == 6) {
            guest_mem_write(&w.mem, off, &value, width);
            continue;
        }
        uint64_t addr = address(&w, where, off, &space);
        if (space == BUS_PIO)
            width = MIN(width, 4);
        if (write)
            fake_bus_write(&w.f, space, addr, width, value);
        else
            fake_bus_read(&w.f, space, addr, width);
    }
    pci_root_destroy(w.root);
    if (w.f.routes || w.f.ioeventfds || w.f.lost || w.f.bus.n_regions[BUS_MMIO])
        abort(); /* something was left behind, or signalled while masked */
    loop_destroy(w.loop);
    guest_mem_fini(&w.mem);
    fake_bus_fini(&w.f);
    return 0;
}
