/* Disks for the tests of what looks for kernels: memory behind a disk_reader, file systems made by
 * mke2fs from a tree, partition tables made by hand. */
#ifndef TESTS_UNIT_BOOT_DISK_IMAGES_H
#define TESTS_UNIT_BOOT_DISK_IMAGES_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/disk_reader.h"

struct disk_image {
    uint8_t *data;
    uint64_t bytes;
};

static inline int disk_image_read(void *ctx, uint64_t offset, void *buf, size_t bytes)
{
    const struct disk_image *d = ctx;
    if (!range_within(offset, bytes, d->bytes))
        abort(); /* the parsers promise to stay within */
    memcpy(buf, d->data + offset, bytes);
    return 0;
}

static inline struct disk_reader disk_image_reader(struct disk_image *d)
{
    return (struct disk_reader){.read = disk_image_read, .ctx = d, .size_bytes = d->bytes};
}

static inline void disk_image_init(struct disk_image *d, uint64_t bytes)
{
    d->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    d->bytes = bytes;
    if (d->data == MAP_FAILED)
        abort();
}

static inline void disk_image_fini(struct disk_image *d)
{
    munmap(d->data, d->bytes);
}

/* A temporary directory, removed with all that is in it. */
struct scratch {
    char path[64];
};

static inline void scratch_init(struct scratch *s)
{
    snprintf(s->path, sizeof(s->path), "/tmp/virga-boot-XXXXXX");
    if (!mkdtemp(s->path))
        abort();
}

__attribute__((format(printf, 1, 2))) static inline int shell(const char *fmt, ...)
{
    char command[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    return system(command);
}

static inline void scratch_fini(struct scratch *s)
{
    shell("rm -rf %s", s->path);
}

static inline bool have_mke2fs(void)
{
    return shell("PATH=$PATH:/usr/sbin:/sbin; mke2fs -V >/dev/null 2>&1") == 0;
}

/* Writes a file below the scratch directory, with the directories above it. */
static inline void scratch_file(const struct scratch *s, const char *path, const void *data,
                                size_t bytes)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/tree%s", s->path, path);
    for (char *p = full + strlen(s->path) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(full, 0700);
    }
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
        abort();
    close(fd);
}

static inline void scratch_text(const struct scratch *s, const char *path, const char *text)
{
    scratch_file(s, path, text, strlen(text));
}

/* Makes a file system of the scratch's tree and copies it to `offset` of a disk of memory, which is
 * made if it has no data yet. */
static inline bool make_file_system(const struct scratch *s, const char *options, uint64_t fs_bytes,
                                    uint64_t offset, struct disk_image *d)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/image", s->path);
    if (shell("PATH=$PATH:/usr/sbin:/sbin; rm -f %s; mke2fs -q -F -d %s/tree %s %s %lluk "
              ">%s/log 2>&1 || { sed 's/^/# /' %s/log; false; }",
              path, s->path, options, path, (unsigned long long)fs_bytes / 1024, s->path, s->path))
        return false;
    int fd = open(path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        abort();
    if (!d->data && !offset) { /* pages of the file, copied where a test writes */
        d->bytes = (uint64_t)st.st_size;
        d->data = mmap(NULL, d->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        close(fd);
        return d->data != MAP_FAILED;
    }
    if (!d->data)
        disk_image_init(d, offset + (uint64_t)st.st_size);
    uint64_t done = 0;
    while (done < (uint64_t)st.st_size) {
        ssize_t n = pread(fd, d->data + offset + done, (uint64_t)st.st_size - done, (off_t)done);
        if (n <= 0)
            abort();
        done += (uint64_t)n;
    }
    close(fd);
    return true;
}

/* ---- tables ---- */

static inline uint32_t plain_crc32(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;
    while (n--) {
        crc ^= *p++;
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static inline void put_mbr_entry(uint8_t *sector, unsigned i, uint8_t type, uint32_t first,
                                 uint32_t n)
{
    uint8_t *e = sector + 446 + 16 * i;
    memset(e, 0, 16);
    e[4] = type;
    le32_write(e + 8, first);
    le32_write(e + 12, n);
    sector[510] = 0x55;
    sector[511] = 0xaa;
}

static inline void put_gpt_header(struct disk_image *d, uint64_t sector, uint64_t lba,
                                  uint64_t entries_lba)
{
    uint8_t *h = d->data + lba * sector;
    uint64_t last = d->bytes / sector - 1;
    memset(h, 0, sector);
    memcpy(h, "EFI PART", 8);
    le32_write(h + 8, 0x10000);
    le32_write(h + 12, 92);
    le64_write(h + 24, lba);
    le64_write(h + 32, last - lba + 1);
    le64_write(h + 72, entries_lba);
    le32_write(h + 80, 128);
    le32_write(h + 84, 128);
    le32_write(h + 88, plain_crc32(d->data + entries_lba * sector, 128 * 128));
    le32_write(h + 16, plain_crc32(h, 92));
}

/* A whole GPT; ranges in sectors, both ends within; {0, 0} leaves an entry empty. */
static inline void put_gpt(struct disk_image *d, uint64_t sector, const uint64_t (*ranges)[2],
                           unsigned n)
{
    uint64_t last = d->bytes / sector - 1, copy = last - 128 * 128 / sector;
    uint8_t *entries = d->data + 2 * sector;
    put_mbr_entry(d->data, 0, 0xee, 1, UINT32_MAX);
    memset(entries, 0, (size_t)128 * 128);
    for (unsigned i = 0; i < n; i++) {
        if (!ranges[i][0])
            continue;
        memset(entries + 128 * i, 0x11, 32);
        le64_write(entries + 128 * i + 32, ranges[i][0]);
        le64_write(entries + 128 * i + 40, ranges[i][1]);
    }
    memcpy(d->data + copy * sector, entries, (size_t)128 * 128);
    put_gpt_header(d, sector, 1, 2);
    put_gpt_header(d, sector, last, copy);
}

#endif
