/* An image's content as the server has it: uploads, and files of the import folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "mgmt/server/server_range.h"
#include "mgmt/server/server_storage_internal.h"

#define RANGE_MAX_BYTES (8u << 20)

void server_image_file(const struct server *s, const struct catalog_object *image, char path[512])
{
    const struct api_image_source *source = ((struct api_image *)image->doc)->source.v;
    int n = 0;
    path[0] = 0;
    if (source->kind.v == API_IMAGE_SOURCE_KIND_UPLOAD && s->config.state_dir)
        n = snprintf(path, 512, "%s/uploads/%s", s->config.state_dir, image->id_text);
    else if (source->kind.v == API_IMAGE_SOURCE_KIND_FILE && s->config.import_dir)
        n = snprintf(path, 512, "%s/%s", s->config.import_dir, source->file.v);
    if (n >= 512)
        path[0] = 0;
}

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
    f->last = -1;
    f->ranged = range != NULL;
    if (!range || !server_range_wanted(range, &f->first, &f->last))
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID,
                           "Range %.64s: use bytes=FIRST-LAST", range);
}

int server_image_download(struct server_call *c)
{
    const struct catalog_slot *slot = server_image_visible(c);
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
