/* The machine's buses, engine-neutral: port and MMIO dispatch, interrupt lines, MSI, and the seam
 * for what an engine can do in the kernel instead (ioeventfd, irqfd).
 *
 * Locking. bus_access_*() takes the device lock around a device's callback, so device registers
 * are never touched by two threads at once. Timers and the API take the same lock by bus_lock().
 * Lock order: device lock, then interrupt controller locks (leaves). Device I/O threads never
 * take the device lock: that is what lets a register write wait for an I/O thread. */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum bus_space { BUS_PIO, BUS_MMIO, BUS_SPACES };

/* Callbacks run with the device lock held. `size` is 1, 2, 4 or 8 (1, 2 or 4 for ports) and the
 * access lies wholly inside the region, at any alignment: a device must cope with all of them. */
struct bus_region_ops {
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, unsigned size, uint64_t value);
};

struct bus_region {
    const char *name;
    uint64_t base, size;
    const struct bus_region_ops *ops;
    void *opaque;
    bool bytewise; /* an 8-bit device: wider accesses are split, low byte first */
};

/* A write to [addr] that signals an eventfd instead of calling a device. */
struct bus_ioeventfd {
    enum bus_space space;
    uint64_t addr;
    unsigned size; /* bytes; 0 matches any width */
    bool match_data;
    uint64_t data;
    int fd; /* borrowed */
};

struct msi_message {
    uint64_t address;
    uint32_t data;
};

/* What an IOAPIC pin sends; see engine_vm_set_ioapic(). */
struct bus_ioapic_pin {
    struct msi_message msg; /* address 0: the pin sends nothing */
    bool level;             /* level-triggered: its EOI must be reported */
};

struct msi_route; /* an engine's: one MSI message that can be signalled without a lookup */

/* What a CPU engine offers to the buses. Slots may be called from any thread. */
struct bus_engine_ops {
    /* Delivers a message at once. Returns 0, or -errno if no such APIC exists. */
    int (*msi_signal)(void *engine, const struct msi_message *msg);
    /* A route is created masked. Errors: ENOSPC. */
    int (*msi_route_create)(void *engine, struct msi_route **route, struct err *err);
    void (*msi_route_destroy)(void *engine, struct msi_route *route);
    /* Sets the message; NULL masks: a signal while masked is remembered by the caller's device
     * (the MSI-X pending bit), not here. */
    int (*msi_route_set)(void *engine, struct msi_route *route, const struct msi_message *msg);
    void (*msi_route_signal)(void *engine, struct msi_route *route);
    /* An eventfd whose signal is msi_route_signal(), for another process or the kernel. Borrowed
     * from the route. Returns the fd or -errno. */
    int (*msi_route_fd)(void *engine, struct msi_route *route);
    /* Optional (NULL when the engine runs all I/O through bus_access_*()). */
    int (*ioeventfd_add)(void *engine, const struct bus_ioeventfd *io, struct err *err);
    void (*ioeventfd_remove)(void *engine, const struct bus_ioeventfd *io);
};

/* The interrupt controllers behind the wired lines. May be called from any thread. */
struct bus_irq_ops {
    void (*set)(void *opaque, unsigned gsi, bool level);
};

#define BUS_REGIONS_MAX    256
#define BUS_IOEVENTFDS_MAX 512

struct bus_counters {
    _Atomic uint64_t accesses, unclaimed, ioeventfds;
};

struct bus {
    pthread_mutex_t lock; /* the device lock */
    unsigned n_regions[BUS_SPACES];
    const struct bus_region *regions[BUS_SPACES][BUS_REGIONS_MAX]; /* sorted by base */
    unsigned n_ioeventfds;
    struct bus_ioeventfd ioeventfds[BUS_IOEVENTFDS_MAX];
    const struct bus_engine_ops *engine_ops;
    void *engine;
    const struct bus_irq_ops *irq_ops;
    void *irq_opaque;
    struct bus_counters counters;
};

void bus_init(struct bus *bus);
void bus_fini(struct bus *bus);

/* Wires the buses to their engine and interrupt controllers, once, before any device is added. */
void bus_set_engine(struct bus *bus, const struct bus_engine_ops *ops, void *engine);
void bus_set_irq(struct bus *bus, const struct bus_irq_ops *ops, void *opaque);

void bus_lock(struct bus *bus);
void bus_unlock(struct bus *bus);

/* Adds and removes a region. `region` is the device's and stays put until removed.
 * Errors: EEXIST (overlap, named), EINVAL (empty or wraps), ENOSPC.
 * Threads: with the device lock held, or before vCPUs run. */
int bus_add(struct bus *bus, enum bus_space space, const struct bus_region *region,
            struct err *err);
void bus_remove(struct bus *bus, enum bus_space space, const struct bus_region *region);

/* Same threading rule as bus_add(). The matching write is no longer seen by the device.
 * Works on every engine: those without kernel help get it from bus_access_write(). */
int bus_ioeventfd_add(struct bus *bus, const struct bus_ioeventfd *io, struct err *err);
void bus_ioeventfd_remove(struct bus *bus, const struct bus_ioeventfd *io);

/* One guest access, from an engine. `data` holds `size` bytes, little-endian. What nobody claims
 * reads as all ones and swallows writes. Threads: any, without the device lock. */
void bus_access_read(struct bus *bus, enum bus_space space, uint64_t addr, void *data,
                     unsigned size);
void bus_access_write(struct bus *bus, enum bus_space space, uint64_t addr, const void *data,
                      unsigned size);

/* Drives a wired interrupt line (an IOAPIC pin / ISA IRQ number). Threads: any. */
void bus_irq_set(struct bus *bus, unsigned gsi, bool level);

/* MSI, see struct bus_engine_ops. */
int bus_msi_signal(struct bus *bus, const struct msi_message *msg);
int bus_msi_route_create(struct bus *bus, struct msi_route **route, struct err *err);
void bus_msi_route_destroy(struct bus *bus, struct msi_route *route);
int bus_msi_route_set(struct bus *bus, struct msi_route *route, const struct msi_message *msg);
void bus_msi_route_signal(struct bus *bus, struct msi_route *route);
int bus_msi_route_fd(struct bus *bus, struct msi_route *route);

#endif
