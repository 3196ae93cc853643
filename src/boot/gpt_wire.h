/* Partition tables on the disk; all little-endian. Spec: UEFI 2.10, tables 5.1, 5.2, 5.5, 5.6. */
#ifndef BOOT_GPT_WIRE_H
#define BOOT_GPT_WIRE_H

#include <assert.h>
#include <stdint.h>

#define GPT_WIRE_SIGNATURE      "EFI PART"
#define GPT_WIRE_HEADER_MIN     92
#define GPT_WIRE_ENTRY_MIN      128
#define GPT_WIRE_MBR_OFFSET     446
#define GPT_WIRE_MBR_DISK_ID    440
#define GPT_WIRE_MBR_SIGNATURE  510 /* 0x55 0xaa */
#define GPT_WIRE_MBR_ENTRIES    4
#define GPT_WIRE_TYPE_PROTECTED 0xee

struct gpt_wire_mbr_entry {
    uint8_t status; /* 0x80: active */
    uint8_t first_chs[3];
    uint8_t type;
    uint8_t last_chs[3];
    uint32_t first_lba;
    uint32_t n_sectors;
};
static_assert(sizeof(struct gpt_wire_mbr_entry) == 16, "UEFI table 5.2");

struct __attribute__((packed)) gpt_wire_header {
    uint8_t signature[8];
    uint32_t revision;
    uint32_t header_bytes;
    uint32_t header_crc32; /* of header_bytes, with this field 0 */
    uint32_t reserved;
    uint64_t my_lba, other_lba;
    uint64_t first_usable_lba, last_usable_lba;
    uint8_t disk_guid[16];
    uint64_t entries_lba;
    uint32_t n_entries;
    uint32_t entry_bytes;
    uint32_t entries_crc32;
};
static_assert(sizeof(struct gpt_wire_header) == GPT_WIRE_HEADER_MIN, "UEFI table 5.5");

struct gpt_wire_entry {
    uint8_t type_guid[16]; /* all zero: not used */
    uint8_t guid[16];
    uint64_t first_lba, last_lba; /* both within */
    uint64_t attributes;
    uint8_t name_utf16[72];
};
static_assert(sizeof(struct gpt_wire_entry) == GPT_WIRE_ENTRY_MIN, "UEFI table 5.6");

#endif
