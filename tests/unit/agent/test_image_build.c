/* The recipe's progress and its end, with a script in its place. tools/image/build itself is run by
 * VIRGA_LONG=1. */
#include "agent/image_build.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/volume_file.h"
#include "base/util.h"
#include "tap.h"

static char DIR_[64], RECIPE[128];
static struct volume_driver *POOL;
static struct image_import *IM;
static const uint8_t ID[16] = {0xd};

static int sh(const char *what)
{
    char command[1024];
    snprintf(command, sizeof(command), "cd %s && %s", DIR_, what);
    return system(command);
}

static void set_up(uint64_t max_disk_bytes)
{
    char pool[96], work[96];
    strcpy(DIR_, "/var/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    snprintf(pool, sizeof(pool), "%s/pool", DIR_);
    snprintf(work, sizeof(work), "%s/work", DIR_);
    snprintf(RECIPE, sizeof(RECIPE), "%s/recipe", DIR_);
    POOL = volume_file_open(pool, NULL);
    const struct image_import_config c = {
        .dir = work, .driver = POOL, .max_bytes = max_disk_bytes, .max_disk_bytes = max_disk_bytes};
    IM = image_import_open(&c, NULL);
    CHECK(IM);
}

static void tear_down(void)
{
    image_import_close(IM);
    POOL->ops->close(POOL);
    CHECK_EQ(sh("test -z \"$(ls work)\""), 0);
    CHECK_EQ(sh("rm -rf $PWD"), 0);
}

static int recipe(const char *script)
{
    char command[900];
    snprintf(command, sizeof(command),
             "cat >recipe <<'END'\n#!/bin/sh\ncd %s\n%s\nEND\nchmod +x recipe", DIR_, script);
    return sh(command);
}

struct seen {
    unsigned percent, calls;
    char last[64], all[2048];
};

static void progress(void *ctx, unsigned percent, const char *doing)
{
    struct seen *s = ctx;
    CHECK(percent >= s->percent && percent <= 100);
    s->percent = percent;
    s->calls++;
    snprintf(s->last, sizeof(s->last), "%s", doing);
    size_t n = strlen(s->all);
    snprintf(s->all + n, sizeof(s->all) - n, "%u ", percent);
}

static int build(const struct image_build *b, struct image_import_result *r, struct err *err)
{
    struct image_build copy = *b;
    memcpy(copy.id, ID, 16);
    copy.program = RECIPE;
    return image_build_debian(IM, &copy, r, err);
}

static void what_the_recipe_makes_is_imported_and_its_progress_told(void)
{
    struct seen s = {0};
    struct image_import_result r = {0};
    struct volume_info info;
    struct err err = {0};
    static const char *const packages[] = {"vim", "g++", NULL};
    const struct image_build b = {
        .size_gib = 3, .packages = packages, .progress = progress, .ctx = &s};
    set_up(16 * MIB);
    CHECK_EQ(recipe("echo \"$*\" >args; mkdir made; truncate -s 2M made/disk.img\n"
                    "printf 'I: running apt-get update...\\r' >&2\n"
                    "echo 'making ... 21 s  I: installing remaining packages' >&2\n"
                    "echo 'I: downloading packages' >&2\n"
                    "echo 'packing the Debian disk image ... 1 s' >&2\n"
                    "echo /somewhere/else; echo $PWD/made"),
             0);
    int ret = build(&b, &r, &err);
    if (ret)
        printf("# %s\n", err.msg);
    CHECK_EQ(ret, 0);
    CHECK_EQ(sh("test \"$(cat args)\" = "
                "'--size-gib 3 --package vim --package g++ debian-cloud'"),
             0);
    CHECK_EQ(r.size_bytes, 2 * MIB);
    CHECK_EQ(POOL->ops->info(POOL, VOLUME_IMAGE, ID, &info, NULL), 0);
    CHECK_EQ(info.size_bytes, 2 * MIB);
    CHECK_EQ(info.format, VOLUME_RAW);
    CHECK(!strncmp(s.all, "2 35 35 62 ", 11));
    CHECK_EQ(s.percent, 100);
    CHECK_STR(s.last, "importing the image");
    tear_down();
}

static void its_last_words_are_the_error(void)
{
    struct image_import_result r;
    struct err err = {0};
    const struct image_build b = {0};
    set_up(16 * MIB);
    CHECK_EQ(recipe("echo 'working' >&2; echo 'no mmdebstrap on this machine' >&2; exit 1"), 0);
    CHECK_EQ(build(&b, &r, &err), -EIO);
    CHECK(strstr(err.msg, "no mmdebstrap on this machine"));
    CHECK_EQ(recipe("echo nonsense"), 0);
    CHECK_EQ(build(&b, &r, &err), -EIO);
    CHECK(strstr(err.msg, "where"));
    CHECK_EQ(recipe("mkdir -p big; truncate -s 32M big/disk.img; echo $PWD/big"), 0);
    CHECK_EQ(build(&b, &r, &err), -E2BIG);
    CHECK_EQ(sh("rm recipe"), 0);
    CHECK_EQ(build(&b, &r, &err), -ENOENT);
    tear_down();
}

static void names_that_are_no_packages_are_refused(void)
{
    static const char *const bad[] = {"-x", "--help", "a", "Vim", "a b", "a=1", "", "../x", "a/b"};
    struct image_import_result r;
    struct err err = {0};
    set_up(16 * MIB);
    CHECK_EQ(recipe("touch begun"), 0);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        const char *const packages[] = {bad[i], NULL};
        const struct image_build b = {.packages = packages};
        CHECK_EQ(build(&b, &r, &err), -EINVAL);
    }
    const struct image_build large = {.size_gib = 1025};
    CHECK_EQ(build(&large, &r, &err), -EINVAL);
    CHECK_EQ(sh("test ! -e begun"), 0);
    tear_down();
}

static void stop_it(void *ctx, unsigned percent, const char *doing)
{
    atomic_store((_Atomic bool *)ctx, true);
}

static void a_stop_ends_it_and_lets_it_clean_up(void)
{
    _Atomic bool stop = false;
    struct image_import_result r;
    struct err err = {0};
    const struct image_build b = {.progress = stop_it, .ctx = &stop, .stop = &stop};
    set_up(16 * MIB);
    CHECK_EQ(recipe("trap 'touch cleaned; exit 1' TERM\necho begun >&2\nsleep 1000 & wait"), 0);
    CHECK_EQ(build(&b, &r, &err), -ECANCELED);
    CHECK_EQ(sh("test -e cleaned"), 0);
    tear_down();
}

static void the_recipe_itself_makes_an_image_that_boots_by_its_own_kernel(void)
{
    struct seen s = {0};
    struct image_import_result r = {0};
    struct err err = {0};
    const char *top = getenv("VIRGA_TOP");
    if (!getenv("VIRGA_LONG") || !top || geteuid() != 0)
        SKIP("takes minutes and root: VIRGA_LONG=1 VIRGA_TOP=...");
    set_up(4 * GIB);
    struct image_build b = {.progress = progress, .ctx = &s};
    char path[512];
    snprintf(path, sizeof(path), "%s/tools/image/build", top);
    b.program = path;
    memcpy(b.id, ID, 16);
    int ret = image_build_debian(IM, &b, &r, &err);
    if (ret)
        printf("# %s\n", err.msg);
    CHECK_EQ(ret, 0);
    CHECK_EQ(r.size_bytes, 2 * GIB);
    CHECK_EQ(s.percent, 100);
    CHECK_EQ(sh("/usr/sbin/debugfs -R 'ls /boot' pool/images/*.raw 2>/dev/null | grep -q vmlinuz-"),
             0);
    tear_down();
}

int main(void)
{
    TAP_RUN(what_the_recipe_makes_is_imported_and_its_progress_told);
    TAP_RUN(its_last_words_are_the_error);
    TAP_RUN(names_that_are_no_packages_are_refused);
    TAP_RUN(a_stop_ends_it_and_lets_it_clean_up);
    TAP_RUN(the_recipe_itself_makes_an_image_that_boots_by_its_own_kernel);
    return tap_done();
}
