/* Answers of the server's own, in place of a handler's: problem documents (RFC 9457). */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "web/web_internal.h"

#define JUST_NOW_MS       50
#define DROPPED_MAX_BYTES (1u << 20)

static const char *title_of(int status)
{
    switch (status) {
    case 400:
        return "the request cannot be read";
    case 401:
        return "this needs a valid token";
    case 403:
        return "this token may not do that";
    case 404:
        return "there is nothing at this path";
    case 408:
        return "the body came too slowly";
    case 411:
        return "a body needs a Content-Length";
    case 413:
        return "the body is longer than this server takes";
    case 414:
        return "the query has more parameters than this server takes";
    case 417:
        return "the only expectation that this server knows is 100-continue";
    case 431:
        return "the request's headers are longer than this server takes";
    case 503:
        return "the server has no memory left for this request";
    case 500:
        return "the body could not be kept";
    case 507:
        return "there is no room for the body";
    default:
        return "the request is refused";
    }
}

size_t web_problem(char text[static WEB_PROBLEM_BYTES], int status)
{
    return (size_t)snprintf(text, WEB_PROBLEM_BYTES,
                            "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d}\n",
                            title_of(status), status);
}

/* What the client still sends is read, for a connection that is closed with unread bytes is reset,
 * and the answer lost. */
void web_refuse_raw(struct lws *wsi, int status)
{
    char problem[WEB_PROBLEM_BYTES], text[WEB_PROBLEM_BYTES + 256], dropped[4096];
    size_t bytes = web_problem(problem, status);
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %d Refused\r\ncontent-type: %s\r\ncontent-length: %zu\r\n"
                     "connection: close\r\n\r\n%s",
                     status, WEB_PROBLEM_TYPE, bytes, problem);
    int fd = lws_get_socket_fd(wsi);
    SSL *ssl = lws_get_ssl(wsi);
    if (ssl)
        SSL_write(ssl, text, n);
    else
        (void)!send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    for (unsigned i = 0; i < DROPPED_MAX_BYTES / sizeof(dropped); i++)
        if (recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT) <= 0)
            break;
}

/* libwebsockets closes a connection whose headers have no room, without an answer and without a
 * callback before it shuts the socket down; it only logs, and not for which one. But that one waits
 * for headers, has received more than there is room for, and did so just now. Where two are like
 * that, neither is answered. */
void web_refuse_overflow(struct web_server *s)
{
    struct lws *found = NULL;
    for (struct web_conn *c = s->conns; c; c = c->next) {
        struct tcp_info info = {0};
        socklen_t bytes = sizeof(info);
        if (c->request || c->socket ||
            getsockopt(lws_get_socket_fd(c->wsi), IPPROTO_TCP, TCP_INFO, &info, &bytes) < 0 ||
            info.tcpi_bytes_received < WEB_HEADER_BYTES || info.tcpi_last_data_recv > JUST_NOW_MS)
            continue;
        if (found)
            return;
        found = c->wsi;
    }
    if (found)
        web_refuse_raw(found, 431);
}
