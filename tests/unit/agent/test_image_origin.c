/* Images by what a server says of where they come from. */
#include "agent/image_origin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/volume_file.h"
#include "agent/volume_pools.h"
#include "base/util.h"
#include "tap.h"

/* Of 512 bytes "x". */
static char SUM[65];
static char DIR_[64], RECIPE[128], FOLDER[128], WORK[128];
static const char *FOLDERS[2];
static struct volume_driver *POOLS, *FIRST, *SECOND;
static struct image_origins *O;
static struct image_import_result RESULT;
static struct err ERR;
static unsigned PERCENT;
static uint64_t RECEIVED;
static const uint8_t ID[16] = {0xd};

static int sh(const char *what)
{
    char command[1024];
    snprintf(command, sizeof(command), "cd %s && %s", DIR_, what);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", DIR_, name);
    return path;
}

static void open_it(const char *builder, bool private_urls)
{
    const struct image_origin_config c = {
        .folders = FOLDERS, .builder = builder, .private_urls = private_urls, .max_bytes = MIB};
    image_origin_close(O);
    O = image_origin_open(&c, WORK, POOLS, NULL);
    REQUIRE(O != NULL);
}

static void set_up(void)
{
    strcpy(DIR_, "/var/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    snprintf(RECIPE, sizeof(RECIPE), "%s/recipe", DIR_);
    snprintf(FOLDER, sizeof(FOLDER), "%s/images", DIR_);
    snprintf(WORK, sizeof(WORK), "%s/work", DIR_);
    FOLDERS[0] = FOLDER;
    POOLS = volume_pools_open(NULL);
    FIRST = volume_file_open(in_dir("first"), NULL);
    SECOND = volume_file_open(in_dir("second"), NULL);
    REQUIRE(FIRST && SECOND && !volume_pools_add(POOLS, "first", FIRST, NULL) &&
            !volume_pools_add(POOLS, "second", SECOND, NULL));
    CHECK_EQ(sh("mkdir images imagesecret && head -c 512 /dev/zero | tr '\\0' x >images/a && "
                "cp images/a secret && cp images/a imagesecret/a && ln -s ../secret images/link && "
                "sha256sum images/a | cut -c -64 >sum"),
             0);
    FILE *f = fopen(in_dir("sum"), "re");
    REQUIRE(f && fgets(SUM, sizeof(SUM), f));
    fclose(f);
    O = NULL;
    open_it(NULL, false);
    ERR = (struct err){0};
    RESULT = (struct image_import_result){.size_bytes = 7};
    PERCENT = 0;
    RECEIVED = 0;
}

static void tear_down(void)
{
    image_origin_close(O);
    POOLS->ops->close(POOLS);
    CHECK_EQ(sh("test -z \"$(ls work)\""), 0);
    CHECK_EQ(sh("rm -rf $PWD"), 0);
}

static void progress(void *ctx, unsigned percent, uint64_t received_bytes)
{
    CHECK(percent >= PERCENT && percent <= 100);
    PERCENT = percent;
    RECEIVED = MAX(RECEIVED, received_bytes);
}

static struct image_origin origin(enum image_origin_kind kind, const char *source)
{
    struct image_origin o = {.kind = kind, .source = source, .pool = SECOND, .progress = progress};
    memcpy(o.id, ID, sizeof(ID));
    return o;
}

static int make(struct image_origin o)
{
    return image_origin_make(O, &o, &RESULT, &ERR);
}

static int take(const char *path)
{
    return make(origin(IMAGE_ORIGIN_PATH, path));
}

static void a_file_becomes_an_image_of_the_pool_that_is_meant(void)
{
    struct volume_info info;
    set_up();
    struct image_origin o = origin(IMAGE_ORIGIN_PATH, in_dir("images/../images/a"));
    o.sha256 = SUM;
    o.expects = true;
    o.format = IMAGE_PROBE_RAW;
    CHECK_EQ(make(o), 0);
    CHECK_EQ(RESULT.format, IMAGE_PROBE_RAW);
    CHECK_EQ(RESULT.received_bytes, 512);
    CHECK_EQ(RECEIVED, 512);
    CHECK_EQ(PERCENT, 100);
    CHECK_EQ(SECOND->ops->info(SECOND, VOLUME_IMAGE, ID, &info, NULL), 0);
    CHECK_EQ(FIRST->ops->info(FIRST, VOLUME_IMAGE, ID, &info, NULL), -ENOENT);
    /* It is there now, whatever pool is meant. */
    o.pool = FIRST;
    CHECK_EQ(make(o), 0);
    CHECK(RESULT.was_there);
    CHECK_EQ(FIRST->ops->info(FIRST, VOLUME_IMAGE, ID, &info, NULL), -ENOENT);
    tear_down();
}

static void no_file_of_another_folder_is_taken_however_it_is_named(void)
{
    set_up();
    const char *wrong[] = {in_dir("secret"), in_dir("images/../secret"), in_dir("images/link"),
                           in_dir("imagesecret/a"), "/etc/passwd"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        CHECK_EQ(take(wrong[i]), -EPERM);
    CHECK_EQ(take(in_dir("images/none")), -ENOENT);
    CHECK_EQ(take("images/a"), -EINVAL);
    FOLDERS[0] = NULL;
    CHECK_EQ(take(in_dir("images/a")), -EPERM);
    CHECK_EQ(RESULT.size_bytes, 7);
    tear_down();
}

static void other_content_is_refused_and_its_checksum_told(void)
{
    char other[65];
    uint8_t sum[IMAGE_FETCH_SHA256_BYTES];
    set_up();
    strcpy(other, SUM);
    other[0] = other[0] == '0' ? '1' : '0';
    struct image_origin o = origin(IMAGE_ORIGIN_PATH, in_dir("images/a"));
    o.sha256 = other;
    CHECK_EQ(make(o), -EBADMSG);
    CHECK_EQ(RESULT.received_bytes, 512);
    for (unsigned i = 0; i < sizeof(sum); i++)
        CHECK_EQ(sscanf(SUM + 2 * (size_t)i, "%2hhx", &sum[i]), 1);
    CHECK(!memcmp(RESULT.sha256, sum, sizeof(sum)));
    o.sha256 = "12";
    CHECK_EQ(make(o), -EINVAL);
    o.sha256 = SUM;
    o.expects = true;
    o.format = IMAGE_PROBE_QCOW2;
    CHECK_EQ(make(o), -EINVAL);
    CHECK(strstr(ERR.msg, "raw, not qcow2") != NULL);
    CHECK_EQ(access(in_dir("images/a"), F_OK), 0); /* it is not ours to remove */
    tear_down();
}

static void a_url_into_our_network_takes_the_hosts_leave(void)
{
    set_up();
    CHECK_EQ(make(origin(IMAGE_ORIGIN_URL, "http://127.0.0.1:1/a")), -EACCES);
    open_it(NULL, true);
    CHECK_EQ(make(origin(IMAGE_ORIGIN_URL, "http://127.0.0.1:1/a")), -EIO);
    CHECK_EQ(make(origin(IMAGE_ORIGIN_URL, "file:///etc/passwd")), -EINVAL);
    tear_down();
}

static void a_recipe_is_built_as_it_says(void)
{
    struct volume_info info;
    set_up();
    CHECK_EQ(sh("printf '#!/bin/sh\\ncd %s\\necho \"$*\" >args\\nmkdir -p out\\n"
                "truncate -s 64K out/disk.img\\necho \"$PWD/out\"\\n' \"$PWD\" >recipe && "
                "chmod +x recipe"),
             0);
    CHECK_EQ(make(origin(IMAGE_ORIGIN_DEBIAN, "{}")), -ENOTSUP); /* no recipe is known */
    CHECK(strstr(ERR.msg, "--image-builder") != NULL);
    open_it(RECIPE, false);
    if (geteuid() != 0) {
        CHECK_EQ(make(origin(IMAGE_ORIGIN_DEBIAN, "{}")), -EPERM);
        CHECK(strstr(ERR.msg, "root") != NULL);
        tear_down();
        return;
    }
    CHECK_EQ(make(origin(IMAGE_ORIGIN_DEBIAN, "nonsense")), -EINVAL);
    CHECK_EQ(make(origin(IMAGE_ORIGIN_DEBIAN, "{\"cloud_init\":false}")), -ENOTSUP);
    CHECK_EQ(make(origin(IMAGE_ORIGIN_DEBIAN, "{\"packages\":[\"--help\"]}")), -EINVAL);
    CHECK_EQ(sh("test ! -e args"), 0);
    CHECK_EQ(make(origin(IMAGE_ORIGIN_DEBIAN,
                         "{\"suite\":\"bookworm\",\"size_gib\":3,\"packages\":[\"vim\"]}")),
             0);
    CHECK_EQ(sh("test \"$(cat args)\" = "
                "'--size-gib 3 --suite bookworm --package vim debian-cloud'"),
             0);
    CHECK_EQ(SECOND->ops->info(SECOND, VOLUME_IMAGE, ID, &info, NULL), 0);
    CHECK_EQ(info.size_bytes, 65536);
    CHECK_EQ(PERCENT, 100);
    tear_down();
}

int main(void)
{
    TAP_RUN(a_file_becomes_an_image_of_the_pool_that_is_meant);
    TAP_RUN(no_file_of_another_folder_is_taken_however_it_is_named);
    TAP_RUN(other_content_is_refused_and_its_checksum_told);
    TAP_RUN(a_url_into_our_network_takes_the_hosts_leave);
    TAP_RUN(a_recipe_is_built_as_it_says);
    return tap_done();
}
