/* Images taken in: every format, what is refused, and what is left after a death at each step. */
#include "agent/image_import.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/volume_file.h"
#include "agent/worker.h"
#include "base/fault.h"
#include "base/util.h"
#include "http_fixture.h"
#include "tap.h"

static const uint8_t ID[16] = {0x1}, OTHER[16] = {0x2};
#define ID_NAME "01000000-0000-0000-0000-000000000000"

static char DIR_[64];
static struct volume_driver *POOL;
static struct image_import *IM;

static int sh(const char *what)
{
    char command[1024];
    snprintf(command, sizeof(command), "cd %s && %s", DIR_, what);
    return system(command);
}

static void open_all(uint64_t max_bytes)
{
    char pool[96], work[96];
    struct err err = {0};
    snprintf(pool, sizeof(pool), "%s/pool", DIR_);
    snprintf(work, sizeof(work), "%s/work", DIR_);
    POOL = volume_file_open(pool, &err);
    const struct image_import_config c = {
        .dir = work, .driver = POOL, .max_bytes = max_bytes, .max_disk_bytes = 16 * MIB};
    IM = POOL ? image_import_open(&c, &err) : NULL;
    if (!IM) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
}

static void close_all(void)
{
    image_import_close(IM);
    POOL->ops->close(POOL);
}

/* A directory with `raw`: 2 MiB, of them 64 KiB at 1 MiB hold 7. */
static void set_up(void)
{
    strcpy(DIR_, "/var/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    CHECK_EQ(sh("truncate -s 2M raw && head -c 65536 /dev/zero | tr '\\0' '\\7' | "
                "dd of=raw bs=64k seek=16 conv=notrunc 2>/dev/null"),
             0);
    open_all(16 * MIB);
}

static void tear_down(void)
{
    CHECK_EQ(sh("test -z \"$(ls work)\""), 0);
    close_all();
    CHECK_EQ(sh("rm -rf $PWD"), 0);
}

static int run(const uint8_t id[16], enum image_import_kind kind, const char *name,
               struct image_import_result *r, struct err *err)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", DIR_, name);
    struct image_import_request q = {.kind = kind, .source = path};
    memcpy(q.id, id, 16);
    return image_import_run(IM, &q, r, err);
}

/* What a guest would read of the image. */
static bool holds_the_disk(const uint8_t id[16])
{
    struct volume_info info;
    char command[VOLUME_DRIVER_PATH_BYTES + 160];
    if (POOL->ops->info(POOL, VOLUME_IMAGE, id, &info, NULL) || info.size_bytes != 2 * MIB)
        return false;
    snprintf(command, sizeof(command), "qemu-img compare -q -f raw -F %s %s/raw %s",
             info.format == VOLUME_RAW ? "raw" : "qcow2", DIR_, info.path);
    return system(command) == 0;
}

static bool have_tools(void)
{
    return system("qemu-img --version >/dev/null 2>&1 && zstd -V >/dev/null 2>&1 && "
                  "xz -V >/dev/null 2>&1") == 0;
}

#define NEED_TOOLS()                                                                               \
    do {                                                                                           \
        if (!have_tools())                                                                         \
            SKIP("qemu-img, zstd or xz is not installed (qemu-utils, zstd, xz-utils)");            \
    } while (0)

static void each_format_becomes_the_disk_that_it_holds(void)
{
    static const char *const names[] = {"raw", "qcow2",  "vmdk",    "stream", "vhdx",    "vdi",
                                        "ova", "raw.gz", "raw.zst", "raw.xz", "qcow2.gz"};
    static const enum image_probe_format formats[] = {
        IMAGE_PROBE_RAW,  IMAGE_PROBE_QCOW2, IMAGE_PROBE_VMDK, IMAGE_PROBE_VMDK,
        IMAGE_PROBE_VHDX, IMAGE_PROBE_VDI,   IMAGE_PROBE_OVA,  IMAGE_PROBE_RAW,
        IMAGE_PROBE_RAW,  IMAGE_PROBE_RAW,   IMAGE_PROBE_QCOW2};
    NEED_TOOLS();
    set_up();
    CHECK_EQ(sh("for f in qcow2 vmdk vhdx vdi; do qemu-img convert -f raw -O $f raw $f; done; "
                "qemu-img convert -f raw -O vmdk -o subformat=streamOptimized raw stream; "
                "cp stream d.vmdk; echo '<File ovf:href=\"d.vmdk\"/>' >b.ovf; "
                "tar -cf ova --format=ustar b.ovf d.vmdk; gzip -k raw; zstd -q raw; xz -k raw; "
                "gzip -k qcow2"),
             0);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        struct image_import_result r = {0};
        struct err err = {0};
        int ret = run(ID, i % 2 ? IMAGE_IMPORT_UPLOAD : IMAGE_IMPORT_FILE, names[i], &r, &err);
        if (ret)
            printf("# %s: %s\n", names[i], err.msg);
        CHECK_EQ(ret, 0);
        CHECK_EQ(r.format, formats[i]);
        CHECK_EQ(r.size_bytes, 2 * MIB);
        CHECK(!r.was_there);
        CHECK(holds_the_disk(ID));
        CHECK_EQ(POOL->ops->remove(POOL, VOLUME_IMAGE, ID, NULL), 0);
    }
    CHECK_EQ(sh("test -s raw && test -s qcow2 && test -s ova"), 0); /* what was given is left */
    tear_down();
}

static void holes_stay_holes(void)
{
    struct image_import_result r;
    struct volume_info info;
    NEED_TOOLS();
    set_up();
    CHECK_EQ(sh("truncate -s 16M raw && zstd -q raw"), 0);
    CHECK_EQ(run(ID, IMAGE_IMPORT_FILE, "raw", &r, NULL), 0);
    CHECK_EQ(run(OTHER, IMAGE_IMPORT_FILE, "raw.zst", &r, NULL), 0);
    CHECK_EQ(POOL->ops->info(POOL, VOLUME_IMAGE, ID, &info, NULL), 0);
    CHECK_EQ(info.size_bytes, 16 * MIB);
    CHECK(info.used_bytes <= 128 * KIB);
    CHECK_EQ(POOL->ops->info(POOL, VOLUME_IMAGE, OTHER, &info, NULL), 0);
    CHECK_EQ(info.size_bytes, 16 * MIB);
    CHECK(info.used_bytes <= 128 * KIB);
    tear_down();
}

static void an_image_that_is_there_is_not_read_again(void)
{
    struct image_import_result r;
    set_up();
    CHECK_EQ(run(ID, IMAGE_IMPORT_FILE, "raw", &r, NULL), 0);
    CHECK(!r.was_there);
    CHECK_EQ(run(ID, IMAGE_IMPORT_FILE, "not there", &r, NULL), 0);
    CHECK(r.was_there);
    CHECK_EQ(r.size_bytes, 2 * MIB);
    tear_down();
}

static void refused(const char *name, int code, const char *word)
{
    struct image_import_result r = {.received_bytes = 7};
    struct volume_info info;
    struct err err = {0};
    CHECK_EQ(run(ID, IMAGE_IMPORT_UPLOAD, name, &r, &err), -code);
    if (!strstr(err.msg, word))
        printf("# %s: no \"%s\" in: %s\n", name, word, err.msg);
    CHECK(strstr(err.msg, word));
    CHECK_EQ(r.received_bytes, 7);
    CHECK_EQ(POOL->ops->info(POOL, VOLUME_IMAGE, ID, &info, NULL), -ENOENT);
    CHECK_EQ(sh("test -z \"$(ls work)\" && test -z \"$(ls pool/new)\""), 0);
}

static void hostile_and_damaged_images_leave_nothing(void)
{
    NEED_TOOLS();
    set_up();
    CHECK_EQ(sh("qemu-img create -q -f qcow2 -b raw -F raw over; gzip -k over; "
                "qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat raw flat.vmdk; "
                "zstd -q raw; head -c 50 raw.zst >cut.zst; zstd -qf raw.zst -o twice.zst; "
                "qemu-img create -q -f qcow2 huge 17M; qemu-img create -q -f vhdx hugex 32M; "
                "truncate -s 17M huger; gzip -k huger; "
                "qemu-img convert -f raw -O qcow2 raw torn; truncate -s 200000 torn"),
             0);
    refused("over", EINVAL, "backing file");
    refused("over.gz", EINVAL, "backing file");
    refused("flat.vmdk", ENOTSUP, "other files");
    refused("cut.zst", EIO, "zstd failed");
    refused("twice.zst", ENOTSUP, "twice");
    refused("huge", E2BIG, "17825792");
    refused("hugex", E2BIG, "33554432");
    refused("huger", E2BIG, "more than the");
    refused("huger.gz", E2BIG, "once unpacked");
    refused("torn", EINVAL, "damaged");
    refused("not-there", ENOENT, "not-there");
    refused(".", EINVAL, "not a regular file");
    tear_down();
}

static void the_format_and_the_sha256_that_were_said_must_be_right(void)
{
    struct image_import_result r, again;
    struct err err = {0};
    uint8_t sha[IMAGE_FETCH_SHA256_BYTES];
    char path[128];
    set_up();
    snprintf(path, sizeof(path), "%s/raw", DIR_);
    struct image_import_request q = {
        .kind = IMAGE_IMPORT_FILE, .source = path, .expects = true, .format = IMAGE_PROBE_QCOW2};
    CHECK_EQ(image_import_run(IM, &q, &r, &err), -EINVAL);
    CHECK(strstr(err.msg, "is raw, not qcow2"));
    q.format = IMAGE_PROBE_RAW;
    CHECK_EQ(image_import_run(IM, &q, &r, &err), 0);
    memcpy(sha, r.sha256, sizeof(sha));
    q.id[0] = 9;
    q.sha256 = sha;
    CHECK_EQ(image_import_run(IM, &q, &again, &err), 0);
    sha[5] ^= 1;
    q.id[0] = 10;
    CHECK_EQ(image_import_run(IM, &q, &again, &err), -EBADMSG);
    tear_down();
}

/* ---- progress, stop, threads ---- */

struct seen {
    unsigned percent, calls;
    unsigned stages; /* bits */
    enum image_import_stage stop_at;
    _Atomic bool stop;
};

static void progress(void *ctx, enum image_import_stage stage, unsigned percent,
                     uint64_t received_bytes)
{
    struct seen *s = ctx;
    CHECK(percent >= s->percent && percent <= 100);
    s->percent = percent;
    s->stages |= 1u << stage;
    s->calls++;
    if (s->stop_at && stage == s->stop_at)
        s->stop = true;
}

static void progress_never_goes_back_and_a_stop_leaves_nothing(void)
{
    static const enum image_import_stage stops[] = {0, IMAGE_IMPORT_UNPACK, IMAGE_IMPORT_CONVERT,
                                                    IMAGE_IMPORT_STORE};
    NEED_TOOLS();
    set_up();
    CHECK_EQ(sh("qemu-img convert -f raw -O vdi raw vdi && gzip -k vdi"), 0);
    for (unsigned i = 0; i < ARRAY_LEN(stops); i++) {
        struct seen s = {.stop_at = stops[i]};
        struct image_import_result r;
        struct err err = {0};
        char path[128];
        snprintf(path, sizeof(path), "%s/vdi.gz", DIR_);
        struct image_import_request q = {.kind = IMAGE_IMPORT_FILE,
                                         .source = path,
                                         .progress = progress,
                                         .ctx = &s,
                                         .stop = &s.stop};
        q.id[0] = (uint8_t)(20 + i);
        int ret = image_import_run(IM, &q, &r, &err);
        if (stops[i] == 0 || stops[i] == IMAGE_IMPORT_STORE) { /* too late to stop */
            CHECK_EQ(ret, 0);
            CHECK_EQ(s.percent, 100);
            CHECK_EQ(s.stages, 0xf);
        } else {
            CHECK_EQ(ret, -ECANCELED);
            CHECK_EQ(sh("test -z \"$(ls work)\""), 0);
        }
    }
    tear_down();
}

struct job {
    struct work work;
    struct image_import_request q;
    struct image_import_result r;
    struct err err;
    char path[128];
    int ret;
    bool done;
};

static void job_run(struct work *w)
{
    struct job *j = container_of(w, struct job, work);
    j->ret = image_import_run(IM, &j->q, &j->r, &j->err);
}

static void job_done(struct work *w)
{
    container_of(w, struct job, work)->done = true;
}

static void several_run_at_once_on_workers(void)
{
    static struct job jobs[6];
    NEED_TOOLS();
    set_up();
    CHECK_EQ(sh("qemu-img convert -f raw -O vmdk raw vmdk"), 0);
    struct loop *loop = loop_create(0, NULL);
    struct worker_pool *p = worker_pool_create(loop, 3, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
        struct job *j = &jobs[i];
        *j = (struct job){.work = {.run = job_run, .done = job_done}};
        snprintf(j->path, sizeof(j->path), "%s/%s", DIR_, i % 2 ? "raw" : "vmdk");
        j->q = (struct image_import_request){.id = {(uint8_t)(40 + i)}, .source = j->path};
        worker_submit(p, &j->work);
    }
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++)
        while (!jobs[i].done)
            loop_run_once(loop, 1000);
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
        if (jobs[i].ret)
            printf("# job %u: %s\n", i, jobs[i].err.msg);
        CHECK_EQ(jobs[i].ret, 0);
        CHECK(holds_the_disk(jobs[i].q.id));
    }
    worker_pool_destroy(p);
    loop_destroy(loop);
    tear_down();
}

static void a_url_is_imported_or_leaves_nothing(void)
{
    static char body[2 << 20];
    static const char *const bad[] = {"/short", "/missing", "/loop"};
    struct http_fixture h;
    struct image_import_result r;
    struct err err = {0};
    char url[128];
    set_up();
    CHECK_EQ(sh("cp raw copy"), 0);
    memset(body + (1 << 20), 7, 65536);
    REQUIRE(http_start(&h, body, sizeof(body)));
    struct image_import_request q = {.kind = IMAGE_IMPORT_URL, .source = url};
    memcpy(q.id, ID, 16);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", h.port, bad[i]);
        CHECK(image_import_run(IM, &q, &r, &err) < 0);
        CHECK_EQ(sh("test -z \"$(ls work)\""), 0);
    }
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/moved", h.port);
    CHECK_EQ(image_import_run(IM, &q, &r, &err), 0);
    CHECK_EQ(r.received_bytes, sizeof(body));
    if (have_tools())
        CHECK(holds_the_disk(ID));
    http_stop(&h);
    tear_down();
}

/* ---- a death at each step ---- */

static char POINTS[32][64];
static unsigned N_POINTS;
static void note(void *arg, const char *name)
{
    if (N_POINTS < ARRAY_LEN(POINTS))
        snprintf(POINTS[N_POINTS++], sizeof(POINTS[0]), "%s", name);
}

static void dies_at_each_point(enum fault_how how)
{
    char points[32][64];
    struct image_import_result r;
    set_up();
    CHECK_EQ(sh("qemu-img convert -f raw -O vdi raw vdi && gzip -k vdi"), 0);
    N_POINTS = 0;
    fault_tell(note, NULL);
    CHECK_EQ(run(OTHER, IMAGE_IMPORT_FILE, "vdi.gz", &r, NULL), 0);
    fault_tell(NULL, NULL);
    unsigned n = N_POINTS;
    memcpy(points, POINTS, sizeof(points));
    CHECK(n >= 7); /* five of ours, and the driver's */
    for (unsigned i = 0; i < n && !tap_case_failures; i++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            fault_arm(points[i], 1, how);
            _exit(run(ID, IMAGE_IMPORT_FILE, "vdi.gz", &r, NULL) ? 1 : 0);
        }
        waitpid(pid, &status, 0);
        CHECK(how == FAULT_KILL ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                : WIFEXITED(status) && WEXITSTATUS(status) == 1);
        if (how == FAULT_FAIL)
            CHECK_EQ(sh("test -z \"$(ls work)\""), 0);
        close_all();
        open_all(16 * MIB);
        CHECK_EQ(sh("test -z \"$(ls work)\" && test -z \"$(ls pool/new)\""), 0);
        CHECK_EQ(run(ID, IMAGE_IMPORT_FILE, "vdi.gz", &r, NULL), 0);
        CHECK(holds_the_disk(ID));
        CHECK_EQ(POOL->ops->remove(POOL, VOLUME_IMAGE, ID, NULL), 0);
        if (tap_case_failures)
            printf("# after %s\n", points[i]);
    }
    tear_down();
}

static void a_death_at_any_step_leaves_nothing_after_the_next_start(void)
{
    NEED_TOOLS();
    dies_at_each_point(FAULT_KILL);
}

static void a_failure_at_any_step_leaves_nothing(void)
{
    NEED_TOOLS();
    dies_at_each_point(FAULT_FAIL);
}

static void the_next_start_sweeps_what_a_program_made_and_nothing_else(void)
{
    set_up();
    CHECK_EQ(sh("mkdir -p work/" ID_NAME "/a/b work/of-somebody && "
                "ln -s $PWD/raw work/" ID_NAME "/a/link && touch work/" ID_NAME "/a/b/c"),
             0);
    close_all();
    open_all(16 * MIB);
    CHECK_EQ(sh("test -s raw && test \"$(ls work)\" = of-somebody && rmdir work/of-somebody"), 0);
    tear_down();
}

int main(void)
{
    TAP_RUN(each_format_becomes_the_disk_that_it_holds);
    TAP_RUN(holes_stay_holes);
    TAP_RUN(an_image_that_is_there_is_not_read_again);
    TAP_RUN(hostile_and_damaged_images_leave_nothing);
    TAP_RUN(the_format_and_the_sha256_that_were_said_must_be_right);
    TAP_RUN(progress_never_goes_back_and_a_stop_leaves_nothing);
    TAP_RUN(several_run_at_once_on_workers);
    TAP_RUN(a_url_is_imported_or_leaves_nothing);
    TAP_RUN(a_death_at_any_step_leaves_nothing_after_the_next_start);
    TAP_RUN(a_failure_at_any_step_leaves_nothing);
    TAP_RUN(the_next_start_sweeps_what_a_program_made_and_nothing_else);
    return tap_done();
}
