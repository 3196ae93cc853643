/* Gives hosts the content of images on the agents' listener: uploads, and files of the import
 * folder. Who asks is told by the certificate, and gets what it was told to have and nothing else.
 * A transfer that broke off goes on where it ended (Range); the tag says whether the file is still
 * the same (If-Match). */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_range.h"
#include "mgmt/server/server_storage_internal.h"

#define TAG_BYTES 80

struct give {
    struct server_job job;
    struct web_request *web;
    char id[UUID_TEXT_BYTES], host[UUID_TEXT_BYTES], path[512];
    /* Out. */
    int error, fd;
    struct stat st;
};

static void refuse(struct web_request *web, const struct api_refusal *refusal)
{
    struct api_buf b;
    char seconds[16];
    api_buf_init(&b, 65536);
    api_problem_write(refusal, NULL, NULL, NULL, &b);
    if (refusal->retry_after_s) {
        snprintf(seconds, sizeof(seconds), "%u", refusal->retry_after_s);
        web_reply_header(web, "retry-after", seconds);
    }
    web_reply(web, api_problem_status(refusal->code), API_PROBLEM_MEDIA, b.failed ? "{}" : b.text,
              b.failed ? 2 : b.bytes);
    api_buf_fini(&b);
}

/* ---- the file ---- */

static void give_work(struct server_job *j)
{
    struct give *g = container_of(j, struct give, job);
    g->fd = open(g->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    g->error = g->fd < 0 || fstat(g->fd, &g->st) ? errno : 0;
    if (!g->error && !S_ISREG(g->st.st_mode))
        g->error = EINVAL;
}

static int read_range(const struct give *g, const char tag[TAG_BYTES], int64_t *first,
                      int64_t *last, struct api_refusal *refusal)
{
    const char *range = web_request_header(g->web, "range");
    const char *match = web_request_header(g->web, "if-match");
    int64_t size = g->st.st_size;
    *first = 0;
    *last = -1;
    if (match && strcmp(match, tag) != 0)
        return api_problem_set(refusal, API_PROBLEM_CODE_RESOURCE_GENERATION,
                               "the content of image %s is not the one that was begun with: "
                               "begin anew",
                               g->id);
    if (range && server_range_wanted(range, first, last))
        return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID,
                               "Range %.64s: use bytes=FIRST-LAST", range);
    if (range && *first >= size)
        return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID,
                               "Range begins at %lld and the content of image %s has %lld bytes",
                               (long long)*first, g->id, (long long)size);
    if (*last < 0 || *last >= size)
        *last = size - 1;
    return 0;
}

static void give_done(struct server_job *j)
{
    struct give *g = container_of(j, struct give, job);
    struct api_refusal refusal;
    int64_t first, last;
    char text[TAG_BYTES];
    api_problem_init(&refusal);
    snprintf(text, sizeof(text), "\"%llx-%llx-%llx\"", (unsigned long long)g->st.st_size,
             (unsigned long long)g->st.st_mtim.tv_sec * 1000000000u +
                 (unsigned long long)g->st.st_mtim.tv_nsec,
             (unsigned long long)g->st.st_ino);
    if (g->error == ECANCELED)
        api_problem_set(&refusal, API_PROBLEM_CODE_SERVER_BUSY, "this server ends: ask again");
    else if (g->error)
        api_problem_set(&refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                        "the content of image %s is not on this server (%s): servers that share "
                        "a database need one folder of uploads, and the same import folder",
                        g->id, strerror(g->error));
    else
        (void)read_range(g, text, &first, &last, &refusal);
    if (refusal.set) {
        log_line(LOG_WARN, "server", "an image is not given: host=%s: %s", g->host, refusal.detail);
        refuse(g->web, &refusal);
    } else {
        bool ranged = web_request_header(g->web, "range") != NULL;
        log_line(LOG_INFO, "server", "a host fetches an image: host=%s image=%s from=%lld of=%lld",
                 g->host, g->id, (long long)first, (long long)g->st.st_size);
        web_reply_header(g->web, "etag", text);
        snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)first, (long long)last,
                 (long long)g->st.st_size);
        if (ranged)
            web_reply_header(g->web, "content-range", text);
        web_reply_file(g->web, ranged ? 206 : 200, "application/octet-stream", steal_fd(&g->fd),
                       (uint64_t)first, (uint64_t)(last - first + 1));
    }
    if (g->fd >= 0)
        close(g->fd);
    free(g);
}

/* ---- who may have it ---- */

static int check_host(struct server *s, const struct web_request *web, struct store_id *host,
                      struct api_refusal *refusal)
{
    const char *name = web_request_peer_name(web);
    if (!name || catalog_id_parse(name, host) || !server_host_find(s, host))
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN,
                               "hosts of this cloud only, by their certificate: join again");
    if (server_host_fenced(s, host))
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN,
                               "host %s is fenced: activate it first", name);
    return 0;
}

static int check_image(struct server *s, const char *id_text, const struct store_id *host,
                       struct give *g, struct api_refusal *refusal)
{
    struct server_image_want want;
    const struct catalog_slot *slot = catalog_find_id(s->catalog, CATALOG_IMAGE, id_text);
    if (!slot)
        return api_problem_set(refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND, "there is no image %s",
                               id_text);
    if (!server_image_want(s, slot->now, host, &want) || want.wish != SERVER_STORAGE_MAKE)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN,
                               "nobody told this host to have image %s", id_text);
    server_image_file(s, slot->now, g->path);
    if (g->path[0])
        return 0;
    return api_problem_set(refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                           "this server keeps no content of image %s: it has no state or import "
                           "folder for it",
                           id_text);
}

static bool path_id(const char *path, char id[static UUID_TEXT_BYTES])
{
    static const char BEGIN[] = "/v1/images/", END[] = "/content";
    size_t n = strlen(path), rest = sizeof(BEGIN) - 1 + UUID_TEXT_BYTES - 1;
    struct store_id parsed;
    if (n != rest + sizeof(END) - 1 || strncmp(path, BEGIN, sizeof(BEGIN) - 1) != 0 ||
        strcmp(path + rest, END) != 0)
        return false;
    memcpy(id, path + sizeof(BEGIN) - 1, UUID_TEXT_BYTES - 1);
    id[UUID_TEXT_BYTES - 1] = 0;
    return !catalog_id_parse(id, &parsed);
}

bool server_image_give(struct server *s, struct web_request *web)
{
    struct api_refusal refusal;
    struct store_id host;
    char id[UUID_TEXT_BYTES];
    enum web_method method = web_request_method(web);
    if (!path_id(web_request_path(web), id) || (method != WEB_GET && method != WEB_HEAD))
        return false;
    api_problem_init(&refusal);
    struct give *g = calloc(1, sizeof(*g));
    int r = check_host(s, web, &host, &refusal);
    if (!r && g)
        r = check_image(s, id, &host, g, &refusal);
    if (!r && g) {
        g->job = (struct server_job){.work = give_work, .done = give_done};
        g->web = web;
        g->fd = -1;
        g->error = ECANCELED;
        snprintf(g->id, sizeof(g->id), "%s", id);
        uuid_format(host.bytes, g->host);
        if (!server_workers_submit(s->workers, &g->job))
            return true;
    }
    if (!r) {
        refusal.retry_after_s = 1;
        api_problem_set(&refusal, API_PROBLEM_CODE_SERVER_BUSY, "too much waits: try again");
    }
    free(g);
    LOG_LIMITED(LOG_WARN, "server", "an image is not given: %s", refusal.detail);
    refuse(web, &refusal);
    return true;
}
