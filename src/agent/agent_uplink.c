/* Two queues under one lock: frames to be sent, and what happened. A frame knows the connection
 * that it was made for, so none is sent on another. */
#include "agent/agent_uplink.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/agent_link.h"
#include "base/log.h"
#include "base/util.h"
#include "base/uuid.h"
#include "web/web_loop.h"

#define BYE_LIMIT_MS 1000

enum kind { UP, MESSAGE, STREAM, DOWN };

struct item {
    struct item *next;
    enum kind kind;      /* of what happened */
    uint64_t connection; /* counts those that were up */
    bool text;
    uint32_t stream;
    unsigned ms;
    struct api_arena arena;
    struct link_message m;
    struct link_welcome welcome;
    size_t bytes;
    char data[];
};

struct queue {
    struct item *first, **end;
    size_t bytes;
};

struct agent_uplink {
    struct agent_uplink_config config;
    char *authority, *cert, *key;
    char id[UUID_TEXT_BYTES], boot[UUID_TEXT_BYTES], instance[UUID_TEXT_BYTES];

    /* The web loop's thread. */
    struct web_loop *web;
    struct web_client *client, *old[8]; /* clients are destroyed behind their loop */
    unsigned n_old;
    struct agent_link *link;
    pthread_t thread;
    struct web_post send_post, stop_post, renew_post;
    struct web_timer *stop_timer;
    uint64_t connection;
    bool stopping;    /* the end of the connection is the end of the thread */
    char reason[128]; /* written before the post that reads it */

    pthread_mutex_t lock; /* of the following */
    struct queue out, in;
    _Atomic int64_t desired_seq;

    /* The loop's thread. */
    struct loop_post happened;
    uint64_t seen_connection; /* 0: there is no link */
};

/* ---- queues ---- */

static struct item *item_create(enum kind kind, const void *data, size_t bytes)
{
    struct item *i = calloc(1, sizeof(*i) + bytes + 1);
    if (i) {
        i->kind = kind;
        i->bytes = bytes;
        if (bytes)
            memcpy(i->data, data, bytes);
        api_arena_init(&i->arena, 0);
    }
    return i;
}

static void item_free(struct item *i)
{
    api_arena_fini(&i->arena);
    free(i);
}

static size_t item_weight(const struct item *i)
{
    return sizeof(*i) + i->bytes + i->arena.total_bytes;
}

/* Owns: i. False: the queue is full, and i is gone. */
static bool push(struct agent_uplink *u, struct queue *q, struct item *i)
{
    pthread_mutex_lock(&u->lock);
    bool fits = q->bytes + item_weight(i) <= AGENT_UPLINK_QUEUE_MAX_BYTES || i->kind == DOWN;
    if (fits) {
        q->bytes += item_weight(i);
        i->next = NULL;
        *q->end = i;
        q->end = &i->next;
    }
    pthread_mutex_unlock(&u->lock);
    if (!fits)
        item_free(i);
    return fits;
}

static struct item *take_all(struct agent_uplink *u, struct queue *q)
{
    pthread_mutex_lock(&u->lock);
    struct item *first = q->first;
    *q = (struct queue){.first = NULL, .end = &q->first};
    pthread_mutex_unlock(&u->lock);
    return first;
}

/* ---- the web loop's thread ---- */

static void tell(struct agent_uplink *u, struct item *i)
{
    if (!i || !push(u, &u->in, i)) {
        LOG_LIMITED(LOG_WARN, "agent", "the server says more than is looked at: its link ends%s",
                    i ? "" : " (no memory)");
        agent_link_drop(u->link);
        return;
    }
    loop_post(u->config.loop, &u->happened);
}

static void on_hello(void *opaque, struct link_hello *hello)
{
    struct agent_uplink *u = opaque;
    hello->host = (struct api_text){API_VALUE, u->id};
    hello->boot = (struct api_text){API_VALUE, u->boot};
    hello->instance = (struct api_text){API_VALUE, u->instance};
    hello->desired_seq = (struct api_int){API_VALUE, u->desired_seq};
}

static void on_up(void *opaque, const struct link_welcome *welcome)
{
    struct agent_uplink *u = opaque;
    struct item *i = item_create(UP, NULL, 0);
    u->connection++;
    if (i) {
        i->connection = u->connection;
        i->welcome = *welcome;
        i->welcome.server = (struct api_text){0}; /* the arena's, which goes */
    }
    tell(u, i);
}

static void on_message(void *opaque, const struct link_message *m, struct api_arena *arena)
{
    struct item *i = item_create(MESSAGE, NULL, 0);
    if (i) {
        i->m = *m;
        i->arena = *arena;
        api_arena_init(arena, LINK_ARENA_BYTES);
    }
    tell(opaque, i);
}

static void on_stream(void *opaque, uint32_t stream, const char *data, size_t bytes)
{
    struct item *i = item_create(STREAM, data, bytes);
    if (i)
        i->stream = stream;
    tell(opaque, i);
}

static void on_down(void *opaque, const char *why, unsigned ms)
{
    struct agent_uplink *u = opaque;
    struct item *i = item_create(DOWN, why, strlen(why));
    if (u->stopping)
        web_loop_stop(u->web);
    if (!i)
        return; /* the next up() says as much */
    i->ms = ms;
    push(u, &u->in, i);
    loop_post(u->config.loop, &u->happened);
}

static const struct agent_link_ops LINK_OPS = {on_hello, on_up, on_message, on_stream, on_down};

static void send_all(struct web_post *p)
{
    struct agent_uplink *u = container_of(p, struct agent_uplink, send_post);
    int ret = 0;
    for (struct item *i = take_all(u, &u->out), *next; i; i = next) {
        next = i->next;
        if (i->connection == u->connection && !ret)
            ret = agent_link_send_frame(u->link, i->data, i->bytes, i->text);
        item_free(i);
    }
    if (ret == -EAGAIN || ret == -ENOMEM) /* what is lost is made up for by the next connection */
        agent_link_drop(u->link);
}

static void stop_waiting(void *ctx)
{
    struct agent_uplink *u = ctx;
    web_loop_stop(u->web);
}

static void stop(struct web_post *p)
{
    struct agent_uplink *u = container_of(p, struct agent_uplink, stop_post);
    u->stopping = true;
    if (agent_link_stop(u->link, u->reason))
        web_timer_arm(u->stop_timer, (int64_t)BYE_LIMIT_MS * 1000);
    else
        web_loop_stop(u->web);
}

static struct web_client *make_client(struct agent_uplink *u, struct err *err)
{
    const struct web_client_config c = {.authority_path = u->authority,
                                        .cert_path = u->cert,
                                        .key_path = u->key,
                                        .message_max_bytes = LINK_MESSAGE_MAX_BYTES,
                                        .queue_max_bytes = AGENT_UPLINK_QUEUE_MAX_BYTES};
    return web_client_create(u->web, &c, err);
}

static void renew(struct web_post *p)
{
    struct agent_uplink *u = container_of(p, struct agent_uplink, renew_post);
    struct err err = {0};
    struct web_client *fresh = u->n_old < ARRAY_LEN(u->old) ? make_client(u, &err) : NULL;
    if (!fresh) {
        log_line(LOG_WARN, "agent", "the new certificate is used when the agent starts again: %s",
                 err.code ? err.msg : "it was renewed often");
        return;
    }
    u->old[u->n_old++] = u->client;
    u->client = fresh;
    agent_link_use(u->link, fresh);
}

static void *run(void *arg)
{
    struct agent_uplink *u = arg;
    web_loop_run(u->web);
    return NULL;
}

/* ---- the loop's thread ---- */

static void handle(struct agent_uplink *u, struct item *i)
{
    const struct agent_uplink_ops *ops = u->config.ops;
    switch (i->kind) {
    case UP:
        u->seen_connection = i->connection;
        ops->up(u->config.opaque, &i->welcome);
        break;
    case MESSAGE:
        ops->message(u->config.opaque, &i->m);
        break;
    case STREAM:
        ops->stream(u->config.opaque, i->stream, i->data, i->bytes);
        break;
    case DOWN:
        u->seen_connection = 0;
        ops->down(u->config.opaque, i->data, i->ms);
        break;
    }
}

static void happened(struct loop_post *p)
{
    struct agent_uplink *u = p->opaque;
    for (struct item *i = take_all(u, &u->in), *next; i; i = next) {
        next = i->next;
        handle(u, i);
        item_free(i);
    }
}

static int send_frame(struct agent_uplink *u, const struct api_buf *b, bool text)
{
    struct item *i = b->failed ? NULL : item_create(MESSAGE, b->text, b->bytes);
    if (!i)
        return -ENOMEM;
    i->text = text;
    i->connection = u->seen_connection;
    if (!push(u, &u->out, i))
        return -EAGAIN;
    web_loop_post(u->web, &u->send_post);
    return 0;
}

int agent_uplink_send(struct agent_uplink *u, enum link_type type, void *body)
{
    struct api_buf b;
    if (!u->seen_connection)
        return -ENOTCONN;
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_write(type, body, &b);
    int ret = send_frame(u, &b, true);
    api_buf_fini(&b);
    return ret;
}

int agent_uplink_stream(struct agent_uplink *u, uint32_t stream, const void *data, size_t bytes)
{
    struct api_buf b;
    if (!u->seen_connection)
        return -ENOTCONN;
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_stream_write(stream, data, bytes, &b);
    int ret = send_frame(u, &b, false);
    api_buf_fini(&b);
    return ret;
}

void agent_uplink_took(struct agent_uplink *u, int64_t desired_seq)
{
    u->desired_seq = desired_seq;
}

void agent_uplink_renew(struct agent_uplink *u)
{
    web_loop_post(u->web, &u->renew_post);
}

/* ---- the whole ---- */

static void free_all(struct agent_uplink *u)
{
    for (unsigned k = 0; k < 2; k++)
        for (struct item *i = take_all(u, k ? &u->in : &u->out), *next; i; i = next) {
            next = i->next;
            item_free(i);
        }
    if (u->link)
        agent_link_fini(u->link);
    web_timer_destroy(u->stop_timer);
    web_loop_destroy(u->web);
    agent_link_destroy(u->link);
    web_client_destroy(u->client);
    for (unsigned i = 0; i < u->n_old; i++)
        web_client_destroy(u->old[i]);
    /* What the last callbacks told. */
    for (struct item *i = take_all(u, &u->in), *next; i; i = next) {
        next = i->next;
        item_free(i);
    }
    loop_post_cancel(u->config.loop, &u->happened);
    pthread_mutex_destroy(&u->lock);
    free(u->authority);
    free(u->cert);
    free(u->key);
    free(u);
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static int start(struct agent_uplink *u, struct err *err)
{
    u->web = web_loop_create(err);
    u->client = u->web ? make_client(u, err) : NULL;
    if (!u->client)
        return -EINVAL;
    struct agent_link_config c = {.loop = u->web,
                                  .client = u->client,
                                  .host = u->config.host,
                                  .port = u->config.port,
                                  .ops = &LINK_OPS,
                                  .opaque = u};
    u->link = agent_link_create(&c, err);
    u->stop_timer = web_timer_create(u->web, stop_waiting, u);
    if (!u->link || !u->stop_timer)
        return u->link ? err_set(err, ENOMEM, "could not make a timer") : -ENOMEM;
    int ret = pthread_create(&u->thread, NULL, run, u);
    return ret ? err_sys(err, ret, "could not start the link's thread") : 0;
}

struct agent_uplink *agent_uplink_create(const struct agent_uplink_config *config, struct err *err)
{
    struct agent_uplink *u = calloc(1, sizeof(*u));
    if (!u) {
        err_set(err, ENOMEM, "could not allocate a link");
        return NULL;
    }
    u->config = *config;
    u->authority = copy(config->authority_path);
    u->cert = copy(config->cert_path);
    u->key = copy(config->key_path);
    uuid_format(config->id, u->id);
    uuid_format(config->boot, u->boot);
    uuid_format(config->instance, u->instance);
    pthread_mutex_init(&u->lock, NULL);
    u->in.end = &u->in.first;
    u->out.end = &u->out.first;
    u->happened = (struct loop_post){.run = happened, .opaque = u};
    u->send_post.run = send_all;
    u->stop_post.run = stop;
    u->renew_post.run = renew;
    if (start(u, err)) {
        free_all(u);
        return NULL;
    }
    return u;
}

void agent_uplink_destroy(struct agent_uplink *u, const char *reason)
{
    if (!u)
        return;
    snprintf(u->reason, sizeof(u->reason), "%s", reason);
    web_loop_post(u->web, &u->stop_post);
    pthread_join(u->thread, NULL);
    u->stopping = false;
    free_all(u);
}
