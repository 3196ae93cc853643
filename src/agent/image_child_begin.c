/* The child's side: from fork() to exec(). */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/image_child_internal.h"
#include "base/util.h"

#define FILES_MAX 256

static int limit(int what, uint64_t value)
{
    const struct rlimit r = {value, value};
    return setrlimit((__rlimit_resource_t)what, &r) < 0 ? errno : 0;
}

static int set_limits(const struct image_child *c)
{
    int ret = limit(RLIMIT_CORE, 0);
    if (!ret)
        ret = limit(RLIMIT_NOFILE, FILES_MAX);
    if (!ret && c->file_max_bytes)
        ret = limit(RLIMIT_FSIZE, c->file_max_bytes);
    if (!ret && c->cpu_max_s)
        ret = limit(RLIMIT_CPU, c->cpu_max_s);
    signal(SIGXFSZ, SIG_IGN); /* it sees EFBIG instead, and says so */
    return ret;
}

/* By the system calls themselves: the library's would ask threads that are not here to do it too.
 */
static int drop_uid(uid_t uid)
{
    if (geteuid() != 0)
        return 0;
    if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, uid, uid, uid) < 0 ||
        syscall(SYS_setresuid, uid, uid, uid) < 0)
        return errno;
    return 0;
}

static int allow(int ruleset, const char *path, uint64_t rights)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC), ret = 0;
    if (fd < 0)
        return 0; /* /lib64, say, is not everywhere */
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rights &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                  LANDLOCK_ACCESS_FS_WRITE_FILE;
    struct landlock_path_beneath_attr rule = {rights, fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        ret = errno;
    close(fd);
    return ret;
}

/* Where the kernel has Landlock. The uid alone would leave it what everybody may read. */
static int enter_landlock(void)
{
    static const uint64_t rights[] = {0, 0x1fff, 0x3fff, 0x7fff}; /* by ABI; 3: truncate */
    static const char *const programs[] = {
        "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives"};
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/urandom"};
    const uint64_t read =
        LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return 0;
    struct landlock_ruleset_attr attr = {.handled_access_fs =
                                             rights[MIN((size_t)abi, ARRAY_LEN(rights) - 1)]};
    int set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0), ret = 0;
    if (set < 0)
        return errno;
    for (unsigned i = 0; i < ARRAY_LEN(programs) && !ret; i++)
        ret = allow(set, programs[i], read);
    for (unsigned i = 0; i < ARRAY_LEN(devices) && !ret; i++)
        ret = allow(set, devices[i], read | LANDLOCK_ACCESS_FS_WRITE_FILE);
    if (!ret)
        ret = allow(set, ".", attr.handled_access_fs);
    if (!ret && syscall(SYS_landlock_restrict_self, set, 0) < 0)
        ret = errno;
    close(set);
    return ret;
}

static int set_files(const struct image_child *c, const int fds[3])
{
    if (chdir(c->dir) < 0)
        return errno;
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0)
            return errno;
    /* Where the kernel has no close_range() everything of ours is close-on-exec anyway. */
    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    return 0;
}

static int reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? errno : 0;
}

struct image_child_failure image_child_begin(const struct image_child *c, const int fds[3])
{
    static char *const bare[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "HOME=/", NULL};
    struct image_child_failure f = {IMAGE_CHILD_FILES, 0};
    setpgid(0, 0);
    f.code = set_files(c, fds);
    if (!f.code)
        f.code = reset_signals();
    if (!f.code && c->confined) {
        f = (struct image_child_failure){IMAGE_CHILD_LIMITS, set_limits(c)};
        if (!f.code)
            f = (struct image_child_failure){IMAGE_CHILD_UID, drop_uid(c->uid)};
        if (!f.code)
            f = (struct image_child_failure){
                IMAGE_CHILD_LANDLOCK,
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : enter_landlock()};
    }
    /* Close to the end: what we have mapped ourselves counts too, and with a sanitizer that is more
     * than a program may have, so that its runtime finds no memory for a descriptor it follows. */
    if (!f.code && c->confined && c->memory_max_bytes)
        f = (struct image_child_failure){IMAGE_CHILD_LIMITS, limit(RLIMIT_AS, c->memory_max_bytes)};
    if (f.code)
        return f;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of uid clears it, so it comes last */
    if (c->confined)
        environ = (char **)bare; /* which is also where its PATH is looked up */
    execvp(c->argv[0], (char *const *)c->argv);
    return (struct image_child_failure){IMAGE_CHILD_EXEC, errno};
}
