/* What the loaders of the kernel formats share; never seen outside of boot/. */
#ifndef BOOT_BOOT_INTERNAL_H
#define BOOT_BOOT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/boot.h"

#define BOOT_HEAD_BYTES   8192 /* what the formats are told by: multiboot looks furthest */
#define BOOT_MEMMAP_MAX   8
#define BOOT_MEM_RAM      1 /* types of the e820 and PVH memory maps */
#define BOOT_MEM_RESERVED 2

struct boot_memmap_entry {
    uint64_t gpa, size_bytes;
    uint32_t type;
};

/* One load in progress. */
struct boot {
    struct guest_mem *mem;
    struct boot_config config; /* names are never NULL here */
    uint64_t ram_end;          /* end of the RAM that starts at 0 */
    uint64_t file_bytes;
    uint8_t head[BOOT_HEAD_BYTES]; /* the kernel file's beginning; zero after its end */
    size_t head_bytes;
    uint64_t kernel_end; /* first address that is free for the initrd */
    struct boot_result result;
};

/* boot.c */

/* The guest's memory map in ascending order; returns the number of entries. */
unsigned boot_memmap(const struct boot *b, struct boot_memmap_entry *map);
/* Refuses unless [gpa, gpa+len) is RAM between 1 MiB and the PCI hole. `what` begins the message
 * after the kernel's name ("segment 3"). */
int boot_check_range(const struct boot *b, const char *what, uint64_t gpa, uint64_t len,
                     struct err *err);
/* Reads [offset, offset+len) of the kernel file, into guest RAM or memory of ours. */
int boot_read_to_guest(struct boot *b, const char *what, uint64_t offset, uint64_t gpa,
                       uint64_t len, struct err *err);
int boot_read(const struct boot *b, const char *what, uint64_t offset, void *buf, size_t len,
              struct err *err);
/* Says that the kernel will write [gpa, gpa+len); what is not RAM is left out. */
void boot_will_use(const struct boot *b, uint64_t gpa, uint64_t len);
/* Clears guest RAM that boot_check_range() has passed. */
void boot_clear(struct boot *b, uint64_t gpa, uint64_t len);
/* Puts the command line where the layout says; at most `max_bytes` without its NUL. */
int boot_put_cmdline(struct boot *b, uint64_t max_bytes, struct err *err);
/* Loads the initrd, if there is one, as high as RAM and `last_gpa` (its last byte) allow, above
 * b->kernel_end. */
int boot_put_initrd(struct boot *b, uint64_t last_gpa, struct err *err);

/* vcpu_state.c: the CPU's modes, and the tables they need in guest RAM. */
int boot_enter_long_mode(struct boot *b, uint64_t entry, struct err *err);
int boot_enter_protected_mode(struct boot *b, uint32_t entry, struct err *err);

/* bzimage.c */
bool boot_is_bzimage(const struct boot *b);
int boot_bzimage(struct boot *b, struct err *err);
/* Writes a zero page: `header` is what lies between 0x1f1 and 0x290 of the kernel file, or NULL
 * for a kernel that brought none. */
int boot_put_zero_page(struct boot *b, const void *header, size_t header_bytes, struct err *err);

/* elf.c */
bool boot_is_elf(const struct boot *b);
int boot_elf(struct boot *b, struct err *err);

/* pvh.c */
int boot_pvh_info(struct boot *b, struct err *err);

/* multiboot.c */
/* Offset of a multiboot header in the file's head, or -1. */
long boot_multiboot_header(const struct boot *b);
/* Whether that header carries load addresses of its own. */
bool boot_multiboot_has_addresses(const struct boot *b, long header);
/* `elf_entry` NULL: loads by the header's addresses, else the segments are loaded already. */
int boot_multiboot(struct boot *b, long header, const uint64_t *elf_entry, struct err *err);

#endif
