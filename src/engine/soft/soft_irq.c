/* Interrupts into the VM: MSIs to the local APICs, and routes whose eventfd another process
 * signals.
 *
 * Theory of operation. A route is a remembered message; signalling it posts into a local APIC,
 * which takes no lock. A thread waits for the eventfds of those routes that have one (a vhost-user
 * back end's) and signals their routes; a masked route leaves its count in the eventfd, as it does
 * under KVM. The thread is there from the start, because vCPUs, whose guests ask for eventfds, may
 * not start threads. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/thread.h"
#include "engine/soft/soft_vcpu.h"
#include "engine/soft/soft_vm.h"

struct msi_route {
    struct msi_message msg;
    bool masked;
    int fd;
    struct msi_route *next;
};

struct soft_irq {
    pthread_mutex_t lock; /* routes and their members; a leaf */
    struct msi_route *routes;
    int epoll_fd, stop_fd;
    bool has_thread;
    pthread_t thread;
};

static struct soft_vm *to_soft(void *engine)
{
    return container_of((struct engine_vm *)engine, struct soft_vm, base);
}

static int msi_signal(void *engine, const struct msi_message *msg)
{
    return lapic_bus_msi(to_soft(engine)->lapics, msg);
}

static int msi_route_create(void *engine, struct msi_route **route, struct err *err)
{
    struct soft_irq *irq = to_soft(engine)->irq;
    struct msi_route *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ENOMEM, "could not allocate an interrupt route");
    *r = (struct msi_route){.masked = true, .fd = -1};
    pthread_mutex_lock(&irq->lock);
    r->next = irq->routes;
    irq->routes = r;
    pthread_mutex_unlock(&irq->lock);
    *route = r;
    return 0;
}

static void msi_route_destroy(void *engine, struct msi_route *r)
{
    struct soft_irq *irq = to_soft(engine)->irq;
    pthread_mutex_lock(&irq->lock);
    struct msi_route **at = &irq->routes;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    if (r->fd >= 0)
        close(r->fd); /* which takes it out of the epoll set */
    pthread_mutex_unlock(&irq->lock);
    free(r);
}

/* Signals what is waiting in the eventfd of an unmasked route. With the lock held. */
static void drain(struct soft_vm *vm, struct msi_route *r)
{
    uint64_t count;
    if (r->fd >= 0 && !r->masked && read(r->fd, &count, sizeof(count)) == sizeof(count))
        lapic_bus_msi(vm->lapics, &r->msg);
}

static int msi_route_set(void *engine, struct msi_route *r, const struct msi_message *msg)
{
    struct soft_vm *vm = to_soft(engine);
    pthread_mutex_lock(&vm->irq->lock);
    r->masked = !msg;
    if (msg) {
        r->msg = *msg;
        drain(vm, r);
    }
    pthread_mutex_unlock(&vm->irq->lock);
    return 0;
}

static void msi_route_signal(void *engine, struct msi_route *r)
{
    struct soft_vm *vm = to_soft(engine);
    pthread_mutex_lock(&vm->irq->lock);
    if (!r->masked)
        lapic_bus_msi(vm->lapics, &r->msg);
    pthread_mutex_unlock(&vm->irq->lock);
}

/* ---- eventfds of others ---- */

/* Edge-triggered, so that a masked route whose eventfd stays readable does not spin. */
static void *serve_eventfds(void *arg)
{
    struct soft_vm *vm = arg;
    struct soft_irq *irq = vm->irq;
    struct err err = {0};
    pthread_setname_np(pthread_self(), "io-irq");
    if (vm->config.thread_enter)
        vm->config.thread_enter(vm->config.thread_opaque, "io-irq", &err);
    if (err.code)
        LOG_LIMITED(LOG_ERROR, "engine", "no interrupts from other processes error=\"%s\"",
                    err.msg);
    while (!err.code) {
        struct epoll_event events[16];
        int n = epoll_wait(irq->epoll_fd, events, ARRAY_LEN(events), -1);
        if (n < 0 && errno != EINTR)
            return NULL;
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == irq->stop_fd)
                return NULL;
            pthread_mutex_lock(&irq->lock);
            for (struct msi_route *r = irq->routes; r; r = r->next)
                if (r->fd == events[i].data.fd)
                    drain(vm, r);
            pthread_mutex_unlock(&irq->lock);
        }
    }
    return NULL;
}

static int start_thread(struct soft_vm *vm, struct err *err)
{
    struct soft_irq *irq = vm->irq;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = irq->stop_fd};
    if (epoll_ctl(irq->epoll_fd, EPOLL_CTL_ADD, irq->stop_fd, &e) < 0)
        return err_sys(err, errno, "could not watch the eventfds of interrupt routes");
    int ret = thread_start(&irq->thread, serve_eventfds, vm);
    irq->has_thread = !ret;
    return ret ? err_sys(err, ret, "could not start the thread of interrupt routes") : 0;
}

static int msi_route_fd(void *engine, struct msi_route *r)
{
    struct soft_vm *vm = to_soft(engine);
    struct soft_irq *irq = vm->irq;
    int ret = 0;
    pthread_mutex_lock(&irq->lock);
    if (r->fd < 0) {
        r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.fd = r->fd};
        if (r->fd < 0 || epoll_ctl(irq->epoll_fd, EPOLL_CTL_ADD, r->fd, &e) < 0)
            ret = -errno;
    }
    int fd = ret ? ret : r->fd;
    pthread_mutex_unlock(&irq->lock);
    return fd;
}

/* No ioeventfd slots: the bus signals them itself. */
const struct bus_engine_ops soft_irq_bus_ops = {
    .msi_signal = msi_signal,
    .msi_route_create = msi_route_create,
    .msi_route_destroy = msi_route_destroy,
    .msi_route_set = msi_route_set,
    .msi_route_signal = msi_route_signal,
    .msi_route_fd = msi_route_fd,
};

int soft_irq_init(struct soft_vm *vm, struct err *err)
{
    struct soft_irq *irq = calloc(1, sizeof(*irq));
    if (!irq)
        return err_set(err, ENOMEM, "could not allocate the interrupt routes");
    vm->irq = irq;
    pthread_mutex_init(&irq->lock, NULL);
    irq->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    irq->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (irq->epoll_fd < 0 || irq->stop_fd < 0)
        return err_sys(err, errno, "could not make the eventfds of the interrupt routes");
    return start_thread(vm, err);
}

void soft_irq_fini(struct soft_vm *vm)
{
    struct soft_irq *irq = vm->irq;
    if (!irq)
        return;
    if (irq->has_thread) {
        eventfd_write(irq->stop_fd, 1);
        pthread_join(irq->thread, NULL);
    }
    while (irq->routes)
        msi_route_destroy(&vm->base, irq->routes);
    if (irq->epoll_fd >= 0)
        close(irq->epoll_fd);
    if (irq->stop_fd >= 0)
        close(irq->stop_fd);
    pthread_mutex_destroy(&irq->lock);
    free(irq);
    vm->irq = NULL;
}

/* Every EOI of a level-triggered vector is reported, so the pins need no table here. */
int soft_irq_set_ioapic(struct engine_vm *base, const struct bus_ioapic_pin *pins)
{
    return 0;
}

void soft_irq_extint(struct engine_vm *base)
{
    struct soft_vcpu *v = atomic_load(&to_soft(base)->vcpus[0]);
    if (v)
        soft_vcpu_attend(v, SOFT_ATTENTION_EXTINT);
}
