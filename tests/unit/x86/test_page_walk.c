/* Walks of every kind of paging, over tables in a small memory. */
#include "x86/page_walk.h"

#include "../tap.h"

static uint8_t memory[0x10000];

static bool read_entry(void *opaque, uint64_t phys, void *entry, unsigned bytes)
{
    if (phys > sizeof(memory) - bytes)
        return false;
    memcpy(entry, memory + phys, bytes);
    return true;
}

static void wide(uint64_t at, uint64_t value)
{
    memcpy(memory + at, &value, 8);
}

static uint64_t walk(const struct kvm_sregs *s, uint64_t linear)
{
    uint64_t phys = 0;
    return page_walk(s, linear, read_entry, NULL, &phys) ? phys : UINT64_MAX;
}

#define PG   UINT64_C(0x80000001)
#define PAE  0x20
#define PSE  0x10
#define LA57 0x1000
#define LONG 0x500

static void without_paging_addresses_are_physical(void)
{
    const struct kvm_sregs s = {.cr0 = 1};
    CHECK_EQ(walk(&s, 0xfff0), 0xfff0);
    CHECK_EQ(walk(&s, UINT64_C(0x1fffffff0)), 0xfffffff0);
}

static void four_and_five_levels_with_pages_of_every_size(void)
{
    struct kvm_sregs s = {.cr0 = PG, .cr3 = 0x1000, .cr4 = PAE, .efer = LONG};
    memset(memory, 0, sizeof(memory));
    wide(0x1000 + 8 * 511, 0x2000 | 1);
    wide(0x2000 + 8 * 510, 0x3000 | 1);
    wide(0x2000 + 8 * 511, UINT64_C(0x8000000000000000) | 0x40000000 | 0x81);
    wide(0x3000, 0x4000 | 1);
    wide(0x3000 + 8, 0x600000 | 0x81);
    wide(0x4000 + 8 * 3, 0x7000 | 0x61);
    CHECK_EQ(walk(&s, UINT64_C(0xffffffff80003abc)), 0x7abc);
    CHECK_EQ(walk(&s, UINT64_C(0xffffffff80234567)), 0x634567);
    CHECK_EQ(walk(&s, UINT64_C(0xffffffffc1234567)), 0x41234567);
    CHECK_EQ(walk(&s, UINT64_C(0xffffffff80004000)), -1);
    CHECK_EQ(walk(&s, 0), -1);
    CHECK_EQ(walk(&s, UINT64_C(0xfffeffff80003abc)), -1); /* not canonical */
    wide(0x5000 + 8 * 511, 0x1000 | 1);
    s.cr3 = 0x5000 | 0x18;
    s.cr4 |= LA57;
    CHECK_EQ(walk(&s, UINT64_C(0xffffffff80003abc)), 0x7abc);
    CHECK_EQ(walk(&s, UINT64_C(0xff7fffff80003abc)), -1);
}

static void pae_and_32_bit_paging(void)
{
    struct kvm_sregs s = {.cr0 = PG, .cr3 = 0x1020, .cr4 = PAE};
    memset(memory, 0, sizeof(memory));
    wide(0x1020 + 8 * 3, 0x2000 | 1);
    wide(0x2000 + 8 * 2, UINT64_C(0x100000000) | 0x81);
    wide(0x2000, 0x3000 | 1);
    wide(0x3000 + 8 * 5, 0x9000 | 1);
    CHECK_EQ(walk(&s, 0xc0005123), 0x9123);
    CHECK_EQ(walk(&s, 0xc0412345), UINT64_C(0x100012345));
    CHECK_EQ(walk(&s, 0x12345), -1);
    s = (struct kvm_sregs){.cr0 = PG, .cr3 = 0x4000, .cr4 = PSE};
    const uint32_t directory[2] = {0x5000 | 1, 0xc00000 | 2 << 13 | 0x81}, entry = 0xa000 | 1;
    memcpy(memory + 0x4000, directory, sizeof(directory));
    memcpy(memory + 0x5000 + 4 * 7, &entry, 4);
    CHECK_EQ(walk(&s, 0x7fff), 0xafff);
    CHECK_EQ(walk(&s, 0x412345), UINT64_C(0x200c12345)); /* PSE-36 */
    CHECK_EQ(walk(&s, 0x8000), -1);
    s.cr4 = 0;
    CHECK_EQ(walk(&s, 0x412345), -1); /* without PSE it is a table, and there is none */
}

int main(void)
{
    TAP_RUN(without_paging_addresses_are_physical);
    TAP_RUN(four_and_five_levels_with_pages_of_every_size);
    TAP_RUN(pae_and_32_bit_paging);
    return tap_done();
}
