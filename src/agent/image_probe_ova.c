/* OVA: a tar archive of an OVF document (XML), its disk, and files that are not needed. One disk, a
 * VMDK, that the document names; a document that names what is not in the archive is refused.
 *
 * ustar header, a block of 512 bytes, then the data padded to blocks
 *   OFFSET SIZE MEANING
 *   0      100  name
 *   124    12   size, octal; with the first bit set: big-endian binary
 *   148    8    checksum: the sum of the header's bytes with this field as spaces, octal
 *   156    1    type: '0' or NUL: a file
 *   257    5    "ustar"
 *   345    155  prefix of the name */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/image_probe_internal.h"
#include "base/util.h"

#define BLOCK       512u
#define MEMBERS_MAX 64u
#define NAME_BYTES  101
#define OVF_MAX     (4 * MIB)

struct member {
    char name[NAME_BYTES];
    uint64_t offset, bytes;
    bool file;
};

/* What is needed of the archive. */
struct archive {
    struct member disk, document;
    unsigned disks;
};

/* An octal number, or a binary one; UINT64_MAX: neither. */
static uint64_t read_number(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    unsigned i = 0;
    if (p[0] & 0x80) {
        for (i = 1; i < n; i++) {
            if (v >> 55)
                return UINT64_MAX;
            v = v << 8 | p[i];
        }
        return p[0] == 0x80 ? v : UINT64_MAX;
    }
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
        v = v << 3 | (p[i] - '0');
    return i < n && p[i] != ' ' && p[i] != 0 ? UINT64_MAX : v;
}

static bool checksum_is_right(const uint8_t *h)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : h[i];
    return sum == read_number(h + 148, 8);
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* 1: a member; 0: the archive's end. */
static int read_member(int fd, uint64_t at, uint64_t end, struct member *m, struct err *err)
{
    uint8_t h[BLOCK];
    int64_t n = image_probe_read(fd, at, h, sizeof(h), err);
    if (n < 0)
        return (int)n;
    if (n < (int64_t)sizeof(h) || is_zero(h, sizeof(h)))
        return 0;
    if (!checksum_is_right(h))
        return err_set(err, EINVAL, "the OVA is damaged: a wrong checksum at byte %llu",
                       (unsigned long long)at);
    *m = (struct member){.offset = at + BLOCK, .bytes = read_number(h + 124, 12)};
    memcpy(m->name, h, NAME_BYTES - 1);
    m->file = h[156] == '0' || h[156] == 0;
    if (m->bytes == UINT64_MAX || !range_within(m->offset, m->bytes, end))
        return err_set(err, EINVAL, "the OVA is cut off: a member at byte %llu goes beyond its end",
                       (unsigned long long)at);
    return 1;
}

static bool ends_in(const char *name, const char *ending)
{
    size_t n = strlen(name), e = strlen(ending);
    return n > e && !strcasecmp(name + n - e, ending);
}

static int read_archive(int fd, uint64_t bytes, struct archive *a, struct err *err)
{
    struct member m;
    uint64_t at = 0;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        int ret = read_member(fd, at, bytes, &m, err);
        if (ret <= 0)
            return ret;
        if (m.file && ends_in(m.name, ".vmdk")) {
            a->disk = m;
            a->disks++;
        } else if (m.file && ends_in(m.name, ".ovf") && !a->document.bytes)
            a->document = m;
        at = m.offset + align_up(m.bytes, BLOCK);
    }
    return err_set(err, EINVAL, "the OVA has more than %u members", MEMBERS_MAX);
}

/* Looks at each href="..." of the document: the disk's must be there, none may lead elsewhere. */
static int check_references(const char *text, const char *disk, struct err *err)
{
    bool found = false;
    for (const char *p = text; (p = strstr(p, "href"));) {
        p += 4;
        p += strspn(p, " \t\r\n");
        if (*p++ != '=')
            continue;
        p += strspn(p, " \t\r\n");
        char quote = *p;
        const char *end = quote == '"' || quote == '\'' ? strchr(p + 1, quote) : NULL;
        if (!end)
            return err_set(err, EINVAL, "the OVA's document has a reference without an end");
        size_t n = (size_t)(end - ++p);
        if (memchr(p, '/', n) || memchr(p, '\\', n))
            return err_set(err, EINVAL, "the OVA refers to \"%.*s\", which is not in the archive",
                           (int)MIN(n, (size_t)100), p);
        found |= n == strlen(disk) && !memcmp(p, disk, n);
        p = end + 1;
    }
    return found
               ? 0
               : err_set(err, EINVAL, "the OVA's document does not name its disk \"%.100s\"", disk);
}

static int check_document(int fd, const struct archive *a, struct err *err)
{
    if (a->document.bytes > OVF_MAX)
        return err_set(err, E2BIG, "the OVA's document has more than %u bytes", (unsigned)OVF_MAX);
    CLEANUP_FREE char *text = calloc(1, (size_t)a->document.bytes + 1);
    if (!text)
        return err_set(err, ENOMEM, "could not allocate a buffer");
    int64_t n = image_probe_read(fd, a->document.offset, text, (size_t)a->document.bytes, err);
    if (n < 0)
        return (int)n;
    if (strlen(text) != a->document.bytes)
        return err_set(err, EINVAL, "the OVA's document is not text");
    return check_references(text, a->disk.name, err);
}

int image_probe_ova(int fd, uint64_t bytes, struct image_probe *probe, struct err *err)
{
    struct archive a = {0};
    int ret = read_archive(fd, bytes, &a, err);
    if (ret)
        return ret;
    if (!a.document.bytes)
        return err_set(err, EINVAL, "the archive is no OVA: it has no .ovf document");
    if (a.disks != 1)
        return err_set(err, ENOTSUP, "the OVA has %u disks in VMDK form, only one can be imported",
                       a.disks);
    ret = check_document(fd, &a, err);
    if (ret)
        return ret;
    ret = image_probe_vmdk(fd, a.disk.offset, a.disk.bytes, &probe->size_bytes, err);
    if (ret)
        return ret;
    probe->disk_offset = a.disk.offset;
    probe->disk_bytes = a.disk.bytes;
    return 0;
}
