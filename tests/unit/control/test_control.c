/* The API's server, spoken to over socket pairs, with a VM that is not there. The loop is turned by
 * hand and its clock is a fake one. */
#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/util.h"
#include "control/control_null.h"
#include "tap.h"

#define SECOND INT64_C(1000000000)

struct fixture {
    struct loop *loop;
    struct control_null vm;
    struct control *c;
};

static void set_up(struct fixture *f, int listen_fd)
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

static void tear_down(struct fixture *f)
{
    control_destroy(f->c);
    control_null_fini(&f->vm);
    loop_destroy(f->loop);
}

static int client(struct fixture *f)
{
    int pair[2];
    struct err err = {0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
        control_adopt(f->c, pair[0], &err))
        return -1;
    return pair[1];
}

static void turn(struct fixture *f)
{
    while (loop_run_once(f->loop, 0) > 0)
        ;
}

/* Sends text and returns all that comes back, "" at the end of the connection. */
static const char *ask(struct fixture *f, int fd, const char *text)
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

static bool is_closed(struct fixture *f, int fd)
{
    char c;
    turn(f);
    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: vm\r\n\r\n"
#define PUT(path) "PUT " path " HTTP/1.1\r\nHost: vm\r\n\r\n"

static const char *with_body(const char *method, const char *path, const char *body)
{
    static char text[8192];
    snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: vm\r\nContent-Length: %zu\r\n\r\n%s",
             method, path, strlen(body), body);
    return text;
}

static bool answers(const char *back, int status, const char *part)
{
    char line[32];
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (!strncmp(back, line, strlen(line)) && strstr(back, part))
        return true;
    printf("# wanted %d and %s, got: %s\n", status, part, back);
    return false;
}

static void the_vm_is_shown(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    CHECK(answers(ask(&f, fd, GET("/v1/vm")), 200, "\"state\": \"created\""));
    CHECK(answers(ask(&f, fd, GET("/v1/version")), 200, "\"api\": 1"));
    const char *config = ask(&f, fd, GET("/v1/vm/config"));
    CHECK(answers(config, 200, "\"memory\""));
    json_t *json = json_loads(strstr(config, "\r\n\r\n"), 0, NULL);
    CHECK(json_is_object(json_object_get(json, "cpus")));
    json_decref(json);
    CHECK(answers(ask(&f, fd, GET("/v1/vm/counters")), 200, "\"calls\": 0"));
    close(fd);
    tear_down(&f);
}

static void the_run_state_is_changed(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/pause")), 409, "\"wrong-state\""));
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/boot")), 200, "\"state\": \"running\""));
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/pause")), 200, "\"state\": \"paused\""));
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/resume")), 200, "\"state\": \"running\""));
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/power-button")), 202, "running"));
    CHECK_STR(f.vm.last_call, "power-button");
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/reset")), 200, "running"));
    CHECK_STR(f.vm.last_call, "reset");
    close(fd);
    tear_down(&f);
}

static void the_process_ends_only_after_the_answer_to_stop(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    CHECK(!f.vm.stopped);
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/stop")), 200, "stopped"));
    CHECK(f.vm.stopped);
    f.vm.stopped = false;
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/stop")), 409, "cannot stop a VM that is stopped"));
    CHECK(!f.vm.stopped);
    close(fd);
    tear_down(&f);
}

static bool send_with_fd(int fd, const char *text, int passed)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)text, strlen(text)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &passed, sizeof(int));
    return sendmsg(fd, &msg, MSG_NOSIGNAL) > 0;
}

static void a_disk_is_attached_by_its_descriptor_and_detached(void)
{
    static const char disk[] = "{\"id\":\"data\",\"path\":\"/srv/data.img\"}";
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f), p[2];
    REQUIRE(pipe2(p, O_CLOEXEC) == 0);
    CHECK(answers(ask(&f, fd, with_body("POST", "/v1/vm/disks", disk)), 400, "SCM_RIGHTS"));
    CHECK(send_with_fd(fd, with_body("POST", "/v1/vm/disks", disk), p[1]));
    CHECK(answers(ask(&f, fd, ""), 201, "\"id\": \"data\""));
    close(p[1]);
    CHECK(f.vm.kept_fd >= 0 && write(f.vm.kept_fd, "x", 1) == 1);
    CHECK(fcntl(f.vm.kept_fd, F_GETFD) & FD_CLOEXEC);
    CHECK(answers(ask(&f, fd, GET("/v1/vm/config")), 200, "/srv/data.img"));
    CHECK(send_with_fd(fd, with_body("POST", "/v1/vm/disks", disk), p[0]));
    CHECK(answers(ask(&f, fd, ""), 409, "\"exists\""));
    CHECK(
        answers(ask(&f, fd, "DELETE /v1/vm/disks/data HTTP/1.1\r\nHost: vm\r\n\r\n"), 202, "data"));
    CHECK(answers(ask(&f, fd, "DELETE /v1/vm/disks/data HTTP/1.1\r\nHost: vm\r\n\r\n"), 404,
                  "there is no disk"));
    close(p[0]);
    close(fd);
    tear_down(&f);
}

static void descriptors_that_nobody_takes_are_closed(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f), p[2];
    REQUIRE(pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
    for (int i = 0; i < 3 * CONTROL_FDS_MAX; i++)
        CHECK(send_with_fd(fd, i ? "G" : "X", p[1]));
    turn(&f);
    close(fd);
    turn(&f);
    fd = client(&f);
    CHECK(send_with_fd(fd, GET("/v1/vm"), p[1]));
    CHECK(answers(ask(&f, fd, ""), 200, ""));
    close(p[1]);
    char c;
    CHECK_EQ(read(p[0], &c, 1), 0); /* no writer is left anywhere */
    close(p[0]);
    close(fd);
    tear_down(&f);
}

static void the_balloon_and_the_console_are_sized(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    CHECK(answers(ask(&f, fd, with_body("PUT", "/v1/vm/balloon", "{\"target_bytes\":4096}")), 200,
                  "\"target_bytes\": 4096"));
    CHECK_EQ(f.vm.balloon_bytes, 4096);
    CHECK(answers(ask(&f, fd, with_body("PUT", "/v1/vm/balloon", "{\"target_bytes\":-1}")), 400,
                  "from 0 up"));
    CHECK(answers(ask(&f, fd, with_body("PUT", "/v1/vm/balloon", "{\"target\":1}")), 400, "send"));
    CHECK(answers(ask(&f, fd, with_body("PUT", "/v1/vm/balloon", "nonsense")), 400, "JSON object"));
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/balloon")), 411, "Content-Length"));
    CHECK(answers(ask(&f, fd, with_body("PUT", "/v1/vm/console", "{\"columns\":80,\"rows\":24}")),
                  200, "state"));
    CHECK(f.vm.columns == 80 && f.vm.rows == 24);
    CHECK(answers(ask(&f, fd, with_body("PUT", "/v1/vm/console", "{\"columns\":0,\"rows\":24}")),
                  400, "1 to 65535"));
    close(fd);
    tear_down(&f);
}

static void a_problem_names_what_why_and_what_to_do(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    const char *back = ask(&f, fd, with_body("POST", "/v1/vm/disks", "{\"pth\":1}"));
    CHECK(answers(back, 400, "application/problem+json"));
    json_t *json = json_loads(strstr(back, "\r\n\r\n"), 0, NULL);
    CHECK(json_integer_value(json_object_get(json, "status")) == 400);
    CHECK_STR(json_string_value(json_object_get(json, "code")), "invalid");
    CHECK_STR(json_string_value(json_object_get(json, "type")), "urn:virga:problem:invalid");
    CHECK(strstr(json_string_value(json_object_get(json, "detail")), "valid keys here: id, path"));
    json_decref(json);
    CHECK(answers(ask(&f, fd, GET("/v2/vm")), 404, "there is no resource"));
    CHECK(answers(ask(&f, fd, GET("/v1/vm/disks/")), 404, "not-found"));
    CHECK(answers(ask(&f, fd, "DELETE /v1/vm/balloon HTTP/1.1\r\nHost: vm\r\n\r\n"), 405,
                  "Allow: GET, PUT"));
    CHECK(answers(ask(&f, fd, "BREW /v1/vm HTTP/1.1\r\nHost: vm\r\n\r\n"), 405, "Allow: GET"));
    f.vm.fail_next = EIO;
    CHECK(answers(ask(&f, fd, PUT("/v1/vm/boot")), 500, "was told to fail"));
    close(fd);
    tear_down(&f);
}

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
    TAP_RUN(the_vm_is_shown);
    TAP_RUN(the_run_state_is_changed);
    TAP_RUN(the_process_ends_only_after_the_answer_to_stop);
    TAP_RUN(a_disk_is_attached_by_its_descriptor_and_detached);
    TAP_RUN(descriptors_that_nobody_takes_are_closed);
    TAP_RUN(the_balloon_and_the_console_are_sized);
    TAP_RUN(a_problem_names_what_why_and_what_to_do);
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
