/* A directory shared by the packaged virtiofsd, driven by FUSE requests of the test's own: as root
 * and as an ordinary user. Spec: virtio 1.2, 5.11.6. */
#include "dev/virtio/fs.h"

#include <errno.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include "io/iothread.h"
#include "tap.h"
#include "vhu/virtiofsd.h"
#include "vhu_process.h"
#include "virtio_driver.h"

#define REQUESTS 1 /* queue 0 is for urgent ones */
#define NOBODY   65534

static struct virtiofsd server;
static struct iothread *thread;
static struct guest_mem mem;
static struct virtio_device *dev;
static struct vdrv drv;
static struct err err;
static uint64_t unique;

/* One request: `args` after the header; the answer without its header goes to `out`. Returns the
 * length of that or -errno of the server. */
static int ask(uint32_t opcode, uint64_t node, const void *args, uint32_t args_len, void *out,
               uint32_t out_len)
{
    uint8_t request[512] = {0}, answer[4096];
    struct fuse_in_header in = {.len = (uint32_t)sizeof(in) + args_len,
                                .opcode = opcode,
                                .unique = ++unique,
                                .nodeid = node,
                                .uid = 0, /* the guest's root */
                                .gid = 0};
    struct fuse_out_header head;
    memcpy(request, &in, sizeof(in));
    memcpy(request + sizeof(in), args, args_len);
    int64_t got = vdrv_request(&drv, REQUESTS, NULL, request, in.len, answer,
                               (uint32_t)sizeof(head) + out_len);
    if (got < (int64_t)sizeof(head))
        return -EIO;
    memcpy(&head, answer, sizeof(head));
    if (head.unique != unique)
        return -EPROTO;
    if (head.error)
        return head.error;
    memcpy(out, answer + sizeof(head), head.len - sizeof(head));
    return (int)(head.len - sizeof(head));
}

static bool begin(const char *dir, bool read_only)
{
    unique = 0;
    memset(&drv, 0, sizeof(drv));
    if (virtiofsd_spawn(&server, process_find("virtiofsd"), dir, read_only, &err))
        return false;
    thread = iothread_create("vhu", NULL, &err);
    if (!thread || guest_mem_init(&mem, 8 * MIB, GUEST_MEM_SHARED, &err))
        return false;
    struct vhu_device_options o = {.loop = iothread_loop(thread), .fd = server.fd};
    server.fd = -1;
    dev = fs_create(&mem, "tag", &o, &err);
    return dev && vdrv_open(&drv, &mem, dev, 0);
}

static void end(void)
{
    if (drv.dev)
        vdrv_close(&drv);
    iothread_destroy(thread);
    guest_mem_fini(&mem);
    virtiofsd_stop(&server);
}

static void hello(void)
{
    struct fuse_init_in in = {
        .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_readahead = 65536};
    struct fuse_init_out out;
    CHECK(ask(FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)) > 0);
    CHECK_EQ(out.major, FUSE_KERNEL_VERSION);
}

static void share_works(const char *dir)
{
    struct fuse_entry_out entry, made;
    struct fuse_open_in open_in = {.flags = O_RDONLY};
    struct fuse_open_out opened;
    struct fuse_mkdir_in mkdir_in = {.mode = 0755};
    char text[64] = "", args[64];
    struct stat st;
    if (!begin(dir, false)) {
        CHECK(!"could not start the share");
        printf("# %s\n", err.msg);
        end();
        return;
    }
    hello();
    CHECK(ask(FUSE_LOOKUP, FUSE_ROOT_ID, "greeting", 9, &entry, sizeof(entry)) > 0);
    CHECK_EQ(entry.attr.size, 13);
    CHECK_EQ(ask(FUSE_LOOKUP, FUSE_ROOT_ID, "absent", 7, &made, sizeof(made)), -ENOENT);
    REQUIRE(ask(FUSE_OPEN, entry.nodeid, &open_in, sizeof(open_in), &opened, sizeof(opened)) > 0);
    struct fuse_read_in read_in = {.fh = opened.fh, .size = sizeof(text)};
    CHECK_EQ(ask(FUSE_READ, entry.nodeid, &read_in, sizeof(read_in), text, sizeof(text)), 13);
    CHECK(!strncmp(text, "hello, guest\n", 13));
    memcpy(args, &mkdir_in, sizeof(mkdir_in));
    memcpy(args + sizeof(mkdir_in), "made", 5);
    CHECK(ask(FUSE_MKDIR, FUSE_ROOT_ID, args, sizeof(mkdir_in) + 5, &made, sizeof(made)) > 0);
    char path[256];
    snprintf(path, sizeof(path), "%s/made", dir);
    CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == getuid());
    /* Nothing above the shared directory can be seen. */
    CHECK(stat(dir, &st) == 0);
    CHECK(ask(FUSE_LOOKUP, FUSE_ROOT_ID, "..", 3, &made, sizeof(made)) < 0 ||
          made.attr.ino == st.st_ino);
    /* It goes on after a pause. */
    virtio_device_pause(dev);
    virtio_device_resume(dev);
    CHECK(ask(FUSE_LOOKUP, FUSE_ROOT_ID, "greeting", 9, &entry, sizeof(entry)) > 0);
    end();
}

/* A comma and a backslash in the name would split the server's options. */
static char *make_share(mode_t mode)
{
    char *dir = process_path("a,b\\c"), path[256];
    mkdir(dir, mode);
    chmod(dir, mode);
    snprintf(path, sizeof(path), "%s/greeting", dir);
    FILE *f = fopen(path, "w");
    if (!f || fputs("hello, guest\n", f) < 0 || fclose(f))
        abort();
    return dir;
}

static void a_directory_is_shared(void)
{
    process_make_dir();
    share_works(make_share(0755));
    process_remove_dir();
}

static void a_read_only_share_can_be_read_and_not_changed(void)
{
    struct fuse_entry_out entry;
    struct fuse_mkdir_in mkdir_in = {.mode = 0755};
    char args[64];
    process_make_dir();
    if (begin(make_share(0777), true)) {
        hello();
        CHECK(ask(FUSE_LOOKUP, FUSE_ROOT_ID, "greeting", 9, &entry, sizeof(entry)) > 0);
        memcpy(args, &mkdir_in, sizeof(mkdir_in));
        memcpy(args + sizeof(mkdir_in), "made", 5);
        CHECK_EQ(ask(FUSE_MKDIR, FUSE_ROOT_ID, args, sizeof(mkdir_in) + 5, &entry, sizeof(entry)),
                 -EROFS);
    } else {
        CHECK(!"could not start the share");
        printf("# %s\n", err.msg);
    }
    end();
    process_remove_dir();
}

static void an_ordinary_user_can_share_a_directory(void)
{
    if (getuid())
        SKIP("needs root, to become an ordinary user");
    process_make_dir();
    chmod(process_dir, 0755);
    char *dir = make_share(0777);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (setgid(NOBODY) || setuid(NOBODY))
            _exit(9);
        /* A change of uid makes /proc/self root's; the server is a new program, we stay one. */
        prctl(PR_SET_DUMPABLE, 1);
        tap_case_failures = 0;
        share_works(dir);
        fflush(stdout);
        _exit(tap_case_failures != 0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    process_remove_dir();
    CHECK_EQ(status, 0);
}

static void what_cannot_be_shared_is_named(void)
{
    process_make_dir();
    CHECK_EQ(virtiofsd_spawn(&server, NULL, process_path("absent"), false, &err), -ENOENT);
    CHECK(strstr(err.msg, "absent"));
    CHECK_EQ(virtiofsd_spawn(&server, NULL, "/etc/passwd", false, &err), -ENOTDIR);
    CHECK_EQ(virtiofsd_spawn(&server, "/no/such/program", process_dir, false, &err), -ENOENT);
    CHECK(strstr(err.msg, "/no/such/program"));
    process_remove_dir();
}

int main(void)
{
    if (!process_find("virtiofsd")) {
        printf("1..0 # SKIP virtiofsd (qemu-system-common) is not installed\n");
        return 0;
    }
    TAP_RUN(a_directory_is_shared);
    TAP_RUN(a_read_only_share_can_be_read_and_not_changed);
    TAP_RUN(an_ordinary_user_can_share_a_directory);
    TAP_RUN(what_cannot_be_shared_is_named);
    return tap_done();
}
