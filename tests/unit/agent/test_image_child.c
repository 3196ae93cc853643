/* Programs run as those that read a tenant's image are: what they can do, and how they end. */
#include "agent/image_child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

#define UID 0x7a123456

static char DIR_[64];

struct heard {
    char text[4096];
    size_t bytes;
};

static int hear(void *ctx, const char *data, size_t bytes, struct err *err)
{
    struct heard *h = ctx;
    size_t n = MIN(bytes, sizeof(h->text) - 1 - h->bytes);
    memcpy(h->text + h->bytes, data, n);
    h->bytes += n;
    h->text[h->bytes] = 0;
    return 0;
}

/* Runs a shell's script; *code as image_child_run() has it. */
static int run_as(const struct image_child *base, const char *script, struct heard *h, int *code,
                  struct err *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct image_child c = *base;
    *h = (struct heard){0};
    c.argv = argv;
    c.out = hear;
    c.ctx = h;
    return image_child_run(&c, code, err);
}

static struct image_child confined(void)
{
    return (struct image_child){
        .dir = DIR_, .confined = true, .uid = UID, .stdin_fd = -1, .time_max_s = 60};
}

static bool can_confine(void)
{
    const struct image_child c = confined();
    struct heard h;
    return run_as(&c, ":", &h, NULL, NULL) == 0;
}

#define NEED_CONFINEMENT()                                                                         \
    do {                                                                                           \
        if (!can_confine())                                                                        \
            SKIP("neither root nor user namespaces here");                                         \
    } while (0)

static void output_and_exit_code_come_back(void)
{
    const struct image_child c = {.dir = "/", .stdin_fd = -1};
    struct heard h;
    struct err err = {0};
    int code = -1;
    CHECK_EQ(run_as(&c, "pwd; cat; exit 3", &h, &code, &err), 0);
    CHECK_EQ(code, 3);
    CHECK_STR(h.text, "/\n");
    CHECK_EQ(run_as(&c, "echo one >&2; printf 'at \\033[1mlast\\n\\n' >&2; exit 3", &h, NULL, &err),
             -EIO);
    CHECK(strstr(err.msg, "at ?[1mlast") && !strstr(err.msg, "one"));
    const char *const argv[] = {"no-such-program-at-all", NULL};
    struct image_child none = c;
    none.argv = argv;
    CHECK_EQ(image_child_run(&none, &code, &err), -ENOENT);
    CHECK(strstr(err.msg, "not installed"));
}

static void what_is_confined_has_a_network_and_a_uid_of_its_own(void)
{
    struct heard h;
    char ours[64] = "", uid[64];
    const struct image_child c = confined();
    NEED_CONFINEMENT();
    CHECK(readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) > 0);
    CHECK_EQ(run_as(&c, "readlink /proc/self/ns/net", &h, NULL, NULL), 0);
    CHECK(!strncmp(h.text, "net:[", 5));
    CHECK(strncmp(h.text, ours, strlen(ours)) != 0);
    CHECK_EQ(run_as(&c, "touch here && rm here && echo fine", &h, NULL, NULL), 0);
    CHECK_STR(h.text, "fine\n");
    if (geteuid() != 0)
        return;
    snprintf(uid, sizeof(uid), "%u\n%u\n%u\n", UID, UID, UID);
    CHECK_EQ(run_as(&c, "id -u; id -g; id -G", &h, NULL, NULL), 0);
    CHECK_STR(h.text, uid);
}

static void with_landlock_it_sees_programs_and_its_directory_alone(void)
{
    struct heard h;
    int code = 0;
    const struct image_child c = confined();
    NEED_CONFINEMENT();
    CHECK_EQ(run_as(&c, "cat /etc/passwd", &h, &code, NULL), 0);
    if (!code)
        SKIP("this kernel has no Landlock");
    CHECK_STR(h.text, "");
    CHECK_EQ(run_as(&c,
                    "ls / || echo 1; touch /tmp/virga-not-there || echo 2; ls .. || echo 3;"
                    "echo seen >seen; cat seen",
                    &h, NULL, NULL),
             0);
    CHECK_STR(h.text, "1\n2\n3\nseen\n");
}

static void limits_hold(void)
{
    struct heard h;
    struct err err = {0};
    int code = 0;
    struct image_child c = confined();
    NEED_CONFINEMENT();
    c.file_max_bytes = 100000;
    CHECK_EQ(run_as(&c, "head -c 200000 /dev/zero >big; wc -c <big", &h, &code, NULL), 0);
    CHECK_STR(h.text, "100000\n");
    c = confined();
    c.cpu_max_s = 1;
    CHECK_EQ(run_as(&c, "while :; do :; done", &h, NULL, &err), -ETIMEDOUT);
    CHECK(strstr(err.msg, "CPU"));
    c = confined();
    c.time_max_s = 1;
    CHECK_EQ(run_as(&c, "sleep 1000", &h, NULL, &err), -ETIMEDOUT);
    c = confined();
    c.memory_max_bytes = 64 * MIB;
    CHECK_EQ(run_as(&c, "head -c 200000000 /dev/zero | tail -n 1 | wc -c", &h, &code, NULL), 0);
    CHECK(strcmp(h.text, "200000000\n") != 0);
}

static int stop_at_once(void *ctx, const char *data, size_t bytes, struct err *err)
{
    atomic_store((_Atomic bool *)ctx, true);
    return 0;
}

static int refuse(void *ctx, const char *data, size_t bytes, struct err *err)
{
    return err_set(err, E2BIG, "enough");
}

/* What it printed as its process's number, ended with all its children. */
static void a_stop_or_a_refusal_ends_it_and_its_children(void)
{
    _Atomic bool stop = false;
    struct err err = {0};
    for (unsigned confine = 0; confine < 2; confine++) {
        const char *const argv[] = {"sh", "-c", "sleep 1000 & echo x; wait", NULL};
        struct image_child c = confined();
        c.confined = confine;
        c.argv = argv;
        if (confine)
            NEED_CONFINEMENT();
        c.out = stop_at_once;
        c.ctx = &stop;
        c.stop = &stop;
        CHECK_EQ(image_child_run(&c, NULL, &err), -ECANCELED);
        c.stop = NULL;
        c.out = refuse;
        CHECK_EQ(image_child_run(&c, NULL, &err), -E2BIG);
        CHECK_STR(err.msg, "enough");
    }
}

/* A child of its own, in a session of its own, that keeps its standard output open. */
static void what_leaves_its_group_does_not_hold_us(void)
{
    struct heard h;
    const struct image_child c = confined();
    NEED_CONFINEMENT();
    CHECK_EQ(run_as(&c,
                    "setsid sh -c 'echo begun; sleep 1000' & while ! test -e done; do "
                    "touch done; done; echo end",
                    &h, NULL, NULL),
             0);
    CHECK(strstr(h.text, "end\n"));
}

static void reads_its_standard_input(void)
{
    struct heard h;
    struct image_child c = confined();
    char path[128];
    NEED_CONFINEMENT();
    snprintf(path, sizeof(path), "%s/input", DIR_);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, "hello", 5), 5);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    c.stdin_fd = fd;
    CHECK_EQ(run_as(&c, "cat", &h, NULL, NULL), 0);
    CHECK_STR(h.text, "hello");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5); /* that is how progress is seen */
    close(fd);
}

int main(void)
{
    char command[128];
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1); /* no folders that we may not look into */
    strcpy(DIR_, "/var/tmp/virga-test-XXXXXX");
    if (!mkdtemp(DIR_) || chmod(DIR_, 0777) < 0) {
        printf("Bail out! no directory\n");
        return 1;
    }
    TAP_RUN(output_and_exit_code_come_back);
    TAP_RUN(what_is_confined_has_a_network_and_a_uid_of_its_own);
    TAP_RUN(with_landlock_it_sees_programs_and_its_directory_alone);
    TAP_RUN(limits_hold);
    TAP_RUN(a_stop_or_a_refusal_ends_it_and_its_children);
    TAP_RUN(what_leaves_its_group_does_not_hold_us);
    TAP_RUN(reads_its_standard_input);
    snprintf(command, sizeof(command), "rm -rf %s", DIR_);
    return system(command) || tap_done();
}
