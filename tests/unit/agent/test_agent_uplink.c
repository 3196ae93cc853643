/* An agent's link to a server on another thread. */
#include "agent/agent_uplink.h"

#include <errno.h>

#include "link_server.h"

static struct link_server S;
static struct loop *LOOP;
static struct agent_uplink *U;
static struct {
    unsigned up, down, messages;
    int64_t seq;
    char stream[64], why[200];
    unsigned ms;
} SEEN;

static void on_up(void *opaque, const struct link_welcome *w)
{
    (void)opaque;
    CHECK_EQ(w->heartbeat_ms.v, 200);
    SEEN.up++;
}

static void on_message(void *opaque, const struct link_message *m)
{
    (void)opaque;
    SEEN.messages++;
    if (m->type == LINK_TYPE_DESIRED) {
        SEEN.seq = m->desired->seq.v;
        agent_uplink_took(U, SEEN.seq);
    }
}

static void on_stream(void *opaque, uint32_t stream, const char *data, size_t bytes)
{
    (void)opaque;
    snprintf(SEEN.stream, sizeof(SEEN.stream), "%u:%.*s", stream, (int)bytes, data);
    agent_uplink_stream(U, stream, data, bytes);
}

static void on_down(void *opaque, const char *why, unsigned ms)
{
    (void)opaque;
    SEEN.down++;
    SEEN.ms = ms;
    snprintf(SEEN.why, sizeof(SEEN.why), "%s", why);
}

static const struct agent_uplink_ops OPS = {on_up, on_message, on_stream, on_down};

static void dial(uint16_t port)
{
    struct err err = {0};
    const struct agent_uplink_config c = {
        .loop = LOOP, .host = "127.0.0.1", .port = port, .id = {7}, .ops = &OPS};
    memset(&SEEN, 0, sizeof(SEEN));
    U = agent_uplink_create(&c, &err);
    if (!U) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
}

static void set_up(const char *answer)
{
    LOOP = loop_create(0, NULL);
    link_server_start(&S, 0, answer);
    dial(web_server_port(S.server));
}

static void tear_down(void)
{
    agent_uplink_destroy(U, "the test ends");
    link_server_stop(&S);
    loop_destroy(LOOP);
}

#define WAIT(cond)                                                                                 \
    do {                                                                                           \
        int64_t end_ns = clock_now_ns() + LINK_SERVER_LIMIT_NS;                                    \
        while (!(cond) && clock_now_ns() < end_ns)                                                 \
            loop_run_once(LOOP, 10);                                                               \
        CHECK(cond);                                                                               \
    } while (0)

static void says_hello_and_both_talk(void)
{
    set_up(LINK_SERVER_WELCOME);
    WAIT(SEEN.up == 1);
    CHECK(link_server_last_has(&S, LINK_TYPE_HELLO,
                               "\"host\":\"07000000-0000-0000-0000-000000000000\""));
    link_server_say(&S, "{\"type\":\"desired\",\"seq\":41,\"full\":true}");
    WAIT(SEEN.seq == 41);
    struct link_heartbeat beat = {.number = {API_VALUE, 1}};
    beat.health.is = API_VALUE;
    CHECK_EQ(agent_uplink_send(U, LINK_TYPE_HEARTBEAT, &beat), 0);
    WAIT(link_server_taken(&S, LINK_TYPE_HEARTBEAT) == 1);
    link_server_say_bytes(&S, "\0\0\0\5echo", 8, false);
    WAIT(link_server_streamed(&S, "echo"));
    CHECK_STR(SEEN.stream, "5:echo");
    agent_uplink_destroy(U, "the test ends");
    U = NULL;
    WAIT(link_server_taken(&S, LINK_TYPE_BYE) == 1);
    CHECK(link_server_last_has(&S, LINK_TYPE_BYE, "the test ends"));
    tear_down();
}

static void dials_again_when_the_link_is_cut_and_says_what_it_has(void)
{
    set_up(LINK_SERVER_WELCOME);
    WAIT(SEEN.up == 1);
    link_server_say(&S, "{\"type\":\"desired\",\"seq\":41,\"full\":true}");
    WAIT(SEEN.seq == 41);
    link_server_say(&S, NULL);
    WAIT(SEEN.down == 1);
    struct link_bye bye = {.type = {.is = API_ABSENT}};
    CHECK_EQ(agent_uplink_send(U, LINK_TYPE_BYE, &bye), -ENOTCONN);
    WAIT(SEEN.up == 2);
    CHECK(link_server_last_has(&S, LINK_TYPE_HELLO, "\"desired_seq\":41"));
    CHECK(SEEN.ms >= 125 && SEEN.ms <= 250);
    tear_down();
}

static void nobody_there_is_tried_at_longer_and_longer_times(void)
{
    set_up(NULL);
    uint16_t port = web_server_port(S.server);
    agent_uplink_destroy(U, "moves");
    link_server_stop(&S);
    dial(port);
    unsigned before = 0;
    for (unsigned i = 1; i <= 3; i++) {
        WAIT(SEEN.down == i);
        CHECK(SEEN.ms >= 125u << (i - 1) && SEEN.ms <= 250u << (i - 1));
        before = SEEN.ms;
    }
    CHECK(before >= 500);
    CHECK_EQ(SEEN.up, 0);
    link_server_start(&S, port, LINK_SERVER_WELCOME);
    WAIT(SEEN.up == 1);
    tear_down();
}

static void a_refusal_is_told_and_waited_out(void)
{
    set_up("{\"type\":\"refuse\",\"code\":\"busy\",\"reason\":\"later\",\"retry_ms\":700}");
    WAIT(SEEN.down == 1);
    CHECK_STR(SEEN.why, "refused: later");
    CHECK(SEEN.ms >= 700);
    CHECK_EQ(SEEN.up, 0);
    tear_down();
}

static void is_sent_to_another_server(void)
{
    struct link_server first;
    char answer[200];
    LOOP = loop_create(0, NULL);
    link_server_start(&S, 0, LINK_SERVER_WELCOME);
    snprintf(answer, sizeof(answer),
             "{\"type\":\"refuse\",\"code\":\"elsewhere\",\"reason\":\"not "
             "mine\",\"address\":\"127.0.0.1:%u\"}",
             web_server_port(S.server));
    link_server_start(&first, 0, answer);
    dial(web_server_port(first.server));
    WAIT(SEEN.up == 1);
    CHECK_EQ(link_server_taken(&S, LINK_TYPE_HELLO), 1);
    link_server_stop(&S);
    WAIT(link_server_taken(&first, LINK_TYPE_HELLO) == 2); /* back where it began */
    agent_uplink_destroy(U, "the test ends");
    link_server_stop(&first);
    loop_destroy(LOOP);
}

static void nonsense_ends_the_connection_and_not_the_agent(void)
{
    static const char *const WRONG[] = {
        "{\"type\":\"desired\"}", "[", "{\"type\":\"hello\"}", LINK_SERVER_WELCOME,
        "{\"type\":\"desired\",\"seq\":1,\"vms\":[{\"id\":\"x\"}]}"};
    set_up(LINK_SERVER_WELCOME);
    for (unsigned i = 0; i < ARRAY_LEN(WRONG); i++) {
        WAIT(SEEN.up == i + 1);
        link_server_say(&S, WRONG[i]);
        WAIT(SEEN.down == i + 1);
    }
    WAIT(SEEN.up == ARRAY_LEN(WRONG) + 1);
    link_server_say_bytes(&S, "\0\0", 2, false);
    WAIT(SEEN.down == ARRAY_LEN(WRONG) + 1);
    CHECK_EQ(SEEN.messages, 0);
    tear_down();
}

int main(void)
{
    TAP_RUN(says_hello_and_both_talk);
    TAP_RUN(dials_again_when_the_link_is_cut_and_says_what_it_has);
    TAP_RUN(nobody_there_is_tried_at_longer_and_longer_times);
    TAP_RUN(a_refusal_is_told_and_waited_out);
    TAP_RUN(is_sent_to_another_server);
    TAP_RUN(nonsense_ends_the_connection_and_not_the_agent);
    return tap_done();
}
