/* Guest-physical memory: which ranges of the guest's physical address space are RAM, where each
 * lies in this process, and which pages this process itself has written (the CPU engine logs the
 * guest's own writes; a snapshot needs both).
 *
 * Layout of a VM with R bytes of RAM: [0, min(R, PCI hole start)) and, if R is larger, the rest
 * from 4 GiB up. Regions are fixed before the first vCPU runs, so lookups need no lock. */
#ifndef MEM_GUEST_MEM_H
#define MEM_GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define GUEST_MEM_PAGE_BYTES  4096
#define GUEST_MEM_REGIONS_MAX 8
#define GUEST_MEM_HOLE_START  UINT64_C(0xc0000000) /* RAM below 4 GiB ends here: PCI hole */
#define GUEST_MEM_HIGH_START  UINT64_C(0x100000000)

struct guest_mem_region {
    uint64_t gpa;
    uint64_t size_bytes;
    uint8_t *hva;
    uint64_t fd_offset; /* of this region in guest_mem.fd */
};

struct guest_mem {
    unsigned n_regions;
    struct guest_mem_region regions[GUEST_MEM_REGIONS_MAX];
    int fd; /* memfd when the RAM is shared (vhost-user), -1 when it is private */
    uint64_t total_bytes;
    /* Pages written by this process since the last guest_mem_dirty_take(), one bit each in region
     * order; NULL while logging is off. Bits are set atomically by any thread. */
    _Atomic(_Atomic(uint64_t) *) dirty;
    _Atomic(uint64_t) *dirty_storage;
    /* Set by an engine that keeps something made of the guest's code: called, from any thread,
     * after this process (not the guest) wrote [hva, hva + len). NULL: nobody cares. */
    void (*written)(void *opaque, const uint8_t *hva, uint64_t len);
    void *written_opaque;
};

enum guest_mem_flags {
    GUEST_MEM_SHARED = 1 << 0,    /* memfd, MAP_SHARED: another process maps it too */
    GUEST_MEM_HUGEPAGES = 1 << 1, /* hugetlb pages: size must be a multiple of 2 MiB */
    GUEST_MEM_PREALLOC = 1 << 2,  /* touch every page now */
};

/* Creates the RAM of a VM: `size_bytes`, a multiple of 4 KiB. Each mapping lies between
 * inaccessible guard pages. Without hugetlb, transparent huge pages are advised.
 * Errors: EINVAL (size), ENOMEM. Owns: guest_mem_fini() unmaps. */
int guest_mem_init(struct guest_mem *m, uint64_t size_bytes, unsigned flags, struct err *err);
void guest_mem_fini(struct guest_mem *m);

/* The bytes at guest-physical [gpa, gpa+len), or NULL if any of them is not RAM of one region.
 * Borrowed; valid until guest_mem_fini(). A caller that writes through it must call
 * guest_mem_mark_dirty() afterwards. Threads: any. */
void *guest_mem_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len);

/* Bytes that follow `gpa` in its region (0 if it is not RAM). */
uint64_t guest_mem_contiguous(const struct guest_mem *m, uint64_t gpa);

/* Copies in or out, across regions if need be. Errors: EFAULT, nothing copied then. Writing marks
 * dirty. */
int guest_mem_read(const struct guest_mem *m, uint64_t gpa, void *buf, uint64_t len);
int guest_mem_write(struct guest_mem *m, uint64_t gpa, const void *buf, uint64_t len);

/* Notes that this process wrote [gpa, gpa+len). Cheap when logging is off. Threads: any. */
void guest_mem_mark_dirty(struct guest_mem *m, uint64_t gpa, uint64_t len);

/* Gives the pages of [gpa, gpa+len) back to the host: they read as zeroes until they are written
 * again. Whole pages of one region; with hugetlb, whole huge pages. Marks dirty.
 * Errors: EFAULT (not RAM), those of madvise(2). Threads: any. */
int guest_mem_discard(struct guest_mem *m, uint64_t gpa, uint64_t len);

/* Has the host back [gpa, gpa+len) by memory now; what it holds stays. Of one region.
 * Errors: EFAULT (not RAM), those of madvise(2): EINVAL before Linux 5.14. Threads: any. */
int guest_mem_populate(const struct guest_mem *m, uint64_t gpa, uint64_t len);

/* Whether the host may back RAM by transparent huge pages (it may from the start). Off while saved
 * pages are put in place: each would else take 2 MiB, however few there are around it. */
void guest_mem_advise_huge(struct guest_mem *m, bool on);

/* Starts (all clean) and stops logging. Threads: stop only while no other thread writes. */
int guest_mem_dirty_start(struct guest_mem *m, struct err *err);
void guest_mem_dirty_stop(struct guest_mem *m);
/* ORs the bits of region `region` into `bitmap` (1 bit a page, as KVM_GET_DIRTY_LOG lays them out)
 * and clears them. */
void guest_mem_dirty_take(struct guest_mem *m, unsigned region, uint64_t *bitmap);

#endif
