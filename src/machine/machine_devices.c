/* The list of virtio devices: putting them on the PCI bus, letting them go, pausing all. What a
 * disk or a NIC is made of: machine_disks.c, machine_nics.c, machine_misc.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "dev/virtio/virtio_pci.h"
#include "machine/machine_internal.h"

static struct loop *shared_loop(struct machine *m, enum machine_thread which, struct err *err)
{
    static const char *const names[] = {"disk", "net", "net-misc"};
    if (!m->shared_threads[which])
        m->shared_threads[which] = iothread_create(names[which], m->setup.thread_setup, err);
    return m->shared_threads[which] ? iothread_loop(m->shared_threads[which]) : NULL;
}

struct machine_device *machine_device_find(struct machine *m, const char *id)
{
    for (unsigned i = 0; i < m->n_devices; i++)
        if (strcmp(m->devices[i]->id, id) == 0)
            return m->devices[i];
    return NULL;
}

int machine_device_reserve(struct machine *m, const char *kind, const char *id,
                           struct machine_device **device, struct err *err)
{
    struct machine_device *have = machine_device_find(m, id);
    int ret = machine_check_free(m, "attach a device to", err);
    if (ret)
        return ret;
    if (have)
        return err_set(err, EEXIST, "the VM already has a %s '%s': choose another id", have->kind,
                       id);
    if (m->n_devices == MACHINE_DEVICES_MAX)
        return err_set(err, ENOSPC, "no room for %s '%s': a VM holds at most %d devices", kind, id,
                       MACHINE_DEVICES_MAX);
    struct machine_device *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(err, ENOMEM, "could not allocate %s '%s'", kind, id);
    snprintf(d->id, sizeof(d->id), "%s", id);
    d->kind = kind;
    d->machine = m;
    *device = d;
    return 0;
}

struct loop *machine_device_loop(struct machine_device *d, enum machine_thread shared, bool own,
                                 struct err *err)
{
    if (!own)
        return shared_loop(d->machine, shared, err);
    if (d->n_threads == ARRAY_LEN(d->threads)) {
        err_set(err, ENOSPC, "%s '%s' has %u threads already", d->kind, d->id, d->n_threads);
        return NULL;
    }
    /* The first letters of a thread's name choose its system call filter. */
    char name[16];
    snprintf(name, sizeof(name), "%s-%.8s%u", shared == MACHINE_THREAD_DISKS ? "disk" : "net",
             d->id, d->n_threads % 100);
    struct iothread *t = iothread_create(name, d->machine->setup.thread_setup, err);
    if (!t)
        return NULL;
    d->threads[d->n_threads++] = t;
    return iothread_loop(t);
}

void machine_device_failed(void *opaque, const struct err *why)
{
    struct machine_device *d = opaque;
    machine_fail(d->machine, &d->failure, MACHINE_REQUEST_DEVICE_FAILED, d->id, why);
}

int machine_device_plug(struct machine_device *d, struct virtio_device *dev, struct err *err)
{
    struct machine *m = d->machine;
    bool hot = m->state == MACHINE_RUNNING || m->state == MACHINE_PAUSED;
    dev->broken = machine_device_failed;
    dev->broken_opaque = d;
    bus_lock(&m->bus);
    int slot = virtio_pci_create(&m->bus, m->pci, PCI_SLOT_ANY, dev, err);
    if (slot >= 0) {
        d->slot = (unsigned)slot;
        d->dev = dev;
        m->devices[m->n_devices++] = d;
        if (m->state == MACHINE_PAUSED)
            virtio_device_pause(dev);
        pci_hotplug_plugged(&m->hotplug, d->slot, hot);
    } else {
        virtio_device_destroy(dev);
    }
    bus_unlock(&m->bus);
    if (slot < 0)
        return err_wrap(err, "%s '%s'", d->kind, d->id);
    if (hot)
        machine_emit(m, MACHINE_EVENT_ATTACHED, d->id, NULL, 0);
    return 0;
}

static void destroy_aio(void *aio)
{
    aio_destroy(aio);
}

void machine_device_abandon(struct machine_device *d)
{
    if (d->aio) /* it has a hook in the loop, which runs until its thread ends */
        loop_call(iothread_loop(d->threads[0]), destroy_aio, d->aio);
    for (unsigned i = 0; i < d->n_threads; i++)
        iothread_destroy(d->threads[i]);
    free(d->socket_path);
    free(d);
}

/* Takes the device off the bus and frees it. Its threads end after it has let go of them. */
static void remove_device(struct machine *m, struct machine_device *d)
{
    bus_lock(&m->bus);
    pci_hotplug_unplugged(&m->hotplug, d->slot);
    pci_root_remove(m->pci, d->slot);
    /* What the guest wrote until now was about this device and not about the slot's next one. */
    atomic_fetch_and(&m->eject_slots, ~(UINT32_C(1) << d->slot));
    bus_unlock(&m->bus);
    for (unsigned i = 0; i < m->n_devices; i++)
        if (m->devices[i] == d)
            m->devices[i] = m->devices[--m->n_devices];
    machine_device_abandon(d);
}

static void let_go(struct machine *m, struct machine_device *d)
{
    char id[VM_CONFIG_ID_BYTES];
    memcpy(id, d->id, sizeof(id));
    remove_device(m, d);
    machine_emit(m, MACHINE_EVENT_DETACHED, id, NULL, 0);
}

/* The machine keeps pointers to the others. */
static bool can_be_detached(const struct machine_device *d)
{
    return strcmp(d->kind, "disk") == 0 || strcmp(d->kind, "nic") == 0;
}

int machine_detach(struct machine *m, const char *id, struct err *err)
{
    struct machine_device *d = machine_device_find(m, id);
    if (!d)
        return err_set(err, ENOENT, "the VM has no device '%s'", id);
    if (!can_be_detached(d))
        return err_set(err, ENOTSUP, "%s '%s' cannot be detached: only disks and NICs can", d->kind,
                       id);
    if (m->state == MACHINE_CREATED || m->setup.guestless) {
        let_go(m, d);
        return 0;
    }
    if (m->state != MACHINE_RUNNING)
        return err_set(err, EBUSY, "cannot detach '%s' while the VM is %s: the guest has to agree",
                       id, machine_state_name(m->state));
    bus_lock(&m->bus);
    pci_hotplug_request_eject(&m->hotplug, d->slot);
    bus_unlock(&m->bus);
    return 0;
}

void machine_devices_eject(struct machine *m, uint32_t slots)
{
    for (unsigned i = m->n_devices; i-- > 0;) {
        struct machine_device *d = m->devices[i];
        if (!(slots & (UINT32_C(1) << d->slot)) || !can_be_detached(d))
            continue; /* a guest may write any slot's bit, asked or not */
        let_go(m, d);
    }
}

void machine_devices_pause(struct machine *m)
{
    for (unsigned i = 0; i < m->n_devices; i++)
        virtio_device_pause(m->devices[i]->dev);
}

void machine_devices_resume(struct machine *m)
{
    for (unsigned i = 0; i < m->n_devices; i++)
        virtio_device_resume(m->devices[i]->dev);
}

static int reconnect(void *opaque, struct err *err)
{
    struct machine_device *d = opaque;
    const struct machine_callbacks *cb = &d->machine->setup.callbacks;
    int fd = cb->connect ? cb->connect(cb->opaque, d->socket_path) : -ENOTCONN;
    return fd >= 0 ? fd : err_sys(err, -fd, "could not connect to '%s'", d->socket_path);
}

const struct vhu_connector *machine_device_connector(struct machine_device *d, const char *path)
{
    d->socket_path = path ? strdup(path) : NULL;
    if (!d->socket_path)
        return NULL;
    d->connector = (struct vhu_connector){.connect = reconnect, .opaque = d};
    return &d->connector;
}

static uint64_t ram_end(const struct guest_mem *mem)
{
    const struct guest_mem_region *last = &mem->regions[mem->n_regions - 1];
    return last->gpa + last->size_bytes;
}

int machine_devices_init(struct machine *m, struct machine_files *files, struct err *err)
{
    m->pci = pci_root_create(&m->bus, ram_end(&m->mem), err);
    if (!m->pci)
        return -(err && err->code ? err->code : ENOMEM);
    pci_root_set_reset_control(m->pci, &m->reset_ports.control);
    int ret = 0;
    for (unsigned i = 0; !ret && i < m->config->n_disks; i++)
        ret = machine_attach_disk(m, &m->config->disks[i], &files->disks[i], err);
    for (unsigned i = 0; !ret && i < m->config->n_nics; i++)
        ret = machine_attach_nic(m, &m->config->nics[i], &files->nics[i], err);
    if (!ret)
        ret = machine_misc_add(m, files, err);
    return ret;
}

/* In the loop that the port belongs to: input for the device that is about to go. */
static void disconnect_console(void *opaque)
{
    struct machine *m = opaque;
    m->virtio_console = NULL;
}

/* In the same. */
static void destroy_console_port(void *opaque)
{
    struct machine *m = opaque;
    serial_port_destroy(m->virtio_console_port);
    m->virtio_console_port = NULL;
}

void machine_devices_fini(struct machine *m)
{
    struct iothread *misc = m->shared_threads[MACHINE_THREAD_MISC];
    if (misc)
        loop_call(iothread_loop(misc), disconnect_console, m);
    bus_lock(&m->bus);
    pci_root_destroy(m->pci);
    bus_unlock(&m->bus);
    if (misc)
        loop_call(iothread_loop(misc), destroy_console_port, m);
    for (unsigned i = 0; i < m->n_devices; i++)
        machine_device_abandon(m->devices[i]);
    m->n_devices = 0;
    if (m->shared_aio)
        loop_call(iothread_loop(m->shared_threads[MACHINE_THREAD_DISKS]), destroy_aio,
                  m->shared_aio);
    for (unsigned i = 0; i < MACHINE_THREADS; i++)
        iothread_destroy(m->shared_threads[i]);
}
