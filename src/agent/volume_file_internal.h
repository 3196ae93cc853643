/* What the files of this driver share. Paths are relative to the pool's directory. */
#ifndef AGENT_VOLUME_FILE_INTERNAL_H
#define AGENT_VOLUME_FILE_INTERNAL_H

#include "agent/volume_file.h"

/* "snapshots/" + 36 + ".qcow2" */
#define VOLUME_FILE_NAME_BYTES 64

struct volume_file {
    struct volume_driver driver; /* first */
    int dir_fd;
    bool no_reflink; /* the file system said so */
    char dir[VOLUME_DRIVER_PATH_BYTES / 2];
};

struct volume_file_found {
    char name[VOLUME_FILE_NAME_BYTES];
    enum volume_format format;
};

extern const char *const volume_file_dirs[];    /* by enum volume_kind */
extern const char *const volume_file_endings[]; /* by enum volume_format: "raw", "qcow2" */

void volume_file_name(char name[VOLUME_FILE_NAME_BYTES], const char *dir, const uint8_t id[16],
                      enum volume_format format);
/* Which of the two files is there. Errors: ENOENT. */
int volume_file_find(const struct volume_file *v, enum volume_kind kind, const uint8_t id[16],
                     struct volume_file_found *found, struct err *err);
/* Opens and takes QEMU's locks as a writer: nobody uses it then. Errors: EBUSY. */
int volume_file_lock(const struct volume_file *v, const char *name, int *fd, struct err *err);
/* The size as a guest sees it. */
int volume_file_size(const struct volume_file *v, const struct volume_file_found *found,
                     uint64_t *bytes, struct err *err);

/* A file under new/ becomes `name`: sync, rename, sync of the directory. `step` names the fault
 * points around. Closes fd. Removes the new file if it fails. */
int volume_file_publish(const struct volume_file *v, int fd, const char *made, const char *name,
                        const char *step, struct err *err);
/* Creates an empty file under new/. */
int volume_file_begin(const struct volume_file *v, const uint8_t id[16], enum volume_format format,
                      char made[VOLUME_FILE_NAME_BYTES], int *fd, struct err *err);
int volume_file_sync_dir(const struct volume_file *v, const char *name, struct err *err);
/* Makes `fd` a copy of the file `source`: by sharing its extents. 1: this file system cannot. */
int volume_file_clone(struct volume_file *v, int fd, const char *source, struct err *err);
/* Writes a qcow2 of `size_bytes` over `base` into fd. */
int volume_file_overlay(int fd, uint64_t size_bytes, const struct volume_file_found *base,
                        struct err *err);

int volume_file_snapshot(struct volume_driver *d, const uint8_t id[16], const uint8_t snapshot[16],
                         struct err *err);
/* Finishes or undoes every snapshot that was interrupted, and empties new/: for volume_file_open(),
 * while nothing else is done in this pool. */
int volume_file_recover(struct volume_file *v, struct err *err);

#endif
