/* A small HTTP server on a loopback port, in a thread of its own, one connection after the other;
 * the path says how it behaves:
 *   /good          the body, with its length
 *   /nolength      the body up to the connection's end
 *   /short         a length larger than the body
 *   /long          a length that is half of the body
 *   /stall         half of the body, then nothing
 *   /endless       chunks without an end
 *   /moved         to /good;  /loop: to itself;  /to-file: to file:///etc/passwd
 *   /parts         a third, then the connection ends; what Range asks for, a third at a time
 *   /other         as /parts, but another file when it goes on: 412
 *   /busy          503 once, then the body
 *   /denied        403 and a problem document
 *   else           404 */
#ifndef TESTS_UNIT_AGENT_HTTP_FIXTURE_H
#define TESTS_UNIT_AGENT_HTTP_FIXTURE_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_fixture {
    const char *body;
    size_t bytes;
    int listener, wake[2];
    uint16_t port;
    pthread_t thread;
    _Atomic unsigned requests;
    bool was_busy;
};

static inline void http_send(int fd, const void *data, size_t n)
{
    for (const char *p = data; n;) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

static inline void http_head(int fd, const char *status, const char *header)
{
    char text[512];
    int n =
        snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nConnection: close\r\n%s\r\n", status, header);
    http_send(fd, text, (size_t)n);
}

static inline void http_with_length(int fd, size_t said, const void *data, size_t n)
{
    char header[64];
    snprintf(header, sizeof(header), "Content-Length: %zu\r\n", said);
    http_head(fd, "200 OK", header);
    http_send(fd, data, n);
}

/* Until the client has gone, or the fixture ends. */
static inline void http_wait(struct http_fixture *h, int fd)
{
    char byte;
    struct pollfd p[2] = {{fd, POLLIN, 0}, {h->wake[0], POLLIN, 0}};
    while (poll(p, 2, -1) > 0 && !p[1].revents && recv(fd, &byte, 1, 0) > 0)
        ;
}

static inline void http_endless(struct http_fixture *h, int fd)
{
    static const char chunk[8192 + 8] = "2000\r\n";
    http_head(fd, "200 OK", "Transfer-Encoding: chunked\r\n");
    while (send(fd, chunk, 6, MSG_NOSIGNAL) == 6 &&
           send(fd, chunk + 6, 8192, MSG_NOSIGNAL) == 8192 &&
           send(fd, "\r\n", 2, MSG_NOSIGNAL) == 2)
        ;
}

/* A third of the whole from where Range begins; the length that is said is that of the rest. */
static inline void http_part(struct http_fixture *h, int fd, const char *request, bool same)
{
    const char *range = strstr(request, "Range: bytes="),
               *tag = strstr(request, "If-Match: \"tag\"");
    unsigned long long from = 0;
    char header[160];
    if (range && (!same || !tag || sscanf(range, "Range: bytes=%llu-", &from) != 1)) {
        http_head(fd, "412 Precondition Failed", "Content-Length: 0\r\n");
        return;
    }
    size_t rest = h->bytes - (size_t)from, third = h->bytes / 3 + 1;
    snprintf(header, sizeof(header),
             "Content-Length: %zu\r\nETag: \"tag\"\r\nContent-Range: bytes %llu-%zu/%zu\r\n", rest,
             from, h->bytes - 1, h->bytes);
    http_head(fd, range ? "206 Partial Content" : "200 OK", header);
    http_send(fd, h->body + from, rest < third ? rest : third);
}

static inline void http_denied(int fd)
{
    static const char body[] = "{\"type\":\"urn:x\",\"title\":\"t\",\"status\":403,"
                               "\"code\":\"auth.forbidden\",\"detail\":\"join again\"}";
    char header[64];
    snprintf(header, sizeof(header), "Content-Length: %zu\r\n", sizeof(body) - 1);
    http_head(fd, "403 Forbidden", header);
    http_send(fd, body, sizeof(body) - 1);
}

static inline void http_answer(struct http_fixture *h, int fd, const char *path,
                               const char *request)
{
    if (!strcmp(path, "/good"))
        http_with_length(fd, h->bytes, h->body, h->bytes);
    else if (!strcmp(path, "/short"))
        http_with_length(fd, h->bytes + 100, h->body, h->bytes);
    else if (!strcmp(path, "/long"))
        http_with_length(fd, h->bytes / 2, h->body, h->bytes);
    else if (!strcmp(path, "/stall")) {
        http_with_length(fd, h->bytes, h->body, h->bytes / 2);
        http_wait(h, fd);
    } else if (!strcmp(path, "/endless"))
        http_endless(h, fd);
    else if (!strcmp(path, "/nolength")) {
        http_head(fd, "200 OK", "");
        http_send(fd, h->body, h->bytes);
    } else if (!strcmp(path, "/moved"))
        http_head(fd, "302 Found", "Location: /good\r\n");
    else if (!strcmp(path, "/loop"))
        http_head(fd, "302 Found", "Location: /loop\r\n");
    else if (!strcmp(path, "/parts") || !strcmp(path, "/other"))
        http_part(h, fd, request, path[1] == 'p');
    else if (!strcmp(path, "/denied"))
        http_denied(fd);
    else if (!strcmp(path, "/busy") && !h->was_busy) {
        h->was_busy = true;
        http_head(fd, "503 Service Unavailable", "Content-Length: 0\r\n");
    } else if (!strcmp(path, "/busy"))
        http_with_length(fd, h->bytes, h->body, h->bytes);
    else if (!strcmp(path, "/to-file"))
        http_head(fd, "302 Found", "Location: file:///etc/passwd\r\n");
    else
        http_head(fd, "404 Not Found", "Content-Length: 0\r\n");
}

static inline void *http_serve(void *arg)
{
    struct http_fixture *h = arg;
    struct pollfd p[2] = {{h->listener, POLLIN, 0}, {h->wake[0], POLLIN, 0}};
    while (poll(p, 2, -1) > 0 && !p[1].revents) {
        char request[4096] = "", path[256] = "";
        size_t n = 0;
        int fd = accept(h->listener, NULL, NULL);
        while (n + 1 < sizeof(request) && !strstr(request, "\r\n\r\n")) {
            ssize_t got = recv(fd, request + n, sizeof(request) - 1 - n, 0);
            if (got <= 0)
                break;
            n += (size_t)got;
            request[n] = 0;
        }
        h->requests++;
        if (sscanf(request, "GET %255[^ ?]", path) == 1)
            http_answer(h, fd, path, request);
        shutdown(fd, SHUT_WR);
        http_wait(h, fd); /* a close with unread bytes would reset what the client has not read */
        close(fd);
    }
    return NULL;
}

static inline bool http_start(struct http_fixture *h, const void *body, size_t bytes)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    *h = (struct http_fixture){.body = body, .bytes = bytes};
    h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pipe(h->wake) < 0 || bind(h->listener, (struct sockaddr *)&a, n) < 0 ||
        listen(h->listener, 16) < 0 || getsockname(h->listener, (struct sockaddr *)&a, &n) < 0)
        return false;
    h->port = ntohs(a.sin_port);
    return pthread_create(&h->thread, NULL, http_serve, h) == 0;
}

static inline void http_stop(struct http_fixture *h)
{
    close(h->wake[1]);
    pthread_join(h->thread, NULL);
    close(h->wake[0]);
    close(h->listener);
}

#endif
