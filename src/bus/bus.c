#include "bus/bus.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

void bus_init(struct bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    pthread_mutex_init(&bus->lock, NULL);
}

void bus_fini(struct bus *bus)
{
    pthread_mutex_destroy(&bus->lock);
}

void bus_set_engine(struct bus *bus, const struct bus_engine_ops *ops, void *engine)
{
    bus->engine_ops = ops;
    bus->engine = engine;
}

void bus_set_irq(struct bus *bus, const struct bus_irq_ops *ops, void *opaque)
{
    bus->irq_ops = ops;
    bus->irq_opaque = opaque;
}

void bus_lock(struct bus *bus)
{
    pthread_mutex_lock(&bus->lock);
}

void bus_unlock(struct bus *bus)
{
    pthread_mutex_unlock(&bus->lock);
}

/* Index of the first region that ends after `addr`. */
static unsigned lower_bound(const struct bus *bus, enum bus_space space, uint64_t addr)
{
    unsigned lo = 0, hi = bus->n_regions[space];
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct bus_region *r = bus->regions[space][mid];
        if (r->base + (r->size - 1) < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int bus_add(struct bus *bus, enum bus_space space, const struct bus_region *region, struct err *err)
{
    uint64_t last = region->base + (region->size - 1);
    if (!region->size || last < region->base || (space == BUS_PIO && last > 0xffff))
        return err_set(err, EINVAL, "%s at 0x%llx of size 0x%llx does not fit its address space",
                       region->name, (unsigned long long)region->base,
                       (unsigned long long)region->size);
    unsigned n = bus->n_regions[space];
    if (n == BUS_REGIONS_MAX)
        return err_set(err, ENOSPC, "no room for %s: the bus holds at most %d regions",
                       region->name, BUS_REGIONS_MAX);
    unsigned at = lower_bound(bus, space, region->base);
    if (at < n && bus->regions[space][at]->base <= last)
        return err_set(err, EEXIST, "%s at 0x%llx overlaps %s", region->name,
                       (unsigned long long)region->base, bus->regions[space][at]->name);
    memmove(&bus->regions[space][at + 1], &bus->regions[space][at],
            (n - at) * sizeof(bus->regions[space][0]));
    bus->regions[space][at] = region;
    bus->n_regions[space]++;
    return 0;
}

void bus_remove(struct bus *bus, enum bus_space space, const struct bus_region *region)
{
    unsigned n = bus->n_regions[space];
    for (unsigned i = 0; i < n; i++) {
        if (bus->regions[space][i] != region)
            continue;
        memmove(&bus->regions[space][i], &bus->regions[space][i + 1],
                (n - i - 1) * sizeof(bus->regions[space][0]));
        bus->n_regions[space]--;
        return;
    }
}

int bus_ioeventfd_add(struct bus *bus, const struct bus_ioeventfd *io, struct err *err)
{
    if (bus->n_ioeventfds == BUS_IOEVENTFDS_MAX)
        return err_set(err, ENOSPC, "the bus holds at most %d ioeventfds", BUS_IOEVENTFDS_MAX);
    if (bus->engine_ops && bus->engine_ops->ioeventfd_add) {
        int ret = bus->engine_ops->ioeventfd_add(bus->engine, io, err);
        if (ret)
            return ret;
    }
    bus->ioeventfds[bus->n_ioeventfds++] = *io;
    return 0;
}

void bus_ioeventfd_remove(struct bus *bus, const struct bus_ioeventfd *io)
{
    for (unsigned i = 0; i < bus->n_ioeventfds; i++) {
        const struct bus_ioeventfd *have = &bus->ioeventfds[i];
        if (have->fd != io->fd || have->addr != io->addr || have->space != io->space)
            continue;
        if (bus->engine_ops && bus->engine_ops->ioeventfd_remove)
            bus->engine_ops->ioeventfd_remove(bus->engine, have);
        bus->ioeventfds[i] = bus->ioeventfds[--bus->n_ioeventfds];
        return;
    }
}

static uint64_t ones(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1;
}

/* The region that holds all of the access, or NULL. */
static const struct bus_region *claim(struct bus *bus, enum bus_space space, uint64_t addr,
                                      unsigned size)
{
    unsigned i = lower_bound(bus, space, addr);
    const struct bus_region *r = i < bus->n_regions[space] ? bus->regions[space][i] : NULL;
    atomic_fetch_add_explicit(&bus->counters.accesses, 1, memory_order_relaxed);
    if (r && addr >= r->base && range_within(addr - r->base, size, r->size))
        return r;
    atomic_fetch_add_explicit(&bus->counters.unclaimed, 1, memory_order_relaxed);
    return NULL;
}

void bus_access_read(struct bus *bus, enum bus_space space, uint64_t addr, void *data,
                     unsigned size)
{
    uint64_t value = ones(size);
    bus_lock(bus);
    const struct bus_region *r = claim(bus, space, addr, size);
    if (r && r->bytewise) {
        value = 0;
        for (unsigned i = 0; i < size; i++)
            value |= (r->ops->read(r->opaque, addr - r->base + i, 1) & 0xff) << (8 * i);
    } else if (r) {
        value = r->ops->read(r->opaque, addr - r->base, size);
    }
    bus_unlock(bus);
    value = htole64(value);
    memcpy(data, &value, MIN(size, sizeof(value)));
}

/* Signals the eventfd that stands for this write, if one does. */
static bool ioeventfd_hit(struct bus *bus, enum bus_space space, uint64_t addr, uint64_t value,
                          unsigned size)
{
    for (unsigned i = 0; i < bus->n_ioeventfds; i++) {
        const struct bus_ioeventfd *io = &bus->ioeventfds[i];
        if (io->space != space || io->addr != addr || (io->size && io->size != size) ||
            (io->match_data && io->data != value))
            continue;
        uint64_t one = 1;
        ssize_t ignored = write(io->fd, &one, sizeof(one));
        (void)ignored;
        atomic_fetch_add_explicit(&bus->counters.ioeventfds, 1, memory_order_relaxed);
        return true;
    }
    return false;
}

void bus_access_write(struct bus *bus, enum bus_space space, uint64_t addr, const void *data,
                      unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, data, MIN(size, sizeof(value)));
    value = le64toh(value);
    bus_lock(bus);
    const struct bus_region *r = NULL;
    if (!ioeventfd_hit(bus, space, addr, value, size))
        r = claim(bus, space, addr, size);
    if (r && r->bytewise) {
        for (unsigned i = 0; i < size; i++)
            r->ops->write(r->opaque, addr - r->base + i, 1, (value >> (8 * i)) & 0xff);
    } else if (r) {
        r->ops->write(r->opaque, addr - r->base, size, value);
    }
    bus_unlock(bus);
}

void bus_irq_set(struct bus *bus, unsigned gsi, bool level)
{
    if (bus->irq_ops)
        bus->irq_ops->set(bus->irq_opaque, gsi, level);
}

int bus_msi_signal(struct bus *bus, const struct msi_message *msg)
{
    return bus->engine_ops->msi_signal(bus->engine, msg);
}

int bus_msi_route_create(struct bus *bus, struct msi_route **route, struct err *err)
{
    return bus->engine_ops->msi_route_create(bus->engine, route, err);
}

void bus_msi_route_destroy(struct bus *bus, struct msi_route *route)
{
    if (route)
        bus->engine_ops->msi_route_destroy(bus->engine, route);
}

int bus_msi_route_set(struct bus *bus, struct msi_route *route, const struct msi_message *msg)
{
    return bus->engine_ops->msi_route_set(bus->engine, route, msg);
}

void bus_msi_route_signal(struct bus *bus, struct msi_route *route)
{
    bus->engine_ops->msi_route_signal(bus->engine, route);
}

int bus_msi_route_fd(struct bus *bus, struct msi_route *route)
{
    return bus->engine_ops->msi_route_fd(bus->engine, route);
}
