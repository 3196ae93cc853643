/* A server on a loop: where it listens, and what libwebsockets tells of its connections. Requests
 * are in web_request.c, WebSockets in web_socket.c. */
#include "web/web_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "web/web_internal.h"

#define DEFAULT_TIMEOUT_S 30

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

static void on_close(struct web_server *s, struct lws *wsi)
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
    if (c->draining)
        return reason == LWS_CALLBACK_HTTP_BODY        ? web_request_drain(c, bytes)
               : reason == LWS_CALLBACK_HTTP_WRITEABLE ? 0
                                                       : -1;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return web_request_begin(s, wsi, c);
    case LWS_CALLBACK_HTTP_BODY:
        if (!bytes) /* of a POST whose length is 0: it was handed over, and perhaps answered */
            return 0;
        return c->request ? web_request_receive(c->request, in, bytes) : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return c->request ? web_request_complete(c) : 0;
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
    case LWS_CALLBACK_ESTABLISHED:
        if (c->socket)
            web_silence_begin(s->vhost.loop, &c->socket->stream);
        return 0;
    case LWS_CALLBACK_RECEIVE_PONG:
        if (c->socket)
            web_silence_heard(&c->socket->stream);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return c->socket ? web_stream_receive(&c->socket->stream, in, bytes) : -1;
    default:
        return c->socket ? web_stream_write(&c->socket->stream) : -1;
    }
}

static int on_event(struct web_vhost *v, struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t bytes)
{
    struct web_server *s = container_of(v, struct web_server, vhost);
    switch (reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        return on_begin(s, wsi);
    case LWS_CALLBACK_HTTP:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_http(s, wsi, reason, in, bytes);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_websocket(s, wsi, reason, in, bytes);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        on_close(s, wsi);
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, bytes);
    }
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

static void on_overflow(struct web_vhost *v)
{
    web_refuse_overflow(container_of(v, struct web_server, vhost));
}

static int listen_on(struct web_server *s, struct web_loop *loop, struct err *err)
{
    const struct web_config *c = &s->config;
    struct lws_context_creation_info info = {
        .port = c->port,
        .iface = c->address,
        .protocols = web_loop_protocols,
        .user = s,
        .keepalive_timeout = (int)c->idle_timeout_s,
        .timeout_secs = c->idle_timeout_s,
        .retry_and_idle_policy = &web_loop_no_keepalive,
        .ssl_cert_filepath = c->cert_path,
        .ssl_private_key_filepath = c->key_path,
        .ssl_ca_filepath = c->client_ca_path,
        .alpn = "http/1.1",
        .options = c->cert_path ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
    };
    if (c->client_ca_path)
        info.options |= LWS_SERVER_OPTION_PEER_CERT_NOT_REQUIRED |
                        LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
    s->vhost = (struct web_vhost){.loop = loop, .on_event = on_event, .on_overflow = on_overflow};
    s->vhost.lws = lws_create_vhost(loop->lws, &info);
    if (!s->vhost.lws)
        return err_set(err, EADDRINUSE,
                       "could not listen on %s port %u%s: is it in use, or not this machine's?",
                       c->address ? c->address : "any address", c->port,
                       c->cert_path ? " with its certificate" : "");
    s->vhost.next = loop->vhosts;
    loop->vhosts = &s->vhost;
    return 0;
}

struct web_server *web_server_create(struct web_loop *loop, const struct web_config *config,
                                     struct err *err)
{
    struct web_server *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, ENOMEM, "could not allocate a server");
        return NULL;
    }
    if (copy_config(s, config, err) || listen_on(s, loop, err)) {
        web_server_destroy(s);
        return NULL;
    }
    return s;
}

void web_server_destroy(struct web_server *s)
{
    if (!s)
        return;
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
    free(s);
}

uint16_t web_server_port(const struct web_server *s)
{
    return (uint16_t)lws_get_vhost_listen_port(s->vhost.lws);
}
