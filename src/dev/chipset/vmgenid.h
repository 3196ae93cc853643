/* The VM Generation ID: 16 bytes in guest memory, declared by ACPI, that change whenever the VM
 * goes back in time or is cloned, so that the guest reseeds its random number generators.
 * Spec: Microsoft, "Virtual Machine Generation ID". */
#ifndef DEV_CHIPSET_VMGENID_H
#define DEV_CHIPSET_VMGENID_H

#include <stdint.h>

#include "dev/chipset/acpi_pm.h"
#include "mem/guest_mem.h"
#include "state/state.h"

struct vmgenid {
    struct guest_mem *mem;
    struct acpi_pm *pm;
    uint64_t gpa; /* of the 16 bytes: 8-byte aligned, in a page reserved by the e820 map */
    uint8_t id[16];
};

void vmgenid_init(struct vmgenid *v, struct guest_mem *mem, struct acpi_pm *pm, uint64_t gpa);
/* Draws a new id, puts it into guest memory, and (if `notify`) raises the event. Device lock held.
 * Errors: EIO (no randomness), EFAULT (gpa is not RAM). */
int vmgenid_renew(struct vmgenid *v, bool notify, struct err *err);
/* Puts the current id into guest memory (again, after a reset cleared it). */
int vmgenid_publish(struct vmgenid *v, struct err *err);

/* The id itself; the guest's copy travels with its memory. What resumes as a copy of something that
 * ran on, or goes back in time, renews the id after loading. */
void vmgenid_save(const struct vmgenid *v, struct state_writer *w);
int vmgenid_load(struct vmgenid *v, struct state_reader *r);

#endif
