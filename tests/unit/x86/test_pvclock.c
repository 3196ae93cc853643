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

int main(void)
{
    TAP_RUN(ticks_become_nanoseconds_at_every_frequency);
    TAP_RUN(a_record_is_written_with_an_even_version_that_rises);
    TAP_RUN(the_wall_clock_is_split_into_seconds);
    return tap_done();
}
