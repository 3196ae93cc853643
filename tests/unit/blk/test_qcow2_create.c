/* New images, judged by qemu-img and by what our own reader and writer make of them. */
#include "blk/qcow2_create.h"

#include "qcow2_rig.h"

static int make(struct rig *r, const char *name, const struct qcow2_create_options *o,
                struct err *err)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int ret = qcow2_create(fd, o, err);
    close(fd);
    return ret;
}

static void images_of_every_size_are_sound(void)
{
    static const uint64_t SIZES[] = {512,
                                     1 << 20,
                                     (UINT64_C(512) << 20) - 512,
                                     (UINT64_C(512) << 20) + 512,
                                     UINT64_C(3) << 30,
                                     UINT64_C(64) << 40,
                                     QCOW2_CREATE_MAX_BYTES};
    struct rig r;
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    rig_init(&r, 1 << 20);
    for (unsigned i = 0; i < ARRAY_LEN(SIZES); i++) {
        const struct qcow2_create_options o = {.size_bytes = SIZES[i]};
        CHECK_EQ(make(&r, "a.qcow2", &o, NULL), 0);
        CHECK_EQ(rig_sh(&r, "qemu-img check -q a.qcow2"), 0);
        CHECK_EQ(rig_sh(&r,
                        "qemu-img info --output=json a.qcow2 | grep -q '\"virtual-size\": %llu,'",
                        (unsigned long long)SIZES[i]),
                 0);
        CHECK_EQ(rig_sh(&r, "test $(stat -c %%b a.qcow2) -lt 400"), 0); /* sparse: under 200 KiB */
    }
    rig_fini(&r);
}

static void a_new_image_takes_random_writes(void)
{
    struct rig r;
    static const struct image_options rw = {.format = IMAGE_QCOW2};
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    rig_init(&r, 8 << 20);
    const struct qcow2_create_options o = {.size_bytes = r.size};
    CHECK_EQ(make(&r, "a.qcow2", &o, NULL), 0);
    REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
    rig_random(&r, 400, 512, 200000, 1);
    rig_close(&r);
    rig_verify(&r, "a.qcow2");
    rig_fini(&r);
}

static void an_image_over_another_shows_what_that_one_holds(void)
{
    struct rig r;
    struct err err = {0};
    static const struct image_options rw = {.format = IMAGE_QCOW2};
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    rig_init(&r, 4 << 20);
    for (uint64_t i = 0; i < r.size; i++)
        r.model[i] = (uint8_t)(i * 31 >> 7);
    char path[128];
    snprintf(path, sizeof(path), "%s/base.raw", r.dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, r.model, r.size), (ssize_t)r.size);
    close(fd);
    const struct qcow2_create_options o = {
        .size_bytes = r.size, .backing = "base.raw", .backing_format = "raw"};
    CHECK_EQ(make(&r, "a.qcow2", &o, &err), 0);
    CHECK_EQ(rig_sh(&r, "qemu-img info --output=json a.qcow2 | "
                        "grep -q '\"backing-filename-format\": \"raw\"'"),
             0);
    REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
    rig_random(&r, 200, 512, 100000, 2);
    rig_close(&r);
    rig_verify(&r, "a.qcow2");
    rig_fini(&r);
}

static void refuses_what_would_be_no_image(void)
{
    struct rig r;
    struct err err = {0};
    char name[QCOW2_BACKING_NAME_MAX + 2];
    rig_init(&r, 1 << 20);
    const struct qcow2_create_options BAD[] = {
        {.size_bytes = 0},
        {.size_bytes = 1000},
        {.size_bytes = QCOW2_CREATE_MAX_BYTES + 512},
        {.size_bytes = 512, .backing = "", .backing_format = "raw"},
        {.size_bytes = 512, .backing = name, .backing_format = "raw"},
        {.size_bytes = 512, .backing = "x", .backing_format = "vmdk"},
    };
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    for (unsigned i = 0; i < ARRAY_LEN(BAD); i++)
        CHECK_EQ(make(&r, "a.qcow2", &BAD[i], &err), -EINVAL);
    CHECK(strstr(err.msg, "vmdk"));
    rig_fini(&r);
}

int main(void)
{
    TAP_RUN(images_of_every_size_are_sound);
    TAP_RUN(a_new_image_takes_random_writes);
    TAP_RUN(an_image_over_another_shows_what_that_one_holds);
    TAP_RUN(refuses_what_would_be_no_image);
    return tap_done();
}
