/* SMBIOS structures as they lie in guest RAM, each followed by its strings. Packed, little-endian.
 * Strings are named by their number, from 1; 0 is none. Spec: DMTF DSP0134 3.0, chapters 5 to 7. */
#ifndef BOOT_SMBIOS_WIRE_H
#define BOOT_SMBIOS_WIRE_H

#include <assert.h>
#include <stdint.h>

#define SMBIOS_WIRE __attribute__((packed))

struct smbios_wire_entry { /* 5.2.2 */
    char anchor[5];
    uint8_t checksum;
    uint8_t length;
    uint8_t major, minor, docrev;
    uint8_t entry_revision;
    uint8_t reserved;
    uint32_t max_size;
    uint64_t address;
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_entry) == 24, "entry point");

struct smbios_wire_header { /* 6.1.2 */
    uint8_t type;
    uint8_t length;
    uint16_t handle;
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_header) == 4, "header");

struct smbios_wire_bios { /* 7.1, type 0 */
    struct smbios_wire_header h;
    uint8_t vendor, version;
    uint16_t segment;
    uint8_t date;
    uint8_t rom_size;
    uint64_t characteristics;
    uint8_t extension[2];
    uint8_t release[2], ec_release[2];
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_bios) == 0x18, "type 0");

struct smbios_wire_system { /* 7.2, type 1 */
    struct smbios_wire_header h;
    uint8_t manufacturer, product, version, serial;
    uint8_t uuid[16];
    uint8_t wakeup;
    uint8_t sku, family;
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_system) == 0x1b, "type 1");

struct smbios_wire_chassis { /* 7.4, type 3 */
    struct smbios_wire_header h;
    uint8_t manufacturer, type, version, serial, asset_tag;
    uint8_t bootup_state, power_state, thermal_state, security;
    uint32_t oem;
    uint8_t height, power_cords, elements, element_length;
    uint8_t sku;
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_chassis) == 0x16, "type 3");

struct smbios_wire_processor { /* 7.5, type 4 */
    struct smbios_wire_header h;
    uint8_t socket, type, family, manufacturer;
    uint64_t id;
    uint8_t version, voltage;
    uint16_t external_clock, max_speed, current_speed;
    uint8_t status, upgrade;
    uint16_t l1_handle, l2_handle, l3_handle;
    uint8_t serial, asset_tag, part;
    uint8_t cores, enabled_cores, threads;
    uint16_t characteristics;
    uint16_t family2, cores2, enabled_cores2, threads2;
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_processor) == 0x30, "type 4");

struct smbios_wire_memory_array { /* 7.17, type 16 */
    struct smbios_wire_header h;
    uint8_t location, use, error_correction;
    uint32_t capacity_kib;
    uint16_t error_handle;
    uint16_t n_devices;
    uint64_t extended_capacity_bytes;
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_memory_array) == 0x17, "type 16");

struct smbios_wire_memory_device { /* 7.18, type 17 */
    struct smbios_wire_header h;
    uint16_t array_handle, error_handle;
    uint16_t total_width, data_width;
    uint16_t size_mib;
    uint8_t form_factor, device_set, locator, bank;
    uint8_t type;
    uint16_t type_detail;
    uint16_t speed;
    uint8_t manufacturer, serial, asset_tag, part;
    uint8_t attributes;
    uint32_t extended_size_mib;
    uint16_t configured_speed;
    uint16_t voltage_min, voltage_max, voltage;
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_memory_device) == 0x28, "type 17");

struct smbios_wire_memory_map { /* 7.20, type 19 */
    struct smbios_wire_header h;
    uint32_t first_kib, last_kib;
    uint16_t array_handle;
    uint8_t partition_width;
    uint64_t extended_first, extended_last; /* bytes */
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_memory_map) == 0x1f, "type 19");

struct smbios_wire_boot { /* 7.33, type 32 */
    struct smbios_wire_header h;
    uint8_t reserved[6];
    uint8_t status;
} SMBIOS_WIRE;
static_assert(sizeof(struct smbios_wire_boot) == 0x0b, "type 32");

#endif
