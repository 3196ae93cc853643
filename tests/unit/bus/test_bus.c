#include "bus/bus.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

static struct bus bus;
static struct err err;

static struct access {
    char kind;
    uint64_t offset, value;
    unsigned size;
} seen[16];
static unsigned n_seen;

static uint64_t on_read(void *opaque, uint64_t offset, unsigned size)
{
    if (n_seen < ARRAY_LEN(seen))
        seen[n_seen++] = (struct access){'r', offset, 0, size};
    return opaque ? 0x8877665544332211 >> (8 * offset) : 0x8877665544332211;
}

static void on_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    if (n_seen < ARRAY_LEN(seen))
        seen[n_seen++] = (struct access){'w', offset, value, size};
}

static const struct bus_region_ops ops = {on_read, on_write};

static struct bus_region region(const char *name, uint64_t base, uint64_t size)
{
    return (struct bus_region){.name = name, .base = base, .size = size, .ops = &ops};
}

static uint64_t read_at(enum bus_space space, uint64_t addr, unsigned size)
{
    uint8_t data[8] = {0};
    n_seen = 0;
    bus_access_read(&bus, space, addr, data, size);
    return le64_read(data);
}

static void write_at(enum bus_space space, uint64_t addr, unsigned size, uint64_t value)
{
    uint8_t data[8];
    le64_write(data, value);
    n_seen = 0;
    bus_access_write(&bus, space, addr, data, size);
}

static void an_access_reaches_the_region_that_holds_it(void)
{
    struct bus_region a = region("a", 0x1000, 0x10), b = region("b", 0x1010, 8);
    bus_init(&bus);
    CHECK_EQ(bus_add(&bus, BUS_MMIO, &b, &err), 0);
    CHECK_EQ(bus_add(&bus, BUS_MMIO, &a, &err), 0);
    CHECK_EQ(read_at(BUS_MMIO, 0x1013, 4), 0x44332211);
    CHECK(n_seen == 1 && seen[0].offset == 3 && seen[0].size == 4);
    write_at(BUS_MMIO, 0x100f, 1, 0xabcd);
    CHECK(n_seen == 1 && seen[0].kind == 'w' && seen[0].offset == 15);
    CHECK_EQ(seen[0].value & 0xff, 0xcd);
    CHECK_EQ(read_at(BUS_MMIO, 0x1008, 8), 0x8877665544332211);
    bus_fini(&bus);
}

static void what_nobody_claims_reads_as_ones(void)
{
    struct bus_region a = region("a", 0x60, 4);
    bus_init(&bus);
    REQUIRE(bus_add(&bus, BUS_PIO, &a, &err) == 0);
    CHECK_EQ(read_at(BUS_PIO, 0x64, 1), 0xff);
    CHECK_EQ(read_at(BUS_PIO, 0x5f, 2), 0xffff);
    CHECK_EQ(read_at(BUS_PIO, 0x62, 4), 0xffffffff); /* reaches over its end */
    CHECK_EQ(n_seen, 0);
    CHECK_EQ(read_at(BUS_MMIO, 0x60, 8), UINT64_MAX); /* another space */
    write_at(BUS_PIO, 0x5e, 4, 1);
    CHECK_EQ(n_seen, 0);
    CHECK_EQ(atomic_load(&bus.counters.unclaimed), 5);
    CHECK_EQ(atomic_load(&bus.counters.accesses), 5);
    bus_remove(&bus, BUS_PIO, &a);
    CHECK_EQ(read_at(BUS_PIO, 0x60, 1), 0xff);
    bus_remove(&bus, BUS_PIO, &a);
    bus_fini(&bus);
}

static void regions_that_overlap_or_wrap_are_refused(void)
{
    struct bus_region a = region("uart", 0x3f8, 8);
    bus_init(&bus);
    REQUIRE(bus_add(&bus, BUS_PIO, &a, &err) == 0);
    const struct {
        uint64_t base, size;
        int ret;
    } cases[] = {
        {0x3f8, 8, -EEXIST},  {0x3ff, 1, -EEXIST}, {0x3f0, 9, -EEXIST},   {0x3f0, 0x20, -EEXIST},
        {0x3fa, 2, -EEXIST},  {0x3f0, 8, 0},       {0x400, 8, 0},         {0x500, 0, -EINVAL},
        {0xffff, 2, -EINVAL}, {0xffff, 1, 0},      {0x10000, 1, -EINVAL}, {UINT64_MAX, 2, -EINVAL},
    };
    struct bus_region r[ARRAY_LEN(cases)];
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        r[i] = region("new", cases[i].base, cases[i].size);
        CHECK_EQ(bus_add(&bus, BUS_PIO, &r[i], &err), cases[i].ret);
        if (cases[i].ret == -EEXIST)
            CHECK(strstr(err.msg, "overlaps uart"));
    }
    struct bus_region last = region("last", UINT64_MAX, 1), wraps = region("wraps", UINT64_MAX, 2);
    CHECK_EQ(bus_add(&bus, BUS_MMIO, &wraps, &err), -EINVAL);
    CHECK_EQ(bus_add(&bus, BUS_MMIO, &last, &err), 0);
    CHECK_EQ(read_at(BUS_MMIO, UINT64_MAX, 1), 0x11);
    CHECK_EQ(read_at(BUS_MMIO, UINT64_MAX, 2), 0xffff);
    bus_fini(&bus);
}

/* Random adding and removing against a plain map of 256 ports. */
static void lookups_agree_with_a_plain_map(void)
{
    static struct bus_region pool[64];
    const struct bus_region *owner[256] = {NULL};
    uint32_t s = 1;
    unsigned wrong = 0;
    bus_init(&bus);
    for (int step = 0; step < 5000; step++) {
        s = s * 1664525 + 1013904223;
        struct bus_region *r = &pool[s >> 26];
        if (r->size) {
            bus_remove(&bus, BUS_PIO, r);
            for (unsigned p = 0; p < 256; p++)
                owner[p] = owner[p] == r ? NULL : owner[p];
            r->size = 0;
        } else {
            uint64_t base = s >> 8 & 0xff, size = 1 + (s >> 16 & 15);
            bool free_space = base + size <= 256;
            for (uint64_t p = base; free_space && p < base + size; p++)
                free_space = !owner[p];
            if (base + size > 256)
                continue;
            *r = region("r", base, size);
            int ret = bus_add(&bus, BUS_PIO, r, &err);
            wrong += (ret == 0) != free_space;
            if (ret)
                r->size = 0;
            for (uint64_t p = base; !ret && p < base + size; p++)
                owner[p] = r;
        }
        unsigned port = s >> 12 & 0xff;
        uint64_t got = read_at(BUS_PIO, port, 1);
        wrong += (got == 0x11) != (owner[port] != NULL);
        wrong += owner[port] && seen[0].offset != port - owner[port]->base;
    }
    CHECK_EQ(wrong, 0);
    bus_fini(&bus);
}

static void an_eight_bit_device_sees_single_bytes_low_first(void)
{
    struct bus_region a = region("a", 0x40, 4);
    a.bytewise = true;
    a.opaque = &a; /* reads differ by offset */
    bus_init(&bus);
    REQUIRE(bus_add(&bus, BUS_PIO, &a, &err) == 0);
    CHECK_EQ(read_at(BUS_PIO, 0x40, 4), 0x44332211);
    CHECK_EQ(n_seen, 4);
    write_at(BUS_PIO, 0x41, 2, 0xbbaa);
    REQUIRE(n_seen == 2);
    CHECK(seen[0].offset == 1 && seen[0].value == 0xaa && seen[0].size == 1);
    CHECK(seen[1].offset == 2 && seen[1].value == 0xbb);
    CHECK_EQ(read_at(BUS_PIO, 0x42, 4), 0xffffffff);
    bus_fini(&bus);
}

static uint64_t drain(int fd)
{
    uint64_t v = 0;
    return read(fd, &v, sizeof(v)) == sizeof(v) ? v : 0;
}

static void an_ioeventfd_takes_the_writes_that_match(void)
{
    struct bus_region a = region("a", 0x1000, 0x100);
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), any = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct bus_ioeventfd io = {
        .space = BUS_MMIO, .addr = 0x1010, .size = 2, .match_data = true, .data = 3, .fd = fd};
    struct bus_ioeventfd io_any = {.space = BUS_MMIO, .addr = 0x1020, .fd = any};
    bus_init(&bus);
    REQUIRE(bus_add(&bus, BUS_MMIO, &a, &err) == 0);
    REQUIRE(bus_ioeventfd_add(&bus, &io, &err) == 0);
    REQUIRE(bus_ioeventfd_add(&bus, &io_any, &err) == 0);
    write_at(BUS_MMIO, 0x1010, 2, 3);
    CHECK_EQ(n_seen, 0);
    CHECK_EQ(drain(fd), 1);
    write_at(BUS_MMIO, 0x1010, 2, 4); /* other data */
    CHECK_EQ(n_seen, 1);
    write_at(BUS_MMIO, 0x1010, 4, 3); /* other width */
    CHECK_EQ(n_seen, 1);
    CHECK_EQ(drain(fd), 0);
    write_at(BUS_MMIO, 0x1020, 1, 9);
    write_at(BUS_MMIO, 0x1020, 8, 9);
    CHECK_EQ(drain(any), 2);
    CHECK_EQ(read_at(BUS_MMIO, 0x1010, 2), 0x2211); /* reads go to the device */
    CHECK_EQ(atomic_load(&bus.counters.ioeventfds), 3);
    bus_ioeventfd_remove(&bus, &io);
    write_at(BUS_MMIO, 0x1010, 2, 3);
    CHECK_EQ(n_seen, 1);
    CHECK_EQ(drain(fd), 0);
    write_at(BUS_MMIO, 0x1020, 1, 9);
    CHECK_EQ(drain(any), 1);
    bus_fini(&bus);
    close(fd);
    close(any);
}

static int engine_refuses(void *engine, const struct bus_ioeventfd *io, struct err *e)
{
    return err_set(e, ENOSPC, "no more");
}

static void an_ioeventfd_that_the_engine_refuses_is_not_there(void)
{
    static const struct bus_engine_ops engine = {.ioeventfd_add = engine_refuses};
    struct bus_ioeventfd io = {.space = BUS_PIO, .addr = 1, .fd = -1};
    bus_init(&bus);
    bus_set_engine(&bus, &engine, NULL);
    CHECK_EQ(bus_ioeventfd_add(&bus, &io, &err), -ENOSPC);
    CHECK_EQ(bus.n_ioeventfds, 0);
    bus_fini(&bus);
}

static void the_bus_says_when_it_is_full(void)
{
    static struct bus_region r[BUS_REGIONS_MAX + 1];
    bus_init(&bus);
    for (unsigned i = 0; i < BUS_REGIONS_MAX; i++) {
        r[i] = region("r", i * 4, 2);
        if (bus_add(&bus, BUS_PIO, &r[i], &err))
            abort();
    }
    r[BUS_REGIONS_MAX] = region("late", 0x8000, 2);
    CHECK_EQ(bus_add(&bus, BUS_PIO, &r[BUS_REGIONS_MAX], &err), -ENOSPC);
    CHECK(strstr(err.msg, "no room for late"));
    struct bus_ioeventfd io = {.space = BUS_PIO};
    for (unsigned i = 0; i < BUS_IOEVENTFDS_MAX; i++)
        if (bus_ioeventfd_add(&bus, &io, &err))
            abort();
    CHECK_EQ(bus_ioeventfd_add(&bus, &io, &err), -ENOSPC);
    bus_fini(&bus);
}

static unsigned gsi_seen;
static bool level_seen;

static void on_irq(void *opaque, unsigned gsi, bool level)
{
    gsi_seen = gsi;
    level_seen = level;
}

static void wired_interrupts_reach_their_controllers(void)
{
    static const struct bus_irq_ops irq = {on_irq};
    bus_init(&bus);
    bus_irq_set(&bus, 4, true); /* nobody there: nothing happens */
    bus_set_irq(&bus, &irq, NULL);
    bus_irq_set(&bus, 4, true);
    CHECK(gsi_seen == 4 && level_seen);
    bus_fini(&bus);
}

int main(void)
{
    TAP_RUN(an_access_reaches_the_region_that_holds_it);
    TAP_RUN(what_nobody_claims_reads_as_ones);
    TAP_RUN(regions_that_overlap_or_wrap_are_refused);
    TAP_RUN(lookups_agree_with_a_plain_map);
    TAP_RUN(an_eight_bit_device_sees_single_bytes_low_first);
    TAP_RUN(an_ioeventfd_takes_the_writes_that_match);
    TAP_RUN(an_ioeventfd_that_the_engine_refuses_is_not_there);
    TAP_RUN(the_bus_says_when_it_is_full);
    TAP_RUN(wired_interrupts_reach_their_controllers);
    return tap_done();
}
