/* A server on a loopback port, spoken to byte by byte. */
#include "web/web_server.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/util.h"
#include "http_client.h"
#include "tap.h"

#define BIG_BYTES (3u << 20)

struct fixture {
    struct web_loop *loop;
    struct web_server *server, *impatient; /* the second gives a client one second */
    pthread_t thread;
    struct web_request *_Atomic waiting; /* asked for /later, not answered yet */
    struct web_post post;
    _Atomic unsigned posts, expired, opened, closed;
    struct web_timer *timer;
    unsigned idle_descriptors; /* without a connection */
    char big[BIG_BYTES];
};
static struct fixture F;

static unsigned n_descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void answer_waiting(struct web_post *p)
{
    (void)p;
    F.posts++;
    struct web_request *r = F.waiting;
    F.waiting = NULL;
    if (r)
        web_reply(r, 200, "text/plain", "later", 5);
}

static void timer_expired(void *ctx)
{
    (void)ctx;
    F.expired++;
    struct web_request *r = F.waiting;
    F.waiting = NULL;
    if (r)
        web_reply(r, 200, "text/plain", "timer", 5);
}

static void echo(struct web_request *r)
{
    char text[1024];
    size_t bytes;
    const char *body = web_request_body(r, &bytes), *p0 = web_request_parameter(r, 0),
               *p1 = p0 ? web_request_parameter(r, 1) : NULL,
               *key = web_request_header(r, "idempotency-key"),
               *token = web_request_header(r, "authorization");
    int n = snprintf(text, sizeof(text), "%s %s [%s] [%s] key=%s token=%s body=%zu:%.20s",
                     web_method_name(web_request_method(r)), web_request_path(r), p0 ? p0 : "",
                     p1 ? p1 : "", key ? key : "none", token ? token : "none", bytes, body);
    CHECK_EQ(web_reply_header(r, "x-request-id", "7"), 0);
    CHECK_EQ(web_reply_header(r, "x-evil", "a\r\nb: c"), -EINVAL);
    web_reply(r, 200, "text/plain", text, (size_t)n);
}

static void handle(void *ctx, struct web_request *r)
{
    (void)ctx;
    const char *path = web_request_path(r);
    if (!strcmp(path, "/later"))
        F.waiting = r;
    else if (!strcmp(path, "/timer")) {
        F.waiting = r;
        web_timer_arm(F.timer, 1000);
    } else if (!strcmp(path, "/big"))
        web_reply(r, 200, "application/octet-stream", F.big, sizeof(F.big));
    else if (!strcmp(path, "/empty"))
        web_reply(r, 204, NULL, NULL, 0);
    else
        echo(r);
}

static int ws_open(void *ctx, const struct web_request *r, struct web_socket *socket,
                   void **session)
{
    (void)ctx;
    const char *token = web_request_header(r, "authorization");
    if (!token || strcmp(token, "Bearer t") != 0)
        return 401;
    *session = socket;
    F.opened++;
    return 0;
}

static void ws_message(void *session, const char *data, size_t bytes, bool text)
{
    if (bytes == 3 && !memcmp(data, "end", 3))
        web_socket_end(session, 4001);
    else if (bytes == 5 && !memcmp(data, "queue", 5)) {
        char waits[100];
        bool good = !web_socket_queued(session) &&
                    !web_socket_send(session, F.big, sizeof(waits), false) &&
                    web_socket_queued(session) == sizeof(waits);
        memset(waits, good ? 'y' : 'n', sizeof(waits));
        CHECK_EQ(web_socket_send(session, waits, sizeof(waits), false), 0);
    } else if (bytes == 5 && !memcmp(data, "flood", 5))
        while (!web_socket_send(session, F.big, 4096, false))
            ;
    else
        CHECK_EQ(web_socket_send(session, data, bytes, text), 0);
}

static void ws_close(void *session)
{
    (void)session;
    F.closed++;
}

static const struct web_socket_ops WS = {ws_open, ws_message, ws_close};
static const struct web_endpoint ENDPOINTS[] = {{"/ws", &WS}, {NULL, NULL}};
/* Paths that no table has. */
static const struct web_socket_ops *find_endpoint(void *ctx, const struct web_request *r)
{
    (void)ctx;
    return strncmp(web_request_path(r), "/things/", 8) ? NULL : &WS;
}

static const char *const HEADERS[] = {"authorization", "idempotency-key", NULL};

static struct web_config config(void)
{
    return (struct web_config){.address = "127.0.0.1",
                               .body_max_bytes = 1000,
                               .message_max_bytes = 10000,
                               .queue_max_bytes = 65536,
                               .headers = HEADERS,
                               .handle = handle,
                               .endpoints = ENDPOINTS,
                               .find_endpoint = find_endpoint};
}

static void start(void)
{
    struct err err = {0};
    const struct web_config c = config();
    F.loop = web_loop_create(&err);
    F.server = F.loop ? web_server_create(F.loop, &c, &err) : NULL;
    if (!F.server) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    struct web_config impatient = config();
    impatient.idle_timeout_s = 1;
    F.impatient = web_server_create(F.loop, &impatient, &err);
    CHECK(F.impatient);
    F.post.run = answer_waiting;
    F.timer = web_timer_create(F.loop, timer_expired, NULL);
    for (size_t i = 0; i < sizeof(F.big); i++)
        F.big[i] = (char)(i * 7 + i / 4096);
    F.idle_descriptors = n_descriptors();
    pthread_create(&F.thread, NULL, http_serve, F.loop);
}

static int connected(void)
{
    return http_connect(F.server);
}

/* One request on a connection of its own; what came back up to and with `until`. */
static char REPLY[BIG_BYTES + 65536];
static void ask(const char *request, const char *until)
{
    int fd = connected();
    http_say(fd, request);
    http_receive(fd, REPLY, sizeof(REPLY) - 1, until);
    close(fd);
}

static void answers_with_path_parameters_and_headers(void)
{
    ask("GET /v1/vms%20x?a=1%262&b=%3d HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k 1\r\n"
        "Authorization: Bearer t\r\n\r\n",
        "body=");
    CHECK(strstr(REPLY, "HTTP/1.1 200 "));
    CHECK(strstr(REPLY, "x-request-id: 7\r\n"));
    CHECK(!strstr(REPLY, "x-evil"));
    CHECK(strstr(REPLY, "GET /v1/vms x [a=1&2] [b==] key=k 1 token=Bearer t body=0:"));
}

static void keeps_a_connection_and_takes_requests_that_come_together(void)
{
    int fd = connected();
    http_say(fd, "GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "GET /two");
    CHECK(strstr(REPLY, "GET /one ["));
    CHECK(strstr(REPLY, "GET /two ["));
    http_say(fd, "POST /three HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "body=");
    CHECK(strstr(REPLY, "POST /three [] [] key=none token=none body=3:abc"));
    close(fd);
}

static void a_post_without_a_body_is_answered_at_once(void)
{
    ask("POST /x HTTP/1.1\r\nHost: x\r\n\r\n", "body=");
    CHECK(strstr(REPLY, "POST /x [] [] key=none token=none body=0:"));
    ask("POST /y HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "body=");
    CHECK(strstr(REPLY, "POST /y [] [] key=none token=none body=0:"));
    ask("PATCH /z HTTP/1.1\r\nHost: x\r\n\r\n", "body=");
    CHECK(strstr(REPLY, "PATCH /z [] [] key=none token=none body=0:"));
}

static void an_empty_body_may_be_answered_later_and_keeps_the_connection(void)
{
    static const char empty[] = " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    char text[256];
    int fd = connected();
    static const struct {
        const char *path, *answer;
    } steps[] = {{"/timer", "timer"}, {"/x", "body=0:"}, {"/timer", "timer"}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        snprintf(text, sizeof(text), "POST %s%s", steps[i].path, empty);
        http_say(fd, text);
        http_receive(fd, REPLY, sizeof(REPLY) - 1, steps[i].answer);
        CHECK(strstr(REPLY, "HTTP/1.1 200 ") && strstr(REPLY, steps[i].answer));
    }
    close(fd);
}

static void a_body_without_a_length_or_with_a_bad_one_is_refused(void)
{
    ask("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "}");
    CHECK(strstr(REPLY, "HTTP/1.1 411 "));
    CHECK(strstr(REPLY, "application/problem+json"));
    ask("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "}");
    CHECK(strstr(REPLY, "HTTP/1.1 400 "));
    ask("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 12a\r\n\r\n", "}");
    CHECK(strstr(REPLY, "HTTP/1.1 400 "));
    ask("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", "}");
    CHECK(strstr(REPLY, "HTTP/1.1 413 "));
}

static void headers_that_are_too_long_are_431(void)
{
    static char request[65536];
    for (size_t bytes = 8192; bytes <= 40000; bytes += 8000) {
        int n = snprintf(request, sizeof(request), "GET /x HTTP/1.1\r\nHost: x\r\nX-Long: ");
        memset(request + n, 'a', bytes);
        snprintf(request + n + bytes, sizeof(request) - (size_t)n - bytes, "\r\n\r\n");
        int fd = connected();
        (void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
        bool fits = bytes < 16384 - 60;
        http_receive(fd, REPLY, sizeof(REPLY) - 1, fits ? "body=" : "}");
        close(fd);
        CHECK(strstr(REPLY, fits ? "HTTP/1.1 200 " : "HTTP/1.1 431 "));
    }
}

static void head_and_204_have_no_body(void)
{
    int fd = connected();
    http_say(fd, "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nDELETE /empty HTTP/1.1\r\nHost: x\r\n\r\n"
                 "GET /last HTTP/1.1\r\nHost: x\r\n\r\n");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "GET /last");
    CHECK(!strstr(REPLY, "HEAD /x"));
    CHECK(strstr(REPLY, "HTTP/1.1 204 "));
    CHECK(strstr(REPLY, "GET /last"));
    close(fd);
}

static void a_reply_may_come_from_a_post_or_a_timer(void)
{
    int fd = connected();
    http_say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!F.waiting)
        usleep(100);
    web_loop_post(F.loop, &F.post);
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "later");
    CHECK(strstr(REPLY, "\r\n\r\nlater"));
    http_say(fd, "GET /timer HTTP/1.1\r\nHost: x\r\n\r\n");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "timer");
    CHECK(strstr(REPLY, "\r\n\r\ntimer"));
    CHECK_EQ(F.expired, 1);
    close(fd);
}

static void a_reply_to_a_client_that_has_gone_is_dropped(void)
{
    unsigned before = F.posts;
    int fd = connected();
    http_say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!F.waiting)
        usleep(100);
    close(fd);
    ask("GET /x HTTP/1.1\r\nHost: x\r\n\r\n", "body="); /* the close was seen before this */
    web_loop_post(F.loop, &F.post);
    while (F.posts == before)
        usleep(100);
    ask("GET /x HTTP/1.1\r\nHost: x\r\n\r\n", "body=");
    CHECK(strstr(REPLY, "GET /x"));
}

static void a_long_reply_arrives_whole(void)
{
    int fd = connected();
    http_say(fd, "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    size_t n = http_receive(fd, REPLY, sizeof(REPLY) - 1, NULL);
    close(fd);
    char *body = strstr(REPLY, "\r\n\r\n");
    REQUIRE(body && n > BIG_BYTES);
    CHECK_EQ(n - (size_t)(body + 4 - REPLY), BIG_BYTES);
    CHECK(!memcmp(body + 4, F.big, BIG_BYTES));
}

static void a_client_that_does_not_take_its_answer_is_given_up(void)
{
    int small = 4096, limit_ms = HTTP_LIMIT_MS;
    while (n_descriptors() > F.idle_descriptors && limit_ms-- > 0)
        usleep(1000); /* until the server has seen the end of those before */
    unsigned before = n_descriptors();
    int fd = http_connect(F.impatient);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    http_say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, HTTP_LIMIT_MS), 1); /* the answer has begun */
    CHECK_EQ(n_descriptors(), before + 2);
    while (n_descriptors() > before + 1 && limit_ms-- > 0)
        usleep(1000);
    CHECK_EQ(n_descriptors(), before + 1); /* ours */
    close(fd);
}

static const char UPGRADE[] = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Authorization: Bearer t\r\n\r\n";

static int websocket(void)
{
    int fd = connected();
    http_say(fd, UPGRADE);
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "\r\n\r\n");
    CHECK(strstr(REPLY, "HTTP/1.1 101 "));
    CHECK(strstr(REPLY, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")); /* RFC 6455, 1.3 */
    return fd;
}

/* A client's frame (RFC 6455, 5.2), masked with zeros. */
static void frame(int fd, unsigned opcode, bool fin, const char *data, size_t bytes)
{
    uint8_t head[8] = {(uint8_t)(opcode | (fin ? 0x80 : 0))};
    size_t n = 2;
    if (bytes < 126)
        head[1] = (uint8_t)(0x80 | bytes);
    else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(bytes >> 8);
        head[3] = (uint8_t)bytes;
        n = 4;
    }
    memset(head + n, 0, 4);
    CHECK_EQ(send(fd, head, MIN(n + 4, sizeof(head)), MSG_NOSIGNAL), n + 4);
    CHECK_EQ(send(fd, data, bytes, MSG_NOSIGNAL), bytes);
}

static void a_websocket_takes_and_gives_messages(void)
{
    int fd = websocket();
    frame(fd, 1, true, "hello", 5);
    CHECK_EQ(http_receive(fd, REPLY, 7, NULL), 7);
    CHECK(!memcmp(REPLY, "\x81\x05hello", 7));
    frame(fd, 2, false, "two ", 4);
    frame(fd, 0, true, "parts", 5);
    CHECK_EQ(http_receive(fd, REPLY, 11, NULL), 11);
    CHECK(!memcmp(REPLY, "\x82\x09two parts", 11));
    frame(fd, 1, true, "end", 3);
    CHECK_EQ(http_receive(fd, REPLY, 4, NULL), 4);
    CHECK(!memcmp(REPLY, "\x88\x02\x0f\xa1", 4)); /* 4001 */
    close(fd);
}

static void a_websocket_may_be_found_by_its_path(void)
{
    int fd = connected();
    http_say(fd, "GET /things/7/console HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Authorization: Bearer t\r\n\r\n");
    http_receive(fd, REPLY, sizeof(REPLY) - 1, "\r\n\r\n");
    CHECK(strstr(REPLY, "HTTP/1.1 101 "));
    frame(fd, 1, true, "queue", 5); /* how much waits is known: 100 bytes, then nothing */
    CHECK_EQ(http_receive(fd, REPLY, 204, NULL), 204);
    CHECK_EQ(REPLY[102 + 2], 'y');
    close(fd);
}

static void a_websocket_message_that_is_too_long_ends_it(void)
{
    int fd = websocket();
    frame(fd, 2, false, F.big, 9000);
    frame(fd, 0, true, F.big, 1001);
    CHECK_EQ(http_receive(fd, REPLY, 4, NULL), 4);
    CHECK(!memcmp(REPLY, "\x88\x02\x03\xf1", 4)); /* 1009 */
    close(fd);
    while (F.closed != F.opened) /* that of the case before, too */
        usleep(100);
}

static void a_peer_that_does_not_read_cannot_grow_the_queue(void)
{
    int fd = websocket();
    frame(fd, 1, true, "flood", 5);
    CHECK(http_receive(fd, REPLY, 16 * 4096, NULL) == 16 * 4096);
    close(fd);
}

static int64_t ping_us;
static _Atomic unsigned silences;

static void set_silence(struct web_post *p)
{
    (void)p;
    web_loop_silence(F.loop, ping_us, 4 * ping_us);
    silences++;
}

static void silence(int64_t us)
{
    static struct web_post post = {.run = set_silence};
    unsigned before = silences;
    ping_us = us;
    web_loop_post(F.loop, &post);
    while (silences == before)
        usleep(100);
}

/* It is asked as long as it answers, and closed when it does not. */
static void a_websocket_that_says_nothing_is_asked_and_then_closed(void)
{
    silence(100000);
    int fd = websocket();
    for (unsigned i = 0; i < 6; i++) {
        REQUIRE(http_receive(fd, REPLY, 3, NULL) == 3);
        CHECK(!memcmp(REPLY, "\x89\x01\x00", 3)); /* a ping of one byte */
        frame(fd, 0xa, true, "", 1);
    }
    unsigned closed = F.closed, pings = 0;
    while (http_receive(fd, REPLY, 3, NULL) == 3)
        pings++;
    CHECK(pings >= 1);
    while (F.closed == closed)
        usleep(100);
    close(fd);
    silence(15000000);
}

static void a_websocket_without_rights_or_of_no_endpoint_is_refused(void)
{
    ask("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "\r\n\r\n");
    CHECK(strstr(REPLY, "HTTP/1.1 401 "));
    ask("GET /nothing HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "\r\n\r\n");
    CHECK(strstr(REPLY, "HTTP/1.1 404 "));
}

static void garbage_closes_the_connection_and_nothing_else(void)
{
    static const char *const GARBAGE[] = {
        "\x16\x03\x01 tls?",      "GET\r\n\r\n",
        "\r\n\r\n\r\n\r\n",       "BREW /pot HTTP/1.1\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (unsigned i = 0; i < ARRAY_LEN(GARBAGE); i++) {
        int fd = connected();
        http_say(fd, GARBAGE[i]);
        shutdown(fd, SHUT_WR);
        http_receive(fd, REPLY, sizeof(REPLY) - 1, NULL);
        CHECK(!strstr(REPLY, " 200 "));
        close(fd);
    }
    ask("GET /x HTTP/1.1\r\nHost: x\r\n\r\n", "body=");
    CHECK(strstr(REPLY, "GET /x"));
}

static void refuses_a_port_that_is_taken_and_says_so(void)
{
    struct err err = {0};
    struct web_config c = config();
    c.port = web_server_port(F.server);
    struct web_loop *loop = web_loop_create(&err);
    CHECK(!web_server_create(loop, &c, &err));
    CHECK(strstr(err.msg, "127.0.0.1 port"));
    web_loop_destroy(loop);
}

static void stops_and_gives_back_what_waits(void)
{
    int fd = connected();
    http_say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!F.waiting)
        usleep(100);
    web_loop_stop(F.loop);
    pthread_join(F.thread, NULL);
    web_timer_destroy(F.timer);
    web_loop_destroy(F.loop);
    web_server_destroy(F.server);
    web_server_destroy(F.impatient);
    web_reply(F.waiting, 200, NULL, NULL, 0); /* the commit that it waited for came after all */
    close(fd);
}

int main(void)
{
    start();
    TAP_RUN(answers_with_path_parameters_and_headers);
    TAP_RUN(keeps_a_connection_and_takes_requests_that_come_together);
    TAP_RUN(a_post_without_a_body_is_answered_at_once);
    TAP_RUN(a_body_without_a_length_or_with_a_bad_one_is_refused);
    TAP_RUN(headers_that_are_too_long_are_431);
    TAP_RUN(head_and_204_have_no_body);
    TAP_RUN(a_reply_may_come_from_a_post_or_a_timer);
    TAP_RUN(an_empty_body_may_be_answered_later_and_keeps_the_connection);
    TAP_RUN(a_reply_to_a_client_that_has_gone_is_dropped);
    TAP_RUN(a_long_reply_arrives_whole);
    TAP_RUN(a_client_that_does_not_take_its_answer_is_given_up);
    TAP_RUN(a_websocket_takes_and_gives_messages);
    TAP_RUN(a_websocket_may_be_found_by_its_path);
    TAP_RUN(a_websocket_message_that_is_too_long_ends_it);
    TAP_RUN(a_peer_that_does_not_read_cannot_grow_the_queue);
    TAP_RUN(a_websocket_that_says_nothing_is_asked_and_then_closed);
    TAP_RUN(a_websocket_without_rights_or_of_no_endpoint_is_refused);
    TAP_RUN(garbage_closes_the_connection_and_nothing_else);
    TAP_RUN(refuses_a_port_that_is_taken_and_says_so);
    TAP_RUN(stops_and_gives_back_what_waits);
    return tap_done();
}
