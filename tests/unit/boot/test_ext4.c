/* boot/ext4.h: every file of a tree reads back as it is, from file systems of each kind that mke2fs
 * makes of it; damaged ones give errors. */
#include "boot/ext4.h"

#include <dirent.h>

#include "disk_images.h"
#include "tap.h"

#define FS_BYTES     (48 * MIB)
#define BIG_FS_BYTES (112 * MIB) /* where a byte takes 64 KiB */
#define MANY_FILES   600
#define HOLES        400
#define HOLE_STEP    12288
#define FAR_OFFSET   (70 * MIB)
#define FILE_MAX     (16 * MIB)
#define DAMAGE_TRIES 100

static const size_t sizes[] = {0,     1,     59,     60,     61,     100,     155,
                               160,   161,   200,    1023,   1024,   1025,    2048,
                               4095,  4096,  4097,   12287,  12288,  12289,   65535,
                               65536, 65537, 274431, 274432, 274433, 1000000, 4243456};

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)((i * 2654435761u >> 13) + i / 251 + seed);
}

static void link_to(const struct scratch *s, const char *target, const char *path)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/tree%s", s->path, path);
    if (symlink(target, full))
        abort();
}

/* Sizes around every boundary, holes, many extents, a large directory, links of all lengths. */
static void make_tree(const struct scratch *s)
{
    uint8_t *data = malloc(FILE_MAX);
    char path[300];
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        fill(data, sizes[i], i);
        snprintf(path, sizeof(path), "/sizes/of-%zu", sizes[i]);
        scratch_file(s, path, data, sizes[i]);
    }
    for (unsigned i = 0; i < MANY_FILES; i++) {
        snprintf(path, sizeof(path), "/many/a-name-that-makes-the-directory-large-%u", i);
        scratch_file(s, path, path, i % 70);
    }
    scratch_text(s, "/few/one", "1");
    snprintf(path, sizeof(path), "%s/tree/holes", s->path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (unsigned i = 0; i < HOLES; i++)
        if (pwrite(fd, data, 4096, (off_t)i * HOLE_STEP + 8192) != 4096)
            abort();
    /* Not a hole at the end: mke2fs 1.47.0 cuts that off where there is inline data. */
    if (pwrite(fd, data, 5000, HOLES * HOLE_STEP) != 5000)
        abort();
    close(fd);
    snprintf(path, sizeof(path), "%s/tree/far", s->path); /* beyond two levels of indirect blocks */
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (pwrite(fd, "far away", 8, FAR_OFFSET) != 8)
        abort();
    close(fd);
    free(data);
    link_to(s, "sizes/of-4097", "/relative");
    link_to(s, "/sizes/of-4097", "/absolute");
    link_to(s, "../relative", "/few/up");
    link_to(s, "loop-b", "/loop-a");
    link_to(s, "loop-a", "/loop-b");
    link_to(s, "../../../../sizes/./of-61", "/few/above-the-root");
    char target[256] = "";
    for (unsigned n = 0; n + 14 < 250; n += 2)
        memcpy(target + n, "./", 3);
    strcat(target, "sizes/of-4097");
    for (size_t skip = 180; skip < 196; skip += 2)
        link_to(s, target + skip,
                (snprintf(path, sizeof(path), "/link-%zu", strlen(target + skip)), path));
    link_to(s, target, "/link-long");
}

struct count {
    unsigned n;
};

static int count_name(void *arg, const char *name)
{
    (void)name;
    ((struct count *)arg)->n++;
    return 0;
}

static bool same_content(struct ext4 *fs, const char *tree, const char *path, struct err *err)
{
    char full[600];
    struct ext4_file f;
    static uint8_t have[FILE_MAX], want[FILE_MAX];
    snprintf(full, sizeof(full), "%s%s", tree, path);
    FILE *in = fopen(full, "rb");
    size_t n = in ? fread(want, 1, sizeof(want), in) : 0;
    if (in)
        fclose(in);
    if (ext4_lookup(fs, path, &f, err) || f.size_bytes != n)
        return false;
    memset(have, 0xee, n);
    if (ext4_read(fs, &f, 0, have, n, err) || memcmp(have, want, n) != 0)
        return false;
    for (unsigned i = 0; i < 5 && n; i++) { /* pieces, too */
        size_t at = (size_t)random() % n, len = (size_t)random() % (n - at + 1);
        memset(have, 0xee, len);
        if (ext4_read(fs, &f, at, have, len, err) || memcmp(have, want + at, len) != 0)
            return false;
    }
    return ext4_read(fs, &f, n, have, 1, NULL) == -EINVAL;
}

/* Returns how many entries of the directory are right, links followed; prints those that are not.
 */
static unsigned compare_dir(struct ext4 *fs, const char *tree, const char *dir, unsigned *n)
{
    char full[600];
    unsigned right = 0;
    snprintf(full, sizeof(full), "%s%s", tree, dir);
    DIR *d = opendir(full);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[600];
        struct err err = {0};
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        snprintf(full, sizeof(full), "%s%.500s", tree, path);
        if (e->d_name[0] == '.' || strncmp(path, "/absolute", 9) == 0 ||
            strcmp(path, "/far") == 0 || strcmp(e->d_name, "above-the-root") == 0 ||
            stat(full, &st) || !S_ISREG(st.st_mode))
            continue;
        ++*n;
        if (same_content(fs, tree, path, &err))
            right++;
        else
            printf("# %s differs: %s\n", path, err.msg);
    }
    if (d)
        closedir(d);
    return right;
}

static const char *const kinds[] = {
    "-t ext2 -b 1024",
    "-t ext2 -b 4096 -r 0",
    "-t ext2 -b 2048 -O ^filetype,^dir_index",
    "-t ext3 -b 1024",
    "-t ext3 -b 4096 -O dir_index",
    "-t ext4 -b 1024",
    "-t ext4 -b 2048 -g 1024",
    "-t ext4 -b 4096",
    "-t ext4 -b 4096 -I 128 -O ^64bit,^metadata_csum,uninit_bg",
    "-t ext4 -b 4096 -O 64bit,metadata_csum,^flex_bg",
    "-t ext4 -b 1024 -O metadata_csum_seed,inline_data -I 256",
    "-t ext4 -b 4096 -O inline_data -I 1024",
    "-t ext4 -b 4096 -O ^extents,^64bit,metadata_csum",
    "-t ext4 -b 1024 -O meta_bg,^resize_inode -g 1024",
    "-t ext4 -b 4096 -O meta_bg,^resize_inode,64bit -g 512",
    "-t ext4 -b 4096 -O sparse_super2,^sparse_super,meta_bg,^resize_inode -g 512",
    "-t ext4 -b 4096 -O bigalloc -C 16384",
    "-t ext4 -b 1024 -O bigalloc,^resize_inode,meta_bg -C 4096",
    "-t ext4 -b 65536 -N 2000",
    "-t ext4 -b 65536 -N 2000 -O inline_data",
};

static struct scratch scratch;

static void check_kind(const char *kind)
{
    struct disk_image d = {0};
    struct err err = {0};
    struct ext4 *fs = NULL;
    struct ext4_file f, g;
    char tree[80];
    unsigned n = 0, right = 0;
    struct count many = {0};
    printf("# %s\n", kind);
    REQUIRE(
        make_file_system(&scratch, kind, strstr(kind, "65536") ? BIG_FS_BYTES : FS_BYTES, 0, &d));
    struct disk_reader r = disk_image_reader(&d);
    CHECK(ext4_probe(&r));
    if (ext4_open(&r, &fs, &err)) {
        printf("# %s\n", err.msg);
        CHECK(!"opens");
        disk_image_fini(&d);
        return;
    }
    snprintf(tree, sizeof(tree), "%s/tree", scratch.path);
    right += compare_dir(fs, tree, "", &n);
    right += compare_dir(fs, tree, "/sizes", &n);
    right += compare_dir(fs, tree, "/few", &n);
    right += compare_dir(fs, tree, "/many", &n);
    CHECK(n >= ARRAY_LEN(sizes) + MANY_FILES + 11);
    CHECK_EQ(right, n);
    CHECK(!ext4_lookup(fs, "/many", &f, NULL) && !ext4_list(fs, &f, count_name, &many, NULL));
    CHECK(many.n >= MANY_FILES + 1); /* with "..", and "." where it is written down */
    CHECK(!ext4_lookup(fs, "/absolute", &f, NULL) && !ext4_lookup(fs, "/sizes/of-4097", &g, NULL));
    CHECK_EQ(f.inode, g.inode);
    char far[16] = "";
    CHECK(!ext4_lookup(fs, "/far", &f, NULL));
    CHECK(!ext4_read(fs, &f, FAR_OFFSET - 4, far, 12, NULL) &&
          !memcmp(far, "\0\0\0\0far away", 12));
    CHECK(!ext4_lookup(fs, "/few/above-the-root", &f, NULL));
    CHECK_EQ(f.size_bytes, 61);
    CHECK_EQ(ext4_lookup(fs, "/loop-a", &f, &err), -ELOOP);
    CHECK_EQ(ext4_lookup(fs, "/sizes/none", &f, NULL), -ENOENT);
    CHECK_EQ(ext4_lookup(fs, "/sizes/of-1/x", &f, NULL), -ENOTDIR);
    ext4_close(fs);
    disk_image_fini(&d);
}

static void every_file_of_every_kind_reads_back(void)
{
    if (!have_mke2fs())
        SKIP("no mke2fs here: install e2fsprogs");
    srandom(1);
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        check_kind(kinds[i]);
}

/* Opens and reads what there is; returns how many files read well. */
static unsigned use(struct disk_image *d)
{
    static uint8_t buf[FILE_MAX];
    uint64_t budget = 100000;
    struct disk_reader r = disk_image_reader(d);
    struct ext4 *fs;
    struct err err = {0};
    unsigned good = 0;
    static const char *const paths[] = {
        "/sizes/of-61", "/sizes/of-4243456", "/holes",
        "/few/up",      "/link-long",        "/many/a-name-that-makes-the-directory-large-567"};
    r.reads_left = &budget;
    if (ext4_open(&r, &fs, &err)) {
        CHECK(err.code && err.msg[0]);
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        struct ext4_file f;
        err = (struct err){0};
        int ret = ext4_lookup(fs, paths[i], &f, &err);
        if (!ret && f.size_bytes <= sizeof(buf))
            ret = ext4_read(fs, &f, 0, buf, f.size_bytes, &err);
        CHECK(!ret || (err.code && err.msg[0]));
        good += !ret;
    }
    ext4_close(fs);
    return good;
}

static void damage_gives_errors_and_no_more(void)
{
    static const char *const damaged[] = {"-t ext2 -b 1024", "-t ext4 -b 1024 -O ^metadata_csum",
                                          "-t ext4 -b 1024 -O ^metadata_csum,inline_data -I 256",
                                          "-t ext4 -b 4096"};
    if (!have_mke2fs())
        SKIP("no mke2fs here: install e2fsprogs");
    for (unsigned k = 0; k < ARRAY_LEN(damaged); k++) {
        struct disk_image d = {0};
        unsigned whole = 0;
        REQUIRE(make_file_system(&scratch, damaged[k], FS_BYTES, 0, &d));
        CHECK_EQ(use(&d), 6);
        srandom(k);
        for (unsigned i = 0; i < DAMAGE_TRIES; i++) {
            uint64_t at[8];
            uint8_t was[8];
            /* The superblock, and the first MiB: descriptors, inodes, directories. */
            for (unsigned n = 0; n < 8; n++) {
                at[n] =
                    (i % 4 ? 1024 + (uint64_t)random() % MIB : 1024 + (uint64_t)random() % 1024);
                was[n] = d.data[at[n]];
                d.data[at[n]] = random() & 1 ? (uint8_t)random() : 0xff;
            }
            whole += use(&d) == 6;
            for (unsigned n = 8; n-- > 0;)
                d.data[at[n]] = was[n];
        }
        CHECK(whole < DAMAGE_TRIES); /* some of it hit */
        CHECK_EQ(use(&d), 6);
        disk_image_fini(&d);
    }
}

/* Where the superblock's fields lie, to change them one by one. */
static void absurd_superblocks_are_refused_by_field(void)
{
    static const struct {
        unsigned at, bytes;
        uint32_t value;
        const char *said;
    } changes[] = {{0x18, 4, 7, "blocks of 1024 << 7"},
                   {0x04, 4, 0x7fffffff, "2147483647 blocks"},
                   {0x14, 4, 2, "from 2 on"},
                   {0x58, 2, 100, "inodes of 100 bytes"},
                   {0x58, 2, 8192, "inodes of 8192 bytes"},
                   {0x20, 4, 0, "groups of 0 blocks"},
                   {0x28, 4, 0, "0 inodes"},
                   {0x60, 4, 0x80000002, "incompat 0x80000000"},
                   {0xfe, 2, 48, "descriptors of 48 bytes"},
                   {0x38, 2, 0x1234, "magic 0x1234"}};
    if (!have_mke2fs())
        SKIP("no mke2fs here: install e2fsprogs");
    struct disk_image d = {0};
    REQUIRE(make_file_system(&scratch, "-t ext4 -b 4096 -O 64bit,^metadata_csum", FS_BYTES, 0, &d));
    for (unsigned i = 0; i < ARRAY_LEN(changes); i++) {
        uint8_t was[4], *field = d.data + 1024 + changes[i].at;
        struct disk_reader r = disk_image_reader(&d);
        struct ext4 *fs = NULL;
        struct err err = {0};
        memcpy(was, field, sizeof(was));
        if (changes[i].bytes == 2)
            le16_write(field, (uint16_t)changes[i].value);
        else
            le32_write(field, changes[i].value);
        if (changes[i].at == 0x60) /* it needs what it has */
            le32_write(field, le32_read(was) | 0x80000000);
        CHECK(ext4_open(&r, &fs, &err) < 0);
        if (!strstr(err.msg, changes[i].said))
            printf("# \"%s\" has no \"%s\"\n", err.msg, changes[i].said);
        CHECK(strstr(err.msg, changes[i].said));
        ext4_close(fs);
        memcpy(field, was, sizeof(was));
    }
    disk_image_fini(&d);
}

static void a_changed_byte_under_a_checksum_is_found(void)
{
    if (!have_mke2fs())
        SKIP("no mke2fs here: install e2fsprogs");
    struct disk_image d = {0};
    struct err err = {0};
    struct ext4 *fs = NULL;
    struct ext4_file f;
    REQUIRE(make_file_system(&scratch, "-t ext4 -b 4096 -O metadata_csum", FS_BYTES, 0, &d));
    struct disk_reader r = disk_image_reader(&d);
    d.data[1024 + 0x78] ^= 1; /* the label */
    CHECK(ext4_open(&r, &fs, &err) < 0 && strstr(err.msg, "superblock is damaged"));
    d.data[1024 + 0x78] ^= 1;
    REQUIRE(!ext4_open(&r, &fs, &err));
    d.data[4096 + 0x10] ^= 1; /* free blocks of group 0 */
    CHECK(ext4_lookup(fs, "/holes", &f, &err) < 0 &&
          strstr(err.msg, "descriptor of group 0 is damaged"));
    d.data[4096 + 0x10] ^= 1;
    uint64_t table = (uint64_t)le32_read(d.data + 4096 + 8) * 4096,
             root = table + le16_read(d.data + 1024 + 0x58);
    d.data[root + 8] ^= 1; /* atime */
    CHECK(ext4_lookup(fs, "/holes", &f, &err) < 0 && strstr(err.msg, "inode 2 is damaged"));
    d.data[root + 8] ^= 1;
    uint64_t dir = (uint64_t)le32_read(d.data + root + 0x28 + 20) * 4096;
    d.data[dir + 4000] ^= 1;
    CHECK(ext4_lookup(fs, "/holes", &f, &err) < 0 &&
          strstr(err.msg, "directory inode 2: block is damaged"));
    d.data[dir + 4000] ^= 1;
    CHECK_EQ(ext4_lookup(fs, "/holes", &f, &err), 0);
    uint64_t index = (uint64_t)le32_read(f.block + 16) * 4096; /* its first extent block */
    d.data[index + 100] ^= 1;
    static uint8_t buf[65536];
    CHECK(ext4_read(fs, &f, 0, buf, sizeof(buf), &err) < 0 &&
          strstr(err.msg, "extent block is damaged"));
    ext4_close(fs);
    disk_image_fini(&d);
}

int main(void)
{
    scratch_init(&scratch);
    make_tree(&scratch);
    TAP_RUN(every_file_of_every_kind_reads_back);
    TAP_RUN(absurd_superblocks_are_refused_by_field);
    TAP_RUN(a_changed_byte_under_a_checksum_is_found);
    TAP_RUN(damage_gives_errors_and_no_more);
    scratch_fini(&scratch);
    return tap_done();
}
