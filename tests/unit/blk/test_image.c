#include "blk/image.h"

#include "qcow2_rig.h"

static int open_path(struct rig *r, const char *name, const struct image_options *o,
                     struct image_fds *fds, struct err *err)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    return image_open(path, o, fds, err);
}

static const struct image_options plain;
static const struct image_options readonly = {.read_only = true};

static void one_writer_or_many_readers(void)
{
    struct rig r;
    struct image_fds a, b;
    struct err err = {0};
    rig_init(&r, 4096);
    CHECK_EQ(rig_sh(&r, "truncate -s 1M d"), 0);
    CHECK_EQ(open_path(&r, "d", &plain, &a, &err), 0);
    CHECK_EQ(open_path(&r, "d", &plain, &b, &err), -EBUSY);
    CHECK(strstr(err.msg, "/d is in use"));
    CHECK_EQ(open_path(&r, "d", &readonly, &b, &err), -EBUSY);
    image_close(&a);
    CHECK_EQ(open_path(&r, "d", &readonly, &a, &err), 0);
    CHECK_EQ(open_path(&r, "d", &readonly, &b, &err), 0);
    image_close(&b);
    CHECK_EQ(open_path(&r, "d", &plain, &b, &err), -EBUSY);
    image_close(&a);
    CHECK_EQ(open_path(&r, "d", &plain, &b, &err), 0);
    image_close(&b);
    rig_fini(&r);
}

static void qemu_and_we_keep_out_of_each_others_images(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    struct image_fds a;
    rig_init(&r, 4096);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 a.qcow2 1M"), 0);
    CHECK_EQ(open_path(&r, "a.qcow2", &plain, &a, NULL), 0);
    CHECK(rig_sh(&r, "qemu-img check -q a.qcow2 2>/dev/null") != 0);
    CHECK(rig_sh(&r, "qemu-io -c 'write 0 4k' a.qcow2 >/dev/null 2>&1") != 0);
    image_close(&a);
    CHECK_EQ(rig_sh(&r, "qemu-io -c 'write 0 4k' a.qcow2 >/dev/null 2>&1"), 0);

    /* The other way round: qemu-io holds the image until its standard input ends. */
    int to[2], from[2];
    struct err err = {0};
    CHECK_EQ(pipe2(to, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(from, O_CLOEXEC), 0);
    char path[512], line[256];
    snprintf(path, sizeof(path), "%s/a.qcow2", r.dir);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execlp("qemu-io", "qemu-io", path, NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    CHECK_EQ(write(to[1], "length\n", 7), 7);
    CHECK(read(from[0], line, sizeof(line)) > 0); /* it has opened the image */
    CHECK_EQ(image_open(path, &plain, &a, &err), -EBUSY);
    CHECK(strstr(err.msg, "qemu-io"));
    close(to[1]);
    waitpid(pid, NULL, 0);
    close(from[0]);
    CHECK_EQ(image_open(path, &plain, &a, NULL), 0);
    image_close(&a);
    rig_fini(&r);
}

/* A guest that writes a qcow2 header into its raw disk gets no qcow2 out of it. */
static void contents_alone_do_not_make_an_image_qcow2(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    struct image_fds a;
    struct err err = {0};
    rig_init(&r, 4096);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 -u -b /etc/shadow -F raw disk.img 1M"), 0);
    CHECK_EQ(open_path(&r, "disk.img", &plain, &a, NULL), 0);
    CHECK_EQ(a.n, 1);
    CHECK_EQ(a.layers[0].format, IMAGE_RAW);
    image_close(&a);
    /* qemu-img always notes the format: rename the header extension that says it. */
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 base.img 1M && "
                        "qemu-img create -q -f qcow2 -u -b base.img -F qcow2 b.qcow2 1M && "
                        "printf '\\021' | dd of=b.qcow2 bs=1 seek=112 conv=notrunc 2>/dev/null"),
             0);
    CHECK_EQ(open_path(&r, "b.qcow2", &plain, &a, &err), -EINVAL);
    CHECK(strstr(err.msg, "does not say which format"));
    rig_fini(&r);
}

static void a_chain_opens_with_relative_names_and_read_only_backing(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    struct image_fds a, b;
    rig_init(&r, 4096);
    CHECK_EQ(rig_sh(&r, "mkdir sub && truncate -s 1M base && cd sub && qemu-img create -q -f qcow2 "
                        "-b ../base -F raw mid.qcow2 && cd .. && qemu-img create -q -f qcow2 -b "
                        "sub/mid.qcow2 -F qcow2 top.qcow2 && cp top.qcow2 top2.qcow2"),
             0);
    CHECK_EQ(open_path(&r, "top.qcow2", &plain, &a, NULL), 0);
    CHECK_EQ(a.n, 3);
    CHECK_EQ(a.layers[1].format, IMAGE_QCOW2);
    CHECK_EQ(fcntl(a.layers[1].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(open_path(&r, "top2.qcow2", &plain, &b, NULL), 0); /* shares the backing files */
    image_close(&b);
    CHECK_EQ(open_path(&r, "base", &plain, &b, NULL), -EBUSY); /* which nobody may write */
    r.blk = image_create(r.aio, r.loop, &a, NULL);
    CHECK(r.blk);
    CHECK_EQ(a.n, 0);
    rig_fini(&r);
}

/* As the monitor does with descriptors that came over its API. */
static void a_chain_is_adopted_by_descriptors_alone(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    struct image_fds a, b, c;
    struct err err = {0};
    int fds[3];
    uint8_t byte = 0;
    rig_init(&r, 4096);
    CHECK_EQ(rig_sh(&r, "head -c 1M /dev/zero | tr '\\0' 'x' >base && qemu-img create -q -f qcow2 "
                        "-b base -F raw mid.qcow2 && qemu-img create -q -f qcow2 -b mid.qcow2 -F "
                        "qcow2 top.qcow2"),
             0);
    CHECK_EQ(open_path(&r, "top.qcow2", &plain, &a, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        fds[i] = a.layers[i].fd;
    CHECK_EQ(image_adopt(fds, 2, "top", IMAGE_QCOW2, false, &b, &err), -EINVAL);
    CHECK(strstr(err.msg, "send one for each"));
    CHECK_EQ(image_adopt(fds, 3, "top", IMAGE_RAW, false, &b, &err), -EINVAL);
    CHECK_EQ(image_adopt(fds, 3, "top", IMAGE_QCOW2, false, &b, &err), 0);
    CHECK_EQ(b.layers[2].format, IMAGE_RAW);
    CHECK_EQ(open_path(&r, "top.qcow2", &plain, &c, &err), -EBUSY);
    r.blk = image_create(r.aio, r.loop, &b, NULL);
    REQUIRE(r.blk);
    CHECK_EQ(blk_read_sync(r.blk, 5000, &byte, 1), 0);
    CHECK_EQ(byte, 'x');
    rig_fini(&r);
}

static void a_chain_that_is_too_long_is_refused(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    struct image_fds a;
    struct err err = {0};
    rig_init(&r, 4096);
    CHECK_EQ(rig_sh(&r, "truncate -s 1M i0; qemu-img create -q -f qcow2 -u -b i0 -F raw i1 1M; "
                        "for n in $(seq 2 17); do qemu-img create -q -f qcow2 -u -b i$((n-1)) -F "
                        "qcow2 i$n 1M; done; mv i17 top.qcow2"),
             0);
    CHECK_EQ(open_path(&r, "top.qcow2", &plain, &a, &err), -ELOOP);
    CHECK(strstr(err.msg, "more than 16"));
    rig_fini(&r);
}

static void what_is_no_file_is_refused(void)
{
    struct rig r;
    struct image_fds a;
    struct err err = {0};
    rig_init(&r, 4096);
    CHECK_EQ(open_path(&r, "gone", &plain, &a, &err), -ENOENT);
    CHECK(strstr(err.msg, "gone"));
    CHECK(open_path(&r, ".", &plain, &a, &err) < 0);
    CHECK_EQ(rig_sh(&r, "mkfifo p"), 0);
    CHECK_EQ(open_path(&r, "p", &readonly, &a, &err), -EINVAL);
    rig_fini(&r);
}

int main(void)
{
    TAP_RUN(one_writer_or_many_readers);
    TAP_RUN(qemu_and_we_keep_out_of_each_others_images);
    TAP_RUN(contents_alone_do_not_make_an_image_qcow2);
    TAP_RUN(a_chain_opens_with_relative_names_and_read_only_backing);
    TAP_RUN(a_chain_is_adopted_by_descriptors_alone);
    TAP_RUN(a_chain_that_is_too_long_is_refused);
    TAP_RUN(what_is_no_file_is_refused);
    return tap_done();
}
