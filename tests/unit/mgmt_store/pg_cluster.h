/* A PostgreSQL of the test's own: a new cluster in a temporary folder, on a unix socket only, run
 * by user postgres where the test is root's (PostgreSQL refuses root). A process of its own stops
 * and removes it when the test has ended, however it ended. */
#ifndef TESTS_UNIT_MGMT_STORE_PG_CLUSTER_H
#define TESTS_UNIT_MGMT_STORE_PG_CLUSTER_H

#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    char dir[64], bin[256], conninfo[128];
    int pipe;
    pid_t keeper;
} pg;

/* A command as the cluster's user; its output goes to <dir>/out. */
static inline int pg_run(const char *command)
{
    char line[1024];
    const char *as = geteuid() == 0 ? "runuser -u postgres -- " : "";
    snprintf(line, sizeof(line), "cd / && %s%s/%s >>%s/out 2>&1 </dev/null", as, pg.bin, command,
             pg.dir);
    return system(line);
}

static inline void pg_remove(void)
{
    char line[160];
    snprintf(line, sizeof(line), "pg_ctl -D %s/data -m immediate -w stop", pg.dir);
    pg_run(line);
    snprintf(line, sizeof(line), "rm -rf %s", pg.dir);
    if (system(line))
        fprintf(stderr, "could not remove %s\n", pg.dir);
}

static inline void pg_finish(void)
{
    if (pg.keeper <= 0)
        return;
    close(pg.pipe);
    waitpid(pg.keeper, NULL, 0);
}

static inline bool pg_keep(void)
{
    int fds[2];
    char byte;
    if (pipe2(fds, O_CLOEXEC))
        return false;
    pg.pipe = fds[1];
    pg.keeper = fork();
    if (pg.keeper == 0) {
        setsid(); /* not ended with the test's process group */
        close(fds[1]);
        while (read(fds[0], &byte, 1) > 0)
            ;
        pg_remove();
        _exit(0);
    }
    close(fds[0]);
    atexit(pg_finish);
    return pg.keeper > 0;
}

/* The newest PostgreSQL here; NULL or why there is none. */
static inline const char *pg_find(void)
{
    glob_t g;
    struct passwd *user = getpwnam("postgres");
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g) || !g.gl_pathc)
        return "no PostgreSQL server is installed (package postgresql-15)";
    snprintf(pg.bin, sizeof(pg.bin), "%s", g.gl_pathv[g.gl_pathc - 1]);
    *strrchr(pg.bin, '/') = 0;
    globfree(&g);
    if (geteuid() == 0 && !user)
        return "no user postgres to run PostgreSQL as";
    snprintf(pg.dir, sizeof(pg.dir), "/tmp/virga-pg-XXXXXX");
    if (!mkdtemp(pg.dir) || (geteuid() == 0 && chown(pg.dir, user->pw_uid, user->pw_gid)))
        return "could not make a folder for PostgreSQL";
    return NULL;
}

/* What a crash of the machine leaves is not tested here: no fsync. */
static inline void pg_start_command(char *line, size_t size)
{
    snprintf(line, size,
             "pg_ctl -D %s/data -l %s/log -w -o \"-c listen_addresses= -k %s -c fsync=off"
             " -c shared_buffers=16MB\" start",
             pg.dir, pg.dir, pg.dir);
}

/* NULL: pg.conninfo connects to an empty database. Else why there is none. */
static inline const char *pg_begin(void)
{
    char line[512];
    const char *why = pg_find();
    if (why)
        return why;
    if (!pg_keep())
        return "could not fork";
    snprintf(line, sizeof(line),
             "initdb -D %s/data -A trust -U postgres --no-sync -E UTF8 --locale=C", pg.dir);
    if (pg_run(line))
        return "initdb failed";
    pg_start_command(line, sizeof(line));
    if (pg_run(line))
        return "PostgreSQL did not start";
    snprintf(pg.conninfo, sizeof(pg.conninfo), "host=%s user=postgres dbname=postgres", pg.dir);
    return NULL;
}

#endif
