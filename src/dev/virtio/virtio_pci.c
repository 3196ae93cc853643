/* Theory of operation. All structures lie in BAR 0, a page each:
 *   0x0000 common configuration    0x3000 doorbells, 4 bytes a queue
 *   0x1000 ISR                     0x4000 MSI-X table
 *   0x2000 device configuration    0x5000 MSI-X pending bits
 * A doorbell is an address of its own, whatever is written: once the driver is ready, an ioeventfd
 * of no length and no data stands for each, which KVM matches without decoding the instruction.
 *
 * Registers of the common configuration are a table of fields. A driver must access each with its
 * own width (4.1.3.1); what a hostile one does otherwise is cut into fields, so that every width at
 * every offset has a defined effect. Spec: virtio 1.2, 4.1. */
#include "dev/virtio/virtio_pci.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_pci.h>
#include <pthread.h>

#include "base/log.h"
#include "base/util.h"
#include "dev/pci/pci_provider.h"
#include "dev/virtio/virtio_transport.h"

#define PAGE         0x1000
#define BAR_BYTES    0x8000
#define DOORBELL     4 /* notify_off_multiplier */
#define COMMON_BYTES 0x3c

enum page { PAGE_COMMON, PAGE_ISR, PAGE_DEVICE, PAGE_NOTIFY, PAGE_MSIX_TABLE, PAGE_MSIX_PBA };

/* ISR bits. Spec: 4.1.4.5. */
#define ISR_QUEUE  1
#define ISR_CONFIG 2

struct virtio_pci {
    struct pci_device pci; /* first */
    struct virtio_device *dev;
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select;
    _Atomic uint16_t config_vector;
    pthread_mutex_t isr_lock; /* the ISR and the pin move together. Then the bus's INTx lock */
    uint8_t isr;
    uint8_t window_cap; /* offset of the PCI configuration access capability */
    uint64_t doorbells; /* where the ioeventfds are, 0: nowhere */
};

/* ---- interrupts: from any thread ---- */

static void raise_isr(struct virtio_pci *vp, uint8_t bit)
{
    pthread_mutex_lock(&vp->isr_lock);
    vp->isr |= bit;
    pci_intx_set(&vp->pci, true);
    pthread_mutex_unlock(&vp->isr_lock);
}

/* Reading acknowledges (4.1.4.5.1). */
static uint8_t take_isr(struct virtio_pci *vp)
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

/* ---- common configuration. Spec: 4.1.4.3 ---- */

static const struct {
    uint8_t off, len;
} fields[] = {
    {VIRTIO_PCI_COMMON_DFSELECT, 4},  {VIRTIO_PCI_COMMON_DF, 4},
    {VIRTIO_PCI_COMMON_GFSELECT, 4},  {VIRTIO_PCI_COMMON_GF, 4},
    {VIRTIO_PCI_COMMON_MSIX, 2},      {VIRTIO_PCI_COMMON_NUMQ, 2},
    {VIRTIO_PCI_COMMON_STATUS, 1},    {VIRTIO_PCI_COMMON_CFGGENERATION, 1},
    {VIRTIO_PCI_COMMON_Q_SELECT, 2},  {VIRTIO_PCI_COMMON_Q_SIZE, 2},
    {VIRTIO_PCI_COMMON_Q_MSIX, 2},    {VIRTIO_PCI_COMMON_Q_ENABLE, 2},
    {VIRTIO_PCI_COMMON_Q_NOFF, 2},    {VIRTIO_PCI_COMMON_Q_DESCLO, 4},
    {VIRTIO_PCI_COMMON_Q_DESCHI, 4},  {VIRTIO_PCI_COMMON_Q_AVAILLO, 4},
    {VIRTIO_PCI_COMMON_Q_AVAILHI, 4}, {VIRTIO_PCI_COMMON_Q_USEDLO, 4},
    {VIRTIO_PCI_COMMON_Q_USEDHI, 4},
};

static uint32_t half(uint64_t v, uint32_t select)
{
    return select < 2 ? (uint32_t)(v >> 32 * select) : 0;
}

static void set_half(uint64_t *v, unsigned select, uint32_t to)
{
    *v = select ? (*v & UINT32_MAX) | (uint64_t)to << 32 : (*v & ~(uint64_t)UINT32_MAX) | to;
}

/* The ring area that a field is a half of. */
static uint64_t *area_of(struct virtio_queue *q, unsigned off)
{
    return off < VIRTIO_PCI_COMMON_Q_AVAILLO  ? &q->config.desc
           : off < VIRTIO_PCI_COMMON_Q_USEDLO ? &q->config.driver
                                              : &q->config.device;
}

/* Fields of the selected queue; one that does not exist has size 0 (4.1.4.3.1). */
static uint32_t queue_get(struct virtio_pci *vp, unsigned off)
{
    if (vp->queue_select >= vp->dev->n_queues)
        return off == VIRTIO_PCI_COMMON_Q_MSIX ? VIRTIO_NO_VECTOR : 0;
    struct virtio_queue *q = &vp->dev->queues[vp->queue_select];
    switch (off) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return q->config.size;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        return q->msix_vector;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return q->enabled;
    case VIRTIO_PCI_COMMON_Q_NOFF:
        return vp->queue_select;
    default:
        return half(*area_of(q, off), off / 4 % 2);
    }
}

static uint32_t common_get(struct virtio_pci *vp, unsigned off)
{
    struct virtio_device *dev = vp->dev;
    switch (off) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return vp->device_feature_select;
    case VIRTIO_PCI_COMMON_DF:
        return half(virtio_transport_features(dev), vp->device_feature_select);
    case VIRTIO_PCI_COMMON_GFSELECT:
        return vp->driver_feature_select;
    case VIRTIO_PCI_COMMON_GF:
        return half(dev->features_driver, vp->driver_feature_select);
    case VIRTIO_PCI_COMMON_MSIX:
        return vp->config_vector;
    case VIRTIO_PCI_COMMON_NUMQ:
        return dev->n_queues;
    case VIRTIO_PCI_COMMON_STATUS:
        return atomic_load(&dev->status);
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return atomic_load(&dev->config_generation);
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return vp->queue_select;
    default:
        return queue_get(vp, off);
    }
}

/* A vector that does not exist reads back as none, which tells the driver (4.1.5.1.2.1). */
static uint16_t valid_vector(const struct virtio_pci *vp, uint32_t v)
{
    return v < pci_msix_vectors(&vp->pci) ? (uint16_t)v : VIRTIO_NO_VECTOR;
}

static void queue_set(struct virtio_pci *vp, unsigned off, uint32_t value)
{
    if (vp->queue_select >= vp->dev->n_queues)
        return;
    struct virtio_queue *q = &vp->dev->queues[vp->queue_select];
    if (off == VIRTIO_PCI_COMMON_Q_MSIX)
        q->msix_vector = valid_vector(vp, value);
    if (off == VIRTIO_PCI_COMMON_Q_MSIX || off == VIRTIO_PCI_COMMON_Q_NOFF ||
        !virtio_transport_queue_open(vp->dev, vp->queue_select))
        return;
    if (off == VIRTIO_PCI_COMMON_Q_SIZE)
        q->config.size = (uint16_t)value;
    else if (off == VIRTIO_PCI_COMMON_Q_ENABLE)
        q->enabled = value == 1;
    else
        set_half(area_of(q, off), off / 4 % 2, value);
}

static void set_status(struct virtio_pci *vp, uint8_t value)
{
    virtio_transport_set_status(vp->dev, value);
    if (value)
        return;
    vp->device_feature_select = vp->driver_feature_select = 0;
    vp->queue_select = 0;
    vp->config_vector = VIRTIO_NO_VECTOR;
    take_isr(vp);
    pci_msix_forget(&vp->pci);
}

static void common_set(struct virtio_pci *vp, unsigned off, uint32_t value)
{
    uint64_t features = vp->dev->features_driver;
    switch (off) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        vp->device_feature_select = value;
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        vp->driver_feature_select = value;
        break;
    case VIRTIO_PCI_COMMON_GF:
        if (vp->driver_feature_select >= 2)
            break;
        set_half(&features, vp->driver_feature_select, value);
        virtio_transport_set_features(vp->dev, features);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        vp->config_vector = valid_vector(vp, value);
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        set_status(vp, (uint8_t)value);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        vp->queue_select = (uint16_t)value;
        break;
    case VIRTIO_PCI_COMMON_DF:
    case VIRTIO_PCI_COMMON_NUMQ:
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        break;
    default:
        queue_set(vp, off, value);
        break;
    }
}

static uint64_t common_read(struct virtio_pci *vp, uint64_t off, unsigned size)
{
    uint64_t value = 0;
    for (unsigned f = 0; f < ARRAY_LEN(fields); f++) {
        if (fields[f].off >= off + size || fields[f].off + fields[f].len <= off)
            continue;
        uint32_t v = common_get(vp, fields[f].off);
        for (unsigned b = 0; b < fields[f].len; b++)
            if (fields[f].off + b >= off && fields[f].off + b < off + size)
                value |= (uint64_t)(v >> 8 * b & 0xff) << 8 * (fields[f].off + b - off);
    }
    return value;
}

static void common_write(struct virtio_pci *vp, uint64_t off, unsigned size, uint64_t value)
{
    for (unsigned f = 0; f < ARRAY_LEN(fields); f++) {
        if (fields[f].off >= off + size || fields[f].off + fields[f].len <= off)
            continue;
        uint32_t v = common_get(vp, fields[f].off);
        for (unsigned b = 0; b < fields[f].len; b++) {
            if (fields[f].off + b < off || fields[f].off + b >= off + size)
                continue;
            v &= ~(0xffu << 8 * b);
            v |= (uint32_t)(value >> 8 * (fields[f].off + b - off) & 0xff) << 8 * b;
        }
        common_set(vp, fields[f].off, v);
    }
}

/* ---- the BAR ---- */

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio_pci *vp = opaque;
    uint64_t off = offset % PAGE;
    uint8_t bytes[8] = {0};
    switch (offset / PAGE) {
    case PAGE_COMMON:
        return common_read(vp, off, size);
    case PAGE_ISR:
        return off ? 0 : take_isr(vp);
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
        common_write(vp, off, size, value);
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
    set_status((struct virtio_pci *)pci, 0);
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
