/* Where the loaders and the firmware tables put their things in guest RAM. All of it lies below
 * 1 MiB, so that a kernel may have everything above for itself.
 *
 *   START     END       WHAT
 *   0x0_0000  0x0_1000  left zero: real-mode vectors and BIOS data, which kernels look into
 *   0x0_1000  0x0_2000  GDT
 *   0x0_2000  0x0_3000  Linux's zero page (struct boot_params)
 *   0x0_3000  0x0_4000  PVH start info or multiboot information, with their lists
 *   0x0_4000  0x0_5000  Linux's setup_data list: a seed for the random number generator
 *   0x0_5000  0x0_b000  page tables: PML4, PDPT, four page directories (4 GiB, identity)
 *   0x0_b000  0x1_0000  stack of the first instruction, growing down
 *   0x1_0000  0x2_0000  command line
 *   0x2_0000  0x9_fc00  free
 *   0xe_0000  0xe_f000  ACPI tables
 *   0xe_f000  0xf_0000  VM generation id
 *   0xf_0000 0x10_0000  SMBIOS: where kernels scan for its anchor
 *
 * What begins at 0x9_fc00 and ends at 0x10_0000 is not given to the guest as usable memory. */
#ifndef BOOT_BOOT_LAYOUT_H
#define BOOT_BOOT_LAYOUT_H

#define BOOT_LAYOUT_GDT         0x1000
#define BOOT_LAYOUT_ZERO_PAGE   0x2000
#define BOOT_LAYOUT_INFO        0x3000
#define BOOT_LAYOUT_INFO_BYTES  0x1000
#define BOOT_LAYOUT_SETUP_DATA  0x4000
#define BOOT_LAYOUT_PAGE_TABLES 0x5000
#define BOOT_LAYOUT_STACK_TOP   0x10000
#define BOOT_LAYOUT_CMDLINE     0x10000
#define BOOT_LAYOUT_CMDLINE_MAX 0x10000 /* bytes, with the terminating NUL */
#define BOOT_LAYOUT_LOW_RAM_END 0x9fc00
#define BOOT_LAYOUT_ACPI        0xe0000
#define BOOT_LAYOUT_ACPI_BYTES  0xf000
#define BOOT_LAYOUT_VMGENID     0xef000
#define BOOT_LAYOUT_SMBIOS      0xf0000
#define BOOT_LAYOUT_HIGH_RAM    0x100000 /* kernels and their modules from here on */

#endif
