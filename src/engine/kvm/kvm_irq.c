/* Interrupts and ioeventfds.
 *
 * Theory of operation. A route is first of all a remembered message: msi_route_signal() hands it to
 * KVM by KVM_SIGNAL_MSI, which needs no entry in the kernel's routing table. Only a route whose
 * eventfd is asked for (a vhost-user back end, the kernel) gets a GSI, an entry and an irqfd. Each
 * rewrite of the table waits for every CPU that may be reading it, so a guest that sets up dozens
 * of vectors of our own devices costs none, and one that moves a vector costs at most one.
 *
 * The table holds the IOAPIC's level-triggered pins, as MSIs with the GSI of the pin, because that
 * is how KVM learns for which vectors it owes a KVM_EXIT_IOAPIC_EOI under the split irqchip
 * (Documentation/virt/kvm/api.rst, KVM_CAP_SPLIT_IRQCHIP), and behind them the routes. A masked
 * route keeps its entry and loses its irqfd: what is signalled then waits in the eventfd, and KVM
 * looks at that when the irqfd comes back. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "engine/kvm/kvm_internal.h"

struct msi_route {
    struct kvm_vm *vm;
    pthread_mutex_t lock; /* msg and masked; held over a signal, so that none comes after a mask */
    struct msi_message msg;
    bool masked;
    /* Under vm->routes_lock, and only once an eventfd was asked for: */
    int fd;
    unsigned gsi;
    bool attached; /* its irqfd is assigned */
    struct msi_route *next;
};

static struct kvm_vm *to_kvm(void *engine)
{
    return container_of((struct engine_vm *)engine, struct kvm_vm, base);
}

/* ---- the routing table (routes_lock held) ---- */

static void put_entry(struct kvm_irq_routing *t, unsigned gsi, const struct msi_message *msg)
{
    struct kvm_irq_routing_entry *e = &t->entries[t->nr++];
    *e = (struct kvm_irq_routing_entry){
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = (uint32_t)msg->address,
                  .address_hi = (uint32_t)(msg->address >> 32),
                  .data = msg->data},
    };
}

static int table_write(struct kvm_vm *vm)
{
    struct kvm_irq_routing *t = vm->table;
    t->nr = 0;
    t->flags = 0;
    for (unsigned i = 0; i < KVM_PINS; i++)
        if (vm->pins[i].msg.address)
            put_entry(t, i, &vm->pins[i].msg);
    for (const struct msi_route *r = vm->routes; r; r = r->next)
        if (r->msg.address)
            put_entry(t, r->gsi, &r->msg);
    return kvm_ioctl(vm->fd, KVM_SET_GSI_ROUTING, t);
}

static int irqfd(struct msi_route *r, bool attach)
{
    if (r->attached == attach)
        return 0;
    const struct kvm_irqfd arg = {
        .fd = (uint32_t)r->fd,
        .gsi = r->gsi,
        .flags = attach ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
    };
    int ret = kvm_ioctl(r->vm->fd, KVM_IRQFD, &arg);
    if (ret >= 0)
        r->attached = attach;
    return ret;
}

/* ---- slots ---- */

static int signal_message(const struct kvm_vm *vm, const struct msi_message *msg)
{
    const struct kvm_msi msi = {
        .address_lo = (uint32_t)msg->address,
        .address_hi = (uint32_t)(msg->address >> 32),
        .data = msg->data,
    };
    int ret = kvm_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
    return MIN(ret, 0); /* 1: delivered; 0: merged with one that is still pending */
}

static int msi_signal(void *engine, const struct msi_message *msg)
{
    return signal_message(to_kvm(engine), msg);
}

static int msi_route_create(void *engine, struct msi_route **route, struct err *err)
{
    struct msi_route *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ENOMEM, "could not allocate an interrupt route");
    *r = (struct msi_route){.vm = to_kvm(engine), .masked = true, .fd = -1};
    pthread_mutex_init(&r->lock, NULL);
    *route = r;
    return 0;
}

static void msi_route_destroy(void *engine, struct msi_route *r)
{
    struct kvm_vm *vm = to_kvm(engine);
    if (r->fd >= 0) {
        pthread_mutex_lock(&vm->routes_lock);
        irqfd(r, false);
        for (struct msi_route **at = &vm->routes; *at; at = &(*at)->next) {
            if (*at == r) {
                *at = r->next;
                vm->n_routes--;
                break;
            }
        }
        pthread_mutex_unlock(&vm->routes_lock); /* its entry goes with the next rewrite */
        close(r->fd);
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* Makes table and irqfd agree with the route's message and mask. `changed`: the message is new. */
static int attach(struct msi_route *r, bool changed)
{
    if (r->fd < 0)
        return 0;
    if (r->masked)
        return irqfd(r, false);
    int ret = changed ? table_write(r->vm) : 0;
    return ret < 0 ? ret : irqfd(r, true);
}

static int msi_route_set(void *engine, struct msi_route *r, const struct msi_message *msg)
{
    struct kvm_vm *vm = to_kvm(engine);
    pthread_mutex_lock(&vm->routes_lock);
    pthread_mutex_lock(&r->lock);
    bool changed = msg && (msg->address != r->msg.address || msg->data != r->msg.data);
    if (changed)
        r->msg = *msg;
    r->masked = !msg;
    pthread_mutex_unlock(&r->lock);
    int ret = attach(r, changed);
    pthread_mutex_unlock(&vm->routes_lock);
    return MIN(ret, 0);
}

static void msi_route_signal(void *engine, struct msi_route *r)
{
    pthread_mutex_lock(&r->lock);
    if (!r->masked)
        signal_message(r->vm, &r->msg);
    pthread_mutex_unlock(&r->lock);
}

/* The lowest GSI above the pins that no route has. */
static unsigned free_gsi(const struct kvm_vm *vm)
{
    for (unsigned gsi = KVM_PINS;; gsi++) {
        const struct msi_route *r = vm->routes;
        while (r && r->gsi != gsi)
            r = r->next;
        if (!r)
            return gsi;
    }
}

static int msi_route_fd(void *engine, struct msi_route *r)
{
    struct kvm_vm *vm = to_kvm(engine);
    int ret = 0;
    pthread_mutex_lock(&vm->routes_lock);
    if (r->fd < 0) {
        int fd = vm->n_routes < vm->max_routes ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
        if (fd < 0) {
            ret = vm->n_routes < vm->max_routes ? -errno : -ENOSPC;
        } else {
            r->fd = fd;
            r->gsi = free_gsi(vm);
            r->next = vm->routes;
            vm->routes = r;
            vm->n_routes++;
            ret = attach(r, true);
        }
    }
    int fd = r->fd;
    pthread_mutex_unlock(&vm->routes_lock);
    return ret < 0 ? ret : fd;
}

/* KVM writes to ports and memory whose data may be matched; length 0 takes any width and, for
 * memory, KVM's fast path that does not decode the instruction. */
static int ioeventfd(void *engine, const struct bus_ioeventfd *io, uint32_t flags)
{
    const struct kvm_ioeventfd arg = {
        .addr = io->addr,
        .len = io->size,
        .fd = io->fd,
        .datamatch = io->match_data ? io->data : 0,
        .flags = flags | (io->space == BUS_PIO ? KVM_IOEVENTFD_FLAG_PIO : 0) |
                 (io->match_data ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0),
    };
    return kvm_ioctl(to_kvm(engine)->fd, KVM_IOEVENTFD, &arg);
}

static int ioeventfd_add(void *engine, const struct bus_ioeventfd *io, struct err *err)
{
    int ret = ioeventfd(engine, io, 0);
    if (ret < 0)
        return err_sys(err, -ret, "KVM refused an ioeventfd at %s 0x%llx of %u bytes",
                       io->space == BUS_PIO ? "port" : "address", (unsigned long long)io->addr,
                       io->size);
    return 0;
}

static void ioeventfd_remove(void *engine, const struct bus_ioeventfd *io)
{
    ioeventfd(engine, io, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

const struct bus_engine_ops kvm_irq_bus_ops = {
    .msi_signal = msi_signal,
    .msi_route_create = msi_route_create,
    .msi_route_destroy = msi_route_destroy,
    .msi_route_set = msi_route_set,
    .msi_route_signal = msi_route_signal,
    .msi_route_fd = msi_route_fd,
    .ioeventfd_add = ioeventfd_add,
    .ioeventfd_remove = ioeventfd_remove,
};

int kvm_irq_init(struct kvm_vm *vm, int kvm_fd, struct err *err)
{
    int max = kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)KVM_CAP_IRQ_ROUTING);
    vm->max_routes = max > (int)KVM_PINS ? MIN((unsigned)max, 1024) - KVM_PINS : 0;
    vm->table =
        calloc(1, sizeof(*vm->table) + (vm->max_routes + KVM_PINS) * sizeof(vm->table->entries[0]));
    if (!vm->table)
        return err_set(err, ENOMEM, "could not allocate the interrupt routing table");
    return 0; /* under the split irqchip the kernel's table starts empty, as ours */
}

void kvm_irq_fini(struct kvm_vm *vm)
{
    free(vm->table);
}

int kvm_irq_set_ioapic(struct engine_vm *base, const struct bus_ioapic_pin *pins)
{
    struct kvm_vm *vm = to_kvm(base);
    bool changed = false;
    int ret = 0;
    pthread_mutex_lock(&vm->routes_lock);
    for (unsigned i = 0; i < KVM_PINS; i++) {
        /* Edge-triggered pins have no EOI to report, so they need no entry. */
        struct msi_message msg = pins[i].level ? pins[i].msg : (struct msi_message){0};
        if (msg.address == vm->pins[i].msg.address && msg.data == vm->pins[i].msg.data)
            continue;
        vm->pins[i].msg = msg;
        changed = true;
    }
    if (changed)
        ret = table_write(vm);
    pthread_mutex_unlock(&vm->routes_lock);
    return MIN(ret, 0);
}
