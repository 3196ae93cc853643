#include "engine/engine.h"

#include <errno.h>

#include "base/util.h"
#include "engine/engine_provider.h"
#include "tap.h"

static int refuses(const struct engine_probe_input *in, struct err *err)
{
    return err_set(err, ENODEV, "kvm refused: there is no /dev/kvm");
}

static int accepts(const struct engine_probe_input *in, struct err *err)
{
    return 0;
}

static const struct engine bad = {.name = "kvm", .probe = refuses};
static const struct engine good = {.name = "soft", .probe = accepts};
static const struct engine *const both[] = {&bad, &good, NULL};
static const struct engine *const only_bad[] = {&bad, NULL};
static const struct engine_probe_input input = {.kvm_fd = -1};

static void auto_takes_the_first_that_passes_and_says_why_not_the_others(void)
{
    struct err why = {0};
    CHECK(engine_select(both, "auto", &input, &why) == &good);
    CHECK_STR(why.msg, "kvm refused: there is no /dev/kvm");
    CHECK_EQ(why.code, 0);
}

static void a_named_engine_is_taken_at_its_word_and_never_replaced(void)
{
    struct err why = {0};
    CHECK(engine_select(both, "kvm", &input, &why) == &bad);
    CHECK(!engine_select(only_bad, "auto", &input, &why));
    CHECK_EQ(why.code, ENODEV);
    CHECK_STR(why.msg, "kvm refused: there is no /dev/kvm");
}

static void auto_passes_over_an_engine_for_tests(void)
{
    static const struct engine null = {.name = "null", .probe = accepts, .by_name_only = true};
    static const struct engine *const with_null[] = {&null, &good, NULL};
    struct err why = {0};
    CHECK(engine_select(with_null, "auto", &input, &why) == &good);
    CHECK(engine_select(with_null, "null", &input, &why) == &null);
}

static void an_unknown_name_lists_the_known_ones(void)
{
    struct err why = {0};
    CHECK(!engine_select(both, "xen", &input, &why));
    CHECK_EQ(why.code, ENOENT);
    CHECK(strstr(why.msg, "'xen'") && strstr(why.msg, "kvm, soft"));
}

static struct engine_vcpu_state example(void)
{
    struct engine_vcpu_state s = {.tsc_khz = 2400000, .n_msrs = 2};
    s.regs.rip = 0xfff0;
    s.sregs.cs.selector = 0xf000;
    s.xsave.region[1023] = 7;
    s.xcrs.nr_xcrs = 1;
    s.lapic.regs[0x20] = 3;
    s.events.nmi.pending = 1;
    s.mp_state.mp_state = KVM_MP_STATE_HALTED;
    s.msrs[0] = (struct kvm_msr_entry){.index = 0x10, .data = 99};
    s.msrs[1] = (struct kvm_msr_entry){.index = 0xc0000082, .data = UINT64_C(0xffffffff81000000)};
    return s;
}

static void a_vcpu_state_comes_back_as_it_was(void)
{
    struct engine_vcpu_state in = example(), out;
    struct state_writer w;
    struct state_reader r;
    state_writer_init(&w);
    engine_vcpu_state_save(&in, &w, 3);
    CHECK_EQ(w.error, 0);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(engine_vcpu_state_load(&out, &r, 3), 0);
    CHECK(memcmp(&in, &out, sizeof(in)) == 0);
    state_writer_fini(&w);
}

static void a_damaged_vcpu_state_is_refused_with_the_reason(void)
{
    struct engine_vcpu_state in = example(), out;
    struct state_writer w;
    struct state_reader r;
    state_writer_init(&w);
    engine_vcpu_state_save(&in, &w, 0);
    w.data[32] ^= 1; /* the size of regs */
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(engine_vcpu_state_load(&out, &r, 0), -EPROTO);
    CHECK(strstr(r.err.msg, "regs"));
    w.data[32] ^= 1;
    le32_write(w.data + w.len_bytes - 2 * 12 - 4, 0x7fffffff); /* n_msrs */
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(engine_vcpu_state_load(&out, &r, 0), -EPROTO);
    CHECK(strstr(r.err.msg, "MSRs"));
    for (size_t len = 0; len < w.len_bytes; len += 97) {
        state_reader_init(&r, w.data, len);
        CHECK(engine_vcpu_state_load(&out, &r, 0) < 0);
    }
    state_writer_fini(&w);
}

struct seen {
    unsigned n, sizes[8];
    uint64_t offsets[8];
};

static uint64_t see_read(void *opaque, uint64_t offset, unsigned size)
{
    struct seen *s = opaque;
    s->offsets[s->n] = offset;
    s->sizes[s->n++] = size;
    return offset * UINT64_C(0x0101010101010101);
}

static void see_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    see_read(opaque, offset, size);
}

static void an_mmio_access_of_odd_length_is_cut_into_powers_of_two(void)
{
    static const struct bus_region_ops ops = {.read = see_read, .write = see_write};
    struct seen seen = {0};
    struct bus_region region = {
        .name = "seen", .base = 0x1000, .size = 0x1000, .ops = &ops, .opaque = &seen};
    struct bus bus;
    bus_init(&bus);
    REQUIRE(bus_add(&bus, BUS_MMIO, &region, NULL) == 0);
    uint8_t data[8] = {0};
    engine_mmio(&bus, 0x1001, data, 7, false);
    CHECK_EQ(seen.n, 3);
    CHECK_EQ(seen.sizes[0], 4);
    CHECK_EQ(seen.sizes[1], 2);
    CHECK_EQ(seen.sizes[2], 1);
    CHECK_EQ(seen.offsets[2], 7);
    CHECK(memcmp(data, "\1\1\1\1\5\5\7\0", 8) == 0);
    engine_mmio(&bus, 0x1000, data, 8, true);
    CHECK_EQ(seen.n, 4);
    CHECK_EQ(seen.sizes[3], 8);
    bus_fini(&bus);
}

int main(void)
{
    TAP_RUN(auto_takes_the_first_that_passes_and_says_why_not_the_others);
    TAP_RUN(a_named_engine_is_taken_at_its_word_and_never_replaced);
    TAP_RUN(auto_passes_over_an_engine_for_tests);
    TAP_RUN(an_unknown_name_lists_the_known_ones);
    TAP_RUN(a_vcpu_state_comes_back_as_it_was);
    TAP_RUN(a_damaged_vcpu_state_is_refused_with_the_reason);
    TAP_RUN(an_mmio_access_of_odd_length_is_cut_into_powers_of_two);
    return tap_done();
}
