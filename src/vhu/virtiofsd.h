/* Starts the packaged file system server (virtiofsd of qemu-system-common) for one shared
 * directory: for the launcher, outside of the sandbox. The device is dev/virtio/fs.h. */
#ifndef VHU_VIRTIOFSD_H
#define VHU_VIRTIOFSD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define VIRTIOFSD_PROGRAM "/usr/lib/qemu/virtiofsd"

struct virtiofsd {
    pid_t pid;
    int fd; /* the connection, for fs_create() */
};

/* Starts `program` (NULL: VIRTIOFSD_PROGRAM) for the directory `dir`. It confines itself to that
 * directory, by namespaces; for an ordinary user these are inside a user namespace in which the
 * user is root and nobody else exists: everybody in the guest can read, only its root can create.
 * `read_only`: every mount that it sees is, so that not even a hole in the server lets a guest
 * write. It ends by itself when the connection does. Its messages go to our stderr. Owns: the
 * caller closes s->fd and reaps s->pid, see virtiofsd_stop(). Threads: fork(2)s, so call it before
 * there are threads. Errors: ENOENT (program, directory), ENOTDIR, EPERM (no user namespaces here),
 * ENOSYS (read-only needs Linux 5.12). */
int virtiofsd_spawn(struct virtiofsd *s, const char *program, const char *dir, bool read_only,
                    struct err *err);

/* Closes the connection if it still is s->fd (else set that to -1), and reaps the server; kills it
 * if it does not end within a second. */
void virtiofsd_stop(struct virtiofsd *s);

#endif
