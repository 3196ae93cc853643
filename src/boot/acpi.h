/* The ACPI tables of the machine: RSDP, XSDT, FADT, FACS, MADT, MCFG and a DSDT in AML, built from
 * bus/memory_map.h and put into guest RAM where boot/boot_layout.h says.
 *
 * What is left out tells a kernel what not to look for: no i8042, VGA, ASPM or PNP BIOS (IAPC boot
 * flags), no SMI command port (ACPI mode is the only one), no C-states. Spec: ACPI 6.4. */
#ifndef BOOT_ACPI_H
#define BOOT_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "mem/guest_mem.h"

#define ACPI_VCPUS_MAX 255

struct acpi_config {
    unsigned n_vcpus;    /* APIC ids 0 to n-1 */
    uint64_t pci64_base; /* 64-bit PCI memory window; size 0: none */
    uint64_t pci64_size_bytes;
    uint32_t hotplug_slots; /* PCI slots that can be plugged, one bit each; 0: none */
    bool com1, com2;        /* UARTs that exist */
    bool vmgenid;           /* VM generation id at BOOT_LAYOUT_VMGENID */
    bool fw_cfg;
};

/* Builds and writes the tables; *rsdp_gpa receives where the RSDP is. Call again after a reset.
 * Errors: EINVAL (more vCPUs than tables can name), ENOMEM, EFAULT (no RAM there). */
int acpi_install(struct guest_mem *mem, const struct acpi_config *config, uint64_t *rsdp_gpa,
                 struct err *err);

#endif
