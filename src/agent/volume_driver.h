/* The seam to what keeps volumes on this host: create, remove, grow, snapshot, and what a monitor
 * is told to use one. Implementations: agent/volume_file.h (a directory of image files), the volume
 * engine later; agent/volume_pools.h, several of them as one; agent/volume_null.h for tests.
 *
 * Every operation is done as a whole or not at all, also when the agent dies in it, and asking for
 * what is there already succeeds: the agent repeats what it does not know to be done. Images and
 * snapshots never change and may be read by any number of volumes that are made of them.
 *
 * All slots block, and are called from workers, for one id at a time. */
#ifndef AGENT_VOLUME_DRIVER_H
#define AGENT_VOLUME_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define VOLUME_DRIVER_PATH_BYTES 512
#define VOLUME_DRIVER_POOL_BYTES 64

enum volume_format { VOLUME_RAW, VOLUME_QCOW2 };
enum volume_kind { VOLUME_VOLUME, VOLUME_SNAPSHOT, VOLUME_IMAGE };

struct volume_spec {
    uint8_t id[16];
    char pool[VOLUME_DRIVER_POOL_BYTES]; /* for agent/volume_pools.h; "": the first */
    uint64_t size_bytes;          /* a multiple of 512; at least that of what it is made of */
    bool from_source;             /* a copy of: */
    enum volume_kind source_kind; /* VOLUME_SNAPSHOT or VOLUME_IMAGE */
    uint8_t source[16];
    bool must_exist; /* it has been there: where it is not, no new one is made in its place */
};

struct volume_info {
    uint8_t id[16];
    enum volume_kind kind;
    uint64_t size_bytes; /* as the guest sees it */
    uint64_t used_bytes; /* taken on the host, what it shares with others not counted */
    enum volume_format format;
    char path[VOLUME_DRIVER_PATH_BYTES];   /* for the monitor's `disks[].path`; "" with a socket */
    char socket[VOLUME_DRIVER_PATH_BYTES]; /* for `disks[].socket`; "" with a path */
    char pool[VOLUME_DRIVER_POOL_BYTES];   /* agent/volume_pools.h names it */
};

struct volume_driver {
    const struct volume_driver_ops *ops;
};

struct volume_driver_ops {
    const char *name; /* "file" */

    /* Makes a volume. One with this id that is there must be of this size or larger.
     * Errors: ENOENT (the source is not there; or the volume, that must be), EEXIST (another by
     * that id: too small), ENOSPC. */
    int (*create)(struct volume_driver *d, const struct volume_spec *spec, struct err *err);
    /* Removes a volume, snapshot or image; one that is not there is fine.
     * Errors: EBUSY (in use by a monitor, or others are made of it). */
    int (*remove)(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                  struct err *err);
    /* Grows a volume that no monitor uses; to a size it has already, or a smaller one, nothing is
     * done. Errors: ENOENT, EBUSY, ENOSPC. */
    int (*grow)(struct volume_driver *d, const uint8_t id[16], uint64_t size_bytes,
                struct err *err);
    /* Keeps what a volume, that no monitor uses, holds now. One with that id that is there is
     * fine. Errors: ENOENT, EBUSY, ENOSPC. */
    int (*snapshot)(struct volume_driver *d, const uint8_t id[16], const uint8_t snapshot[16],
                    struct err *err);
    /* Takes a file in as an image; `path` is borrowed and left where it is.
     * Errors: EINVAL (it is not what `format` says, or names a backing file), ENOSPC. */
    int (*import)(struct volume_driver *d, const uint8_t id[16], const char *path,
                  enum volume_format format, struct err *err);
    /* Errors: ENOENT. */
    int (*info)(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                struct volume_info *info, struct err *err);
    /* Everything that is there, in no order; `each` returns whether to go on. */
    int (*list)(struct volume_driver *d, bool (*each)(void *opaque, const struct volume_info *info),
                void *opaque, struct err *err);
    /* Frees the driver; what it keeps stays. */
    void (*close)(struct volume_driver *d);
};

#endif
