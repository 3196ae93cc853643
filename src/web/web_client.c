#include "web/web_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "web/web_internal.h"

struct web_client {
    struct web_vhost vhost; /* first */
    struct web_client_config config;
};

struct web_link {
    struct web_stream stream; /* first */
    const struct web_link_ops *ops;
    char *authorization;
    bool is_open, connecting; /* connecting: within web_link_connect() */
    char why[128];
};

static void finish(struct web_loop *loop, struct web_link *link, const char *why)
{
    if (link->connecting) { /* the caller is told by what web_link_connect() returns */
        snprintf(link->why, sizeof(link->why), "%s", why);
        return;
    }
    link->ops->close(link->stream.session, why);
    web_stream_fini(&link->stream);
    free(link->authorization);
    free(link);
}

static int add_authorization(const struct web_link *link, struct lws *wsi, void *in, size_t bytes)
{
    uint8_t **p = in;
    if (!link->authorization)
        return 0;
    return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                        (const uint8_t *)link->authorization,
                                        (int)strlen(link->authorization), p, *p + bytes)
               ? -1
               : 0;
}

static int on_event(struct web_vhost *v, struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t bytes)
{
    struct web_link *link = lws_get_opaque_user_data(wsi);
    if (!link)
        return lws_callback_http_dummy(wsi, reason, user, in, bytes);
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return add_authorization(link, wsi, in, bytes);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        link->is_open = true;
        web_silence_begin(v->loop, &link->stream);
        link->ops->open(link->stream.session);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        web_silence_heard(&link->stream);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return web_stream_receive(&link->stream, in, bytes);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return web_stream_write(&link->stream);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        lws_set_opaque_user_data(wsi, NULL);
        finish(v->loop, link, in ? (const char *)in : "the connection could not be made");
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        finish(v->loop, link, "the connection ended");
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, bytes);
    }
}

static int check_file(const char *path, struct err *err)
{
    return path && access(path, R_OK) ? err_sys(err, errno, "could not read %s", path) : 0;
}

struct web_client *web_client_create(struct web_loop *loop, const struct web_client_config *config,
                                     struct err *err)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = web_loop_protocols,
        .vhost_name = "client",
        .retry_and_idle_policy = &web_loop_no_keepalive,
        .client_ssl_ca_filepath = config->authority_path,
        .client_ssl_cert_filepath = config->cert_path,
        .client_ssl_private_key_filepath = config->key_path,
        .alpn = "http/1.1",
    };
    /* Only our own authority: one of those that the host trusts could sign for anybody. */
    if (config->authority_path)
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    if (check_file(config->authority_path, err) || check_file(config->cert_path, err) ||
        check_file(config->key_path, err))
        return NULL;
    struct web_client *c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(err, ENOMEM, "could not allocate a client");
        return NULL;
    }
    info.user = c;
    c->config = *config;
    c->vhost = (struct web_vhost){.loop = loop, .on_event = on_event};
    c->vhost.lws = lws_create_vhost(loop->lws, &info);
    if (!c->vhost.lws) {
        free(c);
        err_set(err, EINVAL, "could not use the certificates of %s",
                config->cert_path ? config->cert_path : "the client");
        return NULL;
    }
    c->vhost.next = loop->vhosts;
    loop->vhosts = &c->vhost;
    return c;
}

void web_client_destroy(struct web_client *c)
{
    free(c);
}

struct web_link *web_link_connect(struct web_client *c, const struct web_link_target *target,
                                  const struct web_link_ops *ops, void *session, struct err *err)
{
    struct web_link *link = calloc(1, sizeof(*link));
    if (link && target->authorization)
        link->authorization = strdup(target->authorization);
    if (!link || (target->authorization && !link->authorization)) {
        free(link);
        err_set(err, ENOMEM, "could not allocate a connection");
        return NULL;
    }
    struct lws *wsi = NULL;
    const struct lws_client_connect_info info = {
        .context = c->vhost.loop->lws,
        .vhost = c->vhost.lws,
        .address = target->host,
        .host = target->host[0] == '+' ? "localhost" : target->host,
        .port = target->port,
        .path = target->path,
        .ssl_connection = c->config.authority_path ? LCCSCF_USE_SSL : 0,
        .ietf_version_or_minus_one = -1,
        .local_protocol_name = "http",
        .alpn = "http/1.1",
        .opaque_user_data = link,
        .pwsi = &wsi,
    };
    web_stream_init(&link->stream, NULL);
    link->stream.message_max_bytes = c->config.message_max_bytes;
    link->stream.queue_max_bytes = c->config.queue_max_bytes;
    link->stream.message = ops->message;
    link->stream.session = session;
    link->ops = ops;
    link->connecting = true;
    struct lws *made = lws_client_connect_via_info(&info);
    link->connecting = false;
    if (made) {
        link->stream.wsi = made;
        return link;
    }
    err_set(err, ECONNREFUSED, "could not connect to %s port %u: %s", target->host, target->port,
            link->why[0] ? link->why : "no such address");
    free(link->authorization);
    free(link);
    return NULL;
}

int web_link_send(struct web_link *link, const char *data, size_t bytes, bool text)
{
    return link->is_open ? web_stream_send(&link->stream, data, bytes, text) : -ENOTCONN;
}

void web_link_end(struct web_link *link, unsigned status)
{
    if (link->is_open)
        web_stream_end(&link->stream, status);
    else
        lws_set_timeout(link->stream.wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}
