/* The configuration space of a device (type 0 header): masks, BARs, capabilities, state. */
#include <assert.h>
#include <errno.h>

#include "base/util.h"
#include "dev/pci/pci_internal.h"

/* Bits of the command register that do something here or that software expects to stick. */
#define COMMAND_WRITABLE                                                                           \
    (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |             \
     PCI_COMMAND_INTX_DISABLE)

void pci_device_init(struct pci_device *dev, struct bus *bus, const struct pci_device_ops *ops,
                     const struct pci_ids *ids)
{
    dev->ops = ops;
    dev->bus = bus;
    dev->free_cap = PCI_STD_HEADER_SIZEOF;
    le16_write(dev->config + PCI_VENDOR_ID, ids->vendor);
    le16_write(dev->config + PCI_DEVICE_ID, ids->device);
    le32_write(dev->config + PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision);
    le16_write(dev->config + PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor);
    le16_write(dev->config + PCI_SUBSYSTEM_ID, ids->subsystem);
    dev->config[PCI_INTERRUPT_PIN] = 1;
    le16_write(dev->writable + PCI_COMMAND, COMMAND_WRITABLE);
    dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    dev->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_device_fini(struct pci_device *dev)
{
    pci_msix_fini(dev);
}

void pci_device_add_bar(struct pci_device *dev, unsigned bar, uint64_t size, bool is_64bit,
                        const struct bus_region_ops *ops, void *opaque)
{
    unsigned reg = PCI_BASE_ADDRESS_0 + 4 * bar;
    assert(is_pow2(size) && size >= 4096 && bar + is_64bit < PCI_BARS && (is_64bit || size <= GIB));
    dev->bars[bar] = (struct pci_bar){
        .size = size,
        .is_64bit = is_64bit,
        .region = {.name = dev->ops->name, .size = size, .ops = ops, .opaque = opaque},
    };
    /* The low, fixed bits tell the type; the bits below the size read as zero, which is how
     * software finds the size (6.2.5.1). */
    if (is_64bit) {
        dev->config[reg] = PCI_BASE_ADDRESS_MEM_TYPE_64;
        le64_write(dev->writable + reg, ~(size - 1));
    } else {
        le32_write(dev->writable + reg, (uint32_t) ~(size - 1));
    }
}

uint8_t pci_device_add_cap(struct pci_device *dev, uint8_t id, uint8_t len)
{
    uint8_t at = dev->free_cap;
    assert(at + len <= PCI_CONFIG_BYTES);
    dev->config[at] = id;
    dev->config[dev->last_cap ? dev->last_cap + 1 : PCI_CAPABILITY_LIST] = at;
    dev->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    dev->last_cap = at;
    dev->free_cap = (uint8_t)align_up(at + len, 4);
    return at;
}

uint64_t pci_bar_address(const struct pci_device *dev, unsigned bar)
{
    const uint8_t *reg = dev->config + PCI_BASE_ADDRESS_0 + 4 * bar;
    uint64_t v = dev->bars[bar].is_64bit ? le64_read(reg) : le32_read(reg);
    return v & ~UINT64_C(0xf);
}

void pci_bar_assign(struct pci_device *dev, unsigned bar, uint64_t addr)
{
    uint8_t *reg = dev->config + PCI_BASE_ADDRESS_0 + 4 * bar;
    if (dev->bars[bar].is_64bit)
        le64_write(reg, addr | PCI_BASE_ADDRESS_MEM_TYPE_64);
    else
        le32_write(reg, (uint32_t)addr);
}

/* ---- accesses ---- */

static bool overlaps(unsigned off, unsigned len, unsigned reg, unsigned reg_len)
{
    return off < reg + reg_len && reg < off + len;
}

static void update_intx_disable(struct pci_device *dev)
{
    pci_intx_disable(dev, le16_read(dev->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
}

uint32_t pci_config_read(struct pci_device *dev, unsigned off, unsigned len)
{
    uint32_t value = 0;
    if (off >= PCI_CONFIG_BYTES) /* extended space: no capabilities there */
        return 0;
    len = MIN(len, PCI_CONFIG_BYTES - off);
    if (dev->ops->config_reading)
        dev->ops->config_reading(dev, off, len);
    for (unsigned i = 0; i < len; i++) {
        uint8_t byte = dev->config[off + i];
        if (off + i == PCI_STATUS && dev->intx_level) /* the wish, disabled or not (6.2.3) */
            byte |= PCI_STATUS_INTERRUPT;
        value |= (uint32_t)byte << 8 * i;
    }
    return value;
}

void pci_config_write(struct pci_device *dev, unsigned off, unsigned len, uint32_t value)
{
    if (off >= PCI_CONFIG_BYTES)
        return;
    len = MIN(len, PCI_CONFIG_BYTES - off);
    for (unsigned i = 0; i < len; i++) {
        uint8_t mask = dev->writable[off + i];
        uint8_t byte = (uint8_t)(value >> 8 * i);
        dev->config[off + i] = (uint8_t)((dev->config[off + i] & ~mask) | (byte & mask));
    }
    if (overlaps(off, len, PCI_COMMAND, 2) ||
        overlaps(off, len, PCI_BASE_ADDRESS_0, 4 * PCI_BARS)) {
        if (dev->root)
            pci_root_remap(dev->root);
        update_intx_disable(dev);
    }
    pci_msix_control_written(dev, off, len);
    if (dev->ops->config_written)
        dev->ops->config_written(dev, off, len);
}

void pci_device_reset(struct pci_device *dev)
{
    if (dev->ops->reset)
        dev->ops->reset(dev);
    for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++)
        dev->config[i] &= (uint8_t)~dev->writable[i];
    update_intx_disable(dev);
    pci_intx_set(dev, false);
    pci_msix_reset(dev);
}

/* ---- state ---- */

void pci_device_save(const struct pci_device *dev, struct state_writer *w)
{
    state_put_bytes(w, dev->config, sizeof(dev->config));
    state_put_u8(w, dev->intx_level);
    pci_msix_save(dev, w);
}

int pci_device_load(struct pci_device *dev, struct state_reader *r)
{
    uint8_t config[PCI_CONFIG_BYTES];
    state_get_bytes(r, config, sizeof(config));
    bool level = state_get_u8(r) & 1;
    if (r->err.code)
        return -r->err.code;
    for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++) {
        if ((config[i] ^ dev->config[i]) & ~dev->writable[i])
            return state_invalid(r,
                                 "PCI configuration of %s differs at 0x%02x: 0x%02x, here 0x%02x",
                                 dev->ops->name, i, config[i], dev->config[i]);
    }
    memcpy(dev->config, config, sizeof(config));
    if (dev->root)
        pci_root_remap(dev->root);
    update_intx_disable(dev);
    pci_intx_set(dev, level);
    return pci_msix_load(dev, r);
}
