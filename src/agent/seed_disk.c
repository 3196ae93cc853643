/* Layout, in sectors of 2048 bytes: 16 primary volume descriptor, 17 terminator, 18 path table
 * (little-endian), 19 path table (big-endian), 20 root directory, 21... the files. */
#include "agent/seed_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SECTOR     2048u
#define DESCRIPTOR 16u
#define PATHS_LE   18u
#define PATHS_BE   19u
#define ROOT       20u
#define FILES      21u
#define PATHS      10u /* bytes of a path table that holds the root alone */
#define NAME_MAX_  32u

static void be16_write(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void be32_write(uint8_t *p, uint32_t v)
{
    be16_write(p, v >> 16);
    be16_write(p + 2, v & 0xffff);
}

/* ECMA-119, 7.2.3 and 7.3.3: both byte orders, one after the other. */
static void both16_write(uint8_t *p, uint16_t v)
{
    le16_write(p, v);
    be16_write(p + 2, v);
}

static void both32_write(uint8_t *p, uint32_t v)
{
    le32_write(p, v);
    be32_write(p + 4, v);
}

static uint32_t sectors(size_t bytes)
{
    return (uint32_t)((bytes + SECTOR - 1) / SECTOR);
}

/* A directory record without what RRIP adds (ECMA-119, 9.1). Returns its length, which is even. */
static unsigned record(uint8_t *p, uint32_t sector, uint32_t bytes, bool is_directory,
                       const char *id, unsigned id_bytes)
{
    static const uint8_t DATE[7] = {120, 1, 1, 0, 0, 0, 0}; /* the same content, the same disk */
    unsigned length = (unsigned)align_up(33 + id_bytes, 2);
    both32_write(p + 2, sector);
    both32_write(p + 10, bytes);
    memcpy(p + 18, DATE, sizeof(DATE));
    p[25] = is_directory ? 2 : 0;
    both16_write(p + 28, 1);
    p[32] = (uint8_t)id_bytes;
    memcpy(p + 33, id, id_bytes);
    return length;
}

/* A system use entry (SUSP, 4.1): signature, length, version 1, then what the caller fills in. */
static uint8_t *entry(uint8_t *at, unsigned *used, const char *signature, unsigned bytes)
{
    uint8_t *p = at + *used;
    memcpy(p, signature, 2);
    p[2] = (uint8_t)bytes;
    p[3] = 1;
    *used += bytes;
    return p + 4;
}

static unsigned add_mode(uint8_t *at, unsigned used, uint32_t mode, uint32_t links)
{
    uint8_t *px = entry(at, &used, "PX", 36); /* RRIP, 4.1.1 */
    both32_write(px, mode);
    both32_write(px + 8, links);
    return used;
}

/* The root's two own records; the first says that names follow by Rock Ridge. */
static unsigned root_records(uint8_t *p)
{
    static const char RRIP[] = "RRIP_1991A";
    unsigned first = record(p, ROOT, SECTOR, true, "\0", 1), used = 0;
    uint8_t *sp = entry(p + first, &used, "SP", 7); /* SUSP, 5.3 */
    sp[0] = 0xbe;
    sp[1] = 0xef;
    used = add_mode(p + first, used, 040555, 2);
    uint8_t *er = entry(p + first, &used, "ER", 8 + sizeof(RRIP) - 1); /* SUSP, 5.5 */
    er[0] = sizeof(RRIP) - 1;
    er[3] = 1;
    memcpy(er + 4, RRIP, sizeof(RRIP) - 1);
    p[0] = (uint8_t)align_up(first + used, 2);
    uint8_t *up = p + p[0];
    unsigned second = record(up, ROOT, SECTOR, true, "\1", 1);
    up[0] = (uint8_t)align_up(add_mode(up + second, 0, 040555, 2) + second, 2);
    return (unsigned)p[0] + up[0];
}

static unsigned file_record(uint8_t *p, unsigned i, const struct seed_disk_file *f, uint32_t sector)
{
    char id[16];
    unsigned name_bytes = (unsigned)strlen(f->name), used = 0;
    /* What those see who know no Rock Ridge; sorted as the names are given. */
    snprintf(id, sizeof(id), "SEED%02u.;1", i % 100);
    unsigned base = record(p, sector, (uint32_t)strlen(f->text), false, id, (unsigned)strlen(id));
    uint8_t *nm = entry(p + base, &used, "NM", 5 + name_bytes); /* RRIP, 4.1.4 */
    memcpy(nm + 1, f->name, name_bytes);
    used = add_mode(p + base, used, 0100444, 1);
    p[0] = (uint8_t)align_up(base + used, 2);
    return p[0];
}

/* ECMA-119, 8.4. */
static void primary_descriptor(uint8_t *p, uint32_t total_sectors)
{
    memset(p + 8, ' ', 32 + 32);
    p[0] = 1;
    memcpy(p + 1, "CD001\1", 6);
    memcpy(p + 40, "cidata", 6);
    both32_write(p + 80, total_sectors);
    both16_write(p + 120, 1);
    both16_write(p + 124, 1);
    both16_write(p + 128, SECTOR);
    both32_write(p + 132, PATHS);
    le32_write(p + 140, PATHS_LE);
    be32_write(p + 148, PATHS_BE);
    p[156] = (uint8_t)record(p + 156, ROOT, SECTOR, true, "\0", 1);
    memset(p + 190, ' ', 623); /* who made it, and with what */
    for (unsigned i = 0; i < 4; i++)
        memset(p + 813 + 17 * (size_t)i, '0', 16); /* dates: not given */
    p[881] = 1;
}

static void path_table(uint8_t *p, bool big_endian)
{
    p[0] = 1;
    if (big_endian) {
        be32_write(p + 2, ROOT);
        be16_write(p + 6, 1);
    } else {
        le32_write(p + 2, ROOT);
        le16_write(p + 6, 1);
    }
}

static bool is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");
    return n && n <= NAME_MAX_ && !name[n];
}

uint8_t *seed_disk_make(const struct seed_disk_file *files, unsigned n, size_t *bytes,
                        struct err *err)
{
    uint32_t total = FILES, at = FILES;
    if (n > SEED_DISK_FILES_MAX) {
        err_set(err, EINVAL, "a seed disk has at most %d files, not %u", SEED_DISK_FILES_MAX, n);
        return NULL;
    }
    for (unsigned i = 0; i < n; i++) {
        if (!is_name(files[i].name)) {
            err_set(err, EINVAL, "%.40s is no name for a file of a seed disk", files[i].name);
            return NULL;
        }
        total += sectors(strlen(files[i].text));
    }
    uint8_t *disk = calloc(total, SECTOR);
    if (!disk) {
        err_set(err, ENOMEM, "could not allocate a seed disk of %u sectors", total);
        return NULL;
    }
    primary_descriptor(disk + (size_t)DESCRIPTOR * SECTOR, total);
    disk[(DESCRIPTOR + 1) * SECTOR] = 255; /* ECMA-119, 8.3: the end of the descriptors */
    memcpy(disk + (DESCRIPTOR + 1) * SECTOR + 1, "CD001\1", 6);
    path_table(disk + (size_t)PATHS_LE * SECTOR, false);
    path_table(disk + (size_t)PATHS_BE * SECTOR, true);
    uint8_t *p = disk + (size_t)ROOT * SECTOR;
    p += root_records(p);
    for (unsigned i = 0; i < n; i++) {
        p += file_record(p, i, &files[i], at);
        memcpy(disk + (size_t)at * SECTOR, files[i].text, strlen(files[i].text));
        at += sectors(strlen(files[i].text));
    }
    *bytes = (size_t)total * SECTOR;
    return disk;
}
