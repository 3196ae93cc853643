/* Interrupts of the `null` engine: nobody takes them, so they are recorded, for tests to look at.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "engine/null/null_engine_internal.h"

struct msi_route {
    struct msi_message msg;
    bool masked;
    int fd;
    struct msi_route *next;
};

/* With the lock held. */
static void deliver(struct null_vm *vm, const struct msi_message *msg)
{
    vm->msis[vm->n_msis++ % NULL_ENGINE_MSIS_KEPT] = *msg;
    if (vm->hook)
        vm->hook(vm->hook_opaque, msg);
}

/* Delivers what was signalled through the eventfds of unmasked routes. With the lock held. */
static void poll_routes(struct null_vm *vm)
{
    for (struct msi_route *r = vm->routes; r; r = r->next) {
        uint64_t count;
        if (r->fd >= 0 && !r->masked && read(r->fd, &count, sizeof(count)) == sizeof(count))
            deliver(vm, &r->msg);
    }
}

static int msi_signal(void *engine, const struct msi_message *msg)
{
    struct null_vm *vm = null_engine_vm(engine);
    pthread_mutex_lock(&vm->lock);
    deliver(vm, msg);
    pthread_mutex_unlock(&vm->lock);
    return 0;
}

static int msi_route_create(void *engine, struct msi_route **route, struct err *err)
{
    struct null_vm *vm = null_engine_vm(engine);
    struct msi_route *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ENOMEM, "could not allocate an interrupt route");
    r->masked = true;
    r->fd = -1;
    pthread_mutex_lock(&vm->lock);
    r->next = vm->routes;
    vm->routes = r;
    pthread_mutex_unlock(&vm->lock);
    *route = r;
    return 0;
}

static void msi_route_destroy(void *engine, struct msi_route *r)
{
    struct null_vm *vm = null_engine_vm(engine);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    struct msi_route **at = &vm->routes;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    pthread_mutex_unlock(&vm->lock);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

static int msi_route_set(void *engine, struct msi_route *r, const struct msi_message *msg)
{
    struct null_vm *vm = null_engine_vm(engine);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    r->masked = !msg;
    if (msg)
        r->msg = *msg;
    pthread_mutex_unlock(&vm->lock);
    return 0;
}

static void msi_route_signal(void *engine, struct msi_route *r)
{
    struct null_vm *vm = null_engine_vm(engine);
    pthread_mutex_lock(&vm->lock);
    if (!r->masked)
        deliver(vm, &r->msg);
    pthread_mutex_unlock(&vm->lock);
}

static int msi_route_fd(void *engine, struct msi_route *r)
{
    struct null_vm *vm = null_engine_vm(engine);
    pthread_mutex_lock(&vm->lock);
    if (r->fd < 0)
        r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = r->fd < 0 ? -errno : r->fd;
    pthread_mutex_unlock(&vm->lock);
    return fd;
}

/* No ioeventfd slots: the bus does them itself. */
const struct bus_engine_ops null_engine_bus_ops = {
    .msi_signal = msi_signal,
    .msi_route_create = msi_route_create,
    .msi_route_destroy = msi_route_destroy,
    .msi_route_set = msi_route_set,
    .msi_route_signal = msi_route_signal,
    .msi_route_fd = msi_route_fd,
};

int null_engine_set_ioapic(struct engine_vm *base, const struct bus_ioapic_pin *pins)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    memcpy(vm->pins, pins, sizeof(vm->pins));
    pthread_mutex_unlock(&vm->lock);
    return 0;
}

void null_engine_extint(struct engine_vm *base)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    vm->n_extints++;
    pthread_mutex_unlock(&vm->lock);
}

void null_engine_routes_close(struct null_vm *vm)
{
    while (vm->routes) {
        struct msi_route *r = vm->routes;
        vm->routes = r->next;
        if (r->fd >= 0)
            close(r->fd);
        free(r);
    }
}

/* ---- for tests ---- */

unsigned null_engine_msi_count(struct engine_vm *base)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    unsigned n = vm->n_msis;
    pthread_mutex_unlock(&vm->lock);
    return n;
}

bool null_engine_msi_at(struct engine_vm *base, unsigned i, struct msi_message *msg)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    bool there = i < vm->n_msis && vm->n_msis - i <= NULL_ENGINE_MSIS_KEPT;
    if (there)
        *msg = vm->msis[i % NULL_ENGINE_MSIS_KEPT];
    pthread_mutex_unlock(&vm->lock);
    return there;
}

unsigned null_engine_msi_count_data(struct engine_vm *base, uint32_t data)
{
    struct null_vm *vm = null_engine_vm(base);
    unsigned n = 0;
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    for (unsigned i = 0; i < MIN(vm->n_msis, NULL_ENGINE_MSIS_KEPT); i++)
        n += vm->msis[i].data == data;
    pthread_mutex_unlock(&vm->lock);
    return n;
}

void null_engine_msi_clear(struct engine_vm *base)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    vm->n_msis = 0;
    pthread_mutex_unlock(&vm->lock);
}

void null_engine_msi_hook(struct engine_vm *base,
                          void (*hook)(void *opaque, const struct msi_message *msg), void *opaque)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    vm->hook = hook;
    vm->hook_opaque = opaque;
    pthread_mutex_unlock(&vm->lock);
}

void null_engine_ioapic(struct engine_vm *base, struct bus_ioapic_pin *pins)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    memcpy(pins, vm->pins, sizeof(vm->pins));
    pthread_mutex_unlock(&vm->lock);
}

unsigned null_engine_extints(struct engine_vm *base)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    unsigned n = vm->n_extints;
    pthread_mutex_unlock(&vm->lock);
    return n;
}
