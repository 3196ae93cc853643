/* The client against the monitor's own server, with a VM that is not there, in one loop. */
#include "agent/vm_client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "control/control.h"
#include "control/control_null.h"
#include "tap.h"

struct fixture {
    struct loop *loop;
    char dir[64], path[96];
    struct control_null vm;
    struct control *control;
    struct vm_client *client;
    unsigned done;
    int status;
    char body[4096];
    unsigned events;
    int events_status;
    char last_event[512];
};

static void start_server(struct fixture *f)
{
    struct err err = {0};
    control_null_init(&f->vm);
    const struct control_config config = {.listen_fd = control_listen(f->path, &err),
                                          .allowed_uid = geteuid(),
                                          .ops = &control_null_ops,
                                          .vm = &f->vm,
                                          .stopped = control_null_stopped};
    f->control = control_create(f->loop, &config, &err);
    CHECK(f->control);
}

static void stop_server(struct fixture *f)
{
    control_destroy(f->control);
    control_null_fini(&f->vm);
    f->control = NULL;
}

static void set_up(struct fixture *f)
{
    struct err err = {0};
    memset(f, 0, sizeof(*f));
    f->loop = loop_create(LOOP_FAKE_CLOCK, &err);
    strcpy(f->dir, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/api", f->dir);
    f->client = vm_client_create(f->loop, f->path, &err);
}

static void tear_down(struct fixture *f)
{
    vm_client_destroy(f->client);
    if (f->control)
        stop_server(f);
    unlink(f->path);
    char lock[128];
    snprintf(lock, sizeof(lock), "%s.lock", f->path);
    unlink(lock);
    rmdir(f->dir);
    loop_destroy(f->loop);
}

static void turn(struct fixture *f)
{
    while (loop_run_once(f->loop, 0) > 0)
        ;
}

static void took(void *opaque, int status, const char *body, size_t bytes)
{
    struct fixture *f = opaque;
    f->done++;
    f->status = status;
    CHECK_EQ(strlen(body), bytes);
    snprintf(f->body, sizeof(f->body), "%s", body);
}

static void happened(void *opaque, const char *line, int status)
{
    struct fixture *f = opaque;
    f->events++;
    f->events_status = status;
    snprintf(f->last_event, sizeof(f->last_event), "%s", line ? line : "");
}

static int ask(struct fixture *f, const char *method, const char *target, const char *body)
{
    unsigned before = f->done;
    CHECK_EQ(vm_client_request(f->client, method, target, body, took, f), 0);
    CHECK_EQ(f->done, before); /* never from within */
    turn(f);
    CHECK_EQ(f->done, before + 1);
    return f->status;
}

static void asks_a_monitor_one_thing_after_the_other(void)
{
    struct fixture f;
    set_up(&f);
    start_server(&f);
    CHECK_EQ(ask(&f, "GET", "/v1/vm", NULL), 200);
    CHECK(strstr(f.body, "\"created\""));
    CHECK_EQ(ask(&f, "PUT", "/v1/vm/boot", NULL), 200);
    CHECK_EQ(ask(&f, "PUT", "/v1/vm/balloon", "{\"target_bytes\": 1048576}"), 200);
    CHECK_EQ(f.vm.balloon_bytes, 1048576);
    CHECK_EQ(ask(&f, "PUT", "/v1/vm/nothing", NULL), 404);
    CHECK(strstr(f.body, "not-found"));
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(vm_client_request(f.client, "GET", "/v1/vm/config", NULL, took, &f), 0);
    turn(&f);
    CHECK_EQ(f.done, 9);
    CHECK_EQ(f.status, 200);
    tear_down(&f);
}

static void a_vm_that_does_not_run_is_told_from_one_that_does(void)
{
    struct fixture f;
    pid_t pid = 0;
    set_up(&f);
    CHECK_EQ(vm_client_pid(f.path, &pid), -ENOENT);
    CHECK_EQ(ask(&f, "GET", "/v1/vm", NULL), -ENOENT);
    start_server(&f);
    CHECK_EQ(vm_client_pid(f.path, &pid), 0);
    CHECK_EQ(pid, getpid());
    CHECK_EQ(ask(&f, "GET", "/v1/vm", NULL), 200);
    stop_server(&f); /* as one that was killed: the socket's name stays */
    turn(&f);
    int ret = ask(&f, "GET", "/v1/vm", NULL);
    CHECK(ret == -ECONNREFUSED || ret == -ENOENT);
    CHECK(vm_client_pid(f.path, &pid) == ret);
    start_server(&f);
    CHECK_EQ(ask(&f, "GET", "/v1/vm", NULL), 200);
    tear_down(&f);
}

static void follows_events_and_is_told_of_their_end(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_EQ(vm_client_follow(f.client, 0, happened, &f), -ENOENT);
    start_server(&f);
    control_event(f.control, VM_API_EVENT_STATE, NULL, "running");
    CHECK_EQ(vm_client_follow(f.client, 0, happened, &f), 0);
    turn(&f);
    CHECK_EQ(f.events, 1);
    CHECK(strstr(f.last_event, "\"seq\":1"));
    control_event(f.control, VM_API_EVENT_ATTACHED, "disk1", NULL);
    control_event(f.control, VM_API_EVENT_SHUTDOWN, NULL, NULL);
    turn(&f);
    CHECK_EQ(f.events, 3);
    CHECK(strstr(f.last_event, "\"shutdown\""));
    CHECK_EQ(vm_client_follow(f.client, 2, happened, &f), 0);
    turn(&f);
    CHECK_EQ(f.events, 4);
    CHECK(strstr(f.last_event, "\"seq\":3"));
    stop_server(&f);
    turn(&f);
    CHECK_EQ(f.events, 5);
    CHECK_STR(f.last_event, "");
    CHECK(f.events_status < 0);
    tear_down(&f);
}

/* A listener that says what it is told to, or nothing. */
static int listen_at(struct fixture *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(a.sun_path, f->path);
    CHECK_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(fd, 4), 0);
    return fd;
}

static void a_monitor_that_hangs_is_given_up_after_a_time(void)
{
    struct fixture f;
    set_up(&f);
    int listener = listen_at(&f);
    vm_client_request(f.client, "GET", "/v1/vm", NULL, took, &f);
    vm_client_request(f.client, "GET", "/v1/vm", NULL, took, &f);
    turn(&f);
    loop_advance_ns(f.loop, (VM_CLIENT_TIMEOUT_MS - 1) * INT64_C(1000000));
    CHECK_EQ(f.done, 0);
    loop_advance_ns(f.loop, 2 * INT64_C(1000000));
    CHECK_EQ(f.done, 1);
    CHECK_EQ(f.status, -ETIMEDOUT);
    turn(&f); /* the second has a time of its own */
    CHECK_EQ(f.done, 1);
    vm_client_destroy(f.client);
    f.client = NULL;
    CHECK_EQ(f.done, 2);
    CHECK_EQ(f.status, -ECANCELED);
    close(listener);
    tear_down(&f);
}

static void a_monitor_that_lies_is_not_believed(void)
{
    static const char *const LIES[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", /* more follows below */
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
        "SSH-2.0\r\n\r\n",
        "",
    };
    static char much[1 << 16];
    for (unsigned i = 0; i < ARRAY_LEN(LIES); i++) {
        struct fixture f;
        set_up(&f);
        int listener = listen_at(&f);
        vm_client_request(f.client, "GET", "/v1/vm", NULL, took, &f);
        turn(&f);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        CHECK_EQ(send(fd, LIES[i], strlen(LIES[i]), MSG_NOSIGNAL), strlen(LIES[i]));
        memset(much, 'x', sizeof(much));
        for (unsigned n = 0; i == 0 && n < 40 && !f.done; n++) {
            (void)!send(fd, much, sizeof(much), MSG_NOSIGNAL);
            turn(&f);
        }
        if (i == 3)
            shutdown(fd, SHUT_WR);
        turn(&f);
        CHECK_EQ(f.done, 1);
        CHECK(f.status == -EBADMSG || (i == 3 && f.status == -ECONNRESET));
        close(fd);
        close(listener);
        tear_down(&f);
    }
}

static int dev_null(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void open_files_go_with_a_request_and_are_closed_here(void)
{
    static const char DISK[] = "{\"id\": \"d\", \"path\": \"/d\"}";
    struct fixture f;
    int fds[VM_CLIENT_FDS_MAX + 1];
    set_up(&f);
    fds[0] = dev_null();
    CHECK_EQ(vm_client_request_fds(f.client, "POST", "/v1/vm/disks", DISK, fds, 1, took, &f), 0);
    turn(&f);
    CHECK_EQ(f.status, -ENOENT); /* nobody listens */
    CHECK(!is_open(fds[0]));
    start_server(&f);
    fds[0] = dev_null();
    CHECK_EQ(vm_client_request_fds(f.client, "POST", "/v1/vm/disks", DISK, fds, 1, took, &f), 0);
    CHECK_EQ(vm_client_request(f.client, "GET", "/v1/vm", NULL, took, &f), 0);
    turn(&f);
    CHECK_EQ(f.done, 3);
    CHECK_EQ(f.status, 200);
    CHECK(strstr(f.body, "\"disks\": [\n    \"d\"\n  ]"));
    CHECK(f.vm.kept_fd >= 0 && f.vm.kept_fd != fds[0]); /* the monitor has its own */
    CHECK(!is_open(fds[0]));
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = dev_null();
    CHECK_EQ(vm_client_request_fds(f.client, "POST", "/v1/vm/disks", DISK, fds, ARRAY_LEN(fds),
                                   took, &f),
             -E2BIG);
    CHECK(!is_open(fds[0]) && !is_open(fds[VM_CLIENT_FDS_MAX]));
    tear_down(&f);
}

int main(void)
{
    TAP_RUN(asks_a_monitor_one_thing_after_the_other);
    TAP_RUN(a_vm_that_does_not_run_is_told_from_one_that_does);
    TAP_RUN(follows_events_and_is_told_of_their_end);
    TAP_RUN(a_monitor_that_hangs_is_given_up_after_a_time);
    TAP_RUN(a_monitor_that_lies_is_not_believed);
    TAP_RUN(open_files_go_with_a_request_and_are_closed_here);
    return tap_done();
}
