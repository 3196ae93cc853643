/* Loads a kernel and its initrd into guest RAM and says with which registers vCPU 0 begins.
 *
 *   bzImage            Linux, 64-bit boot protocol: zero page in RSI
 *   ELF, PVH note      32-bit protected mode, hvm_start_info in EBX (Linux's uncompressed vmlinux)
 *   multiboot 1        32-bit protected mode, information in EBX: ELF32 or a.out kludge
 *   ELF64, ELF32       64-bit long mode with identity pages, or 32-bit protected mode. No
 *                      information is promised; ELF64 gets Linux's zero page in RSI all the same
 *
 * The files are read by pread(2), or by a callback, straight into guest RAM, and nothing in them is
 * believed: every offset and address is checked against the file's size and the guest's RAM. The
 * firmware tables (boot/acpi.h, boot/smbios.h) are installed before. Spec: Linux
 * Documentation/arch/x86/boot.rst; Xen docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h;
 * Multiboot Specification 0.6.96; System V ABI, "Object files". */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <linux/kvm.h>
#include <stdint.h>

#include "base/err.h"
#include "mem/guest_mem.h"

/* A file that is no file of the host: read in pieces from wherever it is, such as the guest's own
 * disk (boot/disk_kernel.h). */
struct boot_source {
    uint64_t size_bytes;
    /* [offset, offset + bytes), which lies within. */
    int (*read)(void *opaque, uint64_t offset, void *buf, uint64_t bytes, struct err *err);
    void *opaque;
};

struct boot_config {
    int kernel_fd;           /* a regular file or memfd; borrowed */
    const char *kernel_name; /* for messages */
    int initrd_fd;           /* -1: none */
    const char *initrd_name;
    const struct boot_source *kernel, *initrd; /* instead of a descriptor; NULL: by that */
    const char *cmdline;                       /* NULL: empty */
    uint64_t rsdp_gpa;                         /* from acpi_install(); 0: none */
    /* NULL, or told before anything is read which RAM the kernel will write besides. */
    void (*will_use)(void *opaque, uint64_t gpa, uint64_t len);
    void *opaque;
};

enum boot_format { BOOT_BZIMAGE, BOOT_PVH, BOOT_MULTIBOOT, BOOT_ELF64, BOOT_ELF32 };

struct boot_result {
    enum boot_format format;
    /* What vCPU 0 starts with: complete, for a vCPU that is otherwise in its reset state. */
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    uint64_t kernel_gpa, initrd_gpa;
    uint64_t kernel_bytes, initrd_bytes; /* read from the files */
    int64_t kernel_ns, initrd_ns;        /* time it took to read them */
};

/* Loads. On failure guest RAM may have been written, the result has not.
 * Errors: EINVAL (the file, the field, the value and what was expected), ENOEXEC (no known format),
 * ENOMEM (does not fit into the guest's RAM), EIO and those of pread(2). Blocks: on the files. */
int boot_load(struct guest_mem *mem, const struct boot_config *config, struct boot_result *result,
              struct err *err);

#endif
