/* Raw images: a regular file or a block device, byte for byte. */
#ifndef BLK_RAW_H
#define BLK_RAW_H

#include "blk/aio.h"
#include "blk/blk.h"

struct raw_config {
    bool read_only;
    bool no_flush; /* flushes do nothing: for data that need not survive */
    bool growable; /* the file of a format: writes past the end extend it */
};

/* A backend over an open descriptor (O_DIRECT or not is read from the descriptor: requests that
 * it does not align are copied). Owns `fd` when it succeeds. `name` is for messages. `aio` is of
 * the backend's loop and outlives it. A directly written image whose size is no multiple of the
 * alignment is cut down to one, with a warning.
 * Errors: EINVAL (not a file or block device), EACCES (opened read-only, to be written). */
struct blk *raw_create(struct aio *aio, struct loop *loop, int fd, const char *name,
                       const struct raw_config *config, struct err *err);

#endif
