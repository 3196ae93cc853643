#include "cmd/virgad/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "mgmt/store/sqlite/store_sqlite.h"

#define PATH_BYTES 600

static const char *const parts[] = {"", "-wal", "-shm"};

/* Opens a store and closes it: nobody else has it, and it can be read (an older one is upgraded).
 */
static int try_store(const char *path, struct err *err)
{
    const struct store_config config = {.server = {{1}}};
    struct store *s = store_sqlite_open(path, NULL, &config, err);
    if (!s)
        return -(err->code ? err->code : EIO);
    store_close(s);
    return 0;
}

/* Moves a store and what belongs to it; what is not there is fine. */
static int move(const char *from, const char *to, struct err *err)
{
    char a[PATH_BYTES], b[PATH_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        snprintf(a, sizeof(a), "%s%s", from, parts[i]);
        snprintf(b, sizeof(b), "%s%s", to, parts[i]);
        if (rename(a, b) && errno != ENOENT)
            return err_sys(err, errno, "cannot move %s", a);
    }
    return 0;
}

static int copy(const char *from, const char *to, struct err *err)
{
    struct stat st;
    CLEANUP_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0 || fstat(in, &st))
        return err_sys(err, errno, "cannot read %s", from);
    CLEANUP_CLOSE int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        return err_sys(err, errno, "cannot write %s", to);
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(out, in, NULL, (size_t)MIN(left, (off_t)1 << 24));
        if (n <= 0)
            return err_sys(err, n ? errno : EIO, "cannot copy %s to %s", from, to);
        left -= n;
    }
    return fsync(out) ? err_sys(err, errno, "cannot write %s", to) : 0;
}

int restore_store(const char *backup, const char *store, struct err *err)
{
    char fresh[PATH_BYTES], old[PATH_BYTES];
    snprintf(fresh, sizeof(fresh), "%.500s.restoring", store);
    snprintf(old, sizeof(old), "%.500s.before-%lld", store, (long long)time(NULL));
    bool had = !access(store, F_OK);
    int r = had ? try_store(store, err) : 0;
    if (r == -EBUSY)
        return err_wrap(err, "end the server first");
    r = copy(backup, fresh, err);
    if (!r && try_store(fresh, err))
        r = err_wrap(err, "%s is no backup", backup);
    if (!r)
        r = move(store, old, err);
    if (!r)
        r = move(fresh, store, err);
    if (r) {
        unlink(fresh);
        return r;
    }
    if (had)
        printf("restored %s from %s; what was there is %s\n", store, backup, old);
    else
        printf("restored %s from %s\n", store, backup);
    return 0;
}
