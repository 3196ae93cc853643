/* Translation of linear addresses for whoever looks at a guest from outside (a debugger): no rights
 * are checked, nothing is marked. The engines have walks of their own. Spec: SDM volume 3,
 * chapter 4. */
#ifndef X86_PAGE_WALK_H
#define X86_PAGE_WALK_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

/* Reads an entry of `bytes` (4 or 8) at a guest-physical address. False: no memory there. */
typedef bool page_walk_read_fn(void *opaque, uint64_t phys, void *entry, unsigned bytes);

/* Where `linear` is in physical memory under these control registers. False: not mapped. */
bool page_walk(const struct kvm_sregs *sregs, uint64_t linear, page_walk_read_fn *read,
               void *opaque, uint64_t *phys);

#endif
