/* Seed disks, read back by a reader of ISO 9660 with Rock Ridge of the test's own; and by the
 * kernel's, where this may mount. */
#include "agent/seed_disk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

static const struct seed_disk_file FILES[] = {
    {"meta-data", "instance-id: i-1\n"}, {"user-data", NULL}, {"network-config", ""}};

static char *long_text(void)
{
    char *text = malloc(5001);
    if (text) {
        memset(text, 'x', 5000);
        text[5000] = 0;
    }
    return text;
}

/* The extent of a file by its Rock Ridge name. */
static bool find(const uint8_t *disk, const char *name, uint32_t *sector, uint32_t *bytes)
{
    const uint8_t *root = disk + (size_t)20 * 2048, *r = root;
    for (; r < root + 2048 && r[0]; r += r[0])
        for (const uint8_t *e = r + align_up(33 + r[32], 2); e + 4 <= r + r[0] && e[2]; e += e[2])
            if (!memcmp(e, "NM", 2) && e[2] - 5u == strlen(name) &&
                !memcmp(e + 5, name, strlen(name))) {
                *sector = le32_read(r + 2);
                *bytes = le32_read(r + 10);
                return true;
            }
    return false;
}

static void holds_its_files_by_their_names(void)
{
    struct seed_disk_file files[3];
    char *text = long_text();
    size_t size = 0;
    uint32_t sector, bytes;
    memcpy(files, FILES, sizeof(files));
    files[1].text = text;
    uint8_t *disk = seed_disk_make(files, 3, &size, NULL);
    REQUIRE(disk != NULL);
    CHECK_EQ(size % 2048, 0);
    CHECK_EQ(le32_read(disk + 16 * 2048 + 80) * 2048, size);
    CHECK(!memcmp(disk + 16 * 2048, "\1CD001", 6));
    CHECK(!memcmp(disk + 16 * 2048 + 40, "cidata ", 7));
    CHECK(!memcmp(disk + 17 * 2048, "\377CD001", 6));
    for (unsigned i = 0; i < 3; i++) {
        CHECK(find(disk, files[i].name, &sector, &bytes));
        CHECK_EQ(bytes, strlen(files[i].text));
        CHECK(range_within((uint64_t)sector * 2048, bytes, size));
        CHECK(!memcmp(disk + (size_t)sector * 2048, files[i].text, bytes));
    }
    CHECK(!find(disk, "vendor-data", &sector, &bytes));
    free(disk);
    free(text);
}

static void refuses_what_is_no_file_of_it(void)
{
    struct err err = {0};
    size_t size = 7;
    struct seed_disk_file wrong[5] = {{"../x", ""}};
    CHECK(!seed_disk_make(wrong, 1, &size, &err));
    CHECK_EQ(err.code, EINVAL);
    wrong[0].name = "";
    CHECK(!seed_disk_make(wrong, 1, &size, &err));
    CHECK(!seed_disk_make(wrong, 5, &size, &err));
    CHECK_EQ(size, 7);
}

static void the_kernel_mounts_it(void)
{
    char dir[] = "/tmp/virga-test-XXXXXX", command[512];
    struct seed_disk_file files[3];
    char *text = long_text();
    size_t size = 0;
    memcpy(files, FILES, sizeof(files));
    files[1].text = text;
    uint8_t *disk = seed_disk_make(files, 3, &size, NULL);
    REQUIRE(disk && mkdtemp(dir));
    snprintf(command, sizeof(command), "%s/seed", dir);
    FILE *f = fopen(command, "we");
    REQUIRE(f && fwrite(disk, size, 1, f) == 1 && !fclose(f));
    snprintf(command, sizeof(command),
             "cd %s && mkdir m && mount -t iso9660 -o loop,ro seed m 2>/dev/null", dir);
    bool mounted = system(command) == 0;
    if (mounted) {
        snprintf(command, sizeof(command),
                 "cd %s && [ \"$(ls m | tr '\\n' ' ')\" = 'meta-data network-config user-data ' ] "
                 "&& grep -q 'instance-id: i-1' m/meta-data && [ $(stat -c %%s m/user-data) = 5000 "
                 "]",
                 dir);
        CHECK_EQ(system(command), 0);
    }
    snprintf(command, sizeof(command), "cd %s && umount m 2>/dev/null; rm -rf %s", dir, dir);
    if (system(command) != 0)
        printf("# %s stays\n", dir);
    free(disk);
    free(text);
    if (!mounted)
        SKIP("a file cannot be mounted here");
}

int main(void)
{
    TAP_RUN(holds_its_files_by_their_names);
    TAP_RUN(refuses_what_is_no_file_of_it);
    TAP_RUN(the_kernel_mounts_it);
    return tap_done();
}
