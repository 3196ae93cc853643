/* Image files in a directory: what guests find in them, and what is left after a death at each
 * step. */
#include "agent/volume_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/util.h"
#include "blk/image.h"
#include "tap.h"

static const uint8_t A[16] = {0xa}, B[16] = {0xb}, S[16] = {0x5}, T[16] = {0x6}, I[16] = {0x1};
#define A_NAME "volumes/0a000000-0000-0000-0000-000000000000"
#define S_NAME "snapshots/05000000-0000-0000-0000-000000000000"

static char DIR_[64];

static struct volume_driver *open_pool(void)
{
    struct err err = {0};
    struct volume_driver *d = volume_file_open(DIR_, &err);
    if (!d) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return d;
}

static void set_up(void)
{
    strcpy(DIR_, "/var/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", DIR_);
    CHECK_EQ(system(command), 0);
}

static int sh(const char *what)
{
    char command[512];
    snprintf(command, sizeof(command), "cd %s && %s", DIR_, what);
    return system(command);
}

static int create(struct volume_driver *d, const uint8_t id[16], uint64_t size)
{
    struct volume_spec spec = {.size_bytes = size};
    memcpy(spec.id, id, 16);
    return d->ops->create(d, &spec, NULL);
}

static int create_from(struct volume_driver *d, const uint8_t id[16], enum volume_kind kind,
                       const uint8_t source[16])
{
    struct volume_spec spec = {.size_bytes = MIB, .from_source = true, .source_kind = kind};
    memcpy(spec.id, id, 16);
    memcpy(spec.source, source, 16);
    return d->ops->create(d, &spec, NULL);
}

/* What a guest would read at 4096, through the whole chain, by qemu-io. */
static bool reads(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                  unsigned byte)
{
    struct volume_info info;
    char command[VOLUME_DRIVER_PATH_BYTES + 128];
    if (d->ops->info(d, kind, id, &info, NULL))
        return false;
    snprintf(command, sizeof(command),
             "qemu-io -r -f %s -c 'read -P %u 4096 4096' %s | grep -q '^read 4096'",
             info.format == VOLUME_RAW ? "raw" : "qcow2", byte, info.path);
    char failed[VOLUME_DRIVER_PATH_BYTES + 160];
    snprintf(failed, sizeof(failed),
             "! qemu-io -r -f %s -c 'read -P %u 4096 4096' %s | grep -qi verif",
             info.format == VOLUME_RAW ? "raw" : "qcow2", byte, info.path);
    return system(command) == 0 && system(failed) == 0;
}

static bool writes(struct volume_driver *d, const uint8_t id[16], unsigned byte)
{
    struct volume_info info;
    char command[VOLUME_DRIVER_PATH_BYTES + 128];
    if (d->ops->info(d, VOLUME_VOLUME, id, &info, NULL))
        return false;
    snprintf(command, sizeof(command), "qemu-io -f %s -c 'write -P %u 4096 4096' %s >/dev/null",
             info.format == VOLUME_RAW ? "raw" : "qcow2", byte, info.path);
    return system(command) == 0;
}

static bool have_qemu_io(void)
{
    return system("qemu-io --version >/dev/null 2>&1") == 0;
}

static void copies_and_snapshots_hold_what_was_there_when_they_were_made(void)
{
    if (!have_qemu_io())
        SKIP("qemu-io is not installed (qemu-utils)");
    set_up();
    struct volume_driver *d = open_pool();
    CHECK_EQ(create(d, A, MIB), 0);
    CHECK(reads(d, VOLUME_VOLUME, A, 0));
    CHECK(writes(d, A, 1));
    CHECK_EQ(d->ops->snapshot(d, A, S, NULL), 0);
    CHECK(reads(d, VOLUME_VOLUME, A, 1));
    CHECK(writes(d, A, 2));
    CHECK(reads(d, VOLUME_SNAPSHOT, S, 1));
    CHECK_EQ(create_from(d, B, VOLUME_SNAPSHOT, S), 0);
    CHECK(reads(d, VOLUME_VOLUME, B, 1));
    CHECK(writes(d, B, 3));
    CHECK(reads(d, VOLUME_SNAPSHOT, S, 1));
    CHECK(reads(d, VOLUME_VOLUME, A, 2));
    CHECK_EQ(d->ops->grow(d, A, 2 * MIB, NULL), 0);
    CHECK(reads(d, VOLUME_VOLUME, A, 2));
    d->ops->close(d);
    d = open_pool(); /* nothing is undone */
    CHECK(reads(d, VOLUME_SNAPSHOT, S, 1));
    CHECK(reads(d, VOLUME_VOLUME, A, 2));
    CHECK(reads(d, VOLUME_VOLUME, B, 3));
    d->ops->close(d);
    tear_down();
}

static void an_image_that_names_other_files_is_refused(void)
{
    struct err err = {0};
    set_up();
    struct volume_driver *d = open_pool();
    char path[128];
    if (sh("truncate -s 1M base.raw && qemu-img create -q -f qcow2 -b base.raw -F raw "
           "over.qcow2")) {
        d->ops->close(d);
        tear_down();
        SKIP("qemu-img is not installed (qemu-utils)");
    }
    snprintf(path, sizeof(path), "%s/over.qcow2", DIR_);
    CHECK_EQ(d->ops->import(d, I, path, VOLUME_QCOW2, &err), -EINVAL);
    CHECK(strstr(err.msg, "base.raw"));
    snprintf(path, sizeof(path), "%s/base.raw", DIR_);
    CHECK_EQ(d->ops->import(d, I, path, VOLUME_QCOW2, &err), -EINVAL);
    CHECK_EQ(sh("test -z \"$(ls images; ls new)\""), 0);
    d->ops->close(d);
    tear_down();
}

static void an_image_stays_while_a_volume_cannot_say_what_it_is_made_of(void)
{
    struct err err = {0};
    char path[128];
    set_up();
    struct volume_driver *d = open_pool();
    snprintf(path, sizeof(path), "%s/base.raw", DIR_);
    CHECK_EQ(sh("truncate -s 1M base.raw"), 0);
    CHECK_EQ(d->ops->import(d, I, path, VOLUME_RAW, NULL), 0);
    CHECK_EQ(sh("head -c 65536 /dev/urandom >" A_NAME ".qcow2"), 0);
    CHECK(d->ops->remove(d, VOLUME_IMAGE, I, &err) < 0);
    CHECK(strstr(err.msg, "0a000000"));
    CHECK_EQ(sh("test -n \"$(ls images)\""), 0);
    CHECK_EQ(d->ops->remove(d, VOLUME_VOLUME, A, &err), 0);
    CHECK_EQ(d->ops->remove(d, VOLUME_IMAGE, I, &err), 0);
    d->ops->close(d);
    tear_down();
}

static void a_volume_in_use_is_left_alone(void)
{
    struct err err = {0};
    set_up();
    struct volume_driver *d = open_pool();
    struct volume_info info;
    struct image_fds fds;
    const struct image_options options = {.format = IMAGE_RAW};
    CHECK_EQ(create(d, A, MIB), 0);
    CHECK_EQ(d->ops->info(d, VOLUME_VOLUME, A, &info, NULL), 0);
    CHECK_EQ(image_open(info.path, &options, &fds, &err), 0);
    CHECK_EQ(d->ops->remove(d, VOLUME_VOLUME, A, &err), -EBUSY);
    CHECK_EQ(d->ops->snapshot(d, A, S, &err), -EBUSY);
    CHECK_EQ(d->ops->grow(d, A, 2 * MIB, &err), -EBUSY);
    image_close(&fds);
    CHECK_EQ(d->ops->remove(d, VOLUME_VOLUME, A, &err), 0);
    d->ops->close(d);
    tear_down();
}

/* ---- a death at each step ---- */

enum what { CREATE, COPY, SNAPSHOT, REMOVE, IMPORT };

static int act(struct volume_driver *d, enum what what)
{
    char path[128];
    switch (what) {
    case CREATE:
        return create(d, B, MIB);
    case COPY:
        return create_from(d, B, VOLUME_IMAGE, I);
    case SNAPSHOT:
        return d->ops->snapshot(d, A, S, NULL);
    case REMOVE:
        return d->ops->remove(d, VOLUME_VOLUME, A, NULL);
    default:
        snprintf(path, sizeof(path), "%s/source.raw", DIR_);
        return d->ops->import(d, S, path, VOLUME_RAW, NULL);
    }
}

static char POINTS[32][64];
static unsigned N_POINTS;
static void note(void *arg, const char *name)
{
    (void)arg;
    if (N_POINTS < ARRAY_LEN(POINTS))
        snprintf(POINTS[N_POINTS++], sizeof(POINTS[0]), "%s", name);
}

static struct volume_driver *prepared(void)
{
    char path[128];
    set_up();
    CHECK_EQ(sh("head -c 1048576 /dev/zero | tr '\\0' '\\7' >source.raw"), 0);
    struct volume_driver *d = open_pool();
    snprintf(path, sizeof(path), "%s/source.raw", DIR_);
    CHECK_EQ(d->ops->import(d, I, path, VOLUME_RAW, NULL), 0);
    CHECK_EQ(create(d, A, MIB), 0);
    CHECK_EQ(sh("printf hello | dd of=" A_NAME ".raw conv=notrunc 2>/dev/null"), 0);
    return d;
}

/* After a death: the pool opens, the step is done or not, A still says hello, doing it again works,
 * nothing is left over. */
static void check_pool(enum what what, const char *point)
{
    struct volume_driver *d = open_pool();
    struct volume_info info;
    bool there = !d->ops->info(d, VOLUME_VOLUME, A, &info, NULL);
    CHECK(there || what == REMOVE);
    CHECK_EQ(sh("test -z \"$(ls new)\""), 0);
    if (there && what != REMOVE)
        CHECK_EQ(
            sh("qemu-io -r -f $(ls volumes | grep -c '^0a.*qcow2' | sed 's/0/raw/;s/1/qcow2/') "
               "-c 'read -P 0x68 0 1' " A_NAME ".* | grep -q '^read 1/1'"),
            0);
    CHECK_EQ(act(d, what), 0);
    CHECK_EQ(act(d, what), 0);
    CHECK_EQ(sh("test -z \"$(ls new)\""), 0);
    CHECK_EQ(sh("test $(ls volumes | cut -d. -f1 | sort | uniq -d | wc -l) = 0"),
             0); /* one name each */
    CHECK_EQ(sh("test -z \"$(find . -type f -links +1)\""), 0);
    CHECK_EQ(
        sh("for f in volumes/*.qcow2; do test ! -e $f || qemu-img check -q $f || exit 1; done"), 0);
    if (tap_case_failures)
        printf("# after a death at %s of %d\n", point, what);
    d->ops->close(d);
}

static void dies_at_each_point(enum what what, enum fault_how how)
{
    char points[32][64];
    N_POINTS = 0;
    struct volume_driver *d = prepared();
    fault_tell(note, NULL);
    CHECK_EQ(act(d, what), 0);
    fault_tell(NULL, NULL);
    d->ops->close(d);
    tear_down();
    CHECK(N_POINTS > 1);
    unsigned n = N_POINTS;
    memcpy(points, POINTS, sizeof(points));
    for (unsigned i = 0; i < n && !tap_case_failures; i++) {
        int status;
        d = prepared();
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            fault_arm(points[i], 1, how);
            _exit(act(d, what) ? 1 : 0);
        }
        waitpid(pid, &status, 0);
        CHECK(how == FAULT_KILL ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                : WIFEXITED(status) && WEXITSTATUS(status) == 1);
        d->ops->close(d);
        check_pool(what, points[i]);
        tear_down();
    }
}

static void a_death_at_any_step_leaves_all_or_nothing(void)
{
    if (!have_qemu_io())
        SKIP("qemu-io is not installed (qemu-utils)");
    for (int what = CREATE; what <= IMPORT; what++)
        dies_at_each_point((enum what)what, FAULT_KILL);
}

static void a_failure_at_any_step_leaves_all_or_nothing(void)
{
    if (!have_qemu_io())
        SKIP("qemu-io is not installed (qemu-utils)");
    for (int what = CREATE; what <= IMPORT; what++)
        dies_at_each_point((enum what)what, FAULT_FAIL);
}

/* ---- others at work meanwhile ---- */

/* While the first passes `at`, a snapshot of B fails at `fails`: on another worker in life. */
static struct {
    struct volume_driver *d;
    const char *at, *fails;
    unsigned tried, failed;
} OTHER;

static void fail_another(void *arg, const char *name)
{
    (void)arg;
    if (strcmp(name, OTHER.at) != 0)
        return;
    fault_tell(NULL, NULL);
    fault_arm(OTHER.fails, 1, FAULT_FAIL);
    OTHER.tried++;
    OTHER.failed += OTHER.d->ops->snapshot(OTHER.d, B, T, NULL) < 0;
    fault_arm(OTHER.fails, 0, FAULT_FAIL);
}

static void check_both(enum what what)
{
    struct volume_info info;
    CHECK(reads(OTHER.d, VOLUME_VOLUME, A, 1));
    CHECK(reads(OTHER.d, VOLUME_VOLUME, B, 2));
    CHECK(what == IMPORT ? reads(OTHER.d, VOLUME_IMAGE, S, 7)
                         : reads(OTHER.d, VOLUME_SNAPSHOT, S, 1));
    if (!OTHER.d->ops->info(OTHER.d, VOLUME_SNAPSHOT, T, &info, NULL))
        CHECK(reads(OTHER.d, VOLUME_SNAPSHOT, T, 2));
    CHECK_EQ(OTHER.d->ops->snapshot(OTHER.d, B, T, NULL), 0);
    CHECK(reads(OTHER.d, VOLUME_SNAPSHOT, T, 2));
    CHECK_EQ(sh("test -z \"$(ls new)$(find . -type f -links +1)\""), 0);
}

static bool another_fails(enum what what, const char *at, const char *fails)
{
    OTHER.d = prepared();
    OTHER.at = at;
    OTHER.fails = fails;
    OTHER.tried = OTHER.failed = 0;
    CHECK_EQ(create(OTHER.d, B, MIB), 0);
    CHECK(writes(OTHER.d, A, 1) && writes(OTHER.d, B, 2));
    fault_tell(fail_another, NULL);
    CHECK_EQ(act(OTHER.d, what), 0);
    fault_tell(NULL, NULL);
    bool shares = what == SNAPSHOT && sh("test -e " A_NAME ".raw") == 0;
    if (!shares) {
        CHECK_EQ(OTHER.tried, 1);
        CHECK_EQ(OTHER.failed, 1);
        check_both(what);
    }
    if (tap_case_failures)
        printf("# at %s another failed at %s\n", at, fails);
    OTHER.d->ops->close(OTHER.d);
    tear_down();
    return !shares;
}

static void a_failed_snapshot_leaves_what_others_are_making(void)
{
    static const char *const STEPS[] = {
        "volume_file.snapshot.linked", "volume_file.snapshot_overlay.written",
        "volume_file.snapshot_overlay.named", "volume_file.snapshot.replaced"};
    if (!have_qemu_io())
        SKIP("qemu-io is not installed (qemu-utils)");
    for (unsigned i = 0; i < ARRAY_LEN(STEPS) && !tap_case_failures; i++) {
        for (unsigned k = 0; k < ARRAY_LEN(STEPS) && !tap_case_failures; k++)
            if (!another_fails(SNAPSHOT, STEPS[i], STEPS[k]))
                SKIP("this file system shares extents: a snapshot is one step");
        another_fails(IMPORT, "volume_file.import.written", STEPS[i]);
    }
}

int main(void)
{
    TAP_RUN(copies_and_snapshots_hold_what_was_there_when_they_were_made);
    TAP_RUN(an_image_that_names_other_files_is_refused);
    TAP_RUN(an_image_stays_while_a_volume_cannot_say_what_it_is_made_of);
    TAP_RUN(a_volume_in_use_is_left_alone);
    TAP_RUN(a_death_at_any_step_leaves_all_or_nothing);
    TAP_RUN(a_failed_snapshot_leaves_what_others_are_making);
    TAP_RUN(a_failure_at_any_step_leaves_all_or_nothing);
    return tap_done();
}
