/* A bus with an engine that only remembers: MSI routes and lines that count, for tests of devices
 * that need a struct bus and no CPU. */
#ifndef TESTS_UNIT_FAKE_BUS_H
#define TESTS_UNIT_FAKE_BUS_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/bus.h"

struct msi_route {
    struct msi_message msg;
    bool masked;
    unsigned lost; /* signals while masked: the device must not do that */
    int fd;
};

struct fake_bus {
    struct bus bus;
    pthread_mutex_t lock;
    unsigned routes, routes_max;
    unsigned signals;        /* MSIs sent */
    struct msi_message last; /* the last of them */
    unsigned lost;
    bool level[24];
    unsigned edges[24]; /* changes of each line */
    unsigned ioeventfds;
};

static inline int fake_bus_signal(void *engine, const struct msi_message *msg)
{
    struct fake_bus *f = engine;
    pthread_mutex_lock(&f->lock);
    f->signals++;
    f->last = *msg;
    pthread_mutex_unlock(&f->lock);
    return 0;
}
static inline int fake_bus_route_create(void *engine, struct msi_route **route, struct err *err)
{
    struct fake_bus *f = engine;
    if (f->routes == f->routes_max)
        return err_set(err, ENOSPC, "no MSI routes left");
    *route = calloc(1, sizeof(**route));
    (*route)->masked = true;
    (*route)->fd = -1;
    f->routes++;
    return 0;
}
static inline void fake_bus_route_destroy(void *engine, struct msi_route *route)
{
    struct fake_bus *f = engine;
    f->routes--;
    if (route->fd >= 0)
        close(route->fd);
    free(route);
}
static inline int fake_bus_route_set(void *engine, struct msi_route *route,
                                     const struct msi_message *msg)
{
    struct fake_bus *f = engine;
    pthread_mutex_lock(&f->lock);
    route->masked = !msg;
    if (msg)
        route->msg = *msg;
    pthread_mutex_unlock(&f->lock);
    return 0;
}
static inline void fake_bus_route_signal(void *engine, struct msi_route *route)
{
    struct fake_bus *f = engine;
    pthread_mutex_lock(&f->lock);
    if (route->masked) {
        f->lost++;
    } else {
        f->signals++;
        f->last = route->msg;
    }
    pthread_mutex_unlock(&f->lock);
}
static inline int fake_bus_route_fd(void *engine, struct msi_route *route)
{
    (void)engine;
    if (route->fd < 0)
        route->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return route->fd;
}
static inline int fake_bus_ioeventfd_add(void *engine, const struct bus_ioeventfd *io,
                                         struct err *err)
{
    (void)io, (void)err;
    ((struct fake_bus *)engine)->ioeventfds++;
    return 0;
}
static inline void fake_bus_ioeventfd_remove(void *engine, const struct bus_ioeventfd *io)
{
    (void)io;
    ((struct fake_bus *)engine)->ioeventfds--;
}
static inline void fake_bus_irq(void *opaque, unsigned gsi, bool level)
{
    struct fake_bus *f = opaque;
    pthread_mutex_lock(&f->lock);
    f->level[gsi] = level;
    f->edges[gsi]++;
    pthread_mutex_unlock(&f->lock);
}

static inline void fake_bus_init(struct fake_bus *f)
{
    static const struct bus_engine_ops engine_ops = {
        .msi_signal = fake_bus_signal,
        .msi_route_create = fake_bus_route_create,
        .msi_route_destroy = fake_bus_route_destroy,
        .msi_route_set = fake_bus_route_set,
        .msi_route_signal = fake_bus_route_signal,
        .msi_route_fd = fake_bus_route_fd,
        .ioeventfd_add = fake_bus_ioeventfd_add,
        .ioeventfd_remove = fake_bus_ioeventfd_remove,
    };
    static const struct bus_irq_ops irq_ops = {.set = fake_bus_irq};
    memset(f, 0, sizeof(*f));
    f->routes_max = 4096;
    pthread_mutex_init(&f->lock, NULL);
    bus_init(&f->bus);
    bus_set_engine(&f->bus, &engine_ops, f);
    bus_set_irq(&f->bus, &irq_ops, f);
}

static inline void fake_bus_fini(struct fake_bus *f)
{
    bus_fini(&f->bus);
    pthread_mutex_destroy(&f->lock);
}

/* Guest accesses. */
static inline uint64_t fake_bus_read(struct fake_bus *f, enum bus_space space, uint64_t addr,
                                     unsigned size)
{
    uint64_t v = 0;
    bus_access_read(&f->bus, space, addr, &v, size);
    return v;
}
static inline void fake_bus_write(struct fake_bus *f, enum bus_space space, uint64_t addr,
                                  unsigned size, uint64_t value)
{
    bus_access_write(&f->bus, space, addr, &value, size);
}

#endif
