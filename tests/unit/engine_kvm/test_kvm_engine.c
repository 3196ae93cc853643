/* What needs no guest; tests/func/test_guests.c runs guests. */
#include "engine/kvm/kvm_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tap.h"

static const struct engine_probe_input by_path = {.kvm_fd = -1};

static void a_descriptor_that_is_no_kvm_is_refused_in_a_sentence(void)
{
    struct err err = {0};
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    const struct engine_probe_input in = {.kvm_fd = fd};
    CHECK(engine_probe(&kvm_engine, &in, &err) < 0);
    CHECK(strncmp(err.msg, "kvm is refused: ", 16) == 0);
    CHECK(fcntl(fd, F_GETFD) >= 0); /* still the caller's */
    close(fd);
}

static void the_probe_answers_and_a_refusal_is_a_sentence(void)
{
    struct err err = {0};
    int ret = engine_probe(&kvm_engine, &by_path, &err);
    if (ret)
        CHECK(strncmp(err.msg, "kvm is refused: ", 16) == 0 && strlen(err.msg) > 30);
    else
        CHECK_STR(err.msg, "");
}

struct vm {
    struct guest_mem mem;
    struct bus bus;
    struct engine_vm *vm;
    struct engine_vcpu *vcpu;
};

/* NULL, or why there is none. */
static const char *open_vm(struct vm *t)
{
    static struct err err;
    memset(t, 0, sizeof(*t));
    bus_init(&t->bus);
    const struct engine_vm_config config = {.n_vcpus = 2, .mem = &t->mem, .bus = &t->bus};
    if (guest_mem_init(&t->mem, 1 << 20, 0, &err) ||
        engine_vm_create(&kvm_engine, &by_path, &config, &t->vm, &err) ||
        engine_vcpu_create(t->vm, 0, &t->vcpu, &err))
        return err.msg;
    bus_set_engine(&t->bus, engine_vm_bus_ops(t->vm), t->vm);
    return NULL;
}

static void close_vm(struct vm *t)
{
    engine_vcpu_destroy(t->vcpu);
    engine_vm_destroy(t->vm);
    guest_mem_fini(&t->mem);
    bus_fini(&t->bus);
}

#define OPEN(t)                                                                                    \
    do {                                                                                           \
        const char *why_not = open_vm(&(t));                                                       \
        if (why_not)                                                                               \
            SKIP(why_not);                                                                         \
    } while (0)

static void an_msr_that_the_host_lacks_is_refused_by_name_unless_it_is_zero(void)
{
    struct vm t;
    struct engine_vcpu_state state;
    struct err err = {0};
    OPEN(t);
    REQUIRE(engine_vcpu_get_state(t.vcpu, &state, NULL) == 0);
    state.msrs[state.n_msrs++] = (struct kvm_msr_entry){.index = 0x12345678, .data = 0};
    CHECK_EQ(engine_vcpu_set_state(t.vcpu, &state, &err), 0);
    state.msrs[state.n_msrs - 1].data = 5;
    CHECK_EQ(engine_vcpu_set_state(t.vcpu, &state, &err), -ENOTSUP);
    CHECK(strstr(err.msg, "0x12345678 = 0x5"));
    state.n_msrs = ENGINE_MSRS_MAX + 1;
    CHECK_EQ(engine_vcpu_set_state(t.vcpu, &state, &err), -EINVAL);
    close_vm(&t);
}

static void a_tsc_that_cannot_be_had_is_refused_with_both_frequencies(void)
{
    struct vm t;
    struct engine_vcpu_state state;
    struct err err = {0};
    OPEN(t);
    REQUIRE(engine_vcpu_get_state(t.vcpu, &state, NULL) == 0);
    uint32_t khz = state.tsc_khz;
    state.tsc_khz = khz + khz / 10000; /* 100 ppm: the same to KVM */
    CHECK_EQ(engine_vcpu_set_state(t.vcpu, &state, &err), 0);
    state.tsc_khz = 1; /* no scaling reaches that */
    CHECK_EQ(engine_vcpu_set_state(t.vcpu, &state, &err) < 0, 1);
    CHECK(strstr(err.msg, "1 kHz"));
    close_vm(&t);
}

static void ids_beyond_the_vm_are_refused(void)
{
    struct vm t;
    struct engine_vcpu *vcpu;
    struct engine_vm *vm;
    struct err err = {0};
    OPEN(t);
    CHECK_EQ(engine_vcpu_create(t.vm, 2, &vcpu, &err), -EINVAL);
    CHECK(engine_vcpu_create(t.vm, 0, &vcpu, &err) < 0); /* taken */
    CHECK(strstr(err.msg, "vCPU 0"));
    uint64_t bitmap[4] = {0};
    CHECK_EQ(engine_vm_dirty_take(t.vm, 7, bitmap, &err), -EINVAL);
    CHECK_EQ(engine_vm_dirty_take(t.vm, 0, bitmap, &err), -EINVAL); /* not on */
    const struct engine_vm_config none = {.n_vcpus = 0, .mem = &t.mem, .bus = &t.bus};
    CHECK_EQ(engine_vm_create(&kvm_engine, &by_path, &none, &vm, &err), -EINVAL);
    close_vm(&t);
}

static void routes_get_an_eventfd_each_and_give_it_back(void)
{
    enum { ROUTES = 40 };
    struct vm t;
    struct msi_route *routes[ROUTES];
    const struct msi_message msg = {.address = 0xfee00000, .data = 0x41};
    OPEN(t);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ROUTES; i++) {
            REQUIRE(bus_msi_route_create(&t.bus, &routes[i], NULL) == 0);
            CHECK_EQ(bus_msi_route_set(&t.bus, routes[i], &msg), 0);
            int fd = bus_msi_route_fd(&t.bus, routes[i]);
            CHECK(fd >= 0 && fd == bus_msi_route_fd(&t.bus, routes[i]));
            CHECK_EQ(bus_msi_route_set(&t.bus, routes[i], NULL), 0);
            CHECK_EQ(bus_msi_route_set(&t.bus, routes[i], &msg), 0);
        }
        for (int i = 0; i < ROUTES; i++)
            bus_msi_route_destroy(&t.bus, routes[(i * 7) % ROUTES]);
    }
    close_vm(&t);
}

static void the_clock_goes_on_from_what_it_was_set_to(void)
{
    struct vm t;
    struct kvm_clock_data clock = {.clock = UINT64_C(5000000000000)};
    OPEN(t);
    CHECK_EQ(engine_vm_set_clock(t.vm, &clock, NULL), 0);
    CHECK_EQ(engine_vm_get_clock(t.vm, &clock, NULL), 0);
    CHECK(clock.clock >= UINT64_C(5000000000000) && clock.clock < UINT64_C(5100000000000));
    close_vm(&t);
}

int main(void)
{
    TAP_RUN(a_descriptor_that_is_no_kvm_is_refused_in_a_sentence);
    TAP_RUN(the_probe_answers_and_a_refusal_is_a_sentence);
    TAP_RUN(an_msr_that_the_host_lacks_is_refused_by_name_unless_it_is_zero);
    TAP_RUN(a_tsc_that_cannot_be_had_is_refused_with_both_frequencies);
    TAP_RUN(ids_beyond_the_vm_are_refused);
    TAP_RUN(routes_get_an_eventfd_each_and_give_it_back);
    TAP_RUN(the_clock_goes_on_from_what_it_was_set_to);
    return tap_done();
}
