/* The local descriptor table of the child and of the guest. */
#include <sys/syscall.h>
#include <unistd.h>

#include "conform.h"

enum { DATA, DATA_DOWN, CODE, CODE_CONFORMING }; /* user_desc.contents */

#define SEGMENT(kind, base, limit_, ...)                                                           \
    {                                                                                              \
        .contents = (kind), .base_addr = (base), .limit = limit_, .seg_32bit = 1, __VA_ARGS__      \
    }
#define WHOLE 0xfffff, .limit_in_pages = 1

const struct user_desc conform_ldt[CONFORM_LDT_ENTRIES] = {
    [1] = SEGMENT(DATA, 0x1000, WHOLE),
    [2] = SEGMENT(DATA, 0, WHOLE, .read_exec_only = 1),
    [3] = SEGMENT(DATA_DOWN, 0, CONFORM_DATA >> 12, .limit_in_pages = 1),
    [4] = SEGMENT(DATA, 0, WHOLE, .seg_not_present = 1),
    [5] = SEGMENT(CODE, 0, WHOLE, .useable = 1),
    [6] = SEGMENT(CODE, 0, WHOLE, .read_exec_only = 1),
    [7] = SEGMENT(CODE_CONFORMING, 0, WHOLE, .seg_not_present = 1),
    [8] = SEGMENT(CODE, 0, WHOLE, .seg_not_present = 1),
    [9] = SEGMENT(DATA, 0, 0xfff),
    [10] = SEGMENT(CODE, 0, CONFORM_CODE >> 12, .limit_in_pages = 1),
    [11] = {.contents = DATA, .base_addr = CONFORM_STACK & ~0xffffu, .limit = 0xffff},
    [CONFORM_LDT_BASED] = SEGMENT(CODE, CONFORM_CODE, 0xfff),
};

bool conform_has_ldt(void)
{
    uint64_t first;
    return syscall(SYS_modify_ldt, 0, &first, sizeof(first)) >= 0;
}

uint64_t conform_ldt_descriptor(const struct user_desc *d)
{
    uint64_t limit = d->limit, base = d->base_addr;
    if (!d->limit)
        return 0;
    unsigned type = d->contents << 2 | (d->read_exec_only ^ 1u) << 1 | 1;
    uint64_t rights = type | 0x70u | (d->seg_not_present ^ 1u) << 7;
    uint64_t size = d->useable | d->seg_32bit << 2 | d->limit_in_pages << 3;
    return (limit & 0xffff) | (base & 0xffffff) << 16 | rights << 40 | (limit >> 16 & 15) << 48 |
           size << 52 | (base >> 24) << 56;
}
