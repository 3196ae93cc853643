/* Uploads: an image's content comes in parts, each where the last one ended, into a file of the
 * state directory, which stays as long as the image: hosts fetch from it.
 *
 * Theory of operation. The file's size is how much has come, and nothing else says so: a part is
 * synced before it is acknowledged, and a part that broke off is kept as far as it came. When all
 * is there its checksum is computed (in the same job of a worker), and only then the image is
 * changed: it is to be imported. The handler runs twice: once to hand the part to a worker, once
 * more when the last one is done. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_storage_internal.h"

#define SHA256_TEXT_BYTES 65
#define COPY_BYTES        (1u << 20)
#define RANGE_MAX_BYTES   (8u << 20)

static const struct store_id nowhere;

static const struct api_image_source *source_of(const struct catalog_object *v)
{
    return ((struct api_image *)v->doc)->source.v;
}

static struct api_image_status *status_of(const struct catalog_object *v)
{
    return ((struct api_image *)v->doc)->status.v;
}

void server_image_file(const struct server *s, const struct catalog_object *image, char path[512])
{
    const struct api_image_source *source = source_of(image);
    int n = 0;
    path[0] = 0;
    if (source->kind.v == API_IMAGE_SOURCE_KIND_UPLOAD && s->config.state_dir)
        n = snprintf(path, 512, "%s/uploads/%s", s->config.state_dir, image->id_text);
    else if (source->kind.v == API_IMAGE_SOURCE_KIND_FILE && s->config.import_dir)
        n = snprintf(path, 512, "%s/%s", s->config.import_dir, source->file.v);
    if (n >= 512)
        path[0] = 0;
}

/* ---- a part ---- */

struct part {
    struct server_job job;
    struct server_call *c; /* its body is what is written */
    struct store_id image;
    char dir[512], path[512];
    int64_t offset, total;
    /* Out. */
    int error;
    int64_t received;
    char sha256[SHA256_TEXT_BYTES]; /* "": not all is there */
};

/* Errors: negative errno values. */
static int write_all(int fd, const char *data, size_t bytes, int64_t offset)
{
    while (bytes) {
        ssize_t n = pwrite(fd, data, bytes, (off_t)offset);
        if (n < 0 && errno != EINTR)
            return -errno;
        n = n < 0 ? 0 : n;
        data += n;
        bytes -= (size_t)n;
        offset += n;
    }
    return 0;
}

static int sum_file(int fd, char text[static SHA256_TEXT_BYTES])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n_hash = 0;
    off_t at = 0;
    ssize_t n = 1;
    CLEANUP_FREE char *buffer = malloc(COPY_BYTES);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int r = buffer && md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) ? 0 : -ENOMEM;
    while (!r && n > 0) {
        n = pread(fd, buffer, COPY_BYTES, at);
        r = n < 0 ? -errno : 0;
        if (n > 0 && !EVP_DigestUpdate(md, buffer, (size_t)n))
            r = -EIO;
        at += n > 0 ? n : 0;
    }
    if (!r && !EVP_DigestFinal_ex(md, hash, &n_hash))
        r = -EIO;
    EVP_MD_CTX_free(md);
    for (unsigned i = 0; !r && i < n_hash && i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return r;
}

static int write_part(struct part *p)
{
    struct stat st;
    if (mkdir(p->dir, 0700) && errno != EEXIST)
        return -errno;
    CLEANUP_CLOSE int fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &st))
        return -errno;
    p->received = st.st_size;
    if (p->offset != p->received)
        return -ESPIPE;
    int r = write_all(fd, p->c->wire.body, p->c->wire.body_bytes, p->offset);
    if (!r && fdatasync(fd))
        r = -errno;
    if (r || fstat(fd, &st))
        return r ? r : -errno;
    p->received = st.st_size;
    return p->received == p->total ? sum_file(fd, p->sha256) : 0;
}

static void part_work(struct server_job *j)
{
    struct part *p = container_of(j, struct part, job);
    p->error = -write_part(p);
}

static int part_refuse(struct part *p)
{
    struct api_refusal *r = &p->c->refusal;
    if (p->error == ESPIPE)
        return api_problem_set(r, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "the part begins at %lld and %lld bytes have come: go on there",
                               (long long)p->offset, (long long)p->received);
    r->retry_after_s = 5;
    return api_problem_set(r, API_PROBLEM_CODE_SERVER_BUSY,
                           "the part could not be kept (%s): free space on the server, ask for "
                           "received_bytes and go on there",
                           strerror(p->error));
}

/* So much has come: shown, not stored. */
static void show_received(struct server *s, const struct catalog_slot *slot, int64_t received)
{
    const struct api_image_source *source = source_of(slot->now);
    const struct api_text *operation = server_storage_operation(slot->now);
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    if (operation->is == API_VALUE && source->size_bytes.is == API_VALUE) {
        int percent = (int)((double)received * 99 / (double)source->size_bytes.v);
        server_operation_step(s, operation->v, percent, "receiving");
    }
    status_of(v)->received_bytes = (struct api_int){API_VALUE, received};
    server_storage_show(s, slot, v);
}

static void part_done(struct server_job *j)
{
    struct part *p = container_of(j, struct part, job);
    struct server_call *c = p->c;
    struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_IMAGE, &p->image);
    struct server_storage_fact *f =
        server_storage_fact_find(c->s->storage, CATALOG_IMAGE, &p->image, &nowhere);
    if (f)
        f->uploading = false;
    if (slot && server_storage_phase(slot->now) == SERVER_STORAGE_WAITING)
        show_received(c->s, slot, p->received);
    bool all = !p->error && p->sha256[0] && slot && f;
    if (all) {
        f->uploaded = true;
        f->received_bytes = (uint64_t)p->received;
        server_storage_fact_text(&f->sha256, p->sha256);
        server_call_run(c); /* once more, now to say so */
    } else if (p->error) {
        part_refuse(p);
        server_call_refuse(c);
    } else if (slot) {
        server_call_reply_object(c, 200, slot->now);
    } else {
        api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_GONE,
                        "the image was deleted while its content came");
        server_call_refuse(c);
    }
    free(p);
}

/* ---- what a request says ---- */

/* "bytes 0-99/1000"; the total may be "*". */
static int read_range(const char *text, int64_t *first, int64_t *last, int64_t *total)
{
    long long a, b, n;
    int end = 0;
    if (sscanf(text, "bytes %lld-%lld/%lld%n", &a, &b, &n, &end) == 3 && !text[end]) {
        *total = n;
    } else {
        end = 0;
        if (sscanf(text, "bytes %lld-%lld/*%n", &a, &b, &end) != 2 || !end || text[end])
            return -EINVAL;
        n = INT64_MAX;
    }
    if (a < 0 || b < a || b >= n || b >= INT64_C(1) << 56)
        return -EINVAL;
    *first = a;
    *last = b;
    return 0;
}

/* Where the part lies, and how much there will be in all. */
static int place_part(struct server_call *c, const struct catalog_object *v, struct part *p)
{
    const struct api_image_upload_query *query = c->request.query;
    const struct api_image_source *source = source_of(v);
    const char *range = web_request_header(c->web, "content-range");
    int64_t bytes = (int64_t)c->wire.body_bytes, last;
    p->total = -1;
    p->offset = query->offset_bytes.is == API_VALUE ? query->offset_bytes.v : 0;
    if (range) {
        if (read_range(range, &p->offset, &last, &p->total) || last - p->offset + 1 != bytes)
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID,
                                   "Content-Range %.64s is not that of a body of %lld bytes: use "
                                   "bytes FIRST-LAST/TOTAL",
                                   range, (long long)bytes);
    }
    if (source->size_bytes.is == API_VALUE) {
        if (p->total >= 0 && p->total != source->size_bytes.v)
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                                   "a total of %lld bytes, and the image was announced with %lld",
                                   (long long)p->total, (long long)source->size_bytes.v);
        p->total = source->size_bytes.v;
    } else if (p->total < 0 && !range && !p->offset) {
        p->total = bytes; /* the whole */
    }
    if (p->total < 0)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                               "nobody said how much will come: give the total in Content-Range");
    if (!bytes && !p->total)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                               "an image has content: send it");
    if (bytes > p->total || p->offset > p->total - bytes)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                               "%lld bytes at %lld are more than the %lld of the image",
                               (long long)bytes, (long long)p->offset, (long long)p->total);
    return 0;
}

static int take_part(struct server_call *c, const struct catalog_object *v,
                     struct server_storage_fact *f)
{
    struct part *p = calloc(1, sizeof(*p));
    if (!p)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    p->job = (struct server_job){.work = part_work, .done = part_done};
    p->error = ECANCELED; /* the server ended before a worker had it */
    p->c = c;
    p->image = v->id;
    server_image_file(c->s, v, p->path);
    snprintf(p->dir, sizeof(p->dir), "%s", p->path);
    char *slash = strrchr(p->dir, '/');
    int r = slash ? place_part(c, v, p)
                  : api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                                    "this server keeps no uploads: start it with --state");
    if (slash)
        *slash = 0;
    if (!r && server_workers_submit(c->s->workers, &p->job)) {
        c->refusal.retry_after_s = 1;
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "too much waits: try again");
    }
    if (r)
        free(p);
    else
        f->uploading = true;
    return r;
}

/* ---- when all is there ---- */

struct finished {
    bool mismatch;
    char sha256[SHA256_TEXT_BYTES];
};

static void finished(struct server_txn *t, int result)
{
    const struct finished *end = t->ctx;
    struct server_call *c = t->call;
    if (result || !end->mismatch)
        return;
    api_problem_set(&c->refusal, API_PROBLEM_CODE_IMAGE_CHECKSUM,
                    "the content's sha256 is %s and not the one that was announced: make the image "
                    "anew",
                    end->sha256);
    server_call_refuse(c);
}

static int finish(struct server_call *c, struct catalog_slot *slot, struct server_storage_fact *f)
{
    const char *wanted = server_storage_value(&source_of(slot->now)->sha256);
    struct server_txn *t = server_txn_begin(c->s, c);
    struct catalog_object *v = t ? catalog_copy(slot->now) : NULL;
    struct finished *end = v ? api_arena_alloc(&t->arena, sizeof(*end)) : NULL;
    if (!end || !f->sha256 || server_meta_text(v, &status_of(v)->sha256, f->sha256) ||
        server_storage_set_phase(v, SERVER_STORAGE_MAKING)) {
        catalog_unref(v);
        server_txn_abandon(t);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    *end = (struct finished){.mismatch = wanted && strcmp(wanted, f->sha256) != 0};
    snprintf(end->sha256, sizeof(end->sha256), "%s", f->sha256);
    status_of(v)->received_bytes = (struct api_int){API_VALUE, (int64_t)f->received_bytes};
    if (end->mismatch)
        server_storage_broken(t, v, API_PROBLEM_CODE_IMAGE_CHECKSUM,
                              "the content has another checksum than was announced");
    server_txn_put(t, slot, v, true);
    if (!end->mismatch) {
        t->answer = v;
        t->status = 200;
    }
    return server_txn_commit(t, finished, end);
}

int server_image_upload(struct server_call *c)
{
    struct catalog_slot *slot = server_call_object(c, CATALOG_IMAGE, 0);
    int r = slot ? server_call_wait(c, slot) : -ENOENT;
    if (r)
        return r;
    const struct catalog_object *v = slot->now;
    struct server_storage_fact *f =
        server_storage_fact_get(c->s->storage, CATALOG_IMAGE, &v->id, &nowhere);
    if (source_of(v)->kind.v != API_IMAGE_SOURCE_KIND_UPLOAD ||
        server_storage_phase(v) != SERVER_STORAGE_WAITING)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "image %s is in state %s and waits for no content: make a new one "
                               "with a source of kind upload",
                               v->name, api_types_image_status_state.names[status_of(v)->state.v]);
    if (!f)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    if (f->uploaded)
        return finish(c, slot, f);
    if (f->uploading)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_BUSY,
                               "a part of image %s is being received: send one after the other",
                               v->name);
    return take_part(c, v, f);
}

/* ---- fetching ---- */

struct fetch {
    struct server_job job;
    struct server_call *c;
    char path[512];
    int64_t first, last; /* last < 0: to the end */
    bool ranged;
    /* Out. */
    int error;
    int64_t size;
    char *data;
    size_t bytes;
};

static int read_file(struct fetch *f)
{
    struct stat st;
    CLEANUP_CLOSE int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st))
        return -errno;
    f->size = st.st_size;
    if (f->first >= f->size)
        return -ERANGE;
    int64_t last = f->last < 0 || f->last >= f->size ? f->size - 1 : f->last;
    int64_t n = last - f->first + 1;
    if (!f->ranged && n > RANGE_MAX_BYTES)
        return -EFBIG;
    n = MIN(n, (int64_t)RANGE_MAX_BYTES);
    f->data = malloc((size_t)n);
    ssize_t got = f->data ? pread(fd, f->data, (size_t)n, (off_t)f->first) : -1;
    if (got <= 0)
        return f->data && got < 0 ? -errno : -EIO;
    f->bytes = (size_t)got;
    return 0;
}

static void fetch_work(struct server_job *j)
{
    struct fetch *f = container_of(j, struct fetch, job);
    f->error = -read_file(f);
}

static void fetch_done(struct server_job *j)
{
    struct fetch *f = container_of(j, struct fetch, job);
    struct server_call *c = f->c;
    char text[96];
    if (!f->error) {
        if (f->ranged) {
            snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)f->first,
                     (long long)f->first + (long long)f->bytes - 1, (long long)f->size);
            web_reply_header(c->web, "content-range", text);
        }
        web_reply_header(c->web, "accept-ranges", "bytes");
        server_call_reply(c, f->ranged ? 206 : 200, f->data, f->bytes);
    } else {
        if (f->error == EFBIG)
            api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_TOO_LARGE,
                            "the content has %lld bytes: fetch it in parts of %u, by Range: "
                            "bytes=FIRST-LAST",
                            (long long)f->size, RANGE_MAX_BYTES);
        else if (f->error == ERANGE)
            api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID,
                            "Range begins at %lld and the content has %lld bytes",
                            (long long)f->first, (long long)f->size);
        else
            api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                            "the content is not on this server (%s)", strerror(f->error));
        server_call_refuse(c);
    }
    free(f->data);
    free(f);
}

static int read_wanted(struct server_call *c, struct fetch *f)
{
    const char *range = web_request_header(c->web, "range");
    long long first, last;
    int end = 0;
    f->last = -1;
    if (!range)
        return 0;
    f->ranged = true;
    if (sscanf(range, "bytes=%lld-%lld%n", &first, &last, &end) == 2 && !range[end] && first >= 0 &&
        last >= first) {
        f->first = first;
        f->last = last;
        return 0;
    }
    end = 0;
    if (sscanf(range, "bytes=%lld-%n", &first, &end) == 1 && end && !range[end] && first >= 0) {
        f->first = first;
        return 0;
    }
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID,
                           "Range %.64s: use bytes=FIRST-LAST", range);
}

int server_image_download(struct server_call *c)
{
    const struct catalog_slot *slot = server_call_object(c, CATALOG_IMAGE, 0);
    if (!slot)
        return -ENOENT;
    if (server_storage_phase(slot->now) != SERVER_STORAGE_READY &&
        server_storage_phase(slot->now) != SERVER_STORAGE_MAKING)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_IMAGE_NOT_READY,
                               "image %s has no content yet: wait until it is ready",
                               slot->now->name);
    struct fetch *f = calloc(1, sizeof(*f));
    if (!f)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    f->job = (struct server_job){.work = fetch_work, .done = fetch_done};
    f->error = ECANCELED;
    f->c = c;
    server_image_file(c->s, slot->now, f->path);
    int r = f->path[0] ? read_wanted(c, f)
                       : api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                                         "image %s lies on hosts only: the server has the content "
                                         "of uploads and of files of its import folder",
                                         slot->now->name);
    if (!r && server_workers_submit(c->s->workers, &f->job)) {
        c->refusal.retry_after_s = 1;
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "too much waits: try again");
    }
    if (r)
        free(f);
    return r;
}

/* ---- the spool ---- */

struct sweep {
    struct server_job job;
    char path[512];
};

static void sweep_work(struct server_job *j)
{
    unlink(container_of(j, struct sweep, job)->path);
}

static void sweep_done(struct server_job *j)
{
    free(container_of(j, struct sweep, job));
}

/* What cannot be handed to a worker now goes at the next start. */
void server_image_unlink(struct server *s, const struct catalog_object *image)
{
    bool upload = source_of(image)->kind.v == API_IMAGE_SOURCE_KIND_UPLOAD;
    struct sweep *w = upload && s->config.state_dir ? calloc(1, sizeof(*w)) : NULL;
    if (!w)
        return;
    w->job = (struct server_job){.work = sweep_work, .done = sweep_done};
    server_image_file(s, image, w->path);
    if (!w->path[0] || server_workers_submit(s->workers, &w->job))
        free(w);
}

int server_image_start(struct server *s, struct err *err)
{
    char path[512];
    struct stat st;
    (void)err;
    if (!s->config.state_dir)
        return 0;
    snprintf(path, sizeof(path), "%s/uploads", s->config.state_dir);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return 0; /* nothing was ever uploaded */
    for (const struct dirent *e; (e = readdir(dir));) {
        struct store_id id;
        if (catalog_id_parse(e->d_name, &id))
            continue;
        const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_IMAGE, &id);
        if (!slot)
            unlinkat(fd, e->d_name, 0);
        else if (server_storage_phase(slot->now) == SERVER_STORAGE_WAITING &&
                 !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
            show_received(s, slot, st.st_size);
    }
    closedir(dir);
    return 0;
}
