#include "agent/image_probe.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/image_probe_internal.h"
#include "base/util.h"
#include "blk/qcow2.h"
#include "blk/qcow2_wire.h"

#define QCOW2_CRYPT_AT 32
#define VDI_SIZE_AT    0x170

/* In this order: a text VMDK may begin as anything that is text. */
static const struct magic {
    enum image_probe_format format;
    unsigned offset, bytes;
    const char *text;
} MAGICS[] = {
    {IMAGE_PROBE_QCOW2, 0, 4, "QFI\xfb"},
    {IMAGE_PROBE_VMDK, 0, 4, "KDMV"},
    {IMAGE_PROBE_VMDK, 0, 4, "COWD"},
    {IMAGE_PROBE_VMDK, 0, 21, "# Disk DescriptorFile"},
    {IMAGE_PROBE_VHDX, 0, 8, "vhdxfile"},
    {IMAGE_PROBE_VDI, 0x40, 4, "\x7f\x10\xda\xbe"},
    {IMAGE_PROBE_OVA, 257, 5, "ustar"},
    {IMAGE_PROBE_GZIP, 0, 3, "\x1f\x8b\x08"},
    {IMAGE_PROBE_ZSTD, 0, 4, "\x28\xb5\x2f\xfd"},
    {IMAGE_PROBE_XZ, 0, 6,
     "\xfd"
     "7zXZ\0"},
};

const char *image_probe_name(enum image_probe_format format)
{
    static const char *const names[IMAGE_PROBE_N] = {"raw", "qcow2", "vmdk", "ova", "vhdx",
                                                     "vdi", "gzip",  "zstd", "xz"};
    return (unsigned)format < IMAGE_PROBE_N ? names[format] : "?";
}

int64_t image_probe_read(int fd, uint64_t offset, void *buf, size_t bytes, struct err *err)
{
    size_t n = 0;
    if (offset > INT64_MAX - bytes)
        return err_set(err, EINVAL, "the image names an offset beyond any file's end");
    while (n < bytes) {
        ssize_t got = pread(fd, (char *)buf + n, bytes - n, (off_t)(offset + n));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, errno, "could not read the image");
        if (!got)
            break;
        n += (size_t)got;
    }
    return (int64_t)n;
}

static enum image_probe_format recognize(const uint8_t *head, size_t n)
{
    for (unsigned i = 0; i < ARRAY_LEN(MAGICS); i++) {
        const struct magic *m = &MAGICS[i];
        if (m->offset + m->bytes <= n && !memcmp(head + m->offset, m->text, m->bytes))
            return m->format;
    }
    return IMAGE_PROBE_RAW;
}

static int check_qcow2(const uint8_t *head, size_t n, uint64_t *size_bytes, struct err *err)
{
    struct qcow2_backing backing;
    int ret = qcow2_read_backing(head, n, "the image", &backing, err);
    if (ret)
        return ret;
    if (backing.name[0])
        return err_set(err, EINVAL,
                       "the image names a backing file, \"%.100s\": make it whole by qemu-img "
                       "convert",
                       backing.name);
    if (qcow2_be32(head + QCOW2_CRYPT_AT))
        return err_set(err, ENOTSUP, "the image is encrypted: decrypt it by qemu-img convert");
    *size_bytes = qcow2_be64(head + 24);
    return 0;
}

static int look(int fd, uint64_t bytes, uint8_t *head, struct image_probe *p, struct err *err)
{
    int64_t n = image_probe_read(fd, 0, head, QCOW2_PROBE_BYTES, err);
    if (n < 0)
        return (int)n;
    if (!n)
        return err_set(err, EINVAL, "the image is empty");
    p->format = recognize(head, (size_t)n);
    switch (p->format) {
    case IMAGE_PROBE_RAW:
        p->size_bytes = bytes;
        return 0;
    case IMAGE_PROBE_QCOW2:
        return check_qcow2(head, (size_t)n, &p->size_bytes, err);
    case IMAGE_PROBE_VMDK:
        return image_probe_vmdk(fd, 0, bytes, &p->size_bytes, err);
    case IMAGE_PROBE_OVA:
        return image_probe_ova(fd, bytes, p, err);
    case IMAGE_PROBE_VDI:
        p->size_bytes = n >= VDI_SIZE_AT + 8 ? le64_read(head + VDI_SIZE_AT) : 0;
        return 0;
    default:
        return 0;
    }
}

int image_probe_file(int fd, struct image_probe *probe, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(err, errno, "could not look at the image");
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "the image is not a file");
    CLEANUP_FREE uint8_t *head = malloc(QCOW2_PROBE_BYTES);
    if (!head)
        return err_set(err, ENOMEM, "could not allocate a buffer");
    struct image_probe p = {.disk_bytes = (uint64_t)st.st_size};
    int ret = look(fd, (uint64_t)st.st_size, head, &p, err);
    if (!ret)
        *probe = p;
    return ret;
}
