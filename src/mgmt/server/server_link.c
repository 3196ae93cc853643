/* Connections of agents: hello, welcome, inventory; what is seen goes to the objects, what is
 * wanted goes out whole when a host connects and object by object after. */
#include "mgmt/server/server_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_command.h"
#include "mgmt/server/server_console.h"
#include "mgmt/server/server_desired.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_storage.h"
#include "pki/pki.h"

#define HEARTBEAT_MS    5000
#define USAGE_MS        60000
#define CERT_DAYS       825
#define QUEUE_MAX_BYTES (32u << 20)

struct server_link {
    struct server *s;
    struct web_socket *socket;
    struct store_id host; /* as the certificate says */
    bool welcomed;
};

static struct server_host *host_of(const struct server_link *l)
{
    struct server_host *host = server_host_find(l->s, &l->host);
    return host && host->link == l ? host : NULL;
}

static int send_text(struct server_link *l, enum link_type type, void *body)
{
    struct api_buf b;
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_write(type, body, &b);
    int r = b.failed ? -ENOMEM : web_socket_send(l->socket, b.text, b.bytes, true);
    api_buf_fini(&b);
    return r;
}

void server_link_send(struct server_link *l, enum link_type type, void *body)
{
    if (!send_text(l, type, body))
        return;
    LOG_LIMITED(LOG_WARN, "server", "an agent does not read what it is sent: %s",
                link_type_name(type));
    web_socket_end(l->socket, 1013);
}

void server_link_stream(struct server_link *l, uint32_t stream, const char *data, size_t bytes)
{
    struct api_buf b;
    while (bytes) {
        size_t n = MIN(bytes, (size_t)LINK_STREAM_DATA_MAX_BYTES);
        api_buf_init(&b, LINK_STREAM_HEAD_BYTES + LINK_STREAM_DATA_MAX_BYTES);
        link_stream_write(stream, data, n, &b);
        int r = b.failed ? -ENOMEM : web_socket_send(l->socket, b.text, b.bytes, false);
        api_buf_fini(&b);
        if (r) {
            web_socket_end(l->socket, 1013);
            return;
        }
        data += n;
        bytes -= n;
    }
}

/* Whoever waits for something of this connection waits in vain. */
static void forget(struct server_link *l, struct server_host *host)
{
    host->link = NULL;
    server_command_lost(l->s, &l->host);
    server_console_lost(l->s, &l->host);
    if (!l->s->ending)
        server_storage_pools_seen(l->s, &l->host, NULL, 0);
    host->has_seq = 0; /* it may be connected to another server by now */
}

static void refuse(struct server_link *l, enum link_refuse_code code, const char *reason)
{
    struct link_refuse body = {.reason = {API_VALUE, reason}};
    body.code.is = API_VALUE;
    body.code.v = code;
    (void)send_text(l, LINK_TYPE_REFUSE, &body);
    web_socket_end(l->socket, 1008);
}

void server_link_end(struct server_link *l, const char *why)
{
    struct server_host *host = host_of(l);
    log_line(LOG_INFO, "server", "the connection of a host is closed: %s", why);
    if (host)
        forget(l, host);
    web_socket_end(l->socket, 1001);
}

/* ---- messages ---- */

static void welcome(struct server_link *l, int64_t protocol)
{
    char id[UUID_TEXT_BYTES];
    uuid_format(l->s->config.id.bytes, id);
    struct link_welcome body = {
        .protocol = {API_VALUE, MIN(protocol, LINK_PROTOCOL)},
        .server = {API_VALUE, id},
        .heartbeat_ms = {API_VALUE, HEARTBEAT_MS},
        .usage_ms = {API_VALUE, USAGE_MS},
    };
    l->welcomed = true;
    server_link_send(l, LINK_TYPE_WELCOME, &body);
}

static void take_hello(struct server_link *l, const struct link_hello *hello)
{
    struct store_id id;
    struct server_host *host = server_host_find(l->s, &l->host);
    const struct catalog_slot *slot = catalog_find(l->s->catalog, CATALOG_HOST, &l->host);
    link_uuid(&hello->host, id.bytes);
    if (memcmp(&id, &l->host, sizeof(id)) != 0 || !host || !slot) {
        refuse(l, LINK_REFUSE_CODE_UNKNOWN_HOST, "this cloud has no such host: join again");
        return;
    }
    if (server_host_fenced(l->s, &l->host)) {
        refuse(l, LINK_REFUSE_CODE_FENCED, "the host is fenced: activate it first");
        return;
    }
    if (host->link && host->link != l) {
        refuse(host->link, LINK_REFUSE_CODE_REPLACED, "a newer connection of this host came");
        forget(l, host);
    }
    host->link = l;
    host->heard_ns = clock_now_ns();
    link_uuid(&hello->boot, host->boot.bytes);
    welcome(l, hello->protocol.v);
    (void)fault_point("server_link.hello.welcomed");
    server_desired_all(l->s, host);
    (void)fault_point("server_link.hello.told");
}

static void take(struct server_link *l, const struct link_message *m, struct api_arena *arena)
{
    struct server_host *host = host_of(l);
    if (m->type == LINK_TYPE_HELLO) {
        take_hello(l, m->hello);
    } else if (host && l->welcomed) {
        host->heard_ns = clock_now_ns();
        server_link_take(l->s, host, m, arena);
    }
}

static void take_stream(struct server_link *l, const char *frame, size_t frame_bytes)
{
    uint32_t stream;
    const char *data;
    size_t bytes;
    if (link_stream_read(frame, frame_bytes, &stream, &data, &bytes))
        web_socket_end(l->socket, 1007);
    else if (host_of(l))
        server_console_data(l->s, &l->host, stream, data, bytes);
}

static void on_message(void *session, const char *data, size_t bytes, bool text)
{
    struct server_link *l = session;
    struct api_arena arena;
    struct link_message m;
    struct err err = {0};
    if (!text) {
        take_stream(l, data, bytes);
        return;
    }
    api_arena_init(&arena, LINK_ARENA_BYTES);
    if (link_read(LINK_AGENT, data, bytes, &arena, &m, &err)) {
        LOG_LIMITED(LOG_WARN, "server", "an agent says what cannot be read: %s", err.msg);
        web_socket_end(l->socket, 1007);
    } else {
        take(l, &m, &arena);
    }
    api_arena_fini(&arena);
}

static int on_open(void *ctx, const struct web_request *request, struct web_socket *socket,
                   void **session)
{
    struct server *s = ctx;
    const char *name = web_request_peer_name(request);
    struct store_id id;
    if (!name || catalog_id_parse(name, &id))
        return 403;
    if (!server_host_find(s, &id))
        return 403;
    struct server_link *l = calloc(1, sizeof(*l));
    if (!l)
        return 503;
    l->s = s;
    l->socket = socket;
    l->host = id;
    *session = l;
    return 0;
}

static void on_close(void *session)
{
    struct server_link *l = session;
    struct server_host *host = host_of(l);
    if (host)
        forget(l, host);
    free(l);
}

/* ---- what is wanted ---- */

struct server_link *server_link_to(struct server *s, const struct store_id *id)
{
    struct server_host *host = catalog_id_is_zero(id) ? NULL : server_host_find(s, id);
    return host && host->link && host->link->welcomed && !s->ending ? host->link : NULL;
}

void server_link_gone(struct server *s, const struct store_id *host, const struct catalog_object *v)
{
    struct server_link *l = server_link_to(s, host);
    const char *ids[] = {v->id_text};
    struct link_gone body = {0};
    if (!l)
        return;
    if (v->kind == CATALOG_VM)
        body.vms = (struct api_texts){API_VALUE, 1, ids};
    else if (v->kind == CATALOG_PORT)
        body.ports = (struct api_texts){API_VALUE, 1, ids};
    else
        body.volumes = (struct api_texts){API_VALUE, 1, ids};
    server_link_send(l, LINK_TYPE_GONE, &body);
}

/* ---- the listener ---- */

/* A host that joins has no certificate yet, and knows the server by its authority. */
static void take_request(void *ctx, struct web_request *request)
{
    if (!strcmp(web_request_path(request), "/v1/host-joins"))
        server_call_begin(ctx, request);
    else if (!server_image_give(ctx, request))
        web_reply(request, 404, NULL, NULL, 0);
}

static int write_file(const char *path, const char *text, struct err *err)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t bytes = strlen(text);
    if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes)
        return err_sys(err, errno, "cannot write %s", path);
    return 0;
}

/* A new key and certificate at each start: nothing of it has to be kept. */
static int make_certificate(struct server *s, const char *paths[3], struct err *err)
{
    static const struct store_id nobody;
    const char *names[] = {"localhost", "127.0.0.1", s->config.agents_name, NULL};
    const struct pki_subject subject = {"virgad", PKI_SERVER, CERT_DAYS, names};
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_SETTINGS, &nobody);
    const struct catalog_own *own = slot ? slot->now->own : NULL;
    if (!own || own->key.is != API_VALUE || own->cert.is != API_VALUE)
        return err_set(err, ENOENT, "this cloud has no authority for certificates");
    char *key = pki_key_create(err);
    CLEANUP_FREE char *request = key ? pki_request_create(key, err) : NULL;
    CLEANUP_FREE char *cert =
        request ? pki_sign(own->key.v, own->cert.v, request, &subject, err) : NULL;
    /* With the authority's behind it, by which a host that joins knows us. */
    CLEANUP_FREE char *chain = cert ? malloc(strlen(cert) + strlen(own->cert.v) + 1) : NULL;
    if (chain)
        strcat(strcpy(chain, cert), own->cert.v);
    int r = chain ? write_file(paths[0], chain, err) : -EIO;
    if (!r)
        r = write_file(paths[1], key, err);
    if (!r)
        r = write_file(paths[2], own->cert.v, err);
    pki_wipe(key);
    free(key);
    return r;
}

int server_link_listen(struct server *s, struct err *err)
{
    static const struct web_socket_ops ops = {on_open, on_message, on_close};
    static const struct web_endpoint endpoints[] = {{LINK_PATH, &ops}, {NULL, NULL}};
    char cert[512], key[512], authority[512];
    if (!s->config.state_dir)
        return 0; /* nowhere to keep a certificate: no agents */
    const char *paths[] = {cert, key, authority};
    if (!s->config.state_dir)
        return 0; /* no place for certificates: a server without agents */
    snprintf(cert, sizeof(cert), "%s/agents.crt", s->config.state_dir);
    snprintf(key, sizeof(key), "%s/agents.key", s->config.state_dir);
    snprintf(authority, sizeof(authority), "%s/authority.crt", s->config.state_dir);
    int r = make_certificate(s, paths, err);
    if (r)
        return r;
    const struct web_config config = {
        .address = s->config.agents_address,
        .port = s->config.agents_port,
        .cert_path = cert,
        .key_path = key,
        .client_ca_path = authority,
        .body_max_bytes = 65536,
        .headers = server_call_headers,
        .message_max_bytes = LINK_MESSAGE_MAX_BYTES,
        .queue_max_bytes = QUEUE_MAX_BYTES,
        .handle = take_request,
        .endpoints = endpoints,
        .ctx = s,
    };
    s->agents_web = web_server_create(s->loop, &config, err);
    return s->agents_web ? 0 : -EIO;
}
