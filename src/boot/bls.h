/* One entry file of the Boot Loader Specification (type 1), as Fedora and its kin keep one for each
 * kernel. Text of the guest; lines that are not known are skipped.
 * Spec: uapi-group.org/specifications/specs/boot_loader_specification, "Type #1". */
#ifndef BOOT_BLS_H
#define BOOT_BLS_H

#include <stddef.h>

#include "boot/boot_entry.h"
#include "boot/grub_cfg.h"

/* `g` has the variables of the grubenv beside it, which Fedora's options use ($kernelopts).
 * Errors: ENOENT (no `linux` line), E2BIG. */
int bls_parse(const struct grub_cfg *g, const char *text, size_t bytes, struct boot_entry *entry,
              struct err *err);

#endif
