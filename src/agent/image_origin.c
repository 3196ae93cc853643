#include "agent/image_origin.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/image_build.h"
#include "api/api_json.h"
#include "api/gen/image.h"
#include "base/util.h"

#define MAX_BYTES    (4096 * GIB)
#define RECIPE_BYTES (1u << 20)

struct image_origins {
    struct image_origin_config config;
    struct image_import *import;
};

struct image_origins *image_origin_open(const struct image_origin_config *config, const char *dir,
                                        struct volume_driver *pools, struct err *err)
{
    uint64_t max_bytes = config->max_bytes ? config->max_bytes : MAX_BYTES;
    struct image_origins *o = calloc(1, sizeof(*o));
    if (!o) {
        err_set(err, ENOMEM, "could not allocate what imports images");
        return NULL;
    }
    const struct image_import_config c = {.dir = dir,
                                          .driver = pools,
                                          .max_bytes = max_bytes,
                                          .max_disk_bytes = max_bytes,
                                          .refuse_private = !config->private_urls,
                                          .server = config->server.host ? &o->config.server : NULL};
    o->config = *config;
    o->import = image_import_open(&c, err);
    if (o->import)
        return o;
    free(o);
    return NULL;
}

void image_origin_close(struct image_origins *o)
{
    if (!o)
        return;
    image_import_close(o->import);
    free(o);
}

/* ---- files and URLs ---- */

/* The file without symbolic links, if a folder that is offered holds it. */
static int check_folder(const struct image_origins *o, const char *path, char real[PATH_MAX],
                        struct err *err)
{
    char folder[PATH_MAX];
    if (path[0] != '/')
        return err_set(err, EINVAL, "the path of an image begins with /, not as %.80s", path);
    if (!realpath(path, real))
        return err_sys(err, errno, "could not find %.200s", path);
    for (const char *const *f = o->config.folders; f && *f; f++) {
        size_t n = realpath(*f, folder) ? strlen(folder) : 0;
        if (n && !strncmp(real, folder, n) && (real[n] == '/' || n == 1))
            return 0;
    }
    return err_set(err, EPERM,
                   "%.200s is in no folder that this host offers: see virga-agent(8), --import",
                   path);
}

static int read_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_sha256(const char *text, uint8_t sha256[IMAGE_FETCH_SHA256_BYTES], struct err *err)
{
    bool good = strlen(text) == 2 * IMAGE_FETCH_SHA256_BYTES;
    for (size_t i = 0; good && i < IMAGE_FETCH_SHA256_BYTES; i++) {
        int high = read_digit(text[2 * i]), low = read_digit(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        if (good)
            sha256[i] = (uint8_t)(high << 4 | low);
    }
    return good ? 0 : err_set(err, EINVAL, "%.64s is no SHA-256: use 64 digits, 0-9a-f", text);
}

static void importing(void *ctx, enum image_import_stage stage, unsigned percent,
                      uint64_t received_bytes)
{
    const struct image_origin *origin = ctx;
    (void)stage;
    origin->progress(origin->ctx, percent, received_bytes);
}

/* `source`: a path of the host without symbolic links, a URL, or a path of the server. */
static int import(struct image_origins *o, const struct image_origin *origin,
                  enum image_import_kind kind, const char *source,
                  struct image_import_result *result, struct err *err)
{
    uint8_t sha256[IMAGE_FETCH_SHA256_BYTES];
    struct image_import_request r = {.kind = kind,
                                     .source = source,
                                     .expects = origin->expects,
                                     .format = origin->format,
                                     .pool = origin->pool,
                                     .progress = origin->progress ? importing : NULL,
                                     .ctx = (void *)(uintptr_t)origin,
                                     .stop = origin->stop};
    memcpy(r.id, origin->id, sizeof(r.id));
    int ret = origin->sha256 ? read_sha256(origin->sha256, sha256, err) : 0;
    r.sha256 = origin->sha256 ? sha256 : NULL;
    return ret ? ret : image_import_run(o->import, &r, result, err);
}

static int import_path(struct image_origins *o, const struct image_origin *origin,
                       struct image_import_result *result, struct err *err)
{
    char path[PATH_MAX];
    int ret = check_folder(o, origin->source, path, err);
    return ret ? ret : import(o, origin, IMAGE_IMPORT_FILE, path, result, err);
}

/* On the server's own machine its file is copied, if need be by reference: nothing goes through two
 * processes and TLS. Another machine may have another file there, and so another checksum. */
static int import_content(struct image_origins *o, const struct image_origin *origin,
                          struct image_import_result *result, struct err *err)
{
    char path[PATH_MAX];
    if (origin->file && !check_folder(o, origin->file, path, NULL) && !access(path, R_OK)) {
        int ret = import(o, origin, IMAGE_IMPORT_FILE, path, result, err);
        if (ret != -EBADMSG)
            return ret;
    }
    return import(o, origin, IMAGE_IMPORT_SERVER, origin->source, result, err);
}

/* ---- Debian ---- */

static void building(void *ctx, unsigned percent, const char *doing)
{
    const struct image_origin *origin = ctx;
    (void)doing;
    origin->progress(origin->ctx, percent, 0);
}

/* Owns: the list, by free(); the names are the recipe's. */
static const char **list_packages(const struct api_image_debian *d)
{
    uint32_t n = d->packages.is == API_VALUE ? d->packages.n : 0;
    const char **list = calloc((size_t)n + 1, sizeof(*list));
    for (uint32_t i = 0; list && i < n; i++)
        list[i] = d->packages.v[i];
    return list;
}

static int build_recipe(struct image_origins *o, const struct image_origin *origin,
                        const struct api_image_debian *d, struct image_import_result *result,
                        struct err *err)
{
    if (d->cloud_init.is == API_VALUE && !d->cloud_init.v)
        return err_set(err, ENOTSUP,
                       "this host builds Debian with cloud-init only, for without it nobody could "
                       "sign in: leave cloud_init at true");
    CLEANUP_FREE const char **packages = list_packages(d);
    if (!packages)
        return err_set(err, ENOMEM, "could not allocate a list of packages");
    struct image_build b = {
        .program = o->config.builder,
        .suite = d->suite.is == API_VALUE ? api_types_image_debian_suite.names[d->suite.v] : NULL,
        .size_gib = d->size_gib.is == API_VALUE ? (unsigned)d->size_gib.v : 0,
        .packages = packages,
        .pool = origin->pool,
        .progress = origin->progress ? building : NULL,
        .ctx = (void *)(uintptr_t)origin,
        .stop = origin->stop};
    memcpy(b.id, origin->id, sizeof(b.id));
    return image_build_debian(o->import, &b, result, err);
}

static int build(struct image_origins *o, const struct image_origin *origin,
                 struct image_import_result *result, struct err *err)
{
    struct api_refusal refusal = {0};
    struct api_arena arena;
    void *recipe = NULL;
    if (!o->config.builder)
        return err_set(err, ENOTSUP,
                       "this host builds no images: its agent found no recipe; see "
                       "virga-agent(8), --image-builder");
    if (geteuid() != 0)
        return err_set(err, EPERM,
                       "building a Debian image takes root, and this host's agent runs as uid %u: "
                       "import an image from a URL or a file, or run the agent as root",
                       (unsigned)geteuid());
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    int ret = strlen(origin->source) > RECIPE_BYTES
                  ? -E2BIG
                  : api_json_read(&api_types_image_debian, origin->source, strlen(origin->source),
                                  API_JSON_NEWER, &arena, &recipe, &refusal);
    if (ret)
        err_set(err, -ret, "the recipe of the image cannot be read");
    else
        ret = build_recipe(o, origin, recipe, result, err);
    api_arena_fini(&arena);
    return ret;
}

int image_origin_make(struct image_origins *o, const struct image_origin *origin,
                      struct image_import_result *result, struct err *err)
{
    switch (origin->kind) {
    case IMAGE_ORIGIN_DEBIAN:
        return build(o, origin, result, err);
    case IMAGE_ORIGIN_SERVER:
        return import_content(o, origin, result, err);
    case IMAGE_ORIGIN_URL:
        return import(o, origin, IMAGE_IMPORT_URL, origin->source, result, err);
    case IMAGE_ORIGIN_PATH:
        break;
    }
    return import_path(o, origin, result, err);
}
