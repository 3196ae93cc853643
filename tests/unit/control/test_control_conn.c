/* Connections: requests in pieces, slow clients, streams of events, who may connect. */
#include "control/control.h"

#include "control_fixture.h"

static void requests_in_pieces_and_in_a_row_are_answered(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    static const char get[] = GET("/v1/version");
    for (size_t i = 0; i < sizeof(get) - 2; i++) {
        char piece[2] = {get[i], 0};
        CHECK_STR(ask(&f, fd, piece), "");
    }
    CHECK(answers(ask(&f, fd, "\n"), 200, "version"));
    const char *back = ask(&f, fd, GET("/v1/vm") PUT("/v1/vm/boot") GET("/v1/vm"));
    CHECK(answers(back, 200, "\"state\": \"created\""));
    CHECK(strstr(back, "\"state\": \"running\""));
    CHECK_EQ(f.vm.n_calls, 1);
    close(fd);
    tear_down(&f);
}

static void a_request_that_is_not_http_ends_the_connection(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    CHECK(answers(ask(&f, fd,
                      "PUT /v1/vm/boot HTTP/1.1\r\nHost: vm\r\nTransfer-Encoding: "
                      "chunked\r\n\r\n" PUT("/v1/vm/boot")),
                  501, "Connection: close"));
    CHECK(is_closed(&f, fd));
    CHECK_EQ(f.vm.n_calls, 0);
    close(fd);
    tear_down(&f);
}

static void a_slow_client_is_closed_and_an_idle_one_later(void)
{
    struct fixture f;
    set_up(&f, -1);
    int slow = client(&f), idle = client(&f);
    ask(&f, slow, "GET /v1/vm HT");
    loop_advance_ns(f.loop, 9 * SECOND);
    CHECK(!is_closed(&f, slow));
    ask(&f, slow, "T"); /* a trickle does not extend it */
    loop_advance_ns(f.loop, 2 * SECOND);
    CHECK(is_closed(&f, slow));
    CHECK(!is_closed(&f, idle));
    loop_advance_ns(f.loop, 300 * SECOND);
    CHECK(is_closed(&f, idle));
    close(slow);
    close(idle);
    tear_down(&f);
}

static void a_client_that_takes_no_answers_is_not_read_and_then_closed(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    static const char get[] = GET("/v1/vm/config");
    unsigned sent = 0;
    while (sent < 100000 && send(fd, get, sizeof(get) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
        sent++;
        turn(&f);
    }
    CHECK(sent < 100000); /* it was held up */
    loop_advance_ns(f.loop, 11 * SECOND);
    turn(&f);
    CHECK(send(fd, get, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE);
    close(fd);
    tear_down(&f);
}

static void events_are_streamed_from_where_the_reader_left_off(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f), late = client(&f);
    control_event(f.c, VM_API_EVENT_STATE, NULL, "running");
    CHECK(answers(ask(&f, fd, GET("/v1/vm/events")), 200, "Transfer-Encoding: chunked"));
    control_event(f.c, VM_API_EVENT_IO_ERROR, "disk0", "no space \xff left");
    const char *back = ask(&f, fd, "");
    CHECK(strstr(back, "\"seq\":2") && strstr(back, "\"event\":\"io-error\"") &&
          strstr(back, "\"device\":\"disk0\"") && strstr(back, "no space ? left"));
    CHECK(answers(ask(&f, late, GET("/v1/vm/events?since=1&follow=0")), 200, "io-error"));
    CHECK(!strstr(ask(&f, late, GET("/v1/vm/events?since=1&follow=0")), "running"));
    CHECK(answers(ask(&f, late, GET("/v1/vm/events?since=x")), 400, "numbers"));
    loop_advance_ns(f.loop, 1000 * SECOND);
    CHECK(!is_closed(&f, fd)); /* a quiet VM is no reason to hang up */
    close(fd);
    close(late);
    tear_down(&f);
}

static void a_reader_that_missed_events_is_told_how_many(void)
{
    struct fixture f;
    set_up(&f, -1);
    for (int i = 0; i < 100; i++)
        control_event(f.c, VM_API_EVENT_RESET, NULL, NULL);
    int fd = client(&f);
    const char *back = ask(&f, fd, GET("/v1/vm/events?follow=0"));
    CHECK(strstr(back, "\"event\":\"lost\",\"text\":\"36\""));
    CHECK(strstr(back, "\"seq\":37,") && strstr(back, "\"seq\":100,"));
    CHECK(!strstr(back, "\"seq\":35,"));
    close(fd);
    tear_down(&f);
}

static void the_number_of_clients_is_bounded(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd[32];
    unsigned n = 0;
    while (n < ARRAY_LEN(fd) && (fd[n] = client(&f)) >= 0)
        n++;
    CHECK_EQ(n, 16);
    unsigned streams = 0;
    for (unsigned i = 0; i < n; i++)
        streams += strstr(ask(&f, fd[i], GET("/v1/vm/events")), " 200 ") != NULL;
    CHECK_EQ(streams, 8);
    for (unsigned i = 0; i < n; i++)
        close(fd[i]);
    tear_down(&f);
}

static char dir[] = "/tmp/test-control-XXXXXX";
static char path[64];

static int connect_to(const char *at)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, at, sizeof(a.sun_path) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        close(fd);
        return -1;
    }
    return fd;
}

static void the_socket_is_private_and_replaced_only_when_stale(void)
{
    struct err err = {0};
    struct stat st;
    REQUIRE(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/api", dir);
    int first = control_listen(path, &err);
    CHECK(first >= 0);
    CHECK(!stat(path, &st) && (st.st_mode & 07777) == 0600);
    CHECK_EQ(control_listen(path, &err), -EADDRINUSE);
    CHECK(strstr(err.msg, "served by a running VM"));
    close(first); /* as a process that was killed */
    int second = control_listen(path, &err);
    CHECK(second >= 0);
    close(second);
    unlink(path);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK_EQ(control_listen(path, &err), -EEXIST);
    CHECK(access(path, F_OK) == 0); /* somebody's file is not ours to remove */
    close(file);
    unlink(path);
    CHECK_EQ(control_listen("/nonexistent-dir/api", &err), -ENOENT);
    CHECK_EQ(control_listen("", &err), -EINVAL);
    rmdir(dir);
}

static void clients_connect_to_the_socket_and_idle_ones_make_room(void)
{
    struct err err = {0};
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    REQUIRE(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/api", dir);
    struct fixture f;
    set_up(&f, control_listen(path, &err));
    int fd[20];
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        fd[i] = connect_to(path);
        turn(&f);
    }
    CHECK(is_closed(&f, fd[0]));
    CHECK(answers(ask(&f, fd[19], GET("/v1/vm")), 200, "created"));
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        close(fd[i]);
    tear_down(&f);
    unlink(path);
    rmdir(dir);
}

static void a_stranger_is_refused(void)
{
    if (geteuid())
        SKIP("needs root, to be somebody else");
    struct err err = {0};
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    REQUIRE(mkdtemp(dir));
    chmod(dir, 0755);
    snprintf(path, sizeof(path), "%s/api", dir);
    struct fixture f;
    set_up(&f, control_listen(path, &err));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(setresuid(12345, 12345, 12345) || connect_to(path) >= 0);
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0); /* the mode keeps it out */
    chmod(path, 0666);
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    pid = fork();
    if (pid == 0) {
        char c = 'x';
        int fd = setresuid(12345, 12345, 12345) ? -1 : connect_to(path);
        _exit(fd < 0 || write(pair[1], "c", 1) != 1 || read(fd, &c, 1) != 0);
    }
    char c;
    CHECK_EQ(read(pair[0], &c, 1), 1);
    turn(&f);
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0); /* and its uid does where somebody opened the mode */
    close(pair[0]);
    close(pair[1]);
    tear_down(&f);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    TAP_RUN(requests_in_pieces_and_in_a_row_are_answered);
    TAP_RUN(a_request_that_is_not_http_ends_the_connection);
    TAP_RUN(a_slow_client_is_closed_and_an_idle_one_later);
    TAP_RUN(a_client_that_takes_no_answers_is_not_read_and_then_closed);
    TAP_RUN(events_are_streamed_from_where_the_reader_left_off);
    TAP_RUN(a_reader_that_missed_events_is_told_how_many);
    TAP_RUN(the_number_of_clients_is_bounded);
    TAP_RUN(the_socket_is_private_and_replaced_only_when_stale);
    TAP_RUN(clients_connect_to_the_socket_and_idle_ones_make_room);
    TAP_RUN(a_stranger_is_refused);
    return tap_done();
}
