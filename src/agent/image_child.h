/* Programs that read what a tenant gave us (qemu-img, decompressors), run so that a hole in them
 * leads nowhere: a uid of their own, no network, of the file system only the programs and their
 * libraries and one working directory (Landlock, where the kernel has it), limits on CPU, memory
 * and what they write, and a limit of time. Also our own image recipe, which needs none of that. */
#ifndef AGENT_IMAGE_CHILD_H
#define AGENT_IMAGE_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A part of what it prints; anything but 0 ends it, and is what image_child_run() returns. */
typedef int image_child_output(void *ctx, const char *data, size_t bytes, struct err *err);

struct image_child {
    const char *const *argv;   /* ended by NULL; the program is looked for in PATH */
    const char *dir;           /* its working directory, the only place where it may write */
    bool confined;             /* all of the above; false: only dir, the time and the stop hold */
    uid_t uid;                 /* confined and we are root: its uid and gid */
    uint64_t file_max_bytes;   /* confined; of each file; 0: no limit */
    uint64_t memory_max_bytes; /* confined; of address space; 0: no limit */
    unsigned cpu_max_s;        /* confined; 0: no limit */
    unsigned time_max_s;       /* 0: no limit */
    int stdin_fd;              /* borrowed; -1: nothing to read */
    image_child_output *out, *errors; /* may be NULL */
    void *ctx;
    const _Atomic bool *stop; /* set by any thread: ends it; may be NULL */
};

/* Runs it to its end; children of its own end with it. `exit_code` may be NULL: then any but 0 is
 * an error. Errors: ECANCELED (stop), ETIMEDOUT, EIO (it failed: with the end of what it wrote to
 * standard error), ENOENT (no such program), EPERM (it could not be confined). Blocks.
 * Threads: any; it ends with the calling thread. */
int image_child_run(const struct image_child *c, int *exit_code, struct err *err);

#endif
