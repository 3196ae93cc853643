/* A request's body on its way into a file.
 *
 * More than WEB_TRANSFER_MAX_BYTES waiting for the disk pauses the connection: its socket is not
 * read, TCP makes the client wait, and once half of that is written it goes on. A timer looks at
 * each lap how much came: a client that sends next to nothing is given up, unless it was the disk
 * that made it wait. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/util.h"
#include "web/web_internal.h"

#define SLOW_BYTES_S 1024

static int status_of(int code)
{
    switch (code) {
    case E2BIG:
        return 413;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return 507;
    case ETIMEDOUT:
        return 408;
    case ENOMEM:
        return 503;
    default:
        return 500;
    }
}

static void end(struct web_transfer *t, int code)
{
    const struct web_config *c = &t->server->config;
    if (t->ended)
        return;
    t->ended = true;
    if (c->body_ended)
        c->body_ended(c->ctx, t->user, code);
}

/* The file is no longer used; its owner hears of it if he has not yet. */
static void on_release(struct web_transfer *t)
{
    end(t, t->server->vhost.loop->stopping ? ECANCELED : ECONNRESET);
}

static void fail(struct web_transfer *t, int code)
{
    struct web_request *r = t->request;
    end(t, code);
    lws_rx_flow_control(r->wsi, 1 | LWS_RXFLOW_REASON_FLAG_PROCESS_NOW);
    web_request_refuse(r, status_of(code));
}

static void finish(struct web_transfer *t)
{
    struct web_request *r = t->request;
    r->body_done = (struct web_body_done){.user = t->user, .bytes = r->body_bytes};
    if (t->digest && EVP_DigestFinal_ex(t->digest, r->body_done.sha256, NULL) != 1) {
        fail(t, EIO);
        return;
    }
    end(t, 0);
    r->body_in_file = true;
    r->upload = NULL;
    web_files_drop(t);
    web_request_hand_over(r);
}

static void on_news(struct web_transfer *t)
{
    int code;
    bool busy;
    size_t waiting = web_files_look(t, &code, &busy);
    if (t->ended)
        return;
    if (code && !busy)
        fail(t, code);
    if (code)
        return;
    if (t->paused && waiting <= WEB_TRANSFER_MAX_BYTES / 2) {
        t->paused = false;
        lws_rx_flow_control(t->request->wsi, 1 | LWS_RXFLOW_REASON_FLAG_PROCESS_NOW);
    }
    if (t->complete && !waiting && !busy) /* it may have been paused by its last part */
        finish(t);
}

/* A lap has gone by. */
static void on_timer(void *ctx)
{
    struct web_transfer *t = ctx;
    unsigned lap_s = t->server->config.idle_timeout_s;
    bool slow = !t->paused && !t->paused_once && !t->complete &&
                t->lap_bytes < (uint64_t)lap_s * SLOW_BYTES_S;
    t->paused_once = t->paused;
    t->lap_bytes = 0;
    if (t->ended || !t->request)
        return;
    if (!slow) {
        web_timer_arm(t->timer, (int64_t)lap_s * 1000000);
        return;
    }
    int code;
    bool busy;
    web_files_look(t, &code, &busy);
    if (busy) /* it is about to be through */
        web_timer_arm(t->timer, 10000);
    else
        fail(t, ETIMEDOUT);
}

/* libwebsockets sets a time limit of its own when a part of a body has been taken, which does not
 * know of our disk. (Not in a callback for writing: there is none while the connection is paused,
 * and its loop would spin for it.) */
static void on_after(void *ctx)
{
    struct web_transfer *t = ctx;
    if (t->request && !t->ended && !t->complete)
        lws_set_timeout(t->request->wsi, NO_PENDING_TIMEOUT, 0);
}

/* Whether the file may take so much: what cannot fit is told before it is sent. */
static int check_room(const struct web_request *r, const struct web_body_file *file)
{
    struct statvfs fs;
    if (r->body_expected > file->max_bytes)
        return E2BIG;
    if (fstatvfs(file->fd, &fs) == 0 && fs.f_blocks &&
        r->body_expected / fs.f_frsize > (uint64_t)fs.f_bavail)
        return ENOSPC;
    return 0;
}

static int begin(struct web_request *r, const struct web_body_file *file)
{
    struct web_server *s = r->server;
    struct web_transfer *t = web_files_begin(s->vhost.loop, true, file->fd, 0, 0);
    if (!t)
        return ENOMEM;
    t->server = s;
    t->user = file->user;
    t->news = on_news;
    t->release = on_release;
    t->digest = file->sha256 ? EVP_MD_CTX_new() : NULL;
    t->timer = web_timer_create(s->vhost.loop, on_timer, t);
    t->after = web_timer_create(s->vhost.loop, on_after, t);
    if (!t->timer || !t->after ||
        (file->sha256 && (!t->digest || EVP_DigestInit_ex(t->digest, EVP_sha256(), NULL) != 1))) {
        t->ended = true; /* the caller says so himself */
        web_files_drop(t);
        return ENOMEM;
    }
    t->request = r;
    r->upload = t;
    web_timer_arm(t->timer, (int64_t)s->config.idle_timeout_s * 1000000);
    return 0;
}

int web_upload_begin(struct web_request *r, const struct web_body_file *file)
{
    const struct web_config *c = &r->server->config;
    int code = check_room(r, file);
    if (!code)
        code = begin(r, file);
    if (code && c->body_ended)
        c->body_ended(c->ctx, file->user, code);
    return code ? status_of(code) : 0;
}

int web_upload_receive(struct web_request *r, const void *data, size_t bytes)
{
    struct web_transfer *t = r->upload;
    int code;
    bool busy;
    if (t->ended) /* it failed, and the answer is on its way */
        return 0;
    t->lap_bytes += bytes;
    if (web_files_put(t, data, bytes))
        return -1;
    r->body_bytes += bytes;
    if (web_files_look(t, &code, &busy) >= WEB_TRANSFER_MAX_BYTES && !t->paused) {
        t->paused = t->paused_once = true;
        lws_rx_flow_control(r->wsi, 0);
    }
    web_timer_arm(t->after, 1);
    return 0;
}

void web_upload_complete(struct web_request *r)
{
    r->upload->complete = true;
    on_news(r->upload);
}
