/* The API's server, spoken to over socket pairs, with a VM that is not there. The loop is turned by
 * hand and its clock is a fake one. */
#ifndef TESTS_UNIT_CONTROL_FIXTURE_H
#define TESTS_UNIT_CONTROL_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/util.h"
#include "control/control.h"
#include "control/control_null.h"
#include "tap.h"

#define SECOND INT64_C(1000000000)

struct fixture {
    struct loop *loop;
    struct control_null vm;
    struct control *c;
};

static inline void set_up(struct fixture *f, int listen_fd)
{
    struct err err = {0};
    f->loop = loop_create(LOOP_FAKE_CLOCK, &err);
    control_null_init(&f->vm);
    struct control_config config = {.listen_fd = listen_fd,
                                    .allowed_uid = geteuid(),
                                    .ops = &control_null_ops,
                                    .vm = &f->vm,
                                    .stopped = control_null_stopped};
    f->c = control_create(f->loop, &config, &err);
}

static inline void tear_down(struct fixture *f)
{
    control_destroy(f->c);
    control_null_fini(&f->vm);
    loop_destroy(f->loop);
}

static inline int client(struct fixture *f)
{
    int pair[2];
    struct err err = {0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
        control_adopt(f->c, pair[0], &err))
        return -1;
    return pair[1];
}

static inline void turn(struct fixture *f)
{
    while (loop_run_once(f->loop, 0) > 0)
        ;
}

/* Sends text and returns all that comes back, "" at the end of the connection. */
static inline const char *ask(struct fixture *f, int fd, const char *text)
{
    static char back[200000];
    size_t n = 0;
    if (*text && send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        return "";
    for (;;) {
        turn(f);
        ssize_t got = recv(fd, back + n, sizeof(back) - 1 - n, MSG_DONTWAIT);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    back[n] = '\0';
    return back;
}

static inline bool is_closed(struct fixture *f, int fd)
{
    char c;
    turn(f);
    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: vm\r\n\r\n"
#define PUT(path) "PUT " path " HTTP/1.1\r\nHost: vm\r\n\r\n"

static inline const char *with_body(const char *method, const char *path, const char *body)
{
    static char text[8192];
    snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: vm\r\nContent-Length: %zu\r\n\r\n%s",
             method, path, strlen(body), body);
    return text;
}

static inline bool answers(const char *back, int status, const char *part)
{
    char line[32];
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (!strncmp(back, line, strlen(line)) && strstr(back, part))
        return true;
    printf("# wanted %d and %s, got: %s\n", status, part, back);
    return false;
}

#endif
