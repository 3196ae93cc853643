/* A saved VM as a file: the machine's state and the guest's RAM. Disks are not in it.
 *
 * Format (little-endian), a regular file of exactly RAM offset + RAM size bytes:
 *   OFFSET  SIZE  MEANING
 *   0       8     magic "VIRGAVM1"; written last: a file without it is one whose writer died
 *   8       4     version, 2
 *   12      4     CRC-32C of RAM: of each page that is not zero, in ascending order, its number
 *                 (64 bits) and its bytes
 *   16      8     size of the state in bytes
 *   24      8     RAM offset, a multiple of 4096
 *   32      8     RAM size in bytes
 *   40      8     FNV-1a of the state
 *   48      16    the VM's uuid
 *   64            state: sections as state/state.h has them: "config", then those of machine_save()
 *   RAM offset    RAM, region after region as in mem/guest_mem.h; what is zero is a hole
 *
 * See docs/arch/11-saved-vms.md. */
#ifndef MIGRATE_SAVED_VM_H
#define MIGRATE_SAVED_VM_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/err.h"
#include "mem/guest_mem.h"

#define SAVED_VM_STATE_MAX_BYTES ((size_t)64 << 20)

/* Writes RAM and state to `fd`, an empty regular file, and syncs it. Nobody may write `mem`
 * meanwhile; any thread. *cancel is looked at now and then and ends it early.
 * Errors: EINVAL (not an empty regular file), ECANCELED, those of pwrite(2): ENOSPC and so on. */
int saved_vm_write(int fd, const struct guest_mem *mem, const uint8_t uuid[16], const void *state,
                   size_t state_bytes, const _Atomic bool *cancel, struct err *err);

/* Reads RAM into `mem`, which is new (all zero) and of the same size, and the state into *state.
 * `name` is the file's, for errors. Trusts nothing. Owns: free(*state).
 * Errors: EINVAL names what does not fit; EIO. After an error `mem` may hold part of the RAM.
 * Nothing of the state may be acted on before this has returned 0: only then the checksums hold. */
int saved_vm_read(int fd, const char *name, struct guest_mem *mem, void **state,
                  size_t *state_bytes, struct err *err);

/* Whose it is, without reading more than the header. Errors: as above. */
int saved_vm_read_uuid(int fd, const char *name, uint8_t uuid[16], struct err *err);

#endif
