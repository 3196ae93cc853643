/* What a kernel entered by its PVH note finds behind EBX.
 * Spec: Xen, public/arch-x86/hvm/start_info.h, version 1. Little-endian. */
#ifndef BOOT_PVH_WIRE_H
#define BOOT_PVH_WIRE_H

#include <assert.h>
#include <stdint.h>

#define PVH_WIRE_MAGIC   0x336ec578 /* "xEn3" with the top bit of 'E' set */
#define PVH_WIRE_VERSION 1

struct pvh_wire_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t nr_modules;
    uint64_t modlist_paddr;
    uint64_t cmdline_paddr;
    uint64_t rsdp_paddr;
    uint64_t memmap_paddr;
    uint32_t memmap_entries;
    uint32_t reserved;
};
static_assert(sizeof(struct pvh_wire_start_info) == 56, "start_info");

struct pvh_wire_module {
    uint64_t paddr;
    uint64_t size;
    uint64_t cmdline_paddr;
    uint64_t reserved;
};
static_assert(sizeof(struct pvh_wire_module) == 32, "modlist entry");

struct pvh_wire_memmap {
    uint64_t addr;
    uint64_t size;
    uint32_t type; /* as in the e820 map */
    uint32_t reserved;
};
static_assert(sizeof(struct pvh_wire_memmap) == 24, "memmap entry");

#endif
