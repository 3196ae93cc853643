/* A folder of its own for a test's files, removed at its end. */
#ifndef TESTS_UNIT_MGMT_STORE_STORE_FILES_H
#define TESTS_UNIT_MGMT_STORE_STORE_FILES_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char files_dir[64];
static char files_path[128]; /* the store */

static inline void files_remove(void)
{
    DIR *d = files_dir[0] ? opendir(files_dir) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", files_dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
}

static inline void files_finish(void)
{
    files_remove();
    if (files_dir[0])
        rmdir(files_dir);
}

/* memory: where the disk is simulated or no part of what is tested. */
static inline void files_begin(bool memory)
{
    const char *where = memory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(files_dir, sizeof(files_dir), "%s/virga-store-XXXXXX", where);
    if (!mkdtemp(files_dir))
        abort();
    snprintf(files_path, sizeof(files_path), "%s/store", files_dir);
    atexit(files_finish);
}

#endif
