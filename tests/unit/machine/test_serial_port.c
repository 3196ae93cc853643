#include "machine/serial_port.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tap.h"

struct fixture {
    struct loop *loop;
    struct serial_port *port;
    uint8_t got[1024];
    size_t got_len, room;
};

static size_t input(void *opaque, const uint8_t *data, size_t len)
{
    struct fixture *f = opaque;
    size_t n = len < f->room ? len : f->room;
    memcpy(f->got + f->got_len, data, n);
    f->got_len += n;
    f->room -= n;
    return n;
}

static bool create(struct fixture *f, int in_fd, int out_fd, int listen_fd, uint64_t max_bytes)
{
    struct err err = {0};
    memset(f, 0, sizeof(*f));
    f->room = sizeof(f->got);
    f->loop = loop_create(0, &err);
    struct serial_port_config config = {.loop = f->loop,
                                        .in_fd = in_fd,
                                        .out_fd = out_fd,
                                        .listen_fd = listen_fd,
                                        .max_bytes = max_bytes,
                                        .input = input,
                                        .opaque = f};
    f->port = serial_port_create(&config, &err);
    if (!f->port)
        printf("# %s\n", err.msg);
    return f->port;
}

static void destroy(struct fixture *f)
{
    serial_port_destroy(f->port);
    loop_destroy(f->loop);
}

static void bytes_go_both_ways(void)
{
    struct fixture f;
    int s[2];
    char buf[16];
    REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    REQUIRE(create(&f, s[0], s[0], -1, 0));
    serial_port_output(f.port, (const uint8_t *)"login: ", 7);
    CHECK_EQ(read(s[1], buf, sizeof(buf)), 7);
    CHECK_EQ(write(s[1], "root\r", 5), 5);
    loop_run_once(f.loop, 1000);
    CHECK_EQ(f.got_len, 5);
    CHECK(!memcmp(f.got, "root\r", 5));
    destroy(&f);
    close(s[1]);
}

static void input_waits_for_room_and_none_is_lost(void)
{
    struct fixture f;
    int s[2];
    REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    REQUIRE(create(&f, s[0], s[0], -1, 0));
    f.room = 3;
    CHECK_EQ(write(s[1], "abcdefgh", 8), 8);
    for (int i = 0; i < 4; i++)
        loop_run_once(f.loop, 0);
    CHECK_EQ(f.got_len, 3);
    while (f.got_len < 8) {
        f.room = 2;
        serial_port_input_ready(f.port);
        if (!loop_run_once(f.loop, 1000))
            break;
    }
    CHECK_EQ(f.got_len, 8);
    CHECK(!memcmp(f.got, "abcdefgh", 8));
    destroy(&f);
    close(s[1]);
}

/* A reader that sleeps costs the oldest bytes, never the guest's time. */
static void a_slow_reader_loses_the_oldest_bytes(void)
{
    struct fixture f;
    int s[2];
    uint8_t line[1000], buf[4096];
    REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    REQUIRE(create(&f, s[0], s[0], -1, 0));
    memset(line, 'x', sizeof(line));
    for (int i = 0; i < 1000; i++)
        serial_port_output(f.port, line, sizeof(line));
    serial_port_output(f.port, (const uint8_t *)"END", 3);
    CHECK(serial_port_dropped_bytes(f.port) > 0);
    fcntl(s[1], F_SETFL, O_NONBLOCK);
    size_t total = 0;
    char last[3] = "";
    for (int idle = 0; idle < 3;) {
        ssize_t n = read(s[1], buf, sizeof(buf));
        if (n > 0) {
            total += (size_t)n;
            memmove(last, n >= 3 ? (char *)buf + n - 3 : last, 3);
        }
        idle = loop_run_once(f.loop, 10) || n > 0 ? 0 : idle + 1;
    }
    CHECK_EQ(total + serial_port_dropped_bytes(f.port), 1000 * sizeof(line) + 3);
    CHECK(!memcmp(last, "END", 3));
    destroy(&f);
    close(s[1]);
}

static void a_log_file_never_outgrows_its_bound_and_keeps_the_newest(void)
{
    struct fixture f;
    int fd = memfd_create("log", 0), keep = dup(fd);
    char text[64], all[4096] = "";
    REQUIRE(create(&f, -1, fd, -1, 1000));
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof(text), "line %d\n", i);
        serial_port_output(f.port, (const uint8_t *)text, strlen(text));
        CHECK(lseek(keep, 0, SEEK_END) <= 1000);
    }
    CHECK(pread(keep, all, sizeof(all) - 1, 0) > 400);
    CHECK(strstr(all, "line 499\n"));
    CHECK(strstr(all, "line 450\n"));
    CHECK(!strstr(all, "line 100\n"));
    destroy(&f);
    close(keep);
}

static int client(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (const struct sockaddr *)a, sizeof(*a)) ? -1 : fd;
}

static void a_socket_serves_one_client_after_another(void)
{
    struct fixture f;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char buf[8];
    snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/virga-serial-%d", (int)getpid());
    int l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    REQUIRE(!bind(l, (struct sockaddr *)&a, sizeof(a)) && !listen(l, 4));
    REQUIRE(create(&f, -1, -1, l, 0));
    for (int turn = 0; turn < 2; turn++) {
        int c = client(&a);
        REQUIRE(c >= 0);
        loop_run_once(f.loop, 1000);
        serial_port_output(f.port, (const uint8_t *)"hi", 2);
        CHECK_EQ(read(c, buf, sizeof(buf)), 2);
        close(c);
        loop_run_once(f.loop, 1000);
    }
    unlink(a.sun_path);
    destroy(&f);
}

static void dev_null_as_input_is_no_error(void)
{
    struct fixture f;
    CHECK(create(&f, open("/dev/null", O_RDONLY), -1, -1, 0));
    destroy(&f);
}

int main(void)
{
    TAP_RUN(bytes_go_both_ways);
    TAP_RUN(input_waits_for_room_and_none_is_lost);
    TAP_RUN(a_slow_reader_loses_the_oldest_bytes);
    TAP_RUN(a_log_file_never_outgrows_its_bound_and_keeps_the_newest);
    TAP_RUN(a_socket_serves_one_client_after_another);
    TAP_RUN(dev_null_as_input_is_no_error);
    return tap_done();
}
