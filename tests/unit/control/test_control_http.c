/* The request parser: what it takes apart, and what it refuses. */
#include "control/control_http.h"

#include "base/util.h"
#include "tap.h"

static int parse(const char *text, struct control_http_request *r)
{
    return control_http_parse(text, strlen(text), r);
}

#define HOST "Host: vm\r\n"

static void takes_a_request_apart(void)
{
    struct control_http_request r;
    static const char text[] =
        "PUT /v1/vm/balloon?a=1 HTTP/1.1\r\nHost: vm\r\nContent-Length: 12\r\n"
        "Expect: 100-continue\r\nX-Odd:\t value \r\n\r\nbody";
    CHECK_EQ(parse(text, &r), (int)(sizeof(text) - 1 - 4));
    CHECK_EQ(r.method, CONTROL_HTTP_PUT);
    CHECK(r.path_len == 14 && !memcmp(r.path, "/v1/vm/balloon", 14));
    CHECK(r.query_len == 3 && !memcmp(r.query, "a=1", 3));
    CHECK_EQ(r.content_length, 12);
    CHECK(r.has_length && r.keep_alive && r.expects_continue);
}

static void waits_for_the_whole_head(void)
{
    static const char text[] = "GET /v1/vm HTTP/1.1\r\nHost: vm\r\n\r\n";
    struct control_http_request r;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        CHECK_EQ(control_http_parse(text, n, &r), 0);
    CHECK_EQ(control_http_parse(text, sizeof(text) - 1, &r), (int)sizeof(text) - 1);
}

static void knows_when_the_connection_stays(void)
{
    struct control_http_request r;
    CHECK(parse("GET / HTTP/1.1\r\n" HOST "\r\n", &r) > 0 && r.keep_alive);
    CHECK(parse("GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n", &r) > 0 && !r.keep_alive);
    CHECK(parse("GET / HTTP/1.0\r\n\r\n", &r) > 0 && !r.keep_alive);
    CHECK(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &r) > 0 && r.keep_alive);
}

static void refuses_what_can_be_read_two_ways(void)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\n" HOST "\r\n",
        "GET / HTTP/1.1\r\nHost: vm\n\r\n",
        "GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : vm\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST HOST "\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "X: a\x01"
        "b\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "nothing\r\n\r\n",
        "GET  / HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.1 \r\n" HOST "\r\n",
        "GET http://vm/ HTTP/1.1\r\n" HOST "\r\n",
        "GET /\x80 HTTP/1.1\r\n" HOST "\r\n",
        "GET /\r\n" HOST "\r\n",
        " / HTTP/1.1\r\n" HOST "\r\n",
        "G(T / HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTX/1.1\r\n" HOST "\r\n",
        "\r\n\r\n",
    };
    struct control_http_request r;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int got = parse(bad[i], &r);
        if (got != -400)
            printf("# gave %d: %s\n", got, bad[i]);
        CHECK_EQ(got, -400);
    }
}

static void refuses_what_it_does_not_do_with_the_right_status(void)
{
    struct control_http_request r;
    CHECK_EQ(parse("GET / HTTP/2.0\r\n", &r), -505);
    CHECK_EQ(parse("PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", &r), -501);
    CHECK_EQ(parse("PUT / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", &r), -417);
    CHECK_EQ(parse("PUT / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", &r), -413);
    CHECK_EQ(parse("PUT / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n", &r),
             -413);
}

static void the_head_is_bounded(void)
{
    static char text[CONTROL_HTTP_HEAD_MAX_BYTES + 100];
    struct control_http_request r;
    memset(text, 'a', sizeof(text));
    CHECK_EQ(control_http_parse(text, sizeof(text), &r), -431);
    CHECK_EQ(control_http_parse(text, CONTROL_HTTP_HEAD_MAX_BYTES - 1, &r), 0);
    int n = snprintf(text, sizeof(text), "GET /");
    memset(text + n, 'a', 1200);
    snprintf(text + n + 1200, 64, " HTTP/1.1\r\n" HOST "\r\n");
    CHECK_EQ(parse(text, &r), -414);
    n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < CONTROL_HTTP_FIELDS_MAX; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "X: y\r\n");
    snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
    CHECK_EQ(parse(text, &r), -431);
}

int main(void)
{
    TAP_RUN(takes_a_request_apart);
    TAP_RUN(waits_for_the_whole_head);
    TAP_RUN(knows_when_the_connection_stays);
    TAP_RUN(refuses_what_can_be_read_two_ways);
    TAP_RUN(refuses_what_it_does_not_do_with_the_right_status);
    TAP_RUN(the_head_is_bounded);
    return tap_done();
}
