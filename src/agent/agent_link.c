#include "agent/agent_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/util.h"

#define DIAL_MIN_MS    250u
#define DIAL_MAX_MS    30000u
#define SILENCE_MS     20000 /* from dialling to welcome */
#define HOST_BYTES     256
#define STATUS_LEAVES  1001 /* RFC 6455, 7.4.1: going away */
#define STATUS_REFUSED 1002 /* a protocol error */

struct agent_link {
    struct agent_link_config config;
    char host[HOST_BYTES], elsewhere[HOST_BYTES];
    uint16_t elsewhere_port; /* 0: config's server */
    struct web_timer *timer; /* dialling again, or the end of patience */
    struct web_link *link;
    bool up, stopped;
    unsigned dial_ms, not_before_ms; /* the last refusal's */
    char why[160];
};

static const struct web_link_ops OPS;

/* ---- dialling ---- */

static unsigned jittered(unsigned ms)
{
    uint32_t r = 0;
    if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
        r = (uint32_t)(uintptr_t)&r;
    return ms / 2 + r % (ms / 2 + 1);
}

static void dial_later(struct agent_link *l, const char *why)
{
    l->dial_ms = l->dial_ms ? MIN(l->dial_ms * 2, DIAL_MAX_MS) : DIAL_MIN_MS;
    unsigned ms = MAX(jittered(l->dial_ms), l->not_before_ms);
    l->not_before_ms = 0;
    if (!l->stopped)
        web_timer_arm(l->timer, (int64_t)ms * 1000);
    l->config.ops->down(l->config.opaque, why, ms);
}

static void dial(struct agent_link *l)
{
    struct err err = {0};
    struct web_link_target target = {.host = l->host, .port = l->config.port, .path = LINK_PATH};
    if (l->elsewhere_port) {
        target.host = l->elsewhere;
        target.port = l->elsewhere_port;
    }
    l->why[0] = 0;
    l->link = web_link_connect(l->config.client, &target, &OPS, l, &err);
    if (l->link) {
        web_timer_arm(l->timer, (int64_t)SILENCE_MS * 1000);
    } else {
        l->elsewhere_port = 0; /* where another server sent us there is nobody */
        dial_later(l, err.msg);
    }
}

static void time_is_over(void *ctx)
{
    struct agent_link *l = ctx;
    if (l->stopped || l->up)
        return;
    if (!l->link) {
        dial(l);
    } else {
        snprintf(l->why, sizeof(l->why), "the server did not say welcome");
        web_link_end(l->link, STATUS_LEAVES);
    }
}

/* ---- a connection ---- */

static void opened(void *session)
{
    struct agent_link *l = session;
    struct link_hello hello = {.protocol = {API_VALUE, LINK_PROTOCOL},
                               .agent_version = {API_VALUE, VIRGA_VERSION}};
    struct api_buf b;
    l->config.ops->hello(l->config.opaque, &hello);
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_write(LINK_TYPE_HELLO, &hello, &b);
    if (b.failed || web_link_send(l->link, b.text, b.bytes, true))
        web_link_end(l->link, STATUS_LEAVES);
    api_buf_fini(&b);
}

static void refuse(struct agent_link *l, const char *why)
{
    LOG_LIMITED(LOG_WARN, "agent", "what the server said is refused: %s", why);
    snprintf(l->why, sizeof(l->why), "%.*s", (int)sizeof(l->why) - 1, why);
    web_link_end(l->link, STATUS_REFUSED);
}

/* "HOST:PORT" or "[ADDRESS]:PORT". */
static bool split_address(const char *text, char host[HOST_BYTES], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    long number = colon ? strtol(colon + 1, NULL, 10) : 0;
    if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (!n || n >= HOST_BYTES || number < 1 || number > 65535)
        return false;
    memcpy(host, text, n);
    host[n] = 0;
    *port = (uint16_t)number;
    return true;
}

static void take_refusal(struct agent_link *l, const struct link_refuse *r)
{
    l->not_before_ms = r->retry_ms.is == API_VALUE ? (unsigned)r->retry_ms.v : 0;
    snprintf(l->why, sizeof(l->why), "refused: %.140s", r->reason.v);
    if (r->code.v == LINK_REFUSE_CODE_ELSEWHERE && r->address.is == API_VALUE &&
        split_address(r->address.v, l->elsewhere, &l->elsewhere_port))
        l->dial_ms = 0;
    web_link_end(l->link, STATUS_LEAVES);
}

static void take_first(struct agent_link *l, const struct link_message *m)
{
    if (m->type == LINK_TYPE_REFUSE) {
        take_refusal(l, m->refuse);
    } else if (m->type != LINK_TYPE_WELCOME || m->welcome->protocol.v != LINK_PROTOCOL) {
        refuse(l, m->type == LINK_TYPE_WELCOME ? "it speaks another version of the link"
                                               : "its first word is not welcome");
    } else {
        l->up = true;
        l->dial_ms = 0;
        l->config.ops->up(l->config.opaque, m->welcome);
    }
}

static void take_stream(struct agent_link *l, const char *frame, size_t frame_bytes)
{
    uint32_t stream;
    const char *data;
    size_t bytes;
    if (!l->up || link_stream_read(frame, frame_bytes, &stream, &data, &bytes))
        refuse(l, "a binary frame that is no stream's");
    else
        l->config.ops->stream(l->config.opaque, stream, data, bytes);
}

static void received(void *session, const char *data, size_t bytes, bool text)
{
    struct agent_link *l = session;
    struct api_arena arena;
    struct link_message m;
    struct err err = {0};
    if (l->stopped || l->why[0])
        return; /* it ends */
    if (!text) {
        take_stream(l, data, bytes);
        return;
    }
    api_arena_init(&arena, LINK_ARENA_BYTES);
    if (link_read(LINK_SERVER, data, bytes, &arena, &m, &err))
        refuse(l, err.msg);
    else if (!l->up)
        take_first(l, &m);
    else if (m.type == LINK_TYPE_REFUSE)
        take_refusal(l, m.refuse);
    else if (m.type == LINK_TYPE_WELCOME)
        refuse(l, "a second welcome");
    else
        l->config.ops->message(l->config.opaque, &m, &arena);
    api_arena_fini(&arena);
}

static void closed(void *session, const char *why)
{
    struct agent_link *l = session;
    bool was_up = l->up;
    l->link = NULL;
    l->up = false;
    if (l->elsewhere_port && !was_up && strncmp(l->why, "refused", 7) != 0)
        l->elsewhere_port = 0;
    dial_later(l, l->why[0] ? l->why : why);
}

static const struct web_link_ops OPS = {opened, received, closed};

/* ---- from outside ---- */

struct agent_link *agent_link_create(const struct agent_link_config *config, struct err *err)
{
    struct agent_link *l = calloc(1, sizeof(*l));
    if (!l || strlen(config->host) >= sizeof(l->host)) {
        err_set(err, l ? ENAMETOOLONG : ENOMEM, "could not make a link to %.40s", config->host);
        free(l);
        return NULL;
    }
    l->config = *config;
    snprintf(l->host, sizeof(l->host), "%s", config->host);
    l->timer = web_timer_create(config->loop, time_is_over, l);
    if (!l->timer) {
        err_set(err, ENOMEM, "could not make a timer");
        free(l);
        return NULL;
    }
    web_timer_arm(l->timer, (int64_t)config->first_dial_ms * 1000);
    return l;
}

void agent_link_use(struct agent_link *l, struct web_client *client)
{
    l->config.client = client;
}

bool agent_link_is_up(const struct agent_link *l)
{
    return l->up;
}

void agent_link_drop(struct agent_link *l)
{
    if (l->link)
        web_link_end(l->link, STATUS_LEAVES);
}

bool agent_link_stop(struct agent_link *l, const char *reason)
{
    struct link_bye bye = {.reason = {API_VALUE, reason}};
    if (l->stopped)
        return l->link;
    if (l->up)
        (void)agent_link_send(l, LINK_TYPE_BYE, &bye);
    l->stopped = true;
    if (l->link)
        web_link_end(l->link, STATUS_LEAVES);
    return l->link;
}

void agent_link_fini(struct agent_link *l)
{
    l->stopped = true;
    web_timer_destroy(l->timer);
    l->timer = NULL;
}

void agent_link_destroy(struct agent_link *l)
{
    free(l);
}

int agent_link_send_frame(struct agent_link *l, const char *data, size_t bytes, bool text)
{
    return l->up && !l->stopped ? web_link_send(l->link, data, bytes, text) : -ENOTCONN;
}

int agent_link_send(struct agent_link *l, enum link_type type, void *body)
{
    struct api_buf b;
    if (!l->up || l->stopped)
        return -ENOTCONN;
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_write(type, body, &b);
    int ret = b.failed ? -ENOMEM : agent_link_send_frame(l, b.text, b.bytes, true);
    api_buf_fini(&b);
    return ret;
}
