/* ACPI tables as they lie in guest RAM. Little-endian, packed. Spec: ACPI 6.4, chapter 5.2. */
#ifndef BOOT_ACPI_WIRE_H
#define BOOT_ACPI_WIRE_H

#include <assert.h>
#include <stdint.h>

#define ACPI_WIRE __attribute__((packed))

struct acpi_wire_rsdp { /* 5.2.5.3 */
    char signature[8];
    uint8_t checksum; /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum; /* of all */
    uint8_t reserved[3];
} ACPI_WIRE;
static_assert(sizeof(struct acpi_wire_rsdp) == 36, "RSDP");

struct acpi_wire_header { /* 5.2.6 */
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} ACPI_WIRE;
static_assert(sizeof(struct acpi_wire_header) == 36, "table header");

struct acpi_wire_gas { /* 5.2.3.2, generic address */
    uint8_t space;
    uint8_t bit_width;
    uint8_t bit_offset;
    uint8_t access_size;
    uint64_t address;
} ACPI_WIRE;
static_assert(sizeof(struct acpi_wire_gas) == 12, "generic address");

#define ACPI_WIRE_SPACE_IO 1

struct acpi_wire_fadt { /* 5.2.9 */
    struct acpi_wire_header header;
    uint32_t firmware_ctrl;
    uint32_t dsdt;
    uint8_t reserved1;
    uint8_t preferred_pm_profile;
    uint16_t sci_int;
    uint32_t smi_cmd;
    uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    uint32_t pm1a_evt_blk, pm1b_evt_blk, pm1a_cnt_blk, pm1b_cnt_blk;
    uint32_t pm2_cnt_blk, pm_tmr_blk, gpe0_blk, gpe1_blk;
    uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
    uint8_t gpe0_blk_len, gpe1_blk_len, gpe1_base, cst_cnt;
    uint16_t p_lvl2_lat, p_lvl3_lat;
    uint16_t flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alrm, mon_alrm, century;
    uint16_t iapc_boot_arch;
    uint8_t reserved2;
    uint32_t flags;
    struct acpi_wire_gas reset_reg;
    uint8_t reset_value;
    uint16_t arm_boot_arch;
    uint8_t minor_version;
    uint64_t x_firmware_ctrl;
    uint64_t x_dsdt;
    struct acpi_wire_gas x_pm1a_evt_blk, x_pm1b_evt_blk, x_pm1a_cnt_blk, x_pm1b_cnt_blk;
    struct acpi_wire_gas x_pm2_cnt_blk, x_pm_tmr_blk, x_gpe0_blk, x_gpe1_blk;
    struct acpi_wire_gas sleep_control, sleep_status;
    char hypervisor_id[8];
} ACPI_WIRE;
static_assert(sizeof(struct acpi_wire_fadt) == 276, "FADT");

/* FADT flags, table 5.10. */
#define ACPI_WIRE_FADT_WBINVD      (1u << 0)
#define ACPI_WIRE_FADT_PROC_C1     (1u << 2)
#define ACPI_WIRE_FADT_SLP_BUTTON  (1u << 5) /* set: no fixed sleep button */
#define ACPI_WIRE_FADT_FIX_RTC     (1u << 6) /* set: no RTC wake status in PM1 */
#define ACPI_WIRE_FADT_TMR_VAL_EXT (1u << 8)
#define ACPI_WIRE_FADT_RESET_REG   (1u << 10)
/* IAPC boot flags, table 5.11. */
#define ACPI_WIRE_BOOT_NO_VGA  (1u << 2)
#define ACPI_WIRE_BOOT_NO_ASPM (1u << 4)

struct acpi_wire_facs { /* 5.2.10 */
    char signature[4];
    uint32_t length;
    uint32_t hardware_signature;
    uint32_t waking_vector;
    uint32_t global_lock;
    uint32_t flags;
    uint64_t x_waking_vector;
    uint8_t version;
    uint8_t reserved[31];
} ACPI_WIRE;
static_assert(sizeof(struct acpi_wire_facs) == 64, "FACS");

struct acpi_wire_madt { /* 5.2.12 */
    struct acpi_wire_header header;
    uint32_t lapic_address;
    uint32_t flags;
} ACPI_WIRE;
#define ACPI_WIRE_MADT_PCAT 1 /* 8259s exist */

struct acpi_wire_madt_lapic { /* 5.2.12.2, type 0 */
    uint8_t type, length, uid, apic_id;
    uint32_t flags;
} ACPI_WIRE;
struct acpi_wire_madt_ioapic { /* 5.2.12.3, type 1 */
    uint8_t type, length, id, reserved;
    uint32_t address;
    uint32_t gsi_base;
} ACPI_WIRE;
struct acpi_wire_madt_override { /* 5.2.12.5, type 2 */
    uint8_t type, length, bus, source;
    uint32_t gsi;
    uint16_t flags;
} ACPI_WIRE;
struct acpi_wire_madt_nmi { /* 5.2.12.7, type 4 */
    uint8_t type, length, uid;
    uint16_t flags;
    uint8_t lint;
} ACPI_WIRE;
static_assert(sizeof(struct acpi_wire_madt_lapic) == 8, "MADT local APIC");
static_assert(sizeof(struct acpi_wire_madt_ioapic) == 12, "MADT IOAPIC");
static_assert(sizeof(struct acpi_wire_madt_override) == 10, "MADT override");
static_assert(sizeof(struct acpi_wire_madt_nmi) == 6, "MADT NMI");

struct acpi_wire_mcfg { /* PCI Firmware Specification 3.3, 4.1.2 */
    struct acpi_wire_header header;
    uint64_t reserved1;
    uint64_t base;
    uint16_t segment;
    uint8_t bus_first, bus_last;
    uint32_t reserved2;
} ACPI_WIRE;
static_assert(sizeof(struct acpi_wire_mcfg) == 60, "MCFG");

#endif
