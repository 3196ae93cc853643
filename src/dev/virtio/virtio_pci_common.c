/* The common configuration structure of the PCI transport: a table of fields. A driver must access
 * each with its own width (4.1.3.1); what a hostile one does otherwise is cut into fields, so that
 * every width at every offset has a defined effect. Spec: virtio 1.2, 4.1.4.3. */
#include <linux/virtio_pci.h>

#include "base/util.h"
#include "dev/virtio/virtio_pci_internal.h"

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
    virtio_pci_take_isr(vp);
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

uint64_t virtio_pci_common_read(struct virtio_pci *vp, uint64_t off, unsigned size)
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

void virtio_pci_common_write(struct virtio_pci *vp, uint64_t off, unsigned size, uint64_t value)
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

void virtio_pci_common_reset(struct virtio_pci *vp)
{
    set_status(vp, 0);
}
