#include "blk/qcow2.h"

#include "blk/faulty.h"
#include "blk/null.h"
#include "blk/qcow2_wire.h"
#include "blk/raw.h"
#include "qcow2_rig.h"

static const struct image_options rw = {.format = IMAGE_QCOW2};
static const struct image_options ro = {.format = IMAGE_QCOW2, .read_only = true};

/* An image made with `options`, worked on at random in three sessions, checked after each. */
static void random_sessions(const char *create, uint64_t size, unsigned n, uint64_t grain,
                            uint64_t max_len)
{
    struct rig r;
    rig_init(&r, size);
    CHECK_EQ(
        rig_sh(&r, "qemu-img create -q -f qcow2 %s a.qcow2 %llu", create, (unsigned long long)size),
        0);
    for (unsigned session = 0; session < 3 && !tap_case_failures; session++) {
        REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
        CHECK_EQ(blk_info(r.blk)->size_bytes, size);
        rig_random(&r, n, grain, max_len, 1);
        rig_close(&r);
        rig_verify(&r, "a.qcow2");
    }
    if (tap_case_failures)
        printf("# with %s\n", create);
    rig_fini(&r);
}

static void random_operations_leave_a_sound_image(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    random_sessions("-o compat=1.1", 8 << 20, 400, 512, 200000);
    random_sessions("-o compat=0.10", 8 << 20, 400, 512, 200000);
    random_sessions("-o compat=1.1,cluster_size=512", 2 << 20, 400, 512, 20000);
    random_sessions("-o compat=1.1,cluster_size=4k,refcount_bits=1", 4 << 20, 400, 512, 50000);
    random_sessions("-o compat=1.1,cluster_size=2M,refcount_bits=64", 16 << 20, 100, 512, 3000000);
    random_sessions("-o compat=1.1,lazy_refcounts=on,refcount_bits=8", 8 << 20, 200, 1, 100000);
    random_sessions("-o compat=1.1,preallocation=metadata", 4 << 20, 200, 4096, 100000);
    random_sessions("-o compat=1.1,cluster_size=4k", (4 << 20) - 1536, 300, 512, 30000);
}

static void the_refcount_table_grows(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    /* 512-byte clusters: a table of one cluster describes 8 MiB with 16-bit refcounts, 2 MiB with
     * 64-bit ones. */
    struct rig r;
    rig_init(&r, 40 << 20);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 a.qcow2 "
                        "40M"),
             0);
    REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
    for (uint64_t at = 0; at < r.size; at += 1 << 20) {
        memset(r.model + at, (int)(at >> 20) + 1, 1 << 20);
        CHECK_EQ(blk_write_sync(r.blk, at, r.model + at, 1 << 20), 0);
    }
    rig_close(&r);
    rig_verify(&r, "a.qcow2");
    rig_fini(&r);
}

/* Makes base.<ext> with a pattern in the model, and an overlay over it. */
static void backed(const char *make_base, const char *format, const char *overlay)
{
    struct rig r;
    rig_init(&r, 8 << 20);
    for (uint64_t at = 0; at < 5 << 20; at += 4096) /* the base is shorter than the overlay */
        if (at / 4096 % 5)
            memset(r.model + at, (int)(at / 4096) % 251 + 1, 4096);
    char path[512];
    snprintf(path, sizeof(path), "%s/pattern.raw", r.dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK_EQ(write(fd, r.model, 5 << 20), 5 << 20);
    close(fd);
    CHECK_EQ(rig_sh(&r, "%s", make_base), 0);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 %s -b base -F %s a.qcow2 8M", overlay, format),
             0);
    for (unsigned session = 0; session < 3 && !tap_case_failures; session++) {
        struct err err = {0};
        if (rig_open(&r, "a.qcow2", &rw, &err) < 0)
            printf("# %s\n", err.msg);
        REQUIRE(r.blk);
        rig_random(&r, 200, 512, 150000, 1);
        rig_close(&r);
        rig_verify(&r, "a.qcow2");
    }
    if (tap_case_failures)
        printf("# with %s / %s\n", make_base, overlay);
    rig_fini(&r);
}

static void backing_files_show_through(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    backed("cp pattern.raw base", "raw", "");
    backed("qemu-img convert -f raw -O qcow2 pattern.raw base", "qcow2", "");
    backed("qemu-img convert -f raw -c -O qcow2 pattern.raw base", "qcow2", "-o cluster_size=4k");
    backed("qemu-img convert -f raw -c -O qcow2 -o compression_type=zstd pattern.raw base", "qcow2",
           "-o compat=0.10");
    backed("qemu-img convert -f raw -O qcow2 pattern.raw b0 && "
           "qemu-img create -q -f qcow2 -b b0 -F qcow2 b1 && "
           "qemu-img create -q -f qcow2 -b b1 -F qcow2 base",
           "qcow2", "");
}

static void compressed_clusters_are_copied_on_write(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    static const char *const types[] = {"zlib", "zstd"};
    for (unsigned i = 0; i < 2; i++) {
        struct rig r;
        rig_init(&r, 4 << 20);
        for (uint64_t at = 0; at < r.size; at += 512)
            memset(r.model + at, (int)(at / 512) % 253, 512);
        char path[512];
        snprintf(path, sizeof(path), "%s/p.raw", r.dir);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        CHECK_EQ(write(fd, r.model, r.size), (ssize_t)r.size);
        close(fd);
        CHECK_EQ(rig_sh(&r,
                        "qemu-img convert -f raw -c -O qcow2 -o compression_type=%s p.raw "
                        "a.qcow2",
                        types[i]),
                 0);
        REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
        rig_random(&r, 300, 512, 100000, 1);
        rig_close(&r);
        rig_verify(&r, "a.qcow2");
        rig_fini(&r);
    }
}

static void internal_snapshots_keep_their_contents(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    rig_init(&r, 4 << 20);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 -o cluster_size=16k a.qcow2 4M"), 0);
    REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
    rig_random(&r, 200, 512, 60000, 1);
    rig_close(&r);
    rig_verify(&r, "a.qcow2");
    CHECK_EQ(rig_sh(&r, "cp model.raw snap.raw && qemu-img snapshot -c one a.qcow2"), 0);
    REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
    rig_random(&r, 200, 512, 60000, 1);
    rig_close(&r);
    rig_verify(&r, "a.qcow2");
    CHECK_EQ(rig_sh(&r, "qemu-img snapshot -a one a.qcow2 && qemu-img compare -q -f raw snap.raw "
                        "a.qcow2 && qemu-img check -q a.qcow2"),
             0);
    rig_fini(&r);
}

static void discard_gives_space_back(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    rig_init(&r, 8 << 20);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 a.qcow2 8M"), 0);
    REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
    memset(r.model, 0x55, r.size);
    CHECK_EQ(blk_write_sync(r.blk, 0, r.model, r.size), 0);
    CHECK_EQ(blk_op_sync(r.blk, BLK_DISCARD, 0, 1000, (6 << 20) - 1000), 0);
    memset(r.model + 65536, 0, (6 << 20) - 65536); /* the first cluster is only partly in it */
    rig_close(&r);
    struct stat st;
    char path[512];
    snprintf(path, sizeof(path), "%s/a.qcow2", r.dir);
    CHECK_EQ(stat(path, &st), 0);
    CHECK(st.st_blocks * 512 < 3 << 20);
    rig_verify(&r, "a.qcow2");
    rig_fini(&r);
}

static void a_small_cache_evicts_and_writes_back(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    rig_init(&r, 32 << 20);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 -o cluster_size=512 a.qcow2 32M"), 0);
    char path[512];
    snprintf(path, sizeof(path), "%s/a.qcow2", r.dir);
    struct blk *file = raw_create(r.aio, r.loop, open(path, O_RDWR | O_CLOEXEC), path,
                                  &(struct raw_config){.growable = true}, NULL);
    r.blk = qcow2_open(file, NULL, &(struct qcow2_options){.cache_bytes = 1, .name = path}, NULL);
    REQUIRE(r.blk);
    rig_random(&r, 1500, 512, 9000, 1); /* 64 pages of 512 bytes; 8 KiB of guest each */
    rig_close(&r);
    rig_verify(&r, "a.qcow2");
    rig_fini(&r);
}

/* ---- errors ---- */

static void write_errors_reach_the_guest_and_leave_a_sound_image(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    for (unsigned skip = 0; skip < 12; skip++) {
        struct rig r;
        rig_init(&r, 4 << 20);
        CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 -o cluster_size=4k a.qcow2 4M"), 0);
        char path[512];
        snprintf(path, sizeof(path), "%s/a.qcow2", r.dir);
        struct blk *file = raw_create(r.aio, r.loop, open(path, O_RDWR | O_CLOEXEC), path,
                                      &(struct raw_config){.growable = true}, NULL);
        struct blk *faulty = faulty_create(file, NULL);
        r.blk = qcow2_open(faulty, NULL, &(struct qcow2_options){.name = path}, NULL);
        REQUIRE(r.blk);
        faulty_add(faulty, &(struct faulty_rule){.op_mask = 1 << BLK_WRITE | 1 << BLK_FLUSH,
                                                 .skip = skip,
                                                 .count = 2,
                                                 .error = ENOSPC});
        int failures = 0;
        for (uint64_t at = 0; at < 1 << 20; at += 50000) {
            uint8_t buf[1500];
            memset(buf, (int)(at / 50000) + 1, sizeof(buf));
            int e = blk_write_sync(r.blk, at, buf, sizeof(buf));
            CHECK(e == 0 || e == -ENOSPC);
            failures += e < 0;
            if (e == 0)
                memcpy(r.model + at, buf, sizeof(buf));
            e = blk_op_sync(r.blk, BLK_FLUSH, 0, 0, 0);
            failures += e < 0;
        }
        CHECK(failures > 0);
        CHECK_EQ(blk_op_sync(r.blk, BLK_FLUSH, 0, 0, 0), 0);
        rig_close(&r);
        rig_verify(&r, "a.qcow2");
        rig_fini(&r);
    }
}

static void refuses_by_name(const char *make, const char *word, const struct image_options *o)
{
    struct rig r;
    struct err err = {0};
    rig_init(&r, 1 << 20);
    CHECK_EQ(rig_sh(&r, "%s", make), 0);
    CHECK(rig_open(&r, "a.qcow2", o, &err) < 0);
    if (!strstr(err.msg, word)) {
        printf("# '%s' does not say '%s'\n", err.msg, word);
        CHECK(0);
    }
    rig_fini(&r);
}

static void what_cannot_be_used_is_refused_by_name(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    refuses_by_name("qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=128k a.qcow2 1M",
                    "extended L2", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 -o data_file=d.raw a.qcow2 1M",
                    "external data file", &rw);
    /* By hand: making one with qemu-img fails on a busy machine, where it cannot time the key. */
    refuses_by_name("qemu-img create -q -f qcow2 a.qcow2 1M && printf '\\0\\0\\0\\2' | "
                    "dd of=a.qcow2 bs=1 seek=32 conv=notrunc status=none", /* crypt_method: LUKS */
                    "encrypted", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 a.qcow2 1M && printf '\\002' | dd of=a.qcow2 bs=1 "
                    "seek=79 conv=notrunc 2>/dev/null",
                    "marked corrupt", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 a.qcow2 1M && printf '\\001' | dd of=a.qcow2 bs=1 "
                    "seek=79 conv=notrunc 2>/dev/null",
                    "stale", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 a.qcow2 1M && printf '\\200' | dd of=a.qcow2 bs=1 "
                    "seek=78 conv=notrunc 2>/dev/null",
                    "unknown features", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 a.qcow2 1M && printf '\\050' | dd of=a.qcow2 bs=1 "
                    "seek=23 conv=notrunc 2>/dev/null",
                    "cluster_bits", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 a.qcow2 1M && printf '\\001' | dd of=a.qcow2 bs=1 "
                    "seek=24 conv=notrunc 2>/dev/null",
                    "l1_entries", &rw);
    refuses_by_name("head -c 100 /dev/zero >a.qcow2", "not a qcow2 image", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 a.qcow2 1M && truncate -s 80 a.qcow2", "cut short",
                    &rw);
    refuses_by_name("qemu-img create -q -f qcow2 a.qcow2 1M && truncate -s 131072 a.qcow2",
                    "outside the file", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 -u -b a.qcow2 -F qcow2 b 1M && mv b a.qcow2",
                    "its own backing file", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 -u -b nbd://h -F raw a.qcow2 1M",
                    "not the path of a file", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 -u -b gone -F raw a.qcow2 1M", "gone", &rw);
    refuses_by_name("qemu-img create -q -f qcow2 -u -b x -F vmdk a.qcow2 1M", "vmdk", &rw);
    refuses_by_name("truncate -s 1M b && qemu-img create -q -f qcow2 -b b -F raw a.qcow2 1M",
                    "not allowed",
                    &(struct image_options){.format = IMAGE_QCOW2, .no_backing = true});
}

static void a_dirty_image_can_be_read(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    uint8_t buf[512];
    rig_init(&r, 1 << 20);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 a.qcow2 1M && printf '\\001' | dd of=a.qcow2 "
                        "bs=1 seek=79 conv=notrunc 2>/dev/null"),
             0);
    REQUIRE(rig_open(&r, "a.qcow2", &ro, NULL) == 0);
    CHECK_EQ(blk_read_sync(r.blk, 0, buf, 512), 0);
    CHECK_EQ(blk_write_sync(r.blk, 0, buf, 512), -EROFS);
    rig_fini(&r);
}

/* An L2 entry that points at the L1 table: the guest's write must not land there. */
static void a_cluster_over_a_table_marks_the_image_corrupt(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    uint8_t buf[512] = {0}, before[65536], after[65536];
    struct err err = {0};
    rig_init(&r, 1 << 20);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 a.qcow2 1M && "
                        "qemu-io -f qcow2 -c 'write 0 64k' a.qcow2 >/dev/null"),
             0);
    char path[512];
    snprintf(path, sizeof(path), "%s/a.qcow2", r.dir);
    int fd = open(path, O_RDWR);
    uint8_t n[8];
    CHECK_EQ(pread(fd, n, 8, 40), 8); /* offset of L1 */
    uint64_t l1 = qcow2_be64(n);
    CHECK_EQ(pread(fd, n, 8, (off_t)l1), 8);
    uint64_t l2 = qcow2_be64(n) & QCOW2_WIRE_OFFSET;
    qcow2_put_be64(n, l1 | QCOW2_WIRE_COPIED);
    CHECK_EQ(pwrite(fd, n, 8, (off_t)l2), 8);
    CHECK_EQ(pread(fd, before, sizeof(before), (off_t)l1), (ssize_t)sizeof(before));
    REQUIRE(rig_open(&r, "a.qcow2", &rw, NULL) == 0);
    CHECK_EQ(blk_write_sync(r.blk, 0, buf, 512), -EIO);
    CHECK_EQ(blk_write_sync(r.blk, 512 * 1024, buf, 512), -EIO);
    CHECK_EQ(blk_op_sync(r.blk, BLK_FLUSH, 0, 0, 0), -EIO);
    rig_close(&r);
    CHECK_EQ(pread(fd, after, sizeof(after), (off_t)l1), (ssize_t)sizeof(after));
    CHECK(memcmp(before, after, sizeof(before)) == 0);
    close(fd);
    CHECK(rig_open(&r, "a.qcow2", &rw, &err) < 0);
    CHECK(strstr(err.msg, "marked corrupt"));
    rig_fini(&r);
}

static void a_failed_flush_is_reported_once_to_each_who_waits(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    uint8_t buf[512] = {1};
    rig_init(&r, 1 << 20);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 a.qcow2 1M"), 0);
    char path[512];
    snprintf(path, sizeof(path), "%s/a.qcow2", r.dir);
    struct blk *file = raw_create(r.aio, r.loop, open(path, O_RDWR | O_CLOEXEC), path,
                                  &(struct raw_config){.growable = true}, NULL);
    struct blk *faulty = faulty_create(file, NULL);
    r.blk = qcow2_open(faulty, NULL, &(struct qcow2_options){.name = path}, NULL);
    REQUIRE(r.blk);
    CHECK_EQ(blk_write_sync(r.blk, 0, buf, 512), 0);
    faulty_add(faulty, &(struct faulty_rule){.op_mask = 1 << BLK_FLUSH, .count = 1, .error = EIO});
    CHECK_EQ(blk_op_sync(r.blk, BLK_FLUSH, 0, 0, 0), -EIO);
    CHECK_EQ(blk_op_sync(r.blk, BLK_FLUSH, 0, 0, 0), 0);
    rig_close(&r);
    CHECK_EQ(rig_sh(&r, "qemu-img check -q a.qcow2"), 0);
    rig_fini(&r);
}

static void through_direct_io(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    struct rig r;
    struct image_options direct = {.format = IMAGE_QCOW2, .cache = IMAGE_DIRECT};
    rig_init(&r, 4 << 20);
    CHECK_EQ(rig_sh(&r, "qemu-img create -q -f qcow2 -o cluster_size=4k a.qcow2 4M"), 0);
    REQUIRE(rig_open(&r, "a.qcow2", &direct, NULL) == 0);
    rig_random(&r, 200, 1, 30000, 1);
    rig_close(&r);
    rig_verify(&r, "a.qcow2");
    rig_fini(&r);
}

int main(void)
{
    TAP_RUN(random_operations_leave_a_sound_image);
    TAP_RUN(the_refcount_table_grows);
    TAP_RUN(backing_files_show_through);
    TAP_RUN(compressed_clusters_are_copied_on_write);
    TAP_RUN(internal_snapshots_keep_their_contents);
    TAP_RUN(discard_gives_space_back);
    TAP_RUN(a_small_cache_evicts_and_writes_back);
    TAP_RUN(write_errors_reach_the_guest_and_leave_a_sound_image);
    TAP_RUN(what_cannot_be_used_is_refused_by_name);
    TAP_RUN(a_dirty_image_can_be_read);
    TAP_RUN(a_cluster_over_a_table_marks_the_image_corrupt);
    TAP_RUN(a_failed_flush_is_reported_once_to_each_who_waits);
    TAP_RUN(through_direct_io);
    return tap_done();
}
