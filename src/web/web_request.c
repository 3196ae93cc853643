/* One request, from the end of its headers to the end of its reply. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "web/web_internal.h"

#define DRAIN_S         5
#define DRAIN_MAX_BYTES (64 * MIB)

void web_request_free(struct web_request *r)
{
    if (r->link) {
        *r->link = r->next;
        if (r->next)
            r->next->link = r->link;
    }
    free(r->path);
    for (unsigned i = 0; i < WEB_PARAMETERS_MAX; i++)
        free(r->parameters[i]);
    for (unsigned i = 0; i < WEB_HEADERS_MAX; i++)
        free(r->headers[i]);
    free(r->peer_name);
    free(r->body);
    free(r->reply);
    if (r->upload)
        web_files_drop(r->upload);
    if (r->download)
        web_files_drop(r->download);
    free(r);
}

void web_request_abandon(struct web_conn *conn)
{
    struct web_request *r = conn->request;
    conn->request = NULL;
    if (!r)
        return;
    r->wsi = NULL;
    /* A handler that has the request will reply, and that frees it. */
    if (!r->handed_over || r->replied)
        web_request_free(r);
}

void web_request_hand_over(struct web_request *r)
{
    lws_set_timeout(r->wsi, NO_PENDING_TIMEOUT, 0); /* a reply may take as long as it takes */
    r->handed_over = true;
    r->server->config.handle(r->server->config.ctx, r);
}

/* Digits only; -1 for anything else or what does not fit. */
static int64_t parse_length(const char *text)
{
    int64_t value = 0;
    if (!*text || strlen(text) > 15)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
    }
    return value;
}

/* How long the body will be. Returns 0 or the status that refuses it. */
static int read_length(struct web_request *r)
{
    char text[32];
    if (lws_hdr_total_length(r->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return 411;
    if (lws_hdr_total_length(r->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return 0;
    if (lws_hdr_copy(r->wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return 400;
    int64_t length = parse_length(text);
    if (length < 0)
        return 400;
    r->body_expected = (size_t)length;
    return 0;
}

/* Where the body goes. Returns the same. */
static int accept_body(struct web_request *r)
{
    const struct web_config *c = &r->server->config;
    struct web_body_file file = {.fd = -1};
    int where = c->body ? c->body(c->ctx, r, &file) : WEB_BODY_MEMORY;
    if (where == WEB_BODY_FILE)
        return web_upload_begin(r, &file);
    if (where != WEB_BODY_MEMORY)
        return where;
    if (r->body_expected > c->body_max_bytes)
        return 413;
    r->body = malloc(r->body_expected + 1);
    if (!r->body)
        return 503;
    r->body[0] = 0;
    return 0;
}

/* A client that waits to be told to send its body (RFC 9110, 10.1.1): whether there is one; or 417,
 * it expects something else. */
static int read_expectation(struct web_request *r, bool *waits)
{
    char text[32];
    *waits = lws_hdr_total_length(r->wsi, WSI_TOKEN_HTTP_EXPECT) > 0;
    if (*waits && (lws_hdr_copy(r->wsi, text, sizeof(text), WSI_TOKEN_HTTP_EXPECT) <= 0 ||
                   strcasecmp(text, "100-continue") != 0))
        return 417;
    return 0;
}

static int tell_to_go_on(struct web_request *r)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uint8_t *p = r->server->scratch + LWS_PRE;
    memcpy(p, go_on, sizeof(go_on) - 1);
    return lws_write(r->wsi, p, sizeof(go_on) - 1, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

/* 0, the status to refuse with, or -1: the connection is gone. */
static int prepare_body(struct web_request *r)
{
    bool waits = false;
    int status = read_length(r);
    if (status || !r->body_expected)
        return status;
    status = read_expectation(r, &waits);
    if (!status)
        status = accept_body(r);
    return status || !waits ? status : tell_to_go_on(r);
}

void web_request_refuse(struct web_request *r, int status)
{
    char text[WEB_PROBLEM_BYTES];
    r->handed_over = r->closing = true;
    web_reply(r, status, WEB_PROBLEM_TYPE, text, web_problem(text, status));
}

int web_request_begin(struct web_server *s, struct lws *wsi, struct web_conn *conn)
{
    struct web_request *r = calloc(1, sizeof(*r));
    if (!r)
        return -1;
    web_request_abandon(conn);
    conn->request = r;
    r->server = s;
    r->wsi = wsi;
    r->next = s->requests;
    r->link = &s->requests;
    if (r->next)
        r->next->link = &r->next;
    s->requests = r;
    int status = web_request_read(r, s, wsi);
    if (!status)
        status = prepare_body(r);
    if (status < 0)
        return -1;
    if (status) {
        web_request_refuse(r, status);
        return web_request_write(conn);
    }
    if (r->body_expected)
        return 0; /* more comes, within the time limit that libwebsockets has set */
    web_request_hand_over(r);
    return conn->request && r->replied ? web_request_write(conn) : 0;
}

int web_request_receive(struct web_request *r, const void *data, size_t bytes)
{
    if (r->handed_over && r->closing)
        return 0; /* refused in the middle of it: the answer is on its way */
    if (r->handed_over || bytes > r->body_expected - r->body_bytes)
        return -1;
    if (r->upload)
        return web_upload_receive(r, data, bytes);
    memcpy(r->body + r->body_bytes, data, bytes);
    r->body_bytes += bytes;
    r->body[r->body_bytes] = 0;
    return 0;
}

int web_request_complete(struct web_conn *conn)
{
    struct web_request *r = conn->request;
    if (r->handed_over)
        return 0;
    if (r->body_bytes != r->body_expected)
        return -1;
    if (r->upload)
        web_upload_complete(r);
    else
        web_request_hand_over(r);
    return conn->request && r->replied ? web_request_write(conn) : 0;
}

static bool may_have_body(const struct web_request *r)
{
    return r->method != WEB_HEAD && r->status != 204 && r->status != 304;
}

/* The status line and headers into the scratch buffer; NULL when they do not fit. */
static uint8_t *write_headers(struct web_request *r, uint8_t *p, uint8_t *end)
{
    if (lws_add_http_header_status(r->wsi, (unsigned)r->status, &p, end) ||
        (r->status != 204 && r->status != 304 &&
         lws_add_http_header_content_length(r->wsi, r->reply_bytes, &p, end)) ||
        (r->closing && lws_add_http_header_by_name(r->wsi, (const uint8_t *)"connection:",
                                                   (const uint8_t *)"close", 5, &p, end)))
        return NULL;
    if ((size_t)(end - p) < r->reply_headers_bytes + 2)
        return NULL;
    memcpy(p, r->reply_headers, r->reply_headers_bytes);
    p += r->reply_headers_bytes;
    return lws_finalize_http_header(r->wsi, &p, end) ? NULL : p;
}

/* The next part of the reply's body into `p`; -1: its file cannot be read. */
static int64_t next_part(struct web_request *r, uint8_t *p)
{
    size_t n = MIN(r->reply_bytes - r->reply_sent, (size_t)WEB_CHUNK_BYTES);
    int code;
    bool busy;
    if (!n)
        return 0;
    if (!r->download) {
        memcpy(p, r->reply + r->reply_sent, n);
        return (int64_t)n;
    }
    n = web_files_take(r->download, p, n);
    web_files_look(r->download, &code, &busy);
    return n || !code ? (int64_t)n : -1;
}

/* The answer is out. What the client still sends of a body that was refused is dropped for a while.
 */
static int end_request(struct web_conn *conn)
{
    struct web_request *r = conn->request;
    struct lws *wsi = r->wsi;
    bool closing = r->closing, unread = r->body_bytes < r->body_expected;
    conn->request = NULL;
    web_request_free(r);
    if (closing && unread) {
        conn->draining = true;
        conn->drain_until_us = lws_now_usecs() + DRAIN_S * LWS_US_PER_SEC;
        shutdown(lws_get_socket_fd(wsi), SHUT_WR);
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, DRAIN_S);
        return 0;
    }
    return lws_http_transaction_completed(wsi) || closing ? -1 : 0;
}

int web_request_drain(struct web_conn *conn, size_t bytes)
{
    conn->drained_bytes += bytes;
    return conn->drained_bytes > DRAIN_MAX_BYTES || lws_now_usecs() > conn->drain_until_us ? -1 : 0;
}

/* As much of the reply as one write takes; the rest when the socket has room again, or the file has
 * been read on. */
int web_request_write(struct web_conn *conn)
{
    struct web_request *r = conn->request;
    if (!r->replied)
        return 0;
    uint8_t *start = r->server->scratch + LWS_PRE, *p = start;
    if (!r->reply_begun) {
        p = write_headers(r, start, start + WEB_REPLY_HEADER_BYTES);
        if (!p)
            return -1;
        r->reply_begun = true;
        if (!may_have_body(r))
            r->reply_sent = r->reply_bytes;
    }
    int64_t n = next_part(r, p);
    if (n < 0)
        return -1;
    r->reply_sent += (size_t)n;
    bool last = r->reply_sent == r->reply_bytes;
    size_t bytes = (size_t)(p - start) + (size_t)n;
    if (!bytes && !last) { /* the file's next part is not there yet; its news come here again */
        lws_set_timeout(r->wsi, NO_PENDING_TIMEOUT, 0);
        return 0;
    }
    if (lws_write(r->wsi, start, bytes, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
        return -1;
    /* A client that does not take its answer does not hold it, and the connection, for ever. */
    lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT, (int)r->server->config.idle_timeout_s);
    if (!last) {
        lws_callback_on_writable(r->wsi);
        return 0;
    }
    return end_request(conn);
}

int web_reply_header(struct web_request *r, const char *name, const char *value)
{
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return -EINVAL;
    /* The other half is for the status line and what the server adds (write_headers()). */
    size_t left = sizeof(r->reply_headers) / 2 - r->reply_headers_bytes;
    int n = snprintf(r->reply_headers + r->reply_headers_bytes, left, "%s: %s\r\n", name, value);
    if (n < 0 || (size_t)n >= left)
        return -ENOMEM;
    r->reply_headers_bytes += (size_t)n;
    return 0;
}

void web_reply(struct web_request *r, int status, const char *type, const char *body, size_t bytes)
{
    if (!r->wsi || !r->server) {
        web_request_free(r);
        return;
    }
    r->status = status;
    if (type && web_reply_header(r, "content-type", type))
        r->status = 500;
    r->reply = malloc(bytes ? bytes : 1);
    if (!r->reply) {
        r->status = 503;
        bytes = 0;
    }
    if (bytes)
        memcpy(r->reply, body, bytes);
    r->reply_bytes = bytes;
    r->replied = true;
    lws_callback_on_writable(r->wsi);
}

static void on_part(struct web_transfer *t)
{
    lws_callback_on_writable(t->request->wsi);
}

static void close_file(struct web_transfer *t)
{
    close(t->fd);
}

void web_reply_file(struct web_request *r, int status, const char *type, int fd, uint64_t offset,
                    uint64_t bytes)
{
    if (!r->wsi || !r->server) {
        close(fd);
        web_request_free(r);
        return;
    }
    r->status = status;
    bool good = !type || !web_reply_header(r, "content-type", type);
    /* A HEAD only tells the length. */
    if (good && bytes && may_have_body(r)) {
        r->download = web_files_begin(r->server->vhost.loop, false, fd, offset, bytes);
        if (!r->download) {
            close(fd);
            web_reply(r, 503, NULL, NULL, 0);
            return;
        }
        r->download->request = r;
        r->download->server = r->server;
        r->download->news = on_part;
        r->download->release = close_file;
    } else
        close(fd);
    r->status = good ? status : 500;
    r->reply_bytes = good ? bytes : 0;
    r->replied = true;
    lws_callback_on_writable(r->wsi);
}
