/* The server's thread: libwebsockets' context, what it calls, posts and timers. Requests are in
 * web_request.c, WebSockets in web_socket.c. */
#include "web/web_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "web/web_internal.h"

#define DEFAULT_TIMEOUT_S 30

struct web_timer {
    lws_sorted_usec_list_t sul; /* first: the callback gets its address */
    struct web_server *server;
    void (*expired)(void *ctx);
    void *ctx;
};

static void run_posts(struct web_server *s)
{
    pthread_mutex_lock(&s->lock);
    struct web_post *p = s->posts;
    s->posts = NULL;
    s->posts_end = &s->posts;
    pthread_mutex_unlock(&s->lock);
    while (p) {
        struct web_post *next = p->next;
        pthread_mutex_lock(&s->lock);
        p->queued = false;
        pthread_mutex_unlock(&s->lock);
        p->run(p);
        p = next;
    }
}

/* The server of this thread: libwebsockets' log has no other way to say whose line it is. */
static _Thread_local struct web_server *running;

/* The connection's own state, made when it begins. NULL when there was no memory. */
static struct web_conn *conn_of(struct lws *wsi)
{
    return lws_get_opaque_user_data(wsi);
}

static int on_begin(struct web_server *s, struct lws *wsi)
{
    struct web_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return -1;
    c->wsi = wsi;
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next)
        c->next->link = &c->next;
    s->conns = c;
    lws_set_opaque_user_data(wsi, c);
    return 0;
}

static void on_close(struct lws *wsi)
{
    struct web_conn *c = conn_of(wsi);
    if (!c)
        return;
    web_request_abandon(c);
    web_socket_destroy(c);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    lws_set_opaque_user_data(wsi, NULL);
    free(c);
}

static int on_http(struct web_server *s, struct lws *wsi, enum lws_callback_reasons reason,
                   void *in, size_t bytes)
{
    struct web_conn *c = conn_of(wsi);
    if (!c)
        return -1;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return web_request_begin(s, wsi, c);
    case LWS_CALLBACK_HTTP_BODY:
        return c->request ? web_request_receive(c->request, in, bytes) : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return c->request ? web_request_complete(c) : -1;
    default:
        return c->request ? web_request_write(c) : 0;
    }
}

static int on_websocket(struct web_server *s, struct lws *wsi, enum lws_callback_reasons reason,
                        void *in, size_t bytes)
{
    struct web_conn *c = conn_of(wsi);
    if (!c)
        return -1;
    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return web_socket_filter(s, wsi, c);
    case LWS_CALLBACK_RECEIVE:
        return c->socket ? web_socket_receive(c->socket, in, bytes) : -1;
    default:
        return c->socket ? web_socket_write(c->socket) : -1;
    }
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t bytes)
{
    (void)user;
    struct web_server *s = lws_context_user(lws_get_context(wsi));
    switch (reason) {
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        run_posts(s);
        return 0;
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        return on_begin(s, wsi);
    case LWS_CALLBACK_HTTP:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_http(s, wsi, reason, in, bytes);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_websocket(s, wsi, reason, in, bytes);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        on_close(wsi);
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, bytes);
    }
}

/* The first one also serves WebSockets whose client names no subprotocol. */
static const struct lws_protocols PROTOCOLS[] = {
    {.name = "http", .callback = on_event},
    {.name = "cloudevents.json", .callback = on_event},
    {0},
};

static void on_log(int level, const char *line)
{
    int bytes = (int)strcspn(line, "\n");
    if (strstr(line, "Ran out of header data space") && running)
        web_refuse_overflow(running);
    else if (level & LLL_ERR)
        LOG_LIMITED(LOG_WARN, "web", "libwebsockets: %.*s", bytes, line);
    else
        LOG_LIMITED(LOG_DEBUG, "web", "libwebsockets: %.*s", bytes, line);
}

static int copy_config(struct web_server *s, const struct web_config *c, struct err *err)
{
    s->config = *c;
    const char **strings[] = {&s->config.address, &s->config.cert_path, &s->config.key_path,
                              &s->config.client_ca_path};
    bool failed = false;
    for (unsigned i = 0; i < ARRAY_LEN(strings); i++)
        if (*strings[i]) {
            *strings[i] = strdup(*strings[i]);
            failed |= !*strings[i];
        }
    if (!s->config.idle_timeout_s)
        s->config.idle_timeout_s = DEFAULT_TIMEOUT_S;
    s->scratch = malloc(LWS_PRE + WEB_REPLY_HEADER_BYTES + WEB_CHUNK_BYTES);
    return failed || !s->scratch ? err_set(err, ENOMEM, "could not allocate a server") : 0;
}

static int listen_on(struct web_server *s, struct err *err)
{
    const struct web_config *c = &s->config;
    struct lws_context_creation_info info = {
        .port = c->port,
        .iface = c->address,
        .protocols = PROTOCOLS,
        .user = s,
        .max_http_header_data2 = WEB_HEADER_BYTES,
        .keepalive_timeout = (int)c->idle_timeout_s,
        .timeout_secs = c->idle_timeout_s,
        .ssl_cert_filepath = c->cert_path,
        .ssl_private_key_filepath = c->key_path,
        .ssl_ca_filepath = c->client_ca_path,
        .alpn = "http/1.1",
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
    };
    if (c->cert_path)
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    if (c->client_ca_path)
        info.options |= LWS_SERVER_OPTION_PEER_CERT_NOT_REQUIRED |
                        LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
    s->lws = lws_create_context(&info);
    if (!s->lws)
        return err_set(err, ENOMEM, "could not set up libwebsockets");
    s->vhost = lws_create_vhost(s->lws, &info);
    if (!s->vhost)
        return err_set(err, EADDRINUSE,
                       "could not listen on %s port %u%s: is it in use, or not this machine's?",
                       c->address ? c->address : "any address", c->port,
                       c->cert_path ? " with its certificate" : "");
    return 0;
}

struct web_server *web_server_create(const struct web_config *config, struct err *err)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    struct web_server *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, ENOMEM, "could not allocate a server");
        return NULL;
    }
    s->posts_end = &s->posts;
    pthread_mutex_init(&s->lock, NULL);
    if (copy_config(s, config, err) || listen_on(s, err)) {
        web_server_destroy(s);
        return NULL;
    }
    return s;
}

void web_server_run(struct web_server *s)
{
    running = s;
    while (!atomic_load(&s->stop))
        lws_service(s->lws, 0);
    running = NULL;
    atomic_store(&s->stop, false);
}

void web_server_stop(struct web_server *s)
{
    atomic_store(&s->stop, true);
    lws_cancel_service(s->lws);
}

void web_server_destroy(struct web_server *s)
{
    if (!s)
        return;
    if (s->lws)
        lws_context_destroy(s->lws);
    s->lws = NULL;
    while (s->requests) {
        struct web_request *r = s->requests;
        s->requests = r->next;
        r->server = NULL;
        r->link = NULL;
    }
    free((char *)s->config.address);
    free((char *)s->config.cert_path);
    free((char *)s->config.key_path);
    free((char *)s->config.client_ca_path);
    free(s->scratch);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

uint16_t web_server_port(const struct web_server *s)
{
    return (uint16_t)lws_get_vhost_listen_port(s->vhost);
}

void web_server_post(struct web_server *s, struct web_post *p)
{
    pthread_mutex_lock(&s->lock);
    bool first = !s->posts, add = !p->queued;
    if (add) {
        p->queued = true;
        p->next = NULL;
        *s->posts_end = p;
        s->posts_end = &p->next;
    }
    pthread_mutex_unlock(&s->lock);
    if (add && first)
        lws_cancel_service(s->lws);
}

static void timer_fired(lws_sorted_usec_list_t *sul)
{
    struct web_timer *t = (struct web_timer *)sul;
    t->expired(t->ctx);
}

struct web_timer *web_timer_create(struct web_server *s, void (*expired)(void *ctx), void *ctx)
{
    struct web_timer *t = calloc(1, sizeof(*t));
    if (t) {
        t->server = s;
        t->expired = expired;
        t->ctx = ctx;
    }
    return t;
}

void web_timer_arm(struct web_timer *t, int64_t delay_us)
{
    lws_sul_schedule(t->server->lws, 0, &t->sul, timer_fired, delay_us > 0 ? delay_us : 1);
}

void web_timer_destroy(struct web_timer *t)
{
    if (!t)
        return;
    lws_sul_schedule(t->server->lws, 0, &t->sul, timer_fired, LWS_SET_TIMER_USEC_CANCEL);
    free(t);
}
