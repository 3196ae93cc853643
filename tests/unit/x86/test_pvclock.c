#include "x86/pvclock.h"

#include "tap.h"

/* As a guest computes it. */
static uint64_t to_ns(uint64_t tsc, uint32_t mul, int8_t shift)
{
    unsigned __int128 t = tsc;
    t = shift < 0 ? t >> -shift : t << shift;
    return (uint64_t)(t * mul >> 32);
}

static void ticks_become_nanoseconds_at_every_frequency(void)
{
    static const uint32_t khz[] = {1,       999,     1000,    33333,   999999,
                                   1000000, 1000001, 2445404, 4000000, 0xffffffff};
    for (unsigned i = 0; i < sizeof(khz) / sizeof(khz[0]); i++) {
        uint32_t mul = 0;
        int8_t shift = 0;
        pvclock_scale(khz[i], &mul, &shift);
        CHECK(mul >> 31);                              /* as precise as it can be */
        uint64_t tsc = (uint64_t)khz[i] * 1000 * 3600; /* an hour */
        int64_t off = (int64_t)(to_ns(tsc, mul, shift) - UINT64_C(3600000000000));
        /* The guest's multiplication loses up to 2^-31 of it: 1.7 us an hour. */
        CHECK(off <= 0 && off > -2000);
    }
}

static void a_record_is_written_with_an_even_version_that_rises(void)
{
    struct pvclock_vcpu_time_info to = {.version = 7},
                                  from = {.system_time = 5, .tsc_timestamp = 6, .flags = 1};
    pvclock_write(&to, &from);
    CHECK_EQ(to.version, 8);
    CHECK_EQ(to.system_time, 5);
    CHECK_EQ(to.tsc_timestamp, 6);
    pvclock_write(&to, &from);
    CHECK_EQ(to.version, 10);
}

static void the_wall_clock_is_split_into_seconds(void)
{
    struct pvclock_wall_clock to = {0};
    pvclock_write_wall(&to, UINT64_C(1700000000123456789));
    CHECK_EQ(to.sec, 1700000000);
    CHECK_EQ(to.nsec, 123456789);
    CHECK_EQ(to.version, 2);
}

/* Multiplied out, so that no division checks a division: mul is the floor of the quotient, and has
 * all the bits that fit. */
static bool is_exact(uint32_t khz)
{
    uint32_t mul;
    int8_t shift;
    pvclock_scale(khz, &mul, &shift);
    unsigned __int128 ns = (unsigned __int128)1000000 << 32, ticks = khz;
    if (shift >= 0)
        ticks <<= shift;
    else
        ns <<= -shift;
    return mul >> 31 && mul * ticks <= ns && ns < (mul + (unsigned __int128)1) * ticks;
}

static void the_scale_is_the_exact_quotient_at_any_frequency(void)
{
    static const uint32_t edges[] = {1, 2, 3, 999999, 1000000, 2000001, 0x80000000, UINT32_MAX};
    for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
        CHECK(is_exact(edges[i]));
    uint64_t x = 1;
    unsigned wrong = 0;
    for (unsigned i = 0; i < 200000; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint32_t khz = (uint32_t)(x >> 32) >> (x >> 27 & 31); /* of any magnitude */
        wrong += khz && !is_exact(khz);
    }
    CHECK_EQ(wrong, 0);
}

static void a_guest_that_was_stopped_hears_of_it_until_it_clears_the_flag(void)
{
    struct pvclock_vcpu_time_info to = {0}, from = {.flags = PVCLOCK_TSC_STABLE};
    const struct pvclock_vcpu_time_info paused = {.flags = PVCLOCK_GUEST_STOPPED};
    pvclock_write(&to, &paused);
    pvclock_write(&to, &from);
    CHECK_EQ(to.flags, PVCLOCK_TSC_STABLE | PVCLOCK_GUEST_STOPPED);
    to.flags = PVCLOCK_TSC_STABLE;
    pvclock_write(&to, &from);
    CHECK_EQ(to.flags, PVCLOCK_TSC_STABLE);
}

static void steal_time_rises_under_an_even_version(void)
{
    struct pvclock_steal_time to = {.version = 3, .pad = {7}};
    pvclock_write_steal(&to, UINT64_C(0x123456789a), true);
    CHECK_EQ(to.version, 4);
    CHECK_EQ(to.steal, 0x123456789a);
    CHECK_EQ(to.preempted, 1);
    pvclock_write_steal(&to, UINT64_C(0x123456789b), false);
    CHECK_EQ(to.version, 6);
    CHECK_EQ(to.steal, 0x123456789b);
    CHECK_EQ(to.preempted, 0);
    CHECK_EQ(to.pad[0], 7);
}

int main(void)
{
    TAP_RUN(ticks_become_nanoseconds_at_every_frequency);
    TAP_RUN(a_record_is_written_with_an_even_version_that_rises);
    TAP_RUN(the_wall_clock_is_split_into_seconds);
    TAP_RUN(the_scale_is_the_exact_quotient_at_any_frequency);
    TAP_RUN(a_guest_that_was_stopped_hears_of_it_until_it_clears_the_flag);
    TAP_RUN(steal_time_rises_under_an_even_version);
    return tap_done();
}
