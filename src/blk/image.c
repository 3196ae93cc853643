#include "blk/image.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/util.h"
#include "blk/qcow2.h"
#include "blk/raw.h"

/* "raw" or "qcow2"; -EINVAL for other names. */
static int parse_format(const char *name, enum image_format *format)
{
    if (strcmp(name, "raw") == 0)
        *format = IMAGE_RAW;
    else if (strcmp(name, "qcow2") == 0)
        *format = IMAGE_QCOW2;
    else
        return -EINVAL;
    return 0;
}

/* ---- outside: opening the chain ---- */

struct opening {
    const struct image_options *options;
    struct image_fds *out;
    uint8_t *head; /* QCOW2_PROBE_BYTES of the layer being opened */
    struct stat seen[IMAGE_CHAIN_MAX];
    char path[PATH_MAX]; /* of the layer being opened */
    enum image_format format;
};

static bool named_qcow2(const char *path)
{
    size_t n = strlen(path);
    return n > 6 && strcmp(path + n - 6, ".qcow2") == 0;
}

static int open_file(struct opening *o, bool read_only, struct err *err)
{
    int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    bool direct = o->options->cache == IMAGE_DIRECT;
    int fd = open(o->path, flags | (direct ? O_DIRECT : 0));
    if (fd < 0 && direct && errno == EINVAL)
        return err_set(err, EINVAL,
                       "the file system of disk image %s has no direct I/O; attach it "
                       "with cache=writeback",
                       o->path);
    if (fd < 0 && (errno == EACCES || errno == EROFS) && !read_only)
        return err_sys(err, errno,
                       "could not open disk image %s for writing (attach it with "
                       "'readonly' to only read it)",
                       o->path);
    if (fd < 0)
        return err_sys(err, errno, "could not open disk image %s", o->path);
    return fd;
}

/* Whether this file is in the chain already. */
static int check_chain(struct opening *o, int fd, unsigned depth, struct err *err)
{
    struct stat *st = &o->seen[depth];
    if (fstat(fd, st) < 0)
        return err_sys(err, errno, "could not stat disk image %s", o->path);
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        return err_set(err, EINVAL, "disk image %s is neither a file nor a block device", o->path);
    for (unsigned i = 0; i < depth; i++)
        if (o->seen[i].st_dev == st->st_dev && o->seen[i].st_ino == st->st_ino)
            return err_set(err, ELOOP, "disk image %s is its own backing file, by way of %s",
                           o->path, o->out->layers[depth - 1].name);
    return 0;
}

/* Reads the first bytes through a descriptor of its own: the other one may be O_DIRECT. */
static ssize_t read_head(struct opening *o, struct err *err)
{
    CLEANUP_CLOSE int fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : pread(fd, o->head, QCOW2_PROBE_BYTES, 0);
    if (n < 0)
        return err_sys(err, errno, "could not read disk image %s", o->path);
    return n;
}

static int choose_format(struct opening *o, size_t len, unsigned depth, struct err *err)
{
    bool magic = qcow2_probe(o->head, len);
    if (o->format != IMAGE_AUTO)
        return 0;
    o->format = magic && named_qcow2(o->path) ? IMAGE_QCOW2 : IMAGE_RAW;
    if (!magic || o->format == IMAGE_QCOW2)
        return 0;
    if (depth)
        return err_set(err, EINVAL,
                       "disk image %s does not say which format its backing file %s "
                       "has, which looks like qcow2; say it with 'qemu-img rebase -u -F qcow2'",
                       o->out->layers[depth - 1].name, o->path);
    log_line(LOG_WARN, "blk",
             "the image looks like qcow2 and is used as raw; say format=qcow2 if "
             "it is one path=%s",
             o->path);
    return 0;
}

/* The path of the backing file that the image at o->path names. */
static int resolve(struct opening *o, const char *name, struct err *err)
{
    char dir[PATH_MAX], joined[PATH_MAX];
    const char *colon = strchr(name, ':'), *slash = strchr(name, '/');
    if (colon && (!slash || colon < slash))
        return err_set(err, ENOTSUP,
                       "disk image %s is backed by '%s', which is not the path of a "
                       "file",
                       o->path, name);
    snprintf(dir, sizeof(dir), "%s", o->path);
    int n = name[0] == '/' ? snprintf(joined, sizeof(joined), "%s", name)
                           : snprintf(joined, sizeof(joined), "%s/%s", dirname(dir), name);
    if (n < 0 || (size_t)n >= sizeof(joined))
        return err_set(err, ENAMETOOLONG,
                       "the backing file of disk image %s has a path that is "
                       "too long",
                       o->path);
    memcpy(o->path, joined, sizeof(joined));
    return 0;
}

/* Looks for the next layer. Returns 1 with o->path and o->format set, 0 if there is none. */
static int next_layer(struct opening *o, size_t len, struct err *err)
{
    struct qcow2_backing b;
    if (o->format != IMAGE_QCOW2)
        return 0;
    int r = qcow2_read_backing(o->head, len, o->path, &b, err);
    if (r < 0 || !b.name[0])
        return r;
    if (o->options->no_backing)
        return err_set(err, EPERM,
                       "disk image %s names a backing file, %s, which is not allowed "
                       "here",
                       o->path, b.name);
    o->format = IMAGE_AUTO;
    if (b.format[0] && parse_format(b.format, &o->format) < 0)
        return err_set(err, ENOTSUP,
                       "the backing file of disk image %s has format '%s'; known are "
                       "raw and qcow2",
                       o->path, b.format);
    r = resolve(o, b.name, err);
    return r < 0 ? r : 1;
}

/* Opens one layer. Returns 1 if another follows. */
static int open_layer(struct opening *o, unsigned depth, struct err *err)
{
    bool read_only = depth || o->options->read_only;
    struct image_layer *layer = &o->out->layers[depth];
    int fd = open_file(o, read_only, err);
    if (fd < 0)
        return fd;
    layer->fd = fd;
    size_t n = strlen(o->path), skip = n < sizeof(layer->name) ? 0 : n - sizeof(layer->name) + 1;
    memcpy(layer->name, o->path + skip, n - skip + 1); /* of a long path, the end */
    o->out->n = depth + 1;                             /* from here on image_close() closes it */
    int r = check_chain(o, fd, depth, err);
    if (r == 0)
        r = image_lock(fd, o->path, read_only, true, err);
    if (r < 0)
        return r;
    ssize_t len = read_head(o, err);
    if (len < 0)
        return (int)len;
    r = choose_format(o, (size_t)len, depth, err);
    if (r < 0)
        return r;
    layer->format = o->format;
    return next_layer(o, (size_t)len, err);
}

int image_open(const char *path, const struct image_options *options, struct image_fds *out,
               struct err *err)
{
    struct opening *o = calloc(1, sizeof(*o));
    CLEANUP_FREE uint8_t *head = malloc(QCOW2_PROBE_BYTES);
    if (!o || !head) {
        free(o);
        return err_set(err, ENOMEM, "could not allocate what opening %s takes", path);
    }
    *out = (struct image_fds){.read_only = options->read_only};
    o->options = options;
    o->out = out;
    o->head = head;
    o->format = options->format;
    int r = snprintf(o->path, sizeof(o->path), "%s", path) >= (int)sizeof(o->path)
                ? err_set(err, ENAMETOOLONG, "the path of a disk image is too long")
                : 1;
    for (unsigned depth = 0; r > 0; depth++) {
        if (depth == IMAGE_CHAIN_MAX)
            r = err_set(err, ELOOP, "disk image %s has a chain of more than %d files", path,
                        IMAGE_CHAIN_MAX);
        else
            r = open_layer(o, depth, err);
        if (r < 0 && depth && err && err->code)
            err_wrap(err, "disk image %s", path);
    }
    free(o);
    if (r < 0)
        image_close(out);
    return r;
}

/* What the layer says about the one below. Returns 1 if there is one. */
static int adopt_next(const struct image_layer *layer, uint8_t *head, enum image_format *format,
                      struct err *err)
{
    struct qcow2_backing b;
    if (layer->format != IMAGE_QCOW2)
        return 0;
    ssize_t n = pread(layer->fd, head, QCOW2_PROBE_BYTES, 0);
    if (n < 0)
        return err_sys(err, errno, "could not read disk image %s", layer->name);
    int r = qcow2_read_backing(head, (size_t)n, layer->name, &b, err);
    if (r < 0 || !b.name[0])
        return r;
    if (!b.format[0]) { /* as image_open() has it, which looks into the file as well */
        *format = named_qcow2(b.name) ? IMAGE_QCOW2 : IMAGE_RAW;
        return 1;
    }
    if (parse_format(b.format, format) < 0)
        return err_set(err, ENOTSUP,
                       "the backing file of disk image %s has format '%s'; known are raw and qcow2",
                       layer->name, b.format);
    return 1;
}

int image_adopt(const int *fds, unsigned n, const char *name, enum image_format format,
                bool read_only, struct image_fds *out, struct err *err)
{
    CLEANUP_FREE uint8_t *head = NULL; /* aligned: the descriptors may be O_DIRECT */
    struct image_fds made = {.read_only = read_only, .n = n};
    int r = 1;
    if (posix_memalign((void **)&head, 4096, QCOW2_PROBE_BYTES))
        return err_set(err, ENOMEM, "could not allocate what opening %s takes", name);
    for (unsigned i = 0; r > 0; i++) {
        if (i == n || i == IMAGE_CHAIN_MAX)
            return err_set(err, EINVAL,
                           "disk image %s has more backing files than the %u descriptors that came "
                           "with it: send one for each, in order",
                           name, n);
        struct image_layer *layer = &made.layers[i];
        *layer = (struct image_layer){.fd = fds[i], .format = format};
        if (i)
            snprintf(layer->name, sizeof(layer->name), "%.200s (backing file %u)", name, i);
        else
            snprintf(layer->name, sizeof(layer->name), "%.200s", name);
        r = image_lock(layer->fd, layer->name, read_only || i, false, err);
        if (r == 0)
            r = adopt_next(layer, head, &format, err);
        if (r == 0 && i + 1 != n)
            return err_set(err, EINVAL,
                           "disk image %s has a chain of %u files, %u descriptors came", name,
                           i + 1, n);
    }
    if (r == 0)
        *out = made;
    return r;
}

void image_close(struct image_fds *fds)
{
    for (unsigned i = 0; i < fds->n; i++)
        if (fds->layers[i].fd >= 0)
            close(fds->layers[i].fd);
    fds->n = 0;
}

/* ---- inside: making the backend ---- */

struct create_call {
    struct aio *aio;
    struct loop *loop;
    struct image_fds *fds;
    struct err *err;
    struct blk *made;
};

static struct blk *make_layer(struct create_call *c, unsigned i, struct blk *backing)
{
    struct image_layer *layer = &c->fds->layers[i];
    bool read_only = i || c->fds->read_only;
    struct raw_config config = {.read_only = read_only,
                                .no_flush = c->fds->no_flush,
                                .growable = layer->format == IMAGE_QCOW2};
    struct blk *raw = raw_create(c->aio, c->loop, layer->fd, layer->name, &config, c->err);
    if (!raw) {
        blk_close(backing);
        return NULL;
    }
    layer->fd = -1;
    if (layer->format != IMAGE_QCOW2) {
        blk_close(backing); /* a raw image has none */
        return raw;
    }
    struct qcow2_options o = {.read_only = read_only, .name = layer->name};
    struct blk *b = qcow2_open(raw, backing, &o, c->err);
    if (!b) {
        blk_close(raw);
        blk_close(backing);
    }
    return b;
}

static void create_in_loop(void *arg)
{
    struct create_call *c = arg;
    struct blk *below = NULL;
    for (unsigned i = c->fds->n; i-- > 0;) {
        below = make_layer(c, i, below);
        if (!below)
            break;
    }
    c->made = below;
    image_close(c->fds);
}

struct blk *image_create(struct aio *aio, struct loop *loop, struct image_fds *fds, struct err *err)
{
    struct create_call c = {aio, loop, fds, err, NULL};
    if (!fds->n || fds->n > IMAGE_CHAIN_MAX) {
        err_set(err, EINVAL, "a disk of %u files cannot be made", fds->n);
        return NULL;
    }
    loop_call(loop, create_in_loop, &c);
    return c.made;
}
