/* The Multiboot 1 header in a kernel file and the information behind EBX.
 * Spec: Multiboot Specification 0.6.96, 3.1 and 3.3. Little-endian. */
#ifndef BOOT_MULTIBOOT_WIRE_H
#define BOOT_MULTIBOOT_WIRE_H

#include <assert.h>
#include <stdint.h>

#define MULTIBOOT_WIRE_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_WIRE_LOADER_MAGIC 0x2badb002 /* in EAX */

/* Header flags. The low 16 bits are demands: what a loader does not know, it must refuse. */
#define MULTIBOOT_WIRE_WANT_ALIGN 0x00000001
#define MULTIBOOT_WIRE_WANT_MEM   0x00000002
#define MULTIBOOT_WIRE_DEMANDS    0x0000ffff
#define MULTIBOOT_WIRE_ADDRESSES  0x00010000

struct multiboot_wire_header {
    uint32_t magic;
    uint32_t flags;
    uint32_t checksum;
    /* With MULTIBOOT_WIRE_ADDRESSES only. */
    uint32_t header_addr;
    uint32_t load_addr;
    uint32_t load_end_addr;
    uint32_t bss_end_addr;
    uint32_t entry_addr;
};
static_assert(sizeof(struct multiboot_wire_header) == 32, "multiboot header");
#define MULTIBOOT_WIRE_HEADER_MIN_BYTES 12

/* Information flags. */
#define MULTIBOOT_WIRE_INFO_MEM     0x001
#define MULTIBOOT_WIRE_INFO_CMDLINE 0x004
#define MULTIBOOT_WIRE_INFO_MODS    0x008
#define MULTIBOOT_WIRE_INFO_MMAP    0x040
#define MULTIBOOT_WIRE_INFO_LOADER  0x200

struct multiboot_wire_info {
    uint32_t flags;
    uint32_t mem_lower_kib;
    uint32_t mem_upper_kib;
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t mods_count;
    uint32_t mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length;
    uint32_t mmap_addr;
    uint32_t drives_length;
    uint32_t drives_addr;
    uint32_t config_table;
    uint32_t boot_loader_name;
    uint32_t apm_table;
    uint32_t vbe[4];
};
static_assert(sizeof(struct multiboot_wire_info) == 88, "multiboot information");

struct multiboot_wire_module {
    uint32_t mod_start;
    uint32_t mod_end;
    uint32_t string;
    uint32_t reserved;
};

struct multiboot_wire_mmap {
    uint32_t size; /* of what follows */
    uint32_t addr_low, addr_high;
    uint32_t len_low, len_high;
    uint32_t type;
};
static_assert(sizeof(struct multiboot_wire_mmap) == 24, "multiboot memory map entry");

#endif
