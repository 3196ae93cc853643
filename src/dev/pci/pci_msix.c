/* MSI-X. The table and the control word belong to the device lock; whether a vector is masked and
 * whether it is pending are looked at by the threads that signal, so each vector has a lock of its
 * own around these two: a signal is either sent by its route or remembered, never lost between.
 * Locks: device lock, then a vector's, then the engine's. Spec: PCI Local Bus 3.0, 6.8.2. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "base/log.h"
#include "base/util.h"
#include "dev/pci/pci_internal.h"

#define VECTORS_MAX 2048

struct vector {
    pthread_mutex_t lock;
    struct msi_route *route;
    struct msi_message set; /* what the route carries while it is not masked */
    bool masked, pending;
};

struct pci_msix {
    unsigned n;
    uint8_t cap; /* offset of the capability */
    _Atomic bool enabled;
    bool function_masked;
    uint8_t *table; /* PCI_MSIX_ENTRY_BYTES each */
    struct vector vectors[];
};

int pci_msix_init(struct pci_device *dev, unsigned n, unsigned bar, uint32_t table_offset,
                  uint32_t pba_offset, struct err *err)
{
    assert(n && n <= VECTORS_MAX && table_offset % 8 == 0 && pba_offset % 8 == 0);
    struct pci_msix *m = calloc(1, sizeof(*m) + n * sizeof(m->vectors[0]));
    if (!m)
        return err_set(err, ENOMEM, "could not allocate %u MSI-X vectors", n);
    dev->msix = m;
    m->table = calloc(n, PCI_MSIX_ENTRY_BYTES);
    if (!m->table)
        return err_set(err, ENOMEM, "could not allocate %u MSI-X vectors", n);
    for (; m->n < n; m->n++) {
        struct vector *v = &m->vectors[m->n];
        int ret = bus_msi_route_create(dev->bus, &v->route, err);
        if (ret)
            return ret;
        pthread_mutex_init(&v->lock, NULL);
        v->masked = true;
        m->table[m->n * PCI_MSIX_ENTRY_BYTES + PCI_MSIX_ENTRY_VECTOR_CTRL] =
            PCI_MSIX_ENTRY_CTRL_MASKBIT;
    }
    m->cap = pci_device_add_cap(dev, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
    le16_write(dev->config + m->cap + PCI_MSIX_FLAGS, (uint16_t)(n - 1));
    le16_write(dev->writable + m->cap + PCI_MSIX_FLAGS,
               PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    le32_write(dev->config + m->cap + PCI_MSIX_TABLE, table_offset | bar);
    le32_write(dev->config + m->cap + PCI_MSIX_PBA, pba_offset | bar);
    return 0;
}

void pci_msix_fini(struct pci_device *dev)
{
    struct pci_msix *m = steal_ptr(&dev->msix);
    if (!m)
        return;
    for (unsigned i = 0; i < m->n; i++) {
        bus_msi_route_destroy(dev->bus, m->vectors[i].route);
        pthread_mutex_destroy(&m->vectors[i].lock);
    }
    free(m->table);
    free(m);
}

bool pci_msix_enabled(const struct pci_device *dev)
{
    return dev->msix && atomic_load_explicit(&dev->msix->enabled, memory_order_relaxed);
}

unsigned pci_msix_vectors(const struct pci_device *dev)
{
    return dev->msix ? dev->msix->n : 0;
}

void pci_msix_signal(struct pci_device *dev, unsigned vector)
{
    struct pci_msix *m = dev->msix;
    if (!m || vector >= m->n)
        return;
    struct vector *v = &m->vectors[vector];
    pthread_mutex_lock(&v->lock);
    if (v->masked)
        v->pending = true;
    else
        bus_msi_route_signal(dev->bus, v->route);
    pthread_mutex_unlock(&v->lock);
}

int pci_msix_fd(struct pci_device *dev, unsigned vector)
{
    if (!dev->msix || vector >= dev->msix->n)
        return -ENOENT;
    return bus_msi_route_fd(dev->bus, dev->msix->vectors[vector].route);
}

void pci_msix_forget(struct pci_device *dev)
{
    for (unsigned i = 0; i < pci_msix_vectors(dev); i++) {
        struct vector *v = &dev->msix->vectors[i];
        pthread_mutex_lock(&v->lock);
        v->pending = false;
        pthread_mutex_unlock(&v->lock);
    }
}

/* Brings a vector's route in line with its table entry, and delivers what is pending. */
static void update_vector(struct pci_device *dev, unsigned i)
{
    struct pci_msix *m = dev->msix;
    struct vector *v = &m->vectors[i];
    const uint8_t *e = m->table + i * PCI_MSIX_ENTRY_BYTES;
    struct msi_message msg = {
        .address = le64_read(e + PCI_MSIX_ENTRY_LOWER_ADDR),
        .data = le32_read(e + PCI_MSIX_ENTRY_DATA),
    };
    bool masked = !m->enabled || m->function_masked ||
                  (e[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
    int ret = 0;
    pthread_mutex_lock(&v->lock);
    if (masked && !v->masked) {
        ret = bus_msi_route_set(dev->bus, v->route, NULL);
    } else if (!masked && (v->masked || msg.address != v->set.address || msg.data != v->set.data)) {
        ret = bus_msi_route_set(dev->bus, v->route, &msg);
        v->set = msg;
    }
    v->masked = masked;
    if (!masked && v->pending) {
        v->pending = false;
        bus_msi_route_signal(dev->bus, v->route);
    }
    pthread_mutex_unlock(&v->lock);
    if (ret)
        LOG_LIMITED(LOG_WARN, "pci", "could not set MSI-X vector %u of %s slot=%u error=%d", i,
                    dev->ops->name, dev->slot, -ret);
}

static void update_all(struct pci_device *dev)
{
    uint16_t control = le16_read(dev->config + dev->msix->cap + PCI_MSIX_FLAGS);
    dev->msix->enabled = control & PCI_MSIX_FLAGS_ENABLE;
    dev->msix->function_masked = control & PCI_MSIX_FLAGS_MASKALL;
    for (unsigned i = 0; i < dev->msix->n; i++)
        update_vector(dev, i);
}

void pci_msix_control_written(struct pci_device *dev, unsigned off, unsigned len)
{
    unsigned control = dev->msix ? dev->msix->cap + PCI_MSIX_FLAGS : 0;
    if (control && off < control + 2 && control < off + len)
        update_all(dev);
}

/* All vectors are masked, none is pending (6.8.2.9). */
void pci_msix_reset(struct pci_device *dev)
{
    struct pci_msix *m = dev->msix;
    if (!m)
        return;
    pci_msix_forget(dev);
    memset(m->table, 0, (size_t)m->n * PCI_MSIX_ENTRY_BYTES);
    for (unsigned i = 0; i < m->n; i++)
        m->table[i * PCI_MSIX_ENTRY_BYTES + PCI_MSIX_ENTRY_VECTOR_CTRL] =
            PCI_MSIX_ENTRY_CTRL_MASKBIT;
    update_all(dev);
}

/* ---- the table and the pending bits ---- */

uint64_t pci_msix_table_read(struct pci_device *dev, uint64_t off, unsigned size)
{
    uint64_t value = 0;
    uint64_t bytes = (uint64_t)pci_msix_vectors(dev) * PCI_MSIX_ENTRY_BYTES;
    for (unsigned i = 0; i < size && off + i < bytes; i++)
        value |= (uint64_t)dev->msix->table[off + i] << 8 * i;
    return value;
}

/* Reserved bits: the low two of the address and all of the control word but the mask. */
static uint8_t table_writable(uint64_t off)
{
    switch (off % PCI_MSIX_ENTRY_BYTES) {
    case PCI_MSIX_ENTRY_LOWER_ADDR:
        return 0xfc;
    case PCI_MSIX_ENTRY_VECTOR_CTRL:
        return PCI_MSIX_ENTRY_CTRL_MASKBIT;
    case PCI_MSIX_ENTRY_VECTOR_CTRL + 1:
    case PCI_MSIX_ENTRY_VECTOR_CTRL + 2:
    case PCI_MSIX_ENTRY_VECTOR_CTRL + 3:
        return 0;
    default:
        return 0xff;
    }
}

void pci_msix_table_write(struct pci_device *dev, uint64_t off, unsigned size, uint64_t value)
{
    uint64_t bytes = (uint64_t)pci_msix_vectors(dev) * PCI_MSIX_ENTRY_BYTES;
    if (off >= bytes)
        return;
    size = (unsigned)MIN(size, bytes - off);
    for (unsigned i = 0; i < size; i++)
        dev->msix->table[off + i] = (uint8_t)(value >> 8 * i) & table_writable(off + i);
    for (uint64_t e = off / PCI_MSIX_ENTRY_BYTES; e <= (off + size - 1) / PCI_MSIX_ENTRY_BYTES; e++)
        update_vector(dev, (unsigned)e);
}

static bool is_pending(const struct pci_msix *m, unsigned i)
{
    struct vector *v = (struct vector *)&m->vectors[i];
    pthread_mutex_lock(&v->lock);
    bool pending = v->pending;
    pthread_mutex_unlock(&v->lock);
    return pending;
}

uint64_t pci_msix_pba_read(struct pci_device *dev, uint64_t off, unsigned size)
{
    uint64_t value = 0;
    for (unsigned bit = 0; bit < 8 * size; bit++) {
        uint64_t i = 8 * off + bit;
        if (i >= pci_msix_vectors(dev))
            break;
        value |= (uint64_t)is_pending(dev->msix, (unsigned)i) << bit;
    }
    return value;
}

/* ---- state ---- */

void pci_msix_save(const struct pci_device *dev, struct state_writer *w)
{
    unsigned n = pci_msix_vectors(dev);
    state_put_u16(w, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        state_put_bytes(w, dev->msix->table + i * PCI_MSIX_ENTRY_BYTES, PCI_MSIX_ENTRY_BYTES);
        state_put_u8(w, is_pending(dev->msix, i));
    }
}

int pci_msix_load(struct pci_device *dev, struct state_reader *r)
{
    unsigned n = state_get_u16(r);
    if (n != pci_msix_vectors(dev))
        return state_invalid(r, "%s has %u MSI-X vectors, the state has %u", dev->ops->name,
                             pci_msix_vectors(dev), n);
    for (unsigned i = 0; i < n; i++) {
        uint8_t *e = dev->msix->table + i * PCI_MSIX_ENTRY_BYTES;
        state_get_bytes(r, e, PCI_MSIX_ENTRY_BYTES);
        for (unsigned b = 0; b < PCI_MSIX_ENTRY_BYTES; b++)
            e[b] &= table_writable(b);
        dev->msix->vectors[i].pending = state_get_u8(r) & 1;
    }
    if (n)
        update_all(dev);
    return -r->err.code;
}
