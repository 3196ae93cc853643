/* boot/ext4.h, after a crash: journals that debugfs wrote are replayed in memory. */
#include "boot/ext4.h"

#include "disk_images.h"
#include "tap.h"

static struct scratch scratch;

#define DEBUGFS "PATH=$PATH:/usr/sbin:/sbin; debugfs"

/* A file of 'A', and what its first block is after `commands` of debugfs to the journal; %B in them
 * is the block's number. */
static char after_journal(const char *kind, const char *commands, uint8_t head[4])
{
    struct disk_image d = {0};
    struct ext4 *fs = NULL;
    struct ext4_file f;
    struct err err = {0};
    uint8_t byte[8] = "";
    const char *path = scratch.path;
    if (!make_file_system(&scratch, kind, 16 * MIB, 0, &d))
        return '?';
    disk_image_fini(&d);
    if (shell("cd %s; " DEBUGFS " -R 'bmap /few/one 0' image 2>log >block && sed \"s/%%B/$(cat "
              "block)/g\" >commands <<'E'\n%s\nE\n" DEBUGFS " -w -f commands image >log 2>&1",
              path, commands))
        return '?';
    char image[100];
    snprintf(image, sizeof(image), "%s/image", path);
    int fd = open(image, O_RDONLY);
    d.bytes = 16 * MIB;
    d.data = mmap(NULL, d.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    CHECK(d.data[1024 + 0x60] & 4); /* it needs recovery */
    struct disk_reader r = disk_image_reader(&d);
    if (ext4_open(&r, &fs, &err) || ext4_lookup(fs, "/few/one", &f, &err) ||
        ext4_read(fs, &f, 0, byte, 8, &err)) {
        printf("# %s\n", err.msg);
        byte[7] = '!';
    }
    memcpy(head, byte, 4);
    ext4_close(fs);
    srandom(1);
    for (unsigned i = 0; i < 200; i++) { /* the log damaged: an answer or an error */
        uint64_t at = (uint64_t)random() % d.bytes & ~UINT64_C(1023);
        while (le32_read(d.data + at) != htobe32(0xc03b3998))
            at = at + 1024 < d.bytes ? at + 1024 : 0;
        at += (uint64_t)random() % 64;
        uint8_t was = d.data[at];
        d.data[at] = (uint8_t)random();
        fs = NULL;
        if (!ext4_open(&r, &fs, NULL) && !ext4_lookup(fs, "/few/one", &f, NULL))
            ext4_read(fs, &f, 0, byte + 0, 4, NULL);
        ext4_close(fs);
        d.data[at] = was;
    }
    disk_image_fini(&d);
    return (char)byte[7];
}

/* As the guest's own mount would: what was committed and not revoked. */
static void a_journal_is_replayed_in_memory(void)
{
    static const char *const fs_kinds[] = {"-t ext3 -b 1024", "-t ext4 -b 4096",
                                           "-t ext4 -b 2048 -O ^64bit"};
    static const char *const opens[] = {"jo", "jo -c", "jo -c -v 2"};
    static const struct {
        const char *commands;
        char want;
    } cases[] = {{"jw -b %B new", 'B'},
                 {"jw -b %B new\njw -b %B newer", 'C'},
                 {"jw -b %B new\njw -r %B", 'A'},
                 {"jw -r %B\njw -b %B new", 'B'},
                 {"jw -b 5 new\njw -b %B new", 'B'},
                 {"jw -b %B new\njw -b %B -c newer", 'B'}};
    static const uint8_t magic[] = {0xc0, 0x3b, 0x39, 0x98};
    uint8_t data[4096], head[4];
    if (!have_mke2fs() || shell(DEBUGFS " -V 2>/dev/null"))
        SKIP("no mke2fs and debugfs here: install e2fsprogs");
    scratch_init(&scratch);
    memset(data, 'A', sizeof(data));
    scratch_file(&scratch, "/few/one", data, sizeof(data));
    memset(data, 'B', sizeof(data));
    memcpy(data, magic, 4); /* must be escaped in the log */
    scratch_file(&scratch, "/../new", data, sizeof(data));
    memset(data, 'C', sizeof(data));
    scratch_file(&scratch, "/../newer", data, sizeof(data));
    for (unsigned k = 0; k < ARRAY_LEN(fs_kinds); k++) {
        for (unsigned o = 0; o < ARRAY_LEN(opens); o++) {
            for (unsigned c = 0; c < ARRAY_LEN(cases); c++) {
                char commands[200];
                snprintf(commands, sizeof(commands), "%s\n%s\njc", opens[o], cases[c].commands);
                char got = after_journal(fs_kinds[k], commands, head);
                if (got != cases[c].want)
                    printf("# %s: %s gives '%c'\n", fs_kinds[k], commands, got);
                CHECK_EQ(got, cases[c].want);
                CHECK(got != 'B' || memcmp(head, magic, 4) == 0);
            }
        }
    }
    scratch_fini(&scratch);
}

static void a_directory_in_the_journal_is_read_from_there(void)
{
    struct disk_image d = {0};
    struct ext4 *fs = NULL;
    struct ext4_file f;
    char path[100];
    if (!have_mke2fs() || shell(DEBUGFS " -V 2>/dev/null"))
        SKIP("no mke2fs and debugfs here: install e2fsprogs");
    scratch_init(&scratch);
    scratch_text(&scratch, "/few/one", "1");
    REQUIRE(make_file_system(&scratch, "-t ext3 -b 1024", 16 * MIB, 0, &d));
    disk_image_fini(&d);
    /* The entry has another name there. */
    CHECK_EQ(
        shell("cd %s; b=$(" DEBUGFS
              " -R 'bmap /few 0' image 2>log); dd if=image bs=1024 skip=$b count=1 2>>log | "
              "sed 's/one/two/' >new; printf 'jo\\njw -b %%s new\\njc\\n' $b >commands; " DEBUGFS
              " -w -f commands image >>log 2>&1",
              scratch.path),
        0);
    snprintf(path, sizeof(path), "%s/image", scratch.path);
    int fd = open(path, O_RDONLY);
    d.data = mmap(NULL, d.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    struct disk_reader r = disk_image_reader(&d);
    CHECK(!ext4_open(&r, &fs, NULL) && !ext4_lookup(fs, "/few/two", &f, NULL));
    CHECK(fs && ext4_lookup(fs, "/few/one", &f, NULL) == -ENOENT);
    ext4_close(fs);
    disk_image_fini(&d);
    scratch_fini(&scratch);
}

int main(void)
{
    TAP_RUN(a_journal_is_replayed_in_memory);
    TAP_RUN(a_directory_in_the_journal_is_read_from_there);
    return tap_done();
}
