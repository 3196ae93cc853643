/* Bodies that go into files and come from files, spoken byte by byte on a loopback port. A disk
 * that is slow or breaks is a fault point in the thread that writes. */
#include "web/web_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/util.h"
#include "http_client.h"
#include "tap.h"

#define BIG_BYTES (24u << 20)

static struct {
    struct web_loop *loop;
    struct web_server *server, *impatient;
    pthread_t thread;
    int file; /* where bodies go */
    int user; /* what body() says */
    _Atomic int begun, ended, code, handled;
    _Atomic int downloading; /* the last descriptor given to web_reply_file() */
} F;
static char BIG[BIG_BYTES], REPLY[BIG_BYTES + 65536];

/* The writing thread waits here while `slow` says so. */
static _Atomic bool SLOW;
static _Atomic unsigned PASSED;
static void passed(void *arg, const char *name)
{
    PASSED++;
    while (SLOW)
        usleep(1000);
}

static int where(void *ctx, const struct web_request *r, struct web_body_file *file)
{
    const char *path = web_request_path(r);
    if (!strcmp(path, "/memory"))
        return WEB_BODY_MEMORY;
    if (!strcmp(path, "/forbidden"))
        return 403;
    F.begun++;
    file->fd = F.file;
    file->max_bytes = strcmp(path, "/any") ? BIG_BYTES : UINT64_MAX;
    file->sha256 = web_request_method(r) == WEB_PUT;
    file->user = &F.user;
    return WEB_BODY_FILE;
}

static void body_ended(void *ctx, void *user, int code)
{
    CHECK(user == &F.user);
    F.code = code;
    F.ended++;
}

static void reply_from_file(struct web_request *r, uint64_t bytes)
{
    const char *from = web_request_parameter(r, 0);
    int fd = dup(F.file);
    F.downloading = fd;
    web_reply_file(r, 200, "application/octet-stream", fd, from ? strtoull(from, NULL, 10) : 0,
                   bytes);
}

static void handle(void *ctx, struct web_request *r)
{
    const struct web_body_done *d = web_request_body_done(r);
    char text[256], sha[65] = "";
    size_t bytes;
    F.handled++;
    if (!strcmp(web_request_path(r), "/download")) {
        reply_from_file(r, BIG_BYTES);
        return;
    }
    if (!strcmp(web_request_path(r), "/rest")) {
        reply_from_file(r, 10);
        return;
    }
    web_request_body(r, &bytes);
    for (unsigned i = 0; d && i < 32; i++)
        sprintf(sha + 2 * i, "%02x", d->sha256[i]);
    int n = snprintf(text, sizeof(text), "memory=%zu file=%lld sha=%s~", bytes,
                     d ? (long long)d->bytes : -1, sha);
    web_reply(r, 200, "text/plain", text, (size_t)n);
}

static void start(void)
{
    struct err err = {0};
    struct web_config c = {.address = "127.0.0.1",
                           .body_max_bytes = 1000,
                           .handle = handle,
                           .body = where,
                           .body_ended = body_ended};
    F.loop = web_loop_create(&err);
    F.server = F.loop ? web_server_create(F.loop, &c, &err) : NULL;
    c.idle_timeout_s = 1;
    F.impatient = F.server ? web_server_create(F.loop, &c, &err) : NULL;
    if (!F.impatient) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    for (size_t i = 0; i < BIG_BYTES; i++)
        BIG[i] = (char)(i * 7 + i / 4096 + i / 65536);
    fault_tell(passed, NULL);
    pthread_create(&F.thread, NULL, http_serve, F.loop);
}

static void set_up(void)
{
    F.file = memfd_create("body", MFD_CLOEXEC);
    F.begun = F.ended = F.handled = 0;
    F.code = -1;
}

/* Sends as much as is taken; true: all. */
static bool send_all(int fd, const char *data, size_t bytes)
{
    while (bytes) {
        ssize_t n = send(fd, data, bytes, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

static int begin(const struct web_server *s, const char *method, const char *path, uint64_t bytes,
                 const char *more)
{
    char head[256];
    int fd = http_connect(s);
    snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %llu\r\n%s\r\n",
             method, path, (unsigned long long)bytes, more);
    http_say(fd, head);
    return fd;
}

static bool file_holds(size_t bytes)
{
    struct stat st;
    char *got = malloc(bytes + 1);
    bool same = fstat(F.file, &st) == 0 && (size_t)st.st_size == bytes &&
                pread(F.file, got, bytes, 0) == (ssize_t)bytes && !memcmp(got, BIG, bytes);
    free(got);
    return same;
}

static void wait_for(_Atomic int *what, int value)
{
    for (int ms = 0; *what != value && ms < HTTP_LIMIT_MS; ms++)
        usleep(1000);
    CHECK_EQ(*what, value);
}

static void a_body_is_written_to_the_file_with_its_sha256(void)
{
    /* by sha256sum, of the first 5000003 bytes */
    static const char sha[] = "c25e9891be7cec77224103fd504b4b336b1334c679ce84dd175af1aa158221b8";
    set_up();
    int fd = begin(F.server, "PUT", "/x", 5000003, "");
    CHECK(send_all(fd, BIG, 5000003));
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "~");
    CHECK(strstr(REPLY, "HTTP/1.1 200 "));
    CHECK(strstr(REPLY, "memory=0 file=5000003 "));
    CHECK(strstr(REPLY, sha));
    CHECK(file_holds(5000003));
    CHECK_EQ(F.ended, 1);
    CHECK_EQ(F.code, 0);
    /* and the connection goes on, with bodies in memory and without one */
    http_say(fd, "POST /memory HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                 "GET /y HTTP/1.1\r\nHost: x\r\n\r\n");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "memory=0 file=-1");
    CHECK(strstr(REPLY, "memory=3 file=-1 sha=~"));
    CHECK(strstr(REPLY, "memory=0 file=-1 sha=~"));
    CHECK_EQ(F.begun, 1);
    close(fd);
    close(F.file);
}

static void a_body_of_one_byte_and_one_that_comes_in_drops(void)
{
    set_up();
    int fd = begin(F.server, "POST", "/x", 1, "");
    http_say(fd, "a");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "sha=");
    CHECK(strstr(REPLY, "file=1 sha="));
    http_say(fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n");
    for (unsigned i = 0; i < 300; i++)
        CHECK_EQ(send(fd, BIG + i, 1, MSG_NOSIGNAL), 1);
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "sha=");
    CHECK(strstr(REPLY, "file=300 sha=0000000000")); /* not asked for with POST */
    CHECK(file_holds(300));
    close(fd);
    close(F.file);
}

/* Sends until the other end takes no more for a while. */
static size_t send_until_it_blocks(int fd)
{
    size_t n = 0;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    while (n < BIG_BYTES && poll(&p, 1, 1000) > 0) {
        ssize_t sent = send(fd, BIG + n, BIG_BYTES - n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            break;
        n += (size_t)sent;
    }
    return n;
}

/* CPU time, so that other load on the machine does not count. */
static int64_t loop_cpu_ms(void)
{
    clockid_t clock;
    struct timespec t = {0};
    CHECK_EQ(pthread_getcpuclockid(F.thread, &clock), 0);
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void a_slow_disk_makes_the_client_wait_and_nobody_else(void)
{
    int small = 65536;
    set_up();
    SLOW = true;
    int fd = begin(F.server, "PUT", "/x", BIG_BYTES, "");
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    int64_t busy_ms = loop_cpu_ms();
    size_t sent = send_until_it_blocks(fd);
    CHECK(sent < BIG_BYTES / 2);          /* else it is in our memory */
    CHECK(loop_cpu_ms() - busy_ms < 500); /* of the second in which there was nothing to do */
    int other = http_connect(F.server);
    http_say(other, "GET /y HTTP/1.1\r\nHost: x\r\n\r\n");
    http_receive(other, REPLY, sizeof(REPLY) - 1, "sha=");
    CHECK(strstr(REPLY, "memory=0 file=-1"));
    close(other);
    CHECK_EQ(F.ended, 0);
    SLOW = false;
    CHECK(send_all(fd, BIG + sent, BIG_BYTES - sent));
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "~");
    CHECK(strstr(REPLY, "HTTP/1.1 200 "));
    CHECK(file_holds(BIG_BYTES));
    close(fd);
    close(F.file);
}

static void a_body_whose_last_part_makes_it_wait_ends_too(void)
{
    set_up();
    SLOW = true;
    int fd = begin(F.server, "PUT", "/x", 4 * 65536, ""), other = http_connect(F.server);
    CHECK(send_all(fd, BIG, 4 * 65536));
    for (unsigned i = 0; i < 30; i++) { /* meanwhile the loop takes all of the body */
        http_say(other, "GET /y HTTP/1.1\r\nHost: x\r\n\r\n");
        http_receive(other, REPLY, sizeof(REPLY) - 1, "~");
    }
    SLOW = false;
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "~");
    CHECK(strstr(REPLY, "HTTP/1.1 200 "));
    CHECK(file_holds(4 * 65536));
    close(other);
    close(fd);
    close(F.file);
}

static void a_client_that_goes_away_is_told_once(void)
{
    set_up();
    int fd = begin(F.server, "PUT", "/x", 100000, "");
    CHECK(send_all(fd, BIG, 50000));
    wait_for(&F.begun, 1);
    close(fd);
    wait_for(&F.ended, 1);
    CHECK_EQ(F.code, ECONNRESET);
    CHECK_EQ(F.handled, 0);
    /* also while the disk is slow: told when nobody writes any more */
    SLOW = true;
    unsigned before = PASSED;
    fd = begin(F.server, "PUT", "/x", 100000, "");
    CHECK(send_all(fd, BIG, 50000));
    while (PASSED == before)
        usleep(1000);
    close(fd);
    int other = http_connect(F.server);
    http_say(other, "GET /y HTTP/1.1\r\nHost: x\r\n\r\n"); /* the close was seen before this */
    http_receive(other, REPLY, sizeof(REPLY) - 1, "sha=");
    CHECK_EQ(F.ended, 1);
    SLOW = false;
    wait_for(&F.ended, 2);
    CHECK_EQ(F.code, ECONNRESET);
    close(other);
    close(F.file);
}

static void a_client_that_sends_nothing_or_next_to_nothing_is_given_up(void)
{
    set_up();
    int fd = begin(F.impatient, "PUT", "/x", 100000, "");
    CHECK(send_all(fd, BIG, 5000));
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "}");
    CHECK(strstr(REPLY, "HTTP/1.1 408 "));
    wait_for(&F.ended, 1);
    CHECK_EQ(F.code, ETIMEDOUT);
    close(fd);
    fd = begin(F.impatient, "PUT", "/x", 100000, "");
    for (int ms = 0; F.ended < 2 && ms < HTTP_LIMIT_MS; ms += 10) {
        (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        usleep(10000);
    }
    CHECK_EQ(F.ended, 2);
    CHECK_EQ(F.code, ETIMEDOUT);
    close(fd);
    close(F.file);
}

static void a_client_that_the_disk_makes_wait_is_not_given_up(void)
{
    set_up();
    SLOW = true;
    int fd = begin(F.impatient, "PUT", "/x", BIG_BYTES, "");
    size_t sent = send_until_it_blocks(fd); /* its last second, and more: */
    usleep(2500000);
    SLOW = false;
    CHECK(send_all(fd, BIG + sent, BIG_BYTES - sent));
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "~");
    CHECK(strstr(REPLY, "HTTP/1.1 200 "));
    CHECK(file_holds(BIG_BYTES));
    close(fd);
    close(F.file);
}

static void a_full_disk_is_507_also_for_a_client_that_only_sends(void)
{
    set_up();
    close(F.file);
    F.file = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int fd = begin(F.server, "PUT", "/x", 4000000, "");
    CHECK(send_all(fd, BIG, 4000000)); /* it looks at the answer only then */
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "}");
    CHECK(strstr(REPLY, "HTTP/1.1 507 "));
    CHECK(strstr(REPLY, "connection: close"));
    CHECK_EQ(F.ended, 1);
    CHECK_EQ(F.code, ENOSPC);
    CHECK_EQ(F.handled, 0);
    close(fd);
    close(F.file);
}

static void a_disk_that_fails_is_500(void)
{
    set_up();
    close(F.file);
    F.file = open("/dev/null", O_RDONLY | O_CLOEXEC); /* EBADF for who writes */
    int fd = begin(F.server, "PUT", "/x", 400000, "");
    CHECK(send_all(fd, BIG, 400000));
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "}");
    CHECK(strstr(REPLY, "HTTP/1.1 500 "));
    CHECK_EQ(F.code, EBADF);
    close(fd);
    close(F.file);
}

/* Refused with the headers; what comes back first is the final answer. */
static void refused(const char *path, uint64_t bytes, const char *more, const char *status)
{
    int fd = begin(F.server, "PUT", path, bytes, more);
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "}");
    if (strncmp(REPLY, status, strlen(status)) != 0)
        printf("# %s: %.40s\n", path, REPLY);
    CHECK(!strncmp(REPLY, status, strlen(status)));
    close(fd);
}

static void what_is_not_wanted_is_refused_before_it_is_sent(void)
{
    static const char expect[] = "Expect: 100-continue\r\n";
    set_up();
    for (unsigned i = 0; i < 2; i++) {
        refused("/forbidden", 10, i ? expect : "", "HTTP/1.1 403 ");
        refused("/memory", 1001, i ? expect : "", "HTTP/1.1 413 ");
        CHECK_EQ(F.ended, 2 * (int)i);
        refused("/x", BIG_BYTES + 1, i ? expect : "", "HTTP/1.1 413 ");
        CHECK_EQ(F.code, E2BIG);
        close(F.file);
        F.file = open("/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        refused("/any", UINT64_C(1) << 48, i ? expect : "", "HTTP/1.1 507 ");
        CHECK_EQ(F.code, ENOSPC);
    }
    CHECK_EQ(F.begun, 4);
    CHECK_EQ(F.ended, 4);
    refused("/x", 10, "Expect: a miracle\r\n", "HTTP/1.1 417 ");
    CHECK_EQ(F.begun, 4);
    close(F.file);
}

static void a_client_that_waits_is_told_to_go_on(void)
{
    static const char *const paths[] = {"/x", "/memory"};
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        set_up();
        int fd = begin(F.server, "PUT", paths[i], 300, "Expect: 100-Continue\r\n");
        http_receive(fd, REPLY, 25, NULL);
        CHECK_STR(REPLY, "HTTP/1.1 100 Continue\r\n\r\n");
        CHECK(send_all(fd, BIG, 300));
        http_receive(fd, REPLY, sizeof(REPLY) - 1, "sha=");
        CHECK(!strncmp(REPLY, "HTTP/1.1 200 ", 13));
        CHECK(strstr(REPLY, i ? "memory=300 file=-1" : "memory=0 file=300"));
        close(fd);
        close(F.file);
    }
}

/* ---- downloads ---- */

static void set_up_download(size_t bytes)
{
    set_up();
    CHECK_EQ(pwrite(F.file, BIG, bytes, 0), bytes);
}

static void a_file_is_sent_whole_or_a_part_of_it(void)
{
    set_up_download(BIG_BYTES);
    int fd = http_connect(F.server);
    http_say(fd, "HEAD /download HTTP/1.1\r\nHost: x\r\n\r\n");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "\r\n\r\n");
    CHECK(strstr(REPLY, "content-length: 25165824\r\n"));
    http_say(fd, "GET /rest?100 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    size_t n = http_receive(fd, REPLY, sizeof(REPLY) - 1, NULL);
    CHECK(strstr(REPLY, "content-length: 10\r\n"));
    CHECK(n > 10 && !memcmp(REPLY + n - 10, BIG + 100, 10));
    close(fd);
    fd = http_connect(F.server);
    http_say(fd, "GET /download HTTP/1.1\r\nHost: x\r\n\r\n");
    n = http_receive(fd, REPLY, 32768, "\r\n\r\n");
    char *body = strstr(REPLY, "\r\n\r\n");
    REQUIRE(body);
    CHECK(strstr(REPLY, "content-length: 25165824\r\n"));
    size_t head = (size_t)(body + 4 - REPLY), rest = BIG_BYTES - (n - head);
    CHECK(!memcmp(body + 4, BIG, n - head));
    CHECK_EQ(http_receive(fd, REPLY, rest, NULL), rest);
    CHECK(!memcmp(REPLY, BIG + (n - head), rest));
    for (int ms = 0; fcntl(F.downloading, F_GETFD) >= 0 && ms < HTTP_LIMIT_MS; ms++)
        usleep(1000);
    CHECK_EQ(fcntl(F.downloading, F_GETFD), -1); /* though the connection goes on */
    http_say(fd, "GET /y HTTP/1.1\r\nHost: x\r\n\r\n");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "sha=");
    CHECK(strstr(REPLY, "memory=0"));
    close(fd);
    close(F.file);
}

static void a_file_that_is_shorter_than_was_said_ends_the_connection(void)
{
    set_up_download(300000);
    int fd = http_connect(F.server);
    http_say(fd, "GET /download HTTP/1.1\r\nHost: x\r\n\r\n");
    size_t n = http_receive(fd, REPLY, sizeof(REPLY) - 1, NULL);
    CHECK(n > 300000 && n < 301000);
    close(fd);
    close(F.file);
}

static void a_client_that_does_not_read_holds_neither_file_nor_memory(void)
{
    int small = 4096;
    set_up_download(BIG_BYTES);
    unsigned before = PASSED;
    int fd = http_connect(F.impatient);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    F.downloading = -1;
    http_say(fd, "GET /download HTTP/1.1\r\nHost: x\r\n\r\n");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, HTTP_LIMIT_MS), 1); /* it has begun */
    int limit_ms = HTTP_LIMIT_MS;
    while (fcntl(F.downloading, F_GETFD) >= 0 && limit_ms-- > 0)
        usleep(1000);
    CHECK_EQ(fcntl(F.downloading, F_GETFD), -1);
    CHECK(PASSED - before < BIG_BYTES / 65536 / 2); /* parts that were read */
    close(fd);
    close(F.file);
}

static void an_end_of_the_loop_ends_what_is_under_way(void)
{
    set_up();
    SLOW = true;
    unsigned before = PASSED;
    int fd = begin(F.server, "PUT", "/x", BIG_BYTES, "");
    CHECK(send_all(fd, BIG, 100000));
    while (PASSED == before)
        usleep(1000);
    int down = http_connect(F.server);
    http_say(down, "GET /download HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&F.handled, 1);
    web_loop_stop(F.loop);
    pthread_join(F.thread, NULL);
    SLOW = false;
    CHECK_EQ(F.ended, 0);
    web_loop_destroy(F.loop);
    CHECK_EQ(F.ended, 1);
    CHECK_EQ(F.code, ECANCELED);
    CHECK_EQ(fcntl(F.downloading, F_GETFD), -1);
    web_server_destroy(F.server);
    web_server_destroy(F.impatient);
    close(fd);
    close(down);
    close(F.file);
}

int main(void)
{
    start();
    TAP_RUN(a_body_is_written_to_the_file_with_its_sha256);
    TAP_RUN(a_body_of_one_byte_and_one_that_comes_in_drops);
    TAP_RUN(a_slow_disk_makes_the_client_wait_and_nobody_else);
    TAP_RUN(a_body_whose_last_part_makes_it_wait_ends_too);
    TAP_RUN(a_client_that_goes_away_is_told_once);
    TAP_RUN(a_client_that_sends_nothing_or_next_to_nothing_is_given_up);
    TAP_RUN(a_client_that_the_disk_makes_wait_is_not_given_up);
    TAP_RUN(a_full_disk_is_507_also_for_a_client_that_only_sends);
    TAP_RUN(a_disk_that_fails_is_500);
    TAP_RUN(what_is_not_wanted_is_refused_before_it_is_sent);
    TAP_RUN(a_client_that_waits_is_told_to_go_on);
    TAP_RUN(a_file_is_sent_whole_or_a_part_of_it);
    TAP_RUN(a_file_that_is_shorter_than_was_said_ends_the_connection);
    TAP_RUN(a_client_that_does_not_read_holds_neither_file_nor_memory);
    TAP_RUN(an_end_of_the_loop_ends_what_is_under_way);
    return tap_done();
}
