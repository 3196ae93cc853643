/* The SMBIOS tables: who made this machine, its UUID, its processors and memory, as dmidecode,
 * systemd-detect-virt and cloud-init read them. They lie where kernels scan for the anchor.
 * Spec: DMTF DSP0134 3.0. */
#ifndef BOOT_SMBIOS_H
#define BOOT_SMBIOS_H

#include <stdint.h>

#include "base/err.h"
#include "mem/guest_mem.h"

#define SMBIOS_STRING_MAX 128 /* longer ones are cut; control characters become '?' */

struct smbios_config {
    uint8_t uuid[16];   /* in the order in which it is printed */
    const char *name;   /* the VM's: chassis asset tag. NULL: none */
    const char *serial; /* system serial number; NULL: none */
    unsigned n_vcpus;
};

/* Builds the tables from `config` and the RAM of `mem`, and writes them. Call again after a reset.
 * Errors: ENOMEM, EFAULT (no RAM there). */
int smbios_install(struct guest_mem *mem, const struct smbios_config *config, struct err *err);

#endif
