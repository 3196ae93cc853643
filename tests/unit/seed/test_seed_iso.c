/* The image as a reader of ECMA-119 finds it; Linux, xorriso and isoinfo read it in
 * tests/func/test_seed.py. */
#include "seed/seed_iso.h"

#include <errno.h>
#include <stdbool.h>

#include "base/util.h"
#include "tap.h"

#define SECTOR 2048

static struct seed_iso_file file(const char *name, const char *text)
{
    return (struct seed_iso_file){name, text, strlen(text)};
}

static uint32_t both32(const uint8_t *p)
{
    uint32_t big = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7];
    CHECK_EQ(le32_read(p), big);
    return big;
}

/* The Rock Ridge name of a record, or "". */
static void rock_ridge_name(const uint8_t *record, char name[256])
{
    unsigned at = 33u + record[32];
    at += at & 1;
    name[0] = 0;
    while (at + 4 <= record[0]) {
        CHECK(record[at + 2] >= 4 && at + record[at + 2] <= record[0]);
        if (!memcmp(record + at, "NM", 2))
            sprintf(name, "%.*s", record[at + 2] - 5, (const char *)record + at + 5);
        at += record[at + 2];
    }
}

/* Walks the primary root directory: what a file holds; NULL: it is not there. */
static const uint8_t *find(const uint8_t *image, size_t bytes, const char *wanted, uint32_t *length,
                           unsigned *records)
{
    const uint8_t *root = image + 16 * SECTOR + 156, *found = NULL;
    uint32_t at = both32(root + 2) * SECTOR, end = at + both32(root + 10);
    char previous[64] = "";
    *records = 0;
    CHECK(range_within(at, end - at, bytes));
    while (at < end) {
        const uint8_t *r = image + at;
        char name[256];
        if (!r[0]) {
            at = (uint32_t)align_up(at + 1, SECTOR);
            continue;
        }
        CHECK(r[0] % 2 == 0 && at % SECTOR + r[0] <= SECTOR);
        rock_ridge_name(r, name);
        if ((*records)++ >= 2) {
            char iso[64];
            sprintf(iso, "%.*s", r[32], (const char *)r + 33);
            CHECK(strcmp(previous, iso) < 0); /* 9.3: in order */
            strcpy(previous, iso);
        }
        if (!strcmp(name, wanted)) {
            *length = both32(r + 10);
            found = image + (size_t)both32(r + 2) * SECTOR;
            CHECK(range_within((uint64_t)(found - image), *length, bytes));
        }
        at += r[0];
    }
    return found;
}

static void holds_its_files_under_their_names(void)
{
    const struct seed_iso_file files[] = {file("user-data", "#!/bin/sh\n"), file("meta-data", "x"),
                                          file("empty", ""), file("With.Dots_9", "dots")};
    uint8_t *image;
    size_t bytes;
    uint32_t n;
    unsigned records;
    REQUIRE(!seed_iso_make(files, ARRAY_LEN(files), 0, &image, &bytes, NULL));
    CHECK_EQ(bytes % SECTOR, 0);
    CHECK_EQ(both32(image + 16 * SECTOR + 80) * SECTOR, bytes);
    CHECK(!memcmp(image + 16 * SECTOR, "\1CD001\1", 7));
    CHECK(!memcmp(image + 16 * SECTOR + 40, "CIDATA  ", 8));
    CHECK(!memcmp(image + 17 * SECTOR, "\2CD001\1", 7));
    CHECK(!memcmp(image + 18 * SECTOR,
                  "\xff"
                  "CD001\1",
                  7));
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        const uint8_t *data = find(image, bytes, files[i].name, &n, &records);
        REQUIRE(data);
        CHECK_EQ(n, files[i].bytes);
        CHECK(!memcmp(data, files[i].data, n));
    }
    CHECK(!find(image, bytes, "vendor-data", &n, &records));
    CHECK_EQ(records, 2 + ARRAY_LEN(files));
    free(image);
}

static void a_directory_may_take_several_sectors(void)
{
    struct seed_iso_file files[SEED_ISO_FILES_MAX];
    char names[SEED_ISO_FILES_MAX][SEED_ISO_NAME_MAX + 1], text[SEED_ISO_FILES_MAX][5000];
    uint8_t *image;
    size_t bytes;
    uint32_t n;
    unsigned records;
    for (unsigned i = 0; i < SEED_ISO_FILES_MAX; i++) {
        memset(names[i], 'x', SEED_ISO_NAME_MAX);
        names[i][SEED_ISO_NAME_MAX] = 0;
        memset(text[i], (int)('a' + i), sizeof(text[i]));
        names[i][0] = (char)('a' + i % 26);
        names[i][1] = (char)('a' + i / 26);
        files[i] = (struct seed_iso_file){names[i], text[i], i * 150};
    }
    REQUIRE(!seed_iso_make(files, SEED_ISO_FILES_MAX, 0, &image, &bytes, NULL));
    for (unsigned i = 0; i < SEED_ISO_FILES_MAX; i++) {
        const uint8_t *data = find(image, bytes, names[i], &n, &records);
        CHECK(data && n == i * 150 && !memcmp(data, text[i], n));
    }
    CHECK_EQ(records, 2 + SEED_ISO_FILES_MAX);
    free(image);
}

static void depends_on_nothing_but_its_input(void)
{
    const struct seed_iso_file files[] = {file("b", "2"), file("a", "1")},
                               turned[] = {files[1], files[0]};
    uint8_t *x, *y, *z;
    size_t xn, yn, zn;
    REQUIRE(!seed_iso_make(files, 2, 0, &x, &xn, NULL));
    REQUIRE(!seed_iso_make(turned, 2, 0, &y, &yn, NULL));
    REQUIRE(!seed_iso_make(files, 2, 1000000000, &z, &zn, NULL));
    CHECK(xn == yn && !memcmp(x, y, xn));
    CHECK(xn == zn && memcmp(x, z, xn) != 0);
    CHECK(!memcmp(x + 16 * SECTOR + 813, "0000000000000000", 17));
    CHECK(!memcmp(z + 16 * SECTOR + 813, "2001090901464000", 17)); /* 2001-09-09 01:46:40 */
    free(x);
    free(y);
    free(z);
}

static void names_that_cannot_be_are_refused(void)
{
    static const char *const bad[] = {
        "", ".", "..", ".hidden", "a/b", "a b", "a;1", "\xc3\xa9", "a-name-of-twenty-nine-chars-x"};
    struct err err = {0};
    uint8_t *image = NULL;
    size_t bytes;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        const struct seed_iso_file f = file(bad[i], "");
        CHECK_EQ(seed_iso_make(&f, 1, 0, &image, &bytes, &err), -EINVAL);
    }
    const struct seed_iso_file alike[] = {file("user-data", ""), file("USER_DATA", "")};
    CHECK_EQ(seed_iso_make(alike, 2, 0, &image, &bytes, &err), -EINVAL);
    CHECK(strstr(err.msg, "user-data"));
    const struct seed_iso_file big = {"big", "", SEED_ISO_BYTES_MAX + 1ul};
    CHECK_EQ(seed_iso_make(&big, 1, 0, &image, &bytes, &err), -E2BIG);
    CHECK_EQ(seed_iso_make(&big, SEED_ISO_FILES_MAX + 1, 0, &image, &bytes, &err), -E2BIG);
    CHECK_EQ(seed_iso_make(alike, 1, INT64_MAX / 2, &image, &bytes, &err), -EINVAL);
    CHECK(!image);
}

int main(void)
{
    TAP_RUN(holds_its_files_under_their_names);
    TAP_RUN(a_directory_may_take_several_sectors);
    TAP_RUN(depends_on_nothing_but_its_input);
    TAP_RUN(names_that_cannot_be_are_refused);
    return tap_done();
}
