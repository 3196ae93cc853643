#include "seed/seed_iso.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "seed/seed_wire.h"

#define MODE_DIRECTORY 040500u
/* User data may hold secrets: they are root's, also where somebody mounts the disk for all. */
#define MODE_FILE 0100400u

#define ER_ID "RRIP_1991A"
#define ER_DESCRIPTION                                                                             \
    "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
#define ER_SOURCE "IEEE P1282"
#define ER_BYTES  (8 + sizeof(ER_ID) - 1 + sizeof(ER_DESCRIPTION) - 1 + sizeof(ER_SOURCE) - 1)

struct entry {
    const struct seed_iso_file *file;
    char iso_name[SEED_ISO_NAME_MAX + 4]; /* "USER_DATA.;1" */
    uint32_t sector;
};

struct volume {
    struct entry entries[SEED_ISO_FILES_MAX];
    unsigned n;
    struct tm when;
    bool dated;
    uint32_t sectors;
    struct tree {
        bool joliet;
        uint32_t sector, bytes; /* of the root directory */
    } primary, joliet;
};

static void both16(uint8_t *p, uint16_t v)
{
    p[0] = p[3] = (uint8_t)v;
    p[1] = p[2] = (uint8_t)(v >> 8);
}

static void both32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = p[7 - i] = (uint8_t)(v >> 8 * i);
}

/* ---- names ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* In ISO 9660's letters (7.4.1): capitals, digits and '_'. */
static int name_entry(struct entry *e, const struct seed_iso_file *file, struct err *err)
{
    size_t n = strlen(file->name);
    bool good = n && n <= SEED_ISO_NAME_MAX && file->name[0] != '.';
    for (size_t i = 0; i < n && good; i++) {
        char c = file->name[i];
        good = is_letter(c) || is_digit(c) || strchr("._-", c);
        e->iso_name[i] = (char)(c >= 'a' && c <= 'z'          ? c - 'a' + 'A'
                                : is_letter(c) || is_digit(c) ? c
                                                              : '_');
    }
    if (!good)
        return err_set(err, EINVAL,
                       "\"%.40s\" cannot be a file's name on a seed disk: use 1 to %d letters, "
                       "digits, '.', '-' and '_', the first not a '.'",
                       file->name, SEED_ISO_NAME_MAX);
    memcpy(e->iso_name + n, ".;1", 4);
    e->file = file;
    return 0;
}

static int by_iso_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return strcmp(x->iso_name, y->iso_name);
}

static int by_joliet_name(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->file->name, (*y)->file->name);
}

static int read_files(struct volume *v, const struct seed_iso_file *files, unsigned n,
                      struct err *err)
{
    uint64_t bytes = 0;
    if (n > SEED_ISO_FILES_MAX)
        return err_set(err, E2BIG, "a seed disk holds at most %d files, not %u", SEED_ISO_FILES_MAX,
                       n);
    for (unsigned i = 0; i < n; i++) {
        int ret = name_entry(&v->entries[i], &files[i], err);
        if (ret)
            return ret;
        if (files[i].bytes > SEED_ISO_BYTES_MAX - bytes)
            return err_set(err, E2BIG, "the files of a seed disk have at most %u bytes together",
                           SEED_ISO_BYTES_MAX);
        bytes += files[i].bytes;
    }
    v->n = n;
    qsort(v->entries, n, sizeof(v->entries[0]), by_iso_name);
    for (unsigned i = 1; i < n; i++)
        if (!strcmp(v->entries[i - 1].iso_name, v->entries[i].iso_name))
            return err_set(err, EINVAL,
                           "%s and %s are the same name in the letters of ISO 9660: rename one",
                           v->entries[i - 1].file->name, v->entries[i].file->name);
    return 0;
}

/* ---- directories ---- */

struct record {
    uint32_t sector, bytes;
    bool directory;
    const void *name;
    size_t name_bytes;
};

/* The part that every record has; returns where Rock Ridge's fields may begin. */
static size_t put_record(const struct volume *v, uint8_t *p, const struct record *r)
{
    size_t n = 33 + r->name_bytes;
    both32(p + 2, r->sector);
    both32(p + 10, r->bytes);
    if (v->dated) {
        const int date[] = {v->when.tm_year, v->when.tm_mon + 1, v->when.tm_mday,
                            v->when.tm_hour, v->when.tm_min,     v->when.tm_sec};
        for (unsigned i = 0; i < ARRAY_LEN(date); i++)
            p[18 + i] = (uint8_t)date[i];
    }
    p[25] = r->directory ? SEED_WIRE_DIRECTORY : 0;
    both16(p + 28, 1);
    p[32] = (uint8_t)r->name_bytes;
    memcpy(p + 33, r->name, r->name_bytes);
    n = (n + 1) & ~(size_t)1;
    p[0] = (uint8_t)n;
    return n;
}

static uint8_t *put_field(uint8_t *p, const char *signature, size_t bytes)
{
    memcpy(p, signature, 2);
    p[2] = (uint8_t)bytes;
    p[3] = 1;
    return p + bytes;
}

static uint8_t *put_px(uint8_t *p, uint32_t mode, uint32_t links)
{
    uint8_t *next = put_field(p, "PX", 36);
    both32(p + 4, mode);
    both32(p + 12, links);
    both32(p + 20, 0);
    both32(p + 28, 0);
    return next;
}

/* "." says that Rock Ridge is here, and goes on in the continuation area. */
static uint8_t *put_self_fields(uint8_t *p)
{
    uint8_t *next = put_field(p, "SP", 7);
    p[4] = 0xbe;
    p[5] = 0xef;
    p = put_px(next, MODE_DIRECTORY, 2);
    next = put_field(p, "CE", 28);
    both32(p + 4, SEED_WIRE_AT_MORE);
    both32(p + 12, 0);
    both32(p + 20, ER_BYTES);
    return next;
}

static uint8_t *put_file_fields(uint8_t *p, const char *name)
{
    size_t n = strlen(name);
    p = put_px(p, MODE_FILE, 1);
    uint8_t *next = put_field(p, "NM", 5 + n);
    memcpy(p + 5, name, n);
    return next;
}

/* Adds a record, which may not lie in two sectors (6.8.1.1). out NULL: only counts. */
static void add_record(uint8_t *out, uint32_t *at, const uint8_t *record, size_t n)
{
    n = (n + 1) & ~(size_t)1;
    if (*at % SEED_WIRE_SECTOR + n > SEED_WIRE_SECTOR)
        *at = (uint32_t)align_up(*at, SEED_WIRE_SECTOR);
    if (out) {
        memcpy(out + *at, record, n);
        out[*at] = (uint8_t)n;
    }
    *at += (uint32_t)n;
}

/* "." and ".." of the root are both the root. */
static void put_dots(const struct volume *v, const struct tree *t, uint8_t *out, uint32_t *at)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t buf[SEED_WIRE_RECORD_MAX + 1] = {0}, name = (uint8_t)i;
        const struct record r = {t->sector, t->bytes, true, &name, 1};
        uint8_t *end = buf + put_record(v, buf, &r);
        if (!t->joliet)
            end = i ? put_px(end, MODE_DIRECTORY, 2) : put_self_fields(end);
        add_record(out, at, buf, (size_t)(end - buf));
    }
}

static uint32_t put_directory(const struct volume *v, const struct tree *t, uint8_t *out)
{
    const struct entry *order[SEED_ISO_FILES_MAX];
    uint32_t at = 0;
    put_dots(v, t, out, &at);
    for (unsigned i = 0; i < v->n; i++)
        order[i] = &v->entries[i];
    if (t->joliet && v->n)
        qsort(order, v->n, sizeof(order[0]), by_joliet_name);
    for (unsigned i = 0; i < v->n; i++) {
        const struct entry *e = order[i];
        uint8_t buf[SEED_WIRE_RECORD_MAX + 1] = {0}, wide[2 * SEED_ISO_NAME_MAX] = {0};
        size_t n = strlen(e->file->name);
        for (size_t c = 0; c < n; c++)
            wide[2 * c + 1] = (uint8_t)e->file->name[c];
        struct record r = {e->sector, (uint32_t)e->file->bytes, false, e->iso_name, n + 3};
        if (t->joliet) {
            r.name = wide;
            r.name_bytes = 2 * n;
        }
        uint8_t *end = buf + put_record(v, buf, &r);
        if (!t->joliet)
            end = put_file_fields(end, e->file->name);
        add_record(out, &at, buf, (size_t)(end - buf));
    }
    return (uint32_t)align_up(at, SEED_WIRE_SECTOR);
}

/* ---- descriptors ---- */

/* A field of text, padded with spaces, in one byte a character or (Joliet) two. */
static void put_text(const struct tree *t, uint8_t *p, size_t bytes, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < bytes; i++) {
        size_t c = t->joliet ? i / 2 : i;
        bool low = !t->joliet || i % 2;
        p[i] = (uint8_t)(!low ? 0 : c < n ? text[c] : ' ');
    }
}

static void put_dates(const struct volume *v, uint8_t *p)
{
    char made[64];
    const struct tm *w = &v->when;
    snprintf(made, sizeof(made), "%04d%02d%02d%02d%02d%02d00", w->tm_year + 1900, w->tm_mon + 1,
             w->tm_mday, w->tm_hour, w->tm_min, w->tm_sec);
    for (unsigned i = 0; i < 4; i++) {
        memset(p + 17 * i, '0', 16);
        if (v->dated && i < 2) /* made, changed */
            memcpy(p + 17 * i, made, 16);
    }
}

static void put_volume_descriptor(const struct volume *v, const struct tree *t, uint8_t *p)
{
    const uint8_t name = 0;
    const struct record root = {t->sector, t->bytes, true, &name, 1};
    uint32_t paths = SEED_WIRE_AT_PATHS + (t->joliet ? 2 : 0);
    p[0] = t->joliet ? 2 : 1;
    memcpy(p + 1, "CD001\1", 6);
    put_text(t, p + 8, 32, "");
    put_text(t, p + 40, 32, "CIDATA");
    both32(p + 80, v->sectors);
    if (t->joliet)
        memcpy(p + 88, "%/E", 3);
    both16(p + 120, 1);
    both16(p + 124, 1);
    both16(p + 128, SEED_WIRE_SECTOR);
    both32(p + 132, SEED_WIRE_PATH_BYTES);
    le32_write(p + 140, paths);
    p[148 + 3] = (uint8_t)(paths + 1);
    put_record(v, p + 156, &root);
    put_text(t, p + 190, 512, ""); /* set, publisher, preparer, application: 128 each */
    put_text(t, p + 702, 37, "");  /* copyright, abstract and bibliographic files */
    put_text(t, p + 739, 37, "");
    put_text(t, p + 776, 37, "");
    put_dates(v, p + 813);
    p[881] = 1;
}

/* A path table has one entry, the root (9.4). */
static void put_path_table(const struct tree *t, uint8_t *p)
{
    uint8_t *little = p, *big = p + SEED_WIRE_SECTOR;
    little[0] = big[0] = 1;
    le32_write(little + 2, t->sector);
    uint32_t swapped = htobe32(t->sector);
    memcpy(big + 2, &swapped, 4);
    little[6] = big[7] = 1; /* its parent is itself */
}

static void put_er(uint8_t *p)
{
    put_field(p, "ER", ER_BYTES);
    p[4] = sizeof(ER_ID) - 1;
    p[5] = sizeof(ER_DESCRIPTION) - 1;
    p[6] = sizeof(ER_SOURCE) - 1;
    p[7] = 1;
    memcpy(p + 8, ER_ID ER_DESCRIPTION ER_SOURCE, ER_BYTES - 8);
}

/* ---- the image ---- */

static void lay_out(struct volume *v)
{
    v->joliet.joliet = true;
    v->primary.bytes = put_directory(v, &v->primary, NULL);
    v->joliet.bytes = put_directory(v, &v->joliet, NULL);
    v->primary.sector = SEED_WIRE_AT_ROOT;
    v->joliet.sector = v->primary.sector + v->primary.bytes / SEED_WIRE_SECTOR;
    uint32_t at = v->joliet.sector + v->joliet.bytes / SEED_WIRE_SECTOR;
    for (unsigned i = 0; i < v->n; i++) {
        /* An empty file has a place too: some readers want one within the volume. */
        v->entries[i].sector = at;
        at += (uint32_t)(MAX(v->entries[i].file->bytes, (size_t)1) + SEED_WIRE_SECTOR - 1) /
              SEED_WIRE_SECTOR;
    }
    v->sectors = at;
}

static void fill(const struct volume *v, uint8_t *image)
{
    uint8_t *end = image + SEED_WIRE_AT_END * SEED_WIRE_SECTOR,
            *paths = image + SEED_WIRE_AT_PATHS * SEED_WIRE_SECTOR;
    put_volume_descriptor(v, &v->primary, image + SEED_WIRE_AT_PRIMARY * SEED_WIRE_SECTOR);
    put_volume_descriptor(v, &v->joliet, image + SEED_WIRE_AT_JOLIET * SEED_WIRE_SECTOR);
    memcpy(end,
           "\xff"
           "CD001\1",
           7);
    put_path_table(&v->primary, paths);
    put_path_table(&v->joliet, paths + 2 * SEED_WIRE_SECTOR);
    put_er(image + SEED_WIRE_AT_MORE * SEED_WIRE_SECTOR);
    put_directory(v, &v->primary, image + (size_t)v->primary.sector * SEED_WIRE_SECTOR);
    put_directory(v, &v->joliet, image + (size_t)v->joliet.sector * SEED_WIRE_SECTOR);
    for (unsigned i = 0; i < v->n; i++)
        if (v->entries[i].file->bytes)
            memcpy(image + (size_t)v->entries[i].sector * SEED_WIRE_SECTOR,
                   v->entries[i].file->data, v->entries[i].file->bytes);
}

int seed_iso_make(const struct seed_iso_file *files, unsigned n, int64_t time_s, uint8_t **image,
                  size_t *bytes, struct err *err)
{
    struct volume v = {.dated = time_s > 0};
    time_t t = (time_t)time_s;
    if (v.dated && (!gmtime_r(&t, &v.when) || v.when.tm_year > 255))
        return err_set(err, EINVAL, "the time %lld is too far away for a seed disk's dates",
                       (long long)time_s);
    int ret = read_files(&v, files, n, err);
    if (ret)
        return ret;
    lay_out(&v);
    uint8_t *made = calloc(v.sectors, SEED_WIRE_SECTOR);
    if (!made)
        return err_set(err, ENOMEM, "could not allocate a seed disk of %u sectors", v.sectors);
    fill(&v, made);
    *image = made;
    *bytes = (size_t)v.sectors * SEED_WIRE_SECTOR;
    return 0;
}
