/* VMDK: one file that holds its data (monolithic sparse, stream-optimized) is read; a descriptor
 * that names other files, or a header that sends its reader to such a descriptor, is refused.
 *
 * Sparse extent header, little-endian
 *   OFFSET SIZE MEANING
 *   0      4    "KDMV"
 *   4      4    version: 1 to 3
 *   12     8    capacity, sectors; 0 sends QEMU to the descriptor for extents
 *   28     8    descriptor's first sector, 0: none; 36: its sectors
 *   56     8    grain directory's sector; all ones: the true header is in the last sector but one
 *               (stream-optimized)
 *
 * The descriptor is text. It may come anywhere in the first sectors, and QEMU reads the parent's
 * name from the second sector on whatever the header says; so all of these are looked through. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "agent/image_probe_internal.h"
#include "base/util.h"

#define MAGIC            "KDMV"
#define SECTOR           512u
#define HEADER_BYTES     512u
#define DESCRIPTOR_BYTES (64 * KIB)
#define VERSION_AT       4
#define CAPACITY_AT      12
#define DESCRIPTOR_AT    28
#define DIRECTORY_AT     56
#define DIRECTORY_AT_END UINT64_MAX
#define FOOTER_FROM_END  (2 * SECTOR)
#define CAPACITY_MAX     (UINT64_C(1) << 45) /* sectors */

static int check_header(const uint8_t *h, uint64_t *capacity, struct err *err)
{
    uint32_t version = le32_read(h + VERSION_AT);
    *capacity = le64_read(h + CAPACITY_AT);
    if (version < 1 || version > 3)
        return err_set(err, ENOTSUP, "the VMDK's version is %u, known are 1 to 3", version);
    if (!*capacity || *capacity > CAPACITY_MAX)
        return err_set(err, EINVAL, "the VMDK's capacity is %llu sectors, which makes no sense",
                       (unsigned long long)*capacity);
    return 0;
}

/* Whether the bytes hold the word, in letters of any case. */
static bool holds(const char *text, size_t n, const char *word)
{
    size_t w = strlen(word);
    for (size_t i = 0; i + w <= n; i++)
        if (!strncasecmp(text + i, word, w))
            return true;
    return false;
}

static int check_text(int fd, uint64_t offset, uint64_t end, char *buf, struct err *err)
{
    if (offset >= end)
        return err_set(err, EINVAL, "the VMDK's descriptor is beyond its end");
    int64_t n = image_probe_read(fd, offset, buf, (size_t)MIN(end - offset, DESCRIPTOR_BYTES), err);
    if (n < 0)
        return (int)n;
    if (holds(buf, (size_t)n, "parentFileNameHint"))
        return err_set(err, EINVAL, "the VMDK names a parent: make it whole by qemu-img convert");
    return 0;
}

int image_probe_vmdk(int fd, uint64_t offset, uint64_t bytes, uint64_t *size_bytes, struct err *err)
{
    uint8_t head[HEADER_BYTES] = {0}, footer[HEADER_BYTES] = {0};
    uint64_t capacity, end = offset + bytes;
    CLEANUP_FREE char *buf = malloc(DESCRIPTOR_BYTES);
    if (!buf)
        return err_set(err, ENOMEM, "could not allocate a buffer");
    int64_t n = image_probe_read(fd, offset, head, HEADER_BYTES, err);
    if (n < 0)
        return (int)n;
    if (memcmp(head, MAGIC, 4) != 0)
        return err_set(
            err, ENOTSUP,
            "the image is a VMDK that names other files as its data: make it one file by "
            "qemu-img convert");
    if (bytes < HEADER_BYTES)
        return err_set(err, EINVAL, "the VMDK has only %llu bytes", (unsigned long long)bytes);
    int ret = check_header(head, &capacity, err);
    if (!ret && le64_read(head + DIRECTORY_AT) == DIRECTORY_AT_END) {
        uint64_t at = bytes < FOOTER_FROM_END ? bytes : bytes - FOOTER_FROM_END;
        n = image_probe_read(fd, offset + at, footer, HEADER_BYTES, err);
        if (n < 0)
            return (int)n;
        if (bytes % SECTOR || memcmp(footer, MAGIC, 4) != 0)
            return err_set(err, EINVAL, "the VMDK has no footer where it ends: it was cut off");
        ret = check_header(footer, &capacity, err);
    }
    if (!ret)
        ret = check_text(fd, offset, end, buf, err);
    uint64_t descriptor = le64_read(head + DESCRIPTOR_AT);
    if (!ret && descriptor)
        ret = descriptor > bytes / SECTOR
                  ? err_set(err, EINVAL, "the VMDK's descriptor is beyond its end")
                  : check_text(fd, offset + descriptor * SECTOR, end, buf, err);
    if (!ret)
        *size_bytes = capacity * SECTOR;
    return ret;
}
