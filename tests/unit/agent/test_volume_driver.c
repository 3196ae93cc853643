/* What every driver must do, asked of each. */
#include "agent/volume_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/volume_file.h"
#include "agent/volume_null.h"
#include "base/util.h"
#include "tap.h"

static const uint8_t A[16] = {0xa}, B[16] = {0xb}, C[16] = {0xc}, S[16] = {0x5}, I[16] = {0x1};
static struct volume_driver *D;
static char DIR_[64], IMAGE[96];

static uint64_t size_of(enum volume_kind kind, const uint8_t id[16])
{
    struct volume_info info;
    if (D->ops->info(D, kind, id, &info, NULL))
        return 0;
    CHECK(!memcmp(info.id, id, 16));
    CHECK_EQ(info.kind, kind);
    return info.size_bytes;
}

static bool count(void *opaque, const struct volume_info *info)
{
    (void)info;
    ++*(unsigned *)opaque;
    return true;
}

static unsigned n_there(void)
{
    unsigned n = 0;
    CHECK_EQ(D->ops->list(D, count, &n, NULL), 0);
    return n;
}

static int create(const uint8_t id[16], uint64_t size)
{
    struct volume_spec spec = {.size_bytes = size};
    memcpy(spec.id, id, 16);
    return D->ops->create(D, &spec, NULL);
}

static int create_from(const uint8_t id[16], uint64_t size, enum volume_kind kind,
                       const uint8_t source[16])
{
    struct volume_spec spec = {.size_bytes = size, .from_source = true, .source_kind = kind};
    memcpy(spec.id, id, 16);
    memcpy(spec.source, source, 16);
    return D->ops->create(D, &spec, NULL);
}

static void a_volume_comes_grows_and_goes(void)
{
    CHECK_EQ(n_there(), 0);
    CHECK_EQ(create(A, MIB), 0);
    CHECK_EQ(create(A, MIB), 0); /* again */
    CHECK_EQ(create(A, MIB / 2), 0);
    CHECK_EQ(create(A, 2 * MIB), -EEXIST);
    CHECK_EQ(size_of(VOLUME_VOLUME, A), MIB);
    CHECK_EQ(D->ops->grow(D, A, 3 * MIB, NULL), 0);
    CHECK_EQ(D->ops->grow(D, A, MIB, NULL), 0); /* never smaller */
    CHECK_EQ(size_of(VOLUME_VOLUME, A), 3 * MIB);
    CHECK_EQ(D->ops->grow(D, A, 3 * MIB + 1, NULL), -EINVAL);
    CHECK_EQ(D->ops->grow(D, B, MIB, NULL), -ENOENT);
    CHECK_EQ(n_there(), 1);
    CHECK_EQ(D->ops->remove(D, VOLUME_VOLUME, A, NULL), 0);
    CHECK_EQ(D->ops->remove(D, VOLUME_VOLUME, A, NULL), 0);
    CHECK_EQ(n_there(), 0);
    CHECK_EQ(create(A, 0), -EINVAL);
    CHECK_EQ(create(A, 513), -EINVAL);
}

/* An empty one in its place would hide that it is gone. */
static void a_volume_that_must_be_there_is_not_made_anew(void)
{
    struct volume_spec spec = {.size_bytes = MIB, .must_exist = true};
    memcpy(spec.id, A, 16);
    CHECK_EQ(D->ops->create(D, &spec, NULL), -ENOENT);
    CHECK_EQ(n_there(), 0);
    CHECK_EQ(create(A, MIB), 0);
    CHECK_EQ(D->ops->create(D, &spec, NULL), 0);
    CHECK_EQ(D->ops->remove(D, VOLUME_VOLUME, A, NULL), 0);
}

static void a_volume_is_made_of_an_image_that_stays_while_it_is_used(void)
{
    CHECK_EQ(create_from(A, MIB, VOLUME_IMAGE, I), -ENOENT);
    CHECK_EQ(D->ops->import(D, I, IMAGE, VOLUME_RAW, NULL), 0);
    CHECK_EQ(D->ops->import(D, I, IMAGE, VOLUME_RAW, NULL), 0);
    CHECK_EQ(size_of(VOLUME_IMAGE, I), MIB);
    CHECK_EQ(create_from(A, MIB / 2, VOLUME_IMAGE, I), -EINVAL);
    CHECK_EQ(create_from(A, 2 * MIB, VOLUME_IMAGE, I), 0);
    CHECK_EQ(size_of(VOLUME_VOLUME, A), 2 * MIB);
    struct volume_info info;
    CHECK_EQ(D->ops->info(D, VOLUME_VOLUME, A, &info, NULL), 0);
    int ret = D->ops->remove(D, VOLUME_IMAGE, I, NULL);
    CHECK(ret == -EBUSY || (ret == 0 && info.format == VOLUME_RAW && info.path[0]));
    CHECK_EQ(D->ops->remove(D, VOLUME_VOLUME, A, NULL), 0);
    CHECK_EQ(D->ops->remove(D, VOLUME_IMAGE, I, NULL), 0);
    CHECK_EQ(n_there(), 0);
}

static void a_snapshot_outlives_its_volume_and_makes_others(void)
{
    CHECK_EQ(D->ops->snapshot(D, A, S, NULL), -ENOENT);
    CHECK_EQ(create(A, MIB), 0);
    CHECK_EQ(D->ops->snapshot(D, A, S, NULL), 0);
    CHECK_EQ(D->ops->snapshot(D, A, S, NULL), 0);
    CHECK_EQ(size_of(VOLUME_SNAPSHOT, S), MIB);
    CHECK_EQ(size_of(VOLUME_VOLUME, A), MIB);
    CHECK_EQ(D->ops->grow(D, A, 2 * MIB, NULL), 0);
    CHECK_EQ(size_of(VOLUME_SNAPSHOT, S), MIB);
    CHECK_EQ(create_from(B, MIB, VOLUME_SNAPSHOT, S), 0);
    CHECK_EQ(create_from(C, 4 * MIB, VOLUME_SNAPSHOT, S), 0);
    CHECK_EQ(D->ops->remove(D, VOLUME_VOLUME, A, NULL), 0);
    CHECK_EQ(n_there(), 3);
    CHECK_EQ(size_of(VOLUME_VOLUME, C), 4 * MIB);
    CHECK_EQ(D->ops->remove(D, VOLUME_VOLUME, B, NULL), 0);
    CHECK_EQ(D->ops->remove(D, VOLUME_VOLUME, C, NULL), 0);
    CHECK_EQ(D->ops->remove(D, VOLUME_SNAPSHOT, S, NULL), 0);
    CHECK_EQ(n_there(), 0);
}

static void make_image(void)
{
    int fd = open(IMAGE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQ(ftruncate(fd, MIB), 0);
    close(fd);
}

int main(void)
{
    struct err err = {0};
    char pool[96], command[128];
    strcpy(DIR_, "/var/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    snprintf(IMAGE, sizeof(IMAGE), "%s/image.raw", DIR_);
    snprintf(pool, sizeof(pool), "%s/pool", DIR_);
    make_image();
    for (unsigned i = 0; i < 2; i++) {
        D = i ? volume_file_open(pool, &err) : volume_null_open(&err);
        if (!D) {
            printf("Bail out! %s\n", err.msg);
            return 1;
        }
        printf("# %s\n", D->ops->name);
        TAP_RUN(a_volume_comes_grows_and_goes);
        TAP_RUN(a_volume_that_must_be_there_is_not_made_anew);
        TAP_RUN(a_volume_is_made_of_an_image_that_stays_while_it_is_used);
        TAP_RUN(a_snapshot_outlives_its_volume_and_makes_others);
        D->ops->close(D);
    }
    snprintf(command, sizeof(command), "rm -rf %s", DIR_);
    CHECK_EQ(system(command), 0);
    return tap_done();
}
