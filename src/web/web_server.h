/* The HTTP/1.1 and WebSocket server of the daemons, over libwebsockets: one thread, any number of
 * connections, plain or TLS. A request is handed over whole, body and all (in memory, or written to
 * a file as it came), and is answered at once or later, from memory or from a file; a reply to a
 * client that has gone is dropped. What every HTTP API must get right is here and not in the
 * handlers: bounds on headers and bodies, requests without a length, HEAD.
 *
 * Theory of operation: libwebsockets calls one function with what happened on a connection
 * (web_event.c). A `struct web_request` lives from the end of its headers to the end of its reply,
 * or, if the connection ends first, until the handler has replied: so a handler may keep the
 * pointer while it waits for a commit. Other threads reach the server's thread by
 * web_server_post(). */
#ifndef WEB_WEB_SERVER_H
#define WEB_WEB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "web/web_loop.h"

struct web_server;
struct web_request;
struct web_socket;

/* In the order of web_method_name(). */
enum web_method {
    WEB_GET,
    WEB_HEAD,
    WEB_POST,
    WEB_PUT,
    WEB_PATCH,
    WEB_DELETE,
    WEB_OPTIONS,
};
const char *web_method_name(enum web_method method);

/* What a WebSocket endpoint does; every slot is called in the loop's thread. */
struct web_socket_ops {
    /* A client asks for the endpoint. The request (headers, path, peer) is valid during the call.
     * Returns 0 to accept, having set `*session`, or the HTTP status to refuse with. */
    int (*open)(void *ctx, const struct web_request *request, struct web_socket *socket,
                void **session);
    /* A whole message, at most message_max_bytes long. May be NULL: messages are dropped. */
    void (*message)(void *session, const char *data, size_t bytes, bool text);
    /* The connection ended; `socket` must not be used any more. */
    void (*close)(void *session);
};

struct web_endpoint {
    const char *path; /* exact */
    const struct web_socket_ops *ops;
};

/* Where a request's body is to be written instead of being gathered in memory. */
struct web_body_file {
    int fd;             /* written from its beginning; borrowed until body_ended() */
    uint64_t max_bytes; /* more is 413, before anything is written */
    bool sha256;        /* of what is written */
    void *user;         /* for body_ended() and web_request_body_done() */
};
/* What body() returns; or the HTTP status to refuse with. */
#define WEB_BODY_MEMORY 0
#define WEB_BODY_FILE   1

struct web_body_done {
    void *user;
    uint64_t bytes;
    uint8_t sha256[32]; /* zeroes unless it was asked for */
};

struct web_config {
    const char *address;        /* IPv4 or IPv6 address; NULL: all */
    uint16_t port;              /* 0: any free one, see web_server_port() */
    const char *cert_path;      /* PEM; NULL: no TLS */
    const char *key_path;       /* PEM */
    const char *client_ca_path; /* PEM: ask clients for a certificate of this CA; may be NULL */
    size_t body_max_bytes;      /* more is 413 */
    size_t message_max_bytes;   /* more ends a WebSocket with 1009 */
    size_t queue_max_bytes;     /* unsent WebSocket bytes over which web_socket_send() refuses */
    unsigned idle_timeout_s;    /* of a connection between requests, and within one; 0: 30 */
    /* Names, in lower case, of the request headers that handlers may ask for; NULL-terminated. */
    const char *const *headers;
    /* The loop's thread. Must see to it that web_reply() is called, now or later. */
    void (*handle)(void *ctx, struct web_request *request);
    /* A request has headers that say that a body follows: where to? Path, method, parameters,
     * headers and peer are there to decide by. May be NULL: all go to memory. The loop's thread.
     * The file is written by another thread, with some 256 KiB in between; a client that is
     * faster than the disk waits. */
    int (*body)(void *ctx, const struct web_request *request, struct web_body_file *file);
    /* Once for each WEB_BODY_FILE, when nothing writes to `fd` any more. 0: the body is whole, and
     * handle() follows. Else handle() is not called: ECONNRESET (the client went away), ETIMEDOUT
     * (it sent less than 1 KiB/s for idle_timeout_s; told 408), E2BIG (413), ENOSPC, EDQUOT, EFBIG
     * (507; also when the file system has no room for the length that was said), ECANCELED (the
     * loop ends), others (500). May be NULL. */
    void (*body_ended)(void *ctx, void *user, int code);
    const struct web_endpoint *endpoints; /* ended by a NULL path; may be NULL */
    /* The endpoint of a path that is not among those; NULL: there is none (404). May be NULL. */
    const struct web_socket_ops *(*find_endpoint)(void *ctx, const struct web_request *request);
    void *ctx;
};

/* Listens; served by the loop's thread. The strings of `config` are copied; tables (headers,
 * endpoints) are borrowed. Before the loop runs, or in its thread.
 * Errors: what could not be bound or loaded, by name. */
struct web_server *web_server_create(struct web_loop *loop, const struct web_config *config,
                                     struct err *err);
/* After web_loop_run() has returned. Closes all connections (sessions get close()) with the loop:
 * web_loop_destroy() comes first. Requests that were not answered may still be replied to: the
 * replies are dropped. */
void web_server_destroy(struct web_server *s);
uint16_t web_server_port(const struct web_server *s);

/* What was asked. Strings are borrowed and live as long as the request. */
enum web_method web_request_method(const struct web_request *r);
/* Percent-decoded, begins with '/'. */
const char *web_request_path(const struct web_request *r);
/* The i-th "name=value" of the query, percent-decoded; NULL past the last. */
const char *web_request_parameter(const struct web_request *r, unsigned i);
/* NULL when it was not sent, or is not among web_config.headers. */
const char *web_request_header(const struct web_request *r, const char *name);
const char *web_request_body(const struct web_request *r, size_t *bytes);
/* How the body was written to a file; NULL when it was not. */
const struct web_body_done *web_request_body_done(const struct web_request *r);
/* Common name of the client's verified certificate, or NULL. */
const char *web_request_peer_name(const struct web_request *r);
/* Address of the client, as text. */
const char *web_request_peer_address(const struct web_request *r);

/* Adds a header to the reply to come. Errors: ENOMEM; EINVAL for control characters in it. */
int web_reply_header(struct web_request *r, const char *name, const char *value);
/* Answers, once. The body is copied. The loop's thread. `type` may be NULL with an empty body. */
void web_reply(struct web_request *r, int status, const char *type, const char *body, size_t bytes);
/* The same with a body of `bytes` bytes from an offset of a file, which is read as the client takes
 * it. Owns: fd, which is closed in any case. A file that turns out to be shorter ends the
 * connection. */
void web_reply_file(struct web_request *r, int status, const char *type, int fd, uint64_t offset,
                    uint64_t bytes);

/* Queues a message. The data is copied. Errors: EAGAIN when more than queue_max_bytes wait: the
 * peer does not read; ENOMEM. The loop's thread. */
int web_socket_send(struct web_socket *socket, const char *data, size_t bytes, bool text);
/* Bytes that wait to be sent. The loop's thread. */
size_t web_socket_queued(const struct web_socket *socket);
/* Ends the connection with a status (RFC 6455, 7.4) after what is queued. The loop's thread. */
void web_socket_end(struct web_socket *socket, unsigned status);

#endif
