/* One request, from the end of its headers to the end of its reply. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "web/web_internal.h"

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

static void hand_over(struct web_request *r)
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

/* How long the body will be, or 0 with the status that refuses it. */
static int check_length(struct web_request *r)
{
    char text[32];
    if (lws_hdr_total_length(r->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return 411;
    int bytes = lws_hdr_total_length(r->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    if (bytes <= 0)
        return 0;
    if (lws_hdr_copy(r->wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return 400;
    int64_t length = parse_length(text);
    if (length < 0)
        return 400;
    if ((uint64_t)length > r->server->config.body_max_bytes)
        return 413;
    r->body_expected = (size_t)length;
    r->body = malloc(r->body_expected + 1);
    if (!r->body)
        return 503;
    r->body[0] = 0;
    return 0;
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
        status = check_length(r);
    if (status) {
        r->handed_over = r->closing = true;
        char text[WEB_PROBLEM_BYTES];
        web_reply(r, status, WEB_PROBLEM_TYPE, text, web_problem(text, status));
        return web_request_write(conn);
    }
    if (r->body_expected)
        return 0; /* more comes, within the time limit that libwebsockets has set */
    hand_over(r);
    return conn->request && r->replied ? web_request_write(conn) : 0;
}

int web_request_receive(struct web_request *r, const void *data, size_t bytes)
{
    if (r->handed_over || bytes > r->body_expected - r->body_bytes)
        return -1;
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
    hand_over(r);
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

/* As much of the reply as one write takes; the rest when the socket has room again. */
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
    size_t n = MIN(r->reply_bytes - r->reply_sent, (size_t)WEB_CHUNK_BYTES);
    if (n)
        memcpy(p, r->reply + r->reply_sent, n);
    r->reply_sent += n;
    bool last = r->reply_sent == r->reply_bytes;
    size_t bytes = (size_t)(p - start) + n;
    if (lws_write(r->wsi, start, bytes, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
        return -1;
    /* A client that does not take its answer does not hold it, and the connection, for ever. */
    lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT, (int)r->server->config.idle_timeout_s);
    if (!last) {
        lws_callback_on_writable(r->wsi);
        return 0;
    }
    struct lws *wsi = r->wsi;
    bool closing = r->closing;
    conn->request = NULL;
    web_request_free(r);
    if (lws_http_transaction_completed(wsi) || closing)
        return -1;
    return 0;
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
