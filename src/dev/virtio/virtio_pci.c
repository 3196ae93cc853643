/* Theory of operation. All structures lie in BAR 0, a page each:
 *   0x0000 common configuration    0x3000 doorbells, 4 bytes a queue
 *   0x1000 ISR                     0x4000 MSI-X table
 *   0x2000 device configuration    0x5000 MSI-X pending bits
 * A doorbell is an address of its own, whatever is written: once the driver is ready, an ioeventfd
 * of no length and no data stands for each, which KVM matches without decoding the instruction.
 *
 * What the registers of the common configuration do: virtio_pci_common.c. Spec: virtio 1.2, 4.1. */
#include "dev/virtio/virtio_pci.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_pci.h>

#include "base/log.h"
#include "base/util.h"
#include "dev/virtio/virtio_pci_internal.h"

#define PAGE         0x1000
#define BAR_BYTES    0x8000
#define DOORBELL     4 /* notify_off_multiplier */
#define COMMON_BYTES 0x3c

enum page { PAGE_COMMON, PAGE_ISR, PAGE_DEVICE, PAGE_NOTIFY, PAGE_MSIX_TABLE, PAGE_MSIX_PBA };

/* ISR bits. Spec: 4.1.4.5. */
#define ISR_QUEUE  1
#define ISR_CONFIG 2

/* ---- interrupts: from any thread ---- */

static void raise_isr(struct virtio_pci *vp, uint8_t bit)
{
    pthread_mutex_lock(&vp->isr_lock);
    vp->isr |= bit;
    pci_intx_set(&vp->pci, true);
    pthread_mutex_unlock(&vp->isr_lock);
}

uint8_t virtio_pci_take_isr(struct virtio_pci *vp)
{
    pthread_mutex_lock(&vp->isr_lock);
    uint8_t isr = vp->isr;
    vp->isr = 0;
    pci_intx_set(&vp->pci, false);
    pthread_mutex_unlock(&vp->isr_lock);
    return isr;
}

static void queue_interrupt(void *opaque, unsigned queue)
{
    struct virtio_pci *vp = opaque;
    if (pci_msix_enabled(&vp->pci))
        pci_msix_signal(&vp->pci, vp->dev->queues[queue].msix_vector);
    else
        raise_isr(vp, ISR_QUEUE);
}

static void config_interrupt(void *opaque)
{
    struct virtio_pci *vp = opaque;
    if (pci_msix_enabled(&vp->pci))
        pci_msix_signal(&vp->pci, vp->config_vector);
    else
        raise_isr(vp, ISR_CONFIG);
}

static int interrupt_fd(void *opaque, unsigned queue)
{
    struct virtio_pci *vp = opaque;
    if (!pci_msix_enabled(&vp->pci))
        return -ENOTSUP;
    return pci_msix_fd(&vp->pci, vp->dev->queues[queue].msix_vector);
}

/* ---- doorbells ---- */

static struct bus_ioeventfd doorbell_of(const struct virtio_pci *vp, unsigned queue)
{
    return (struct bus_ioeventfd){
        .space = BUS_MMIO,
        .addr = vp->doorbells + (uint64_t)DOORBELL * queue,
        .fd = vp->dev->queues[queue].kick_fd,
    };
}

static void doorbells_off(struct virtio_pci *vp)
{
    for (unsigned i = 0; vp->doorbells && i < vp->dev->n_queues; i++) {
        struct bus_ioeventfd io = doorbell_of(vp, i);
        if (vp->dev->queues[i].enabled)
            bus_ioeventfd_remove(vp->pci.bus, &io);
    }
    vp->doorbells = 0;
}

/* Without an ioeventfd the write arrives at notify_write(), which is only slower. */
static void doorbells_on(struct virtio_pci *vp)
{
    doorbells_off(vp);
    if (!vp->pci.bars[0].mapped || !vp->dev->active)
        return;
    vp->doorbells = vp->pci.bars[0].region.base + PAGE_NOTIFY * PAGE;
    for (unsigned i = 0; i < vp->dev->n_queues; i++) {
        struct bus_ioeventfd io = doorbell_of(vp, i);
        struct err err = {0};
        if (vp->dev->queues[i].enabled && bus_ioeventfd_add(vp->pci.bus, &io, &err))
            LOG_LIMITED(LOG_WARN, vp->dev->ops->name, "queue %u is kicked the slow way: %s", i,
                        err.msg);
    }
}

static void active_changed(void *opaque, bool active)
{
    if (active)
        doorbells_on(opaque);
    else
        doorbells_off(opaque);
}

static void bar_mapped(struct pci_device *pci, unsigned bar)
{
    doorbells_on((struct virtio_pci *)pci);
}

static void bar_unmapping(struct pci_device *pci, unsigned bar)
{
    doorbells_off((struct virtio_pci *)pci);
}

static const struct virtio_transport_ops transport_ops = {
    .interrupt = queue_interrupt,
    .config_interrupt = config_interrupt,
    .interrupt_fd = interrupt_fd,
    .active_changed = active_changed,
};

static void notify_write(struct virtio_pci *vp, uint64_t off)
{
    uint64_t queue = off / DOORBELL;
    if (queue < vp->dev->n_queues && vp->dev->queues[queue].enabled)
        virtio_queue_kick(vp->dev, (unsigned)queue);
}

/* ---- the BAR ---- */

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio_pci *vp = opaque;
    uint64_t off = offset % PAGE;
    uint8_t bytes[8] = {0};
    switch (offset / PAGE) {
    case PAGE_COMMON:
        return virtio_pci_common_read(vp, off, size);
    case PAGE_ISR:
        return off ? 0 : virtio_pci_take_isr(vp);
    case PAGE_DEVICE:
        virtio_transport_config_read(vp->dev, off, bytes, size);
        return le64_read(bytes);
    case PAGE_MSIX_TABLE:
        return pci_msix_table_read(&vp->pci, off, size);
    case PAGE_MSIX_PBA:
        return pci_msix_pba_read(&vp->pci, off, size);
    default:
        return 0;
    }
}

static void bar_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_pci *vp = opaque;
    uint64_t off = offset % PAGE;
    uint8_t bytes[8];
    switch (offset / PAGE) {
    case PAGE_COMMON:
        virtio_pci_common_write(vp, off, size, value);
        break;
    case PAGE_DEVICE:
        le64_write(bytes, value);
        virtio_transport_config_write(vp->dev, off, bytes, size);
        break;
    case PAGE_NOTIFY:
        notify_write(vp, off);
        break;
    case PAGE_MSIX_TABLE:
        pci_msix_table_write(&vp->pci, off, size, value);
        break;
    default:
        break;
    }
}

static const struct bus_region_ops bar_ops = {.read = bar_read, .write = bar_write};

/* ---- configuration access capability: the BAR through configuration space. Spec: 4.1.4.9 ---- */

/* Where the window points. Returns false if the driver left it pointing nowhere. */
static bool window(const struct virtio_pci *vp, unsigned off, unsigned len, uint32_t *at,
                   unsigned *size)
{
    const uint8_t *cap = vp->pci.config + vp->window_cap;
    unsigned data = vp->window_cap + sizeof(struct virtio_pci_cap);
    if (off >= data + 4 || off + len <= data)
        return false;
    *at = le32_read(cap + VIRTIO_PCI_CAP_OFFSET);
    *size = le32_read(cap + VIRTIO_PCI_CAP_LENGTH);
    return cap[VIRTIO_PCI_CAP_BAR] == 0 && (*size == 1 || *size == 2 || *size == 4) &&
           *at % *size == 0 && range_within(*at, *size, BAR_BYTES);
}

static void config_reading(struct pci_device *pci, unsigned off, unsigned len)
{
    struct virtio_pci *vp = (struct virtio_pci *)pci;
    uint32_t at;
    unsigned size;
    if (window(vp, off, len, &at, &size))
        le32_write(pci->config + vp->window_cap + sizeof(struct virtio_pci_cap),
                   (uint32_t)bar_read(vp, at, size));
}

static void config_written(struct pci_device *pci, unsigned off, unsigned len)
{
    struct virtio_pci *vp = (struct virtio_pci *)pci;
    uint32_t at;
    unsigned size;
    if (window(vp, off, len, &at, &size))
        bar_write(vp, at, size,
                  le32_read(pci->config + vp->window_cap + sizeof(struct virtio_pci_cap)) &
                      (UINT32_MAX >> (32 - 8 * size)));
}

/* ---- state ---- */

static void save(struct pci_device *pci, struct state_writer *w)
{
    struct virtio_pci *vp = (struct virtio_pci *)pci;
    state_begin(w, vp->dev->ops->name, pci->slot, 1);
    pci_device_save(pci, w);
    state_put_u32(w, vp->device_feature_select);
    state_put_u32(w, vp->driver_feature_select);
    state_put_u16(w, vp->queue_select);
    state_put_u16(w, vp->config_vector);
    state_put_u8(w, vp->isr);
    virtio_transport_save(vp->dev, w);
    state_end(w);
}

static int load(struct pci_device *pci, struct state_reader *r)
{
    struct virtio_pci *vp = (struct virtio_pci *)pci;
    int ret = state_open(r, vp->dev->ops->name, pci->slot, 1);
    if (ret < 0)
        return ret;
    ret = pci_device_load(pci, r);
    if (ret)
        return ret;
    vp->device_feature_select = state_get_u32(r);
    vp->driver_feature_select = state_get_u32(r);
    vp->queue_select = state_get_u16(r);
    vp->config_vector = state_get_u16(r);
    vp->isr = state_get_u8(r) & (ISR_QUEUE | ISR_CONFIG);
    ret = virtio_transport_load(vp->dev, r);
    return ret ? ret : state_close(r);
}

/* ---- life ---- */

static void destroy(struct pci_device *pci)
{
    struct virtio_pci *vp = (struct virtio_pci *)pci;
    virtio_device_destroy(vp->dev); /* after this, no thread signals */
    pci_device_fini(pci);
    pthread_mutex_destroy(&vp->isr_lock);
    free(vp);
}

static void reset(struct pci_device *pci)
{
    virtio_pci_common_reset((struct virtio_pci *)pci);
}

static const struct pci_device_ops pci_ops = {
    .name = "virtio-pci",
    .config_reading = config_reading,
    .config_written = config_written,
    .bar_mapped = bar_mapped,
    .bar_unmapping = bar_unmapping,
    .reset = reset,
    .save = save,
    .load = load,
    .destroy = destroy,
};

/* Class, subclass and interface by virtio device id (5). */
static uint32_t class_code(uint16_t device_id)
{
    switch (device_id) {
    case 1: /* net */
        return 0x020000;
    case 2:  /* block */
    case 26: /* file system */
        return 0x018000;
    case 3:  /* console */
    case 19: /* socket */
        return 0x078000;
    default:
        return 0xff0000;
    }
}

static uint8_t add_cap(struct virtio_pci *vp, uint8_t type, enum page page, uint32_t length,
                       uint8_t extra)
{
    uint8_t len = (uint8_t)(sizeof(struct virtio_pci_cap) + extra);
    uint8_t at = pci_device_add_cap(&vp->pci, PCI_CAP_ID_VNDR, len);
    uint8_t *cap = vp->pci.config + at;
    cap[VIRTIO_PCI_CAP_LEN] = len;
    cap[VIRTIO_PCI_CAP_CFG_TYPE] = type;
    le32_write(cap + VIRTIO_PCI_CAP_OFFSET, page * PAGE);
    le32_write(cap + VIRTIO_PCI_CAP_LENGTH, length);
    return at;
}

static void add_caps(struct virtio_pci *vp)
{
    struct virtio_device *dev = vp->dev;
    add_cap(vp, VIRTIO_PCI_CAP_COMMON_CFG, PAGE_COMMON, COMMON_BYTES, 0);
    add_cap(vp, VIRTIO_PCI_CAP_ISR_CFG, PAGE_ISR, 1, 0);
    if (dev->config_bytes)
        add_cap(vp, VIRTIO_PCI_CAP_DEVICE_CFG, PAGE_DEVICE, dev->config_bytes, 0);
    uint8_t at = add_cap(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, PAGE_NOTIFY, DOORBELL * dev->n_queues, 4);
    le32_write(vp->pci.config + at + VIRTIO_PCI_NOTIFY_CAP_MULT, DOORBELL);
    at = add_cap(vp, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 4);
    vp->window_cap = at;
    vp->pci.writable[at + VIRTIO_PCI_CAP_BAR] = 0xff;
    memset(vp->pci.writable + at + VIRTIO_PCI_CAP_OFFSET, 0xff, 12); /* offset, length, data */
}

int virtio_pci_create(struct bus *bus, struct pci_root *root, unsigned slot,
                      struct virtio_device *dev, struct err *err)
{
    static_assert(offsetof(struct virtio_pci, pci) == 0, "the bus casts");
    assert(dev->config_bytes <= PAGE);
    struct virtio_pci *vp = calloc(1, sizeof(*vp));
    if (!vp)
        return err_set(err, ENOMEM, "could not allocate the PCI side of %s", dev->ops->name);
    vp->dev = dev;
    vp->config_vector = VIRTIO_NO_VECTOR;
    pthread_mutex_init(&vp->isr_lock, NULL);
    const struct pci_ids ids = {
        .vendor = 0x1af4,
        .device = (uint16_t)(0x1040 + dev->device_id), /* 4.1.2.1 */
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = class_code(dev->device_id),
        .revision = 1,
    };
    pci_device_init(&vp->pci, bus, &pci_ops, &ids);
    pci_device_add_bar(&vp->pci, 0, BAR_BYTES, true, &bar_ops, vp);
    add_caps(vp);
    int ret = pci_msix_init(&vp->pci, dev->n_queues + 1, 0, PAGE_MSIX_TABLE * PAGE,
                            PAGE_MSIX_PBA * PAGE, err);
    if (!ret)
        ret = virtio_transport_attach(dev, &transport_ops, vp, err);
    if (!ret)
        ret = pci_root_add(root, &vp->pci, slot, err);
    if (ret < 0) {
        dev->transport = NULL;
        pci_device_fini(&vp->pci);
        pthread_mutex_destroy(&vp->isr_lock);
        free(vp);
    }
    return ret;
}

struct virtio_device *virtio_pci_device(const struct pci_root *root, unsigned slot)
{
    struct pci_device *pci = pci_root_device(root, slot);
    return pci && pci->ops == &pci_ops ? ((struct virtio_pci *)pci)->dev : NULL;
}
