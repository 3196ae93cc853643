/* What the API answers: the VM, its run state, disks, the balloon, the console, problems. */
#include "control/control.h"

#include "control_fixture.h"

static void the_vm_is_shown(void)
{
    struct fixture f;
    set_up(&f, -1);
    int fd = client(&f);
    CHECK(answers(ask(&f, fd, GET("/v1/vm")), 200, "\"state\": \"created\""));
    CHECK(answers(ask(&f, fd, GET("/v1/vm")), 200, "\"addresses\": []"));
    f.vm.address = "10.0.0.5";
    json_t *vm = json_loads(strstr(ask(&f, fd, GET("/v1/vm")), "\r\n\r\n"), 0, NULL);
    const json_t *address = json_array_get(json_object_get(vm, "addresses"), 0);
    CHECK_STR(json_string_value(json_object_get(address, "nic")), "net0");
    CHECK_STR(json_string_value(json_object_get(address, "ip")), "10.0.0.5");
    json_decref(vm);
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

int main(void)
{
    TAP_RUN(the_vm_is_shown);
    TAP_RUN(the_run_state_is_changed);
    TAP_RUN(the_process_ends_only_after_the_answer_to_stop);
    TAP_RUN(a_disk_is_attached_by_its_descriptor_and_detached);
    TAP_RUN(descriptors_that_nobody_takes_are_closed);
    TAP_RUN(the_balloon_and_the_console_are_sized);
    TAP_RUN(a_problem_names_what_why_and_what_to_do);
    return tap_done();
}
