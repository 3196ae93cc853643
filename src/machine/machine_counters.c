/* Counters of all parts, for the API. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "dev/virtio/virtio_balloon.h"
#include "dev/virtio/virtio_blk.h"
#include "dev/virtio/virtio_net.h"
#include "dev/virtio/virtio_vsock.h"
#include "machine/machine_internal.h"

typedef void counter_fn(void *arg, const char *device, const char *counter, uint64_t value);

static void disk_counters(const struct machine_device *d, counter_fn *fn, void *arg)
{
    const struct virtio_blk_counters *c = virtio_blk_counters(d->dev);
    fn(arg, d->id, "reads", atomic_load(&c->reads));
    fn(arg, d->id, "read_bytes", atomic_load(&c->read_bytes));
    fn(arg, d->id, "writes", atomic_load(&c->writes));
    fn(arg, d->id, "written_bytes", atomic_load(&c->written_bytes));
    fn(arg, d->id, "flushes", atomic_load(&c->flushes));
    fn(arg, d->id, "discards", atomic_load(&c->discards));
    fn(arg, d->id, "errors", atomic_load(&c->errors));
    fn(arg, d->id, "throttled", atomic_load(&c->throttled));
}

static void nic_counters(const struct machine_device *d, counter_fn *fn, void *arg)
{
    struct virtio_net_counters c;
    virtio_net_counters_get(d->dev, &c);
    fn(arg, d->id, "rx_packets", c.rx_packets);
    fn(arg, d->id, "rx_bytes", c.rx_bytes);
    fn(arg, d->id, "rx_dropped", c.rx_dropped);
    fn(arg, d->id, "rx_stalls", c.rx_stalls);
    fn(arg, d->id, "tx_packets", c.tx_packets);
    fn(arg, d->id, "tx_bytes", c.tx_bytes);
    fn(arg, d->id, "tx_dropped", c.tx_dropped);
    fn(arg, d->id, "tx_stalls", c.tx_stalls);
    fn(arg, d->id, "kicks", c.kicks);
    fn(arg, d->id, "interrupts", c.interrupts);
}

static void balloon_counters(const struct machine_device *d, counter_fn *fn, void *arg)
{
    const struct virtio_balloon_counters *c = virtio_balloon_counters(d->dev);
    fn(arg, d->id, "inflated_pages", atomic_load(&c->inflated_pages));
    fn(arg, d->id, "deflated_pages", atomic_load(&c->deflated_pages));
    fn(arg, d->id, "reported_bytes", atomic_load(&c->reported_bytes));
    fn(arg, d->id, "refused_pages", atomic_load(&c->refused_pages));
}

static void vsock_counters(const struct machine_device *d, counter_fn *fn, void *arg)
{
    struct virtio_vsock_counters c;
    virtio_vsock_counters_get(d->dev, &c);
    fn(arg, d->id, "rx_bytes", c.rx_bytes);
    fn(arg, d->id, "tx_bytes", c.tx_bytes);
    fn(arg, d->id, "connections", c.connections);
    fn(arg, d->id, "open", c.open);
    fn(arg, d->id, "dropped", c.dropped);
}

static void vcpu_counters(struct machine *m, counter_fn *fn, void *arg)
{
    if (m->state == MACHINE_RUNNING) /* they are the vCPUs' threads' own */
        return;
    for (unsigned i = 0; i < machine_n_vcpus(m); i++) {
        char name[16];
        uint64_t insns = engine_vcpu_insns(machine_vcpu(m, i));
        snprintf(name, sizeof(name), "cpu%u", i);
        if (insns)
            fn(arg, name, "instructions", insns);
    }
}

void machine_counters(struct machine *m, counter_fn *fn, void *arg)
{
    fn(arg, "bus", "accesses", atomic_load(&m->bus.counters.accesses));
    fn(arg, "bus", "unclaimed", atomic_load(&m->bus.counters.unclaimed));
    fn(arg, "bus", "ioeventfds", atomic_load(&m->bus.counters.ioeventfds));
    fn(arg, "boot", "ready_cpu_us", (uint64_t)m->ready_cpu_ns / 1000);
    fn(arg, "boot", "search_us", (uint64_t)m->boot_search_ns / 1000);
    fn(arg, "boot", "kernel_us", (uint64_t)m->boot.kernel_ns / 1000);
    fn(arg, "boot", "initrd_us", (uint64_t)m->boot.initrd_ns / 1000);
    vcpu_counters(m, fn, arg);
    if (m->serial)
        fn(arg, "serial", "dropped_bytes", serial_port_dropped_bytes(m->serial));
    for (unsigned i = 0; i < m->n_devices; i++) {
        const struct machine_device *d = m->devices[i];
        if (d->remote) /* another process serves it, and counts */
            continue;
        if (strcmp(d->kind, "disk") == 0)
            disk_counters(d, fn, arg);
        else if (strcmp(d->kind, "nic") == 0)
            nic_counters(d, fn, arg);
        else if (strcmp(d->kind, "balloon") == 0)
            balloon_counters(d, fn, arg);
        else if (strcmp(d->kind, "vsock") == 0)
            vsock_counters(d, fn, arg);
    }
}
