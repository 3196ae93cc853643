/* The search for a kernel on a disk whose bytes are anybody's: partition tables, ext4, grub.cfg,
 * entry files. It must end, stay within the disk, and give a kernel that can be read or a message.
 *   OFFSET  SIZE  MEANING
 *   0       1     bits 0-1: the disk's size in units of 64 KiB, from 1 to 4; bit 4: 2 MiB more, for
 *                 a journal; bit 7: read all of the kernel
 *   1       ...   pieces of the disk, the rest of which is zero: u16 offset in units of 64 bytes,
 *                 u8 length in the same (0: 1), the bytes */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "boot/disk_kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNIT_BYTES 64
#define DISK_UNIT  (64 * KIB)

struct disk {
    uint8_t *data;
    uint64_t bytes;
};

static int read_disk(void *ctx, uint64_t offset, void *buf, size_t bytes)
{
    const struct disk *d = ctx;
    if (!range_within(offset, bytes, d->bytes))
        abort();
    memcpy(buf, d->data + offset, bytes);
    return 0;
}

static void fill(struct disk *d, const uint8_t *data, size_t size)
{
    while (size > 3) {
        uint64_t at = (uint64_t)le16_read(data) * UNIT_BYTES % d->bytes;
        size_t n = (size_t)(data[2] ? data[2] : 1) * UNIT_BYTES;
        data += 3;
        size -= 3;
        n = MIN(n, MIN(size, d->bytes - at));
        memcpy(d->data + at, data, n);
        data += n;
        size -= n;
    }
}

static void use(struct disk_kernel *k, bool whole)
{
    uint8_t buf[4096];
    struct err err = {0};
    uint64_t bytes = disk_kernel_bytes(k);
    if (!bytes || bytes > DISK_KERNEL_MAX_BYTES ||
        disk_kernel_initrd_bytes(k) > DISK_KERNEL_INITRD_MAX + 16 ||
        !strstr(disk_kernel_cmdline(k), "console=") || !disk_kernel_name(k)[0])
        abort();
    for (uint64_t at = 0; at < (whole ? MIN(bytes, MIB) : 1); at += sizeof(buf))
        if (disk_kernel_read(k, at, buf, MIN(sizeof(buf), bytes - at), &err) && !err.msg[0])
            abort();
    bytes = MIN(sizeof(buf), disk_kernel_initrd_bytes(k));
    if (bytes && disk_kernel_read_initrd(k, 0, buf, bytes, &err) && !err.msg[0])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct disk d = {.bytes = DISK_UNIT * (1 + (data[0] & 3) + (data[0] & 0x10) * 2)};
    struct disk_reader r = {.read = read_disk, .ctx = &d, .size_bytes = d.bytes};
    struct disk_kernel *k = NULL;
    struct err err = {0};
    d.data = calloc(1, d.bytes);
    if (!d.data)
        abort();
    fill(&d, data + 1, size - 1);
    int ret = disk_kernel_find(&r, "a", &k, &err);
    if (ret ? !err.code || !err.msg[0] : !k)
        abort();
    if (!ret)
        use(k, data[0] & 0x80);
    disk_kernel_destroy(k);
    free(d.data);
    return 0;
}
