/* A server for agents under test, on a thread of its own: keeps what they said, and says what a
 * test wants. One test's one server; plain, without certificates. */
#ifndef TESTS_UNIT_AGENT_LINK_SERVER_H
#define TESTS_UNIT_AGENT_LINK_SERVER_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "link/link.h"
#include "tap.h"
#include "web/web_server.h"

#define LINK_SERVER_LIMIT_NS (INT64_C(20) * 1000000000)
#define LINK_SERVER_WELCOME                                                                        \
    "{\"type\":\"welcome\",\"protocol\":1,\"server\":\"01890a5d-ac96-774b-bcce-b302099a8057\","    \
    "\"heartbeat_ms\":200,\"usage_ms\":100}"

struct link_server {
    struct web_loop *loop;
    struct web_server *server;
    pthread_t thread;
    const char *answer; /* to hello; NULL: nothing is said */

    pthread_mutex_t lock; /* of the following */
    pthread_cond_t changed;
    struct web_socket *socket; /* of the newest connection; NULL: none */
    unsigned opened, closed, taken[LINK_TYPE_N];
    char *last[LINK_TYPE_N]; /* the newest of each type */
    char stream[4096];       /* what came on streams, heads cut off */
    size_t stream_bytes;

    struct web_post post;
    const char *to_send; /* NULL: end the connection */
    size_t to_send_bytes;
    bool text, posted;
};

static void link_server_no_request(void *ctx, struct web_request *r)
{
    (void)ctx;
    web_reply(r, 404, NULL, NULL, 0);
}

static int link_server_open(void *ctx, const struct web_request *r, struct web_socket *socket,
                            void **session)
{
    struct link_server *s = ctx;
    (void)r;
    pthread_mutex_lock(&s->lock);
    s->socket = socket;
    s->opened++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    *session = s;
    return 0;
}

static void link_server_message(void *session, const char *data, size_t bytes, bool text)
{
    struct link_server *s = session;
    struct api_arena arena;
    struct link_message m;
    struct err err = {0};
    uint32_t stream;
    if (!text) {
        pthread_mutex_lock(&s->lock);
        if (!link_stream_read(data, bytes, &stream, &data, &bytes) &&
            s->stream_bytes + bytes < sizeof(s->stream)) {
            memcpy(s->stream + s->stream_bytes, data, bytes);
            s->stream_bytes += bytes;
        }
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        return;
    }
    api_arena_init(&arena, LINK_ARENA_BYTES);
    if (link_read(LINK_AGENT, data, bytes, &arena, &m, &err)) {
        CHECK(!"the agent said something that is not allowed");
        printf("# %s: %.*s\n", err.msg, (int)MIN(bytes, 400), data);
    } else {
        if (m.type == LINK_TYPE_HELLO && s->answer)
            web_socket_send(s->socket, s->answer, strlen(s->answer), true);
        pthread_mutex_lock(&s->lock);
        free(s->last[m.type]);
        s->last[m.type] = strndup(data, bytes);
        s->taken[m.type]++;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
    api_arena_fini(&arena);
}

static void link_server_closed(void *session)
{
    struct link_server *s = session;
    pthread_mutex_lock(&s->lock);
    s->socket = NULL;
    s->closed++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static const struct web_socket_ops LINK_SERVER_OPS = {link_server_open, link_server_message,
                                                      link_server_closed};
static const struct web_endpoint LINK_SERVER_ENDPOINTS[] = {{LINK_PATH, &LINK_SERVER_OPS},
                                                            {NULL, NULL}};

static void *link_server_run(void *arg)
{
    web_loop_run(((struct link_server *)arg)->loop);
    return NULL;
}

/* `port` 0: any. */
static void link_server_start(struct link_server *s, uint16_t port, const char *answer)
{
    struct err err = {0};
    const struct web_config c = {.address = "127.0.0.1",
                                 .port = port,
                                 .body_max_bytes = 1000,
                                 .message_max_bytes = LINK_MESSAGE_MAX_BYTES,
                                 .queue_max_bytes = 8 * LINK_MESSAGE_MAX_BYTES,
                                 .handle = link_server_no_request,
                                 .endpoints = LINK_SERVER_ENDPOINTS,
                                 .ctx = s};
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->answer = answer;
    s->loop = web_loop_create(&err);
    s->server = web_server_create(s->loop, &c, &err);
    if (!s->server || pthread_create(&s->thread, NULL, link_server_run, s)) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
}

static void link_server_stop(struct link_server *s)
{
    web_loop_stop(s->loop);
    pthread_join(s->thread, NULL);
    web_loop_destroy(s->loop);
    web_server_destroy(s->server);
    for (unsigned i = 0; i < LINK_TYPE_N; i++)
        free(s->last[i]);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
}

static void link_server_do(struct web_post *p)
{
    struct link_server *s = container_of(p, struct link_server, post);
    pthread_mutex_lock(&s->lock);
    struct web_socket *socket = s->socket;
    pthread_mutex_unlock(&s->lock);
    if (socket && s->to_send)
        web_socket_send(socket, s->to_send, s->to_send_bytes, s->text);
    else if (socket)
        web_socket_end(socket, 1001);
    pthread_mutex_lock(&s->lock);
    s->posted = false;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Says something on the newest connection, or ends it (NULL). */
static void link_server_say_bytes(struct link_server *s, const char *data, size_t bytes, bool text)
{
    s->to_send = data;
    s->to_send_bytes = bytes;
    s->text = text;
    s->posted = true;
    s->post.run = link_server_do;
    web_loop_post(s->loop, &s->post);
    pthread_mutex_lock(&s->lock);
    while (s->posted)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void link_server_say(struct link_server *s, const char *text)
{
    link_server_say_bytes(s, text, text ? strlen(text) : 0, true);
}

/* How many of a type have come. */
static unsigned link_server_taken(struct link_server *s, enum link_type type)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->taken[type];
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* Whether the newest of a type holds a text. */
static bool link_server_last_has(struct link_server *s, enum link_type type, const char *text)
{
    pthread_mutex_lock(&s->lock);
    bool has = s->last[type] && strstr(s->last[type], text);
    pthread_mutex_unlock(&s->lock);
    return has;
}

/* Whether a text has come on streams. */
static bool link_server_streamed(struct link_server *s, const char *text)
{
    pthread_mutex_lock(&s->lock);
    bool has = s->stream_bytes == strlen(text) && !memcmp(s->stream, text, s->stream_bytes);
    pthread_mutex_unlock(&s->lock);
    return has;
}

#endif
