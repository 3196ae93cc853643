#include "engine/null/null_engine.h"

#include <pthread.h>
#include <unistd.h>

#include "tap.h"

static const struct engine_probe_input input = {.kvm_fd = -1};

struct vm {
    struct guest_mem mem;
    struct bus bus;
    struct engine_vm *vm;
};

static void open_vm(struct vm *t)
{
    bus_init(&t->bus);
    if (guest_mem_init(&t->mem, 1 << 20, 0, NULL) != 0)
        abort();
    const struct engine_vm_config config = {.n_vcpus = 2, .mem = &t->mem, .bus = &t->bus};
    if (engine_vm_create(&null_engine, &input, &config, &t->vm, NULL) != 0)
        abort();
    bus_set_engine(&t->bus, engine_vm_bus_ops(t->vm), t->vm);
}

static void close_vm(struct vm *t)
{
    engine_vm_destroy(t->vm);
    bus_fini(&t->bus);
    guest_mem_fini(&t->mem);
}

static void a_masked_route_sends_nothing_and_an_eventfd_waits(void)
{
    struct vm t;
    struct msi_route *route;
    struct msi_message msg = {.address = 0xfee00000, .data = 0x41}, seen;
    open_vm(&t);
    REQUIRE(bus_msi_route_create(&t.bus, &route, NULL) == 0);
    bus_msi_route_signal(&t.bus, route);
    CHECK_EQ(null_engine_msi_count(t.vm), 0);
    int fd = bus_msi_route_fd(&t.bus, route);
    REQUIRE(fd >= 0);
    CHECK_EQ(bus_msi_route_fd(&t.bus, route), fd);
    uint64_t one = 1;
    CHECK_EQ(write(fd, &one, 8), 8);
    CHECK_EQ(null_engine_msi_count(t.vm), 0);
    bus_msi_route_set(&t.bus, route, &msg);
    CHECK_EQ(null_engine_msi_count(t.vm), 1);
    bus_msi_route_signal(&t.bus, route);
    CHECK_EQ(null_engine_msi_count_data(t.vm, 0x41), 2);
    REQUIRE(null_engine_msi_at(t.vm, 1, &seen));
    CHECK_EQ(seen.address, 0xfee00000);
    bus_msi_route_destroy(&t.bus, route);
    close_vm(&t);
}

static void guest_writes_reach_ram_and_its_dirty_log(void)
{
    struct vm t;
    uint64_t bitmap[4] = {0};
    open_vm(&t);
    REQUIRE(engine_vm_dirty_start(t.vm, NULL) == 0);
    null_engine_write(t.vm, 0x2ffe, 4, 0x11223344);
    CHECK_EQ(null_engine_read(t.vm, 0x2ffe, 4), 0x11223344);
    CHECK_EQ(engine_vm_dirty_take(t.vm, 0, bitmap, NULL), 0);
    CHECK_EQ(bitmap[0], 0xc);
    bitmap[0] = 0;
    CHECK_EQ(engine_vm_dirty_take(t.vm, 0, bitmap, NULL), 0);
    CHECK_EQ(bitmap[0], 0);
    CHECK_EQ(null_engine_read(t.vm, 0xd0000000, 4), 0xffffffff);
    CHECK_EQ(null_engine_in(t.vm, 0x80, 2), 0xffff);
    close_vm(&t);
}

static void *run_once(void *arg)
{
    struct engine_exit_info info;
    engine_vcpu_run(arg, &info);
    return (void *)(uintptr_t)(info.reason + 1);
}

static void a_kick_before_or_during_a_run_ends_it(void)
{
    struct vm t;
    struct engine_vcpu *vcpu;
    pthread_t thread;
    void *reason;
    open_vm(&t);
    REQUIRE(engine_vcpu_create(t.vm, 0, &vcpu, NULL) == 0);
    engine_vcpu_kick(vcpu);
    CHECK(run_once(vcpu) == (void *)(uintptr_t)(ENGINE_EXIT_KICKED + 1));
    REQUIRE(pthread_create(&thread, NULL, run_once, vcpu) == 0);
    engine_vcpu_kick(vcpu);
    pthread_join(thread, &reason);
    CHECK(reason == (void *)(uintptr_t)(ENGINE_EXIT_KICKED + 1));
    REQUIRE(pthread_create(&thread, NULL, run_once, vcpu) == 0);
    null_engine_exit(vcpu, ENGINE_EXIT_SHUTDOWN);
    pthread_join(thread, &reason);
    CHECK(reason == (void *)(uintptr_t)(ENGINE_EXIT_SHUTDOWN + 1));
    engine_vcpu_destroy(vcpu);
    close_vm(&t);
}

int main(void)
{
    TAP_RUN(a_masked_route_sends_nothing_and_an_eventfd_waits);
    TAP_RUN(guest_writes_reach_ram_and_its_dirty_log);
    TAP_RUN(a_kick_before_or_during_a_run_ends_it);
    return tap_done();
}
