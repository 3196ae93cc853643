#include "agent/image_build.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/image_child.h"
#include "base/util.h"

#define SIZE_MAX_GIB  1024
#define PACKAGE_MAX   63
#define BUILT_PERCENT 70 /* the rest is the import's */
#define ARGUMENTS     10

struct build {
    const struct image_build *b;
    unsigned percent;
    char line[256], made[512]; /* of standard error; the last line of standard output */
    size_t line_bytes, made_bytes;
};

/* How far it is when the recipe says so. */
static const struct {
    const char *word;
    unsigned percent;
} SIGNS[] = {
    {"apt-get update", 2},
    {"downloading packages", 6},
    {"extracting archives", 14},
    {"installing essential packages", 20},
    {"installing remaining packages", 35},
    {"running --customize-hook", 55},
    {"cleaning package lists", 58},
    {"packing the Debian disk image", 62},
};

/* Debian Policy, 5.6.1. */
static int check_package(const char *name, struct err *err)
{
    size_t n = strlen(name);
    static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789+.-";
    if (n < 2 || n > PACKAGE_MAX || strspn(name, good) != n || !isalnum((unsigned char)name[0]))
        return err_set(err, EINVAL, "\"%.63s\" is not a Debian package's name", name);
    return 0;
}

static int check(const struct image_build *b, unsigned *n, struct err *err)
{
    if (b->size_gib > SIZE_MAX_GIB)
        return err_set(err, EINVAL, "an image has at most %d GiB, not %u", SIZE_MAX_GIB,
                       b->size_gib);
    for (*n = 0; b->packages && b->packages[*n]; (*n)++) {
        int ret = *n < IMAGE_BUILD_PACKAGES_MAX
                      ? check_package(b->packages[*n], err)
                      : err_set(err, EINVAL, "an image takes at most %d further packages",
                                IMAGE_BUILD_PACKAGES_MAX);
        if (ret)
            return ret;
    }
    return 0;
}

static void tell(struct build *w, unsigned percent, const char *doing)
{
    w->percent = MAX(w->percent, percent);
    if (w->b->progress)
        w->b->progress(w->b->ctx, w->percent, doing);
}

/* Lines of the recipe's progress. */
static int take_errors(void *ctx, const char *data, size_t bytes, struct err *err)
{
    struct build *w = ctx;
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != '\n' && data[i] != '\r') {
            if (w->line_bytes + 1 < sizeof(w->line))
                w->line[w->line_bytes++] = (unsigned char)data[i] < ' ' ? ' ' : data[i];
            continue;
        }
        unsigned percent = 0;
        w->line[w->line_bytes] = 0;
        for (unsigned s = 0; s < ARRAY_LEN(SIGNS); s++)
            if (strstr(w->line, SIGNS[s].word))
                percent = SIGNS[s].percent;
        if (w->line_bytes)
            tell(w, percent, w->line);
        w->line_bytes = 0;
    }
    return 0;
}

/* Its last line is the directory. */
static int take_out(void *ctx, const char *data, size_t bytes, struct err *err)
{
    struct build *w = ctx;
    for (size_t i = 0; i < bytes; i++) {
        if (w->made_bytes && w->made[w->made_bytes - 1] == '\n')
            w->made_bytes = 0;
        if (w->made_bytes + 1 < sizeof(w->made))
            w->made[w->made_bytes++] = data[i];
    }
    return 0;
}

static int run(struct build *w, unsigned n_packages, struct err *err)
{
    const struct image_build *b = w->b;
    char size[16];
    unsigned n = 0;
    CLEANUP_FREE const char **argv = calloc(ARGUMENTS + 2 * (size_t)n_packages, sizeof(*argv));
    if (!argv)
        return err_set(err, ENOMEM, "could not allocate arguments");
    snprintf(size, sizeof(size), "%u", b->size_gib ? b->size_gib : 2);
    argv[n++] = b->program;
    argv[n++] = "--size-gib";
    argv[n++] = size;
    if (b->suite) {
        argv[n++] = "--suite";
        argv[n++] = b->suite;
    }
    for (unsigned i = 0; i < n_packages; i++) {
        argv[n++] = "--package";
        argv[n++] = b->packages[i];
    }
    argv[n++] = "debian-cloud";
    const struct image_child c = {.argv = argv,
                                  .dir = "/",
                                  .time_max_s = b->time_max_s ? b->time_max_s : 3600,
                                  .stdin_fd = -1,
                                  .out = take_out,
                                  .errors = take_errors,
                                  .ctx = w,
                                  .stop = b->stop};
    int ret = image_child_run(&c, NULL, err);
    if (ret)
        return ret;
    w->made[w->made_bytes] = 0;
    w->made[strcspn(w->made, "\n")] = 0;
    return w->made[0] == '/'
               ? 0
               : err_set(err, EIO, "%s did not say where it put the image", b->program);
}

static void importing(void *ctx, enum image_import_stage stage, unsigned percent,
                      uint64_t received_bytes)
{
    tell(ctx, BUILT_PERCENT + percent * (100 - BUILT_PERCENT) / 100, "importing the image");
}

int image_build_debian(struct image_import *im, const struct image_build *b,
                       struct image_import_result *result, struct err *err)
{
    struct build w = {.b = b};
    unsigned n_packages = 0;
    char path[sizeof(w.made) + 16];
    int ret = check(b, &n_packages, err);
    if (!ret)
        ret = run(&w, n_packages, err);
    if (ret)
        return ret;
    snprintf(path, sizeof(path), "%s/disk.img", w.made);
    struct image_import_request r = {.kind = IMAGE_IMPORT_FILE,
                                     .source = path,
                                     .expects = true,
                                     .format = IMAGE_PROBE_RAW,
                                     .pool = b->pool,
                                     .progress = importing,
                                     .ctx = &w,
                                     .stop = b->stop};
    memcpy(r.id, b->id, sizeof(r.id));
    return image_import_run(im, &r, result, err);
}
