/* Disk images by path: the thin layer outside the sandbox that finds out what an image is, opens
 * and locks all files of its backing chain, and the constructor that makes a backend of them
 * inside.
 *
 * What format an image has is not guessed from its contents: a guest that may write a raw image
 * could write a qcow2 header into it, naming any file of the host as its backing file. The format
 * is what the user says; else qcow2 for a file named *.qcow2 that begins with the qcow2 magic; else
 * raw. A backing file's format is what the image above it says.
 *
 * Locks are those of QEMU: open-file-description locks on bytes 100+n ("I do n") and 200+n ("nobody
 * else may do n") of the file, so that QEMU and we keep out of each other's images. One writer, or
 * any number of readers. They live as long as the descriptors do. */
#ifndef BLK_IMAGE_H
#define BLK_IMAGE_H

#include "blk/aio.h"
#include "blk/blk.h"

#define IMAGE_CHAIN_MAX  16
#define IMAGE_NAME_BYTES 256

enum image_format { IMAGE_AUTO, IMAGE_RAW, IMAGE_QCOW2 };
enum image_cache {
    IMAGE_WRITEBACK, /* through the host's page cache; the guest's flushes reach the disk */
    IMAGE_DIRECT,    /* cache=none: O_DIRECT */
};

struct image_options {
    bool read_only;
    enum image_format format;
    enum image_cache cache;
    bool no_backing; /* refuse an image that names a backing file (an upload, say) */
};

struct image_layer {
    int fd;
    enum image_format format;
    char name[IMAGE_NAME_BYTES]; /* for messages */
};

/* The open files of one disk, the image itself first, then what it is backed by. */
struct image_fds {
    bool read_only;
    bool no_flush; /* cache=unsafe: the guest's flushes do nothing */
    unsigned n;
    struct image_layer layers[IMAGE_CHAIN_MAX];
};

/* Opens, checks and locks. Errors: those of open(2); EBUSY (in use, says by whom); ELOOP (a chain
 * that loops or is longer than 16); EINVAL, ENOTSUP (see blk/qcow2.h). Blocks. */
int image_open(const char *path, const struct image_options *options, struct image_fds *out,
               struct err *err);
/* The same for descriptors that somebody else opened: the image, then its backing files in order.
 * Of which format the backing files are, the images above them say. Locks them (those of
 * image_open() are locked already, which does no harm). Copies the numbers of the descriptors:
 * whoever passed them still closes them if this fails. `format` is not IMAGE_AUTO. Works inside the
 * sandbox. Errors: EINVAL (their number is not what the images call for), as image_open(). Blocks.
 */
int image_adopt(const int *fds, unsigned n, const char *name, enum image_format format,
                bool read_only, struct image_fds *out, struct err *err);
/* Closes what image_create() did not take. */
void image_close(struct image_fds *fds);

/* Makes the backend. Takes the descriptors, in any case. `aio` is of `loop`. Runs in the loop's
 * thread (loop_call()). Blocks. Threads: any. */
struct blk *image_create(struct aio *aio, struct loop *loop, struct image_fds *fds,
                         struct err *err);

/* Locks an open file as above, for a caller that opens by itself. `look` searches /proc for who has
 * it, to name them; not inside the sandbox. Errors: EBUSY. */
int image_lock(int fd, const char *name, bool read_only, bool look, struct err *err);
/* Lets go of them. Closing does so too, but only once the kernel has let go of the file, which a
 * ring that used it may delay. */
void image_unlock(int fd);

#endif
