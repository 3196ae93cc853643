/* What the files of the web server share. */
#ifndef WEB_WEB_INTERNAL_H
#define WEB_WEB_INTERNAL_H

#include <libwebsockets.h>
#include <pthread.h>
#include <stdatomic.h>

#include "web/web_client.h"
#include "web/web_server.h"

#define WEB_HEADERS_MAX    16
#define WEB_PARAMETERS_MAX 32
/* All headers of a request together; more is 431. */
#define WEB_HEADER_BYTES       (16 * 1024)
#define WEB_REPLY_HEADER_BYTES 2048
/* What is handed to the socket at once. */
#define WEB_CHUNK_BYTES (64 * 1024)

struct web_loop {
    struct lws_context *lws;
    _Atomic bool stop;
    pthread_mutex_t lock; /* of the queue below */
    struct web_post *posts, **posts_end;
    struct web_vhost *vhosts;
};

/* What libwebsockets calls a vhost: a server that listens, or the certificates of a client. First
 * in each of the two. */
struct web_vhost {
    struct web_loop *loop;
    struct lws_vhost *lws;
    int (*on_event)(struct web_vhost *v, struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t bytes);
    /* The log said that a request's headers had no room; NULL for clients. */
    void (*on_overflow)(struct web_vhost *v);
    struct web_vhost *next;
};
extern const struct lws_protocols web_loop_protocols[];
extern const lws_retry_bo_t web_loop_keepalive;

struct web_server {
    struct web_vhost vhost; /* first */
    struct web_config config;
    struct web_conn *conns;
    struct web_request *requests; /* those whose connection lives or whose reply is to come */
    uint8_t *scratch;             /* LWS_PRE + headers + WEB_CHUNK_BYTES, the loop's thread */
};

/* A connection: what libwebsockets keeps a pointer to. */
struct web_conn {
    struct web_conn *next, **link;
    struct lws *wsi;
    struct web_request *request;
    struct web_socket *socket;
};

struct web_request {
    struct web_server *server;
    struct lws *wsi; /* NULL once the connection has gone */
    struct web_request *next, **link;
    enum web_method method;
    char *path;
    char *parameters[WEB_PARAMETERS_MAX];
    char *headers[WEB_HEADERS_MAX]; /* as in web_config.headers */
    char *peer_name;
    char peer_address[64];
    char *body;
    size_t body_bytes, body_expected;
    bool handed_over, replied, closing; /* closing: the body was not read, so nothing may follow */
    char reply_headers[WEB_REPLY_HEADER_BYTES];
    size_t reply_headers_bytes;
    char *reply;
    size_t reply_bytes, reply_sent;
    bool reply_begun;
    int status;
};

struct web_message {
    struct web_message *next;
    size_t bytes;
    bool text;
    uint8_t data[]; /* LWS_PRE bytes, then the message */
};

/* Either end of a WebSocket: messages put together, and a bounded queue out. */
struct web_stream {
    struct lws *wsi;
    size_t message_max_bytes, queue_max_bytes;
    void (*message)(void *session, const char *data, size_t bytes, bool text);
    void *session;
    struct web_message *queue, **queue_end;
    size_t queued_bytes;
    char *in;
    size_t in_bytes, in_capacity;
    unsigned end_status; /* 0: it goes on */
};

struct web_socket {
    struct web_stream stream; /* first */
    const struct web_socket_ops *ops;
};

/* Request (web_request.c). Each returns what libwebsockets' callback shall: 0, or -1 to close. */
int web_request_begin(struct web_server *s, struct lws *wsi, struct web_conn *conn);
int web_request_receive(struct web_request *r, const void *data, size_t bytes);
int web_request_complete(struct web_conn *conn);
int web_request_write(struct web_conn *conn);
void web_request_abandon(struct web_conn *conn);
void web_request_free(struct web_request *r);
/* Reads path, parameters, headers and peer. Returns 0 or the HTTP status to refuse with. */
int web_request_read(struct web_request *r, struct web_server *s, struct lws *wsi);

/* Refusals of our own (web_refuse.c): a problem document's text and its length; and a whole answer
 * straight to the socket, where libwebsockets would close without one. */
#define WEB_PROBLEM_BYTES 160
#define WEB_PROBLEM_TYPE  "application/problem+json"
size_t web_problem(char text[static WEB_PROBLEM_BYTES], int status);
void web_refuse_raw(struct lws *wsi, int status);
/* Answers 431 on the connection whose headers were just found to be too long, if it is known. */
void web_refuse_overflow(struct web_server *s);

/* Streams (web_stream.c), the same; send returns as web_socket_send() does. */
void web_stream_init(struct web_stream *s, struct lws *wsi);
void web_stream_fini(struct web_stream *s);
int web_stream_receive(struct web_stream *s, const char *data, size_t bytes);
int web_stream_write(struct web_stream *s);
int web_stream_send(struct web_stream *s, const char *data, size_t bytes, bool text);
void web_stream_end(struct web_stream *s, unsigned status);

/* The server's WebSockets (web_socket.c). */
int web_socket_filter(struct web_server *s, struct lws *wsi, struct web_conn *conn);
void web_socket_destroy(struct web_conn *conn);

#endif
