/* The other end of a web_server on a loopback port, byte by byte. */
#ifndef TESTS_UNIT_WEB_HTTP_CLIENT_H
#define TESTS_UNIT_WEB_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"
#include "web/web_server.h"

#define HTTP_LIMIT_MS 20000

/* A thread's: runs a loop. */
static inline void *http_serve(void *loop)
{
    web_loop_run(loop);
    return NULL;
}

static inline int http_connect(const struct web_server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(web_server_port(s)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        printf("Bail out! connect: %s\n", strerror(errno));
        exit(1);
    }
    return fd;
}

/* Reads until `want` bytes are there, `until` is in them, the peer has closed or time is up. */
static inline size_t http_receive(int fd, char *buf, size_t want, const char *until)
{
    size_t n = 0;
    while (n < want) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, HTTP_LIMIT_MS) <= 0)
            break;
        ssize_t got = recv(fd, buf + n, want - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        buf[n] = 0;
        if (until && strstr(buf, until))
            break;
    }
    buf[n] = 0;
    return n;
}

static inline void http_say(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

#endif
