/* The kernel loader: any bytes as kernel file, and as initrd if asked to. RAM lies between guard
 * pages, so a write outside of it faults; what is accepted must begin inside of it.
 *   OFFSET  SIZE  MEANING
 *   0       1     bit 0: an initrd of 64 KiB; bit 1: 4 MiB of RAM instead of 64
 *   1       n     the kernel file */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_with(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t initrd[64 * 1024];
    struct guest_mem mem;
    struct boot_result r;
    struct err err = {0};
    if (!size)
        return 0;
    if (guest_mem_init(&mem, data[0] & 2 ? 4 * MIB : 64 * MIB, 0, NULL))
        abort();
    struct boot_config c = {.kernel_fd = file_with(data + 1, size - 1),
                            .initrd_fd = data[0] & 1 ? file_with(initrd, sizeof(initrd)) : -1,
                            .cmdline = "console=ttyS0"};
    int ret = boot_load(&mem, &c, &r, &err);
    if (ret ? !err.code || !err.msg[0] : !guest_mem_ptr(&mem, r.regs.rip, 1))
        abort();
    close(c.kernel_fd);
    if (c.initrd_fd >= 0)
        close(c.initrd_fd);
    guest_mem_fini(&mem);
    return 0;
}
