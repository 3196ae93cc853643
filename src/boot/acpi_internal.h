/* The seam between the tables and the DSDT's AML. */
#ifndef BOOT_ACPI_INTERNAL_H
#define BOOT_ACPI_INTERNAL_H

#include "boot/acpi.h"
#include "boot/aml.h"

/* Writes the body of the DSDT, what follows its header. */
void acpi_dsdt(struct aml *a, const struct acpi_config *config);

#endif
