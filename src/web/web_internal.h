/* What the files of the web server share. */
#ifndef WEB_WEB_INTERNAL_H
#define WEB_WEB_INTERNAL_H

#include <libwebsockets.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/deadlines.h"
#include "web/web_client.h"
#include "web/web_server.h"

#define WEB_HEADERS_MAX    16
#define WEB_PARAMETERS_MAX 32
/* All headers of a request together; more is 431. */
#define WEB_HEADER_BYTES       (16 * 1024)
#define WEB_REPLY_HEADER_BYTES 2048
/* What is handed to the socket at once. */
#define WEB_CHUNK_BYTES (64 * 1024)
/* What is read from a socket at once; libwebsockets' own 4 KiB make long uploads slow. */
#define WEB_RECEIVE_BYTES (32 * 1024)

struct web_loop {
    struct uv_loop_s *uv;
    struct lws_context *lws;
    _Atomic bool stop;
    pthread_mutex_t lock; /* of the queue below */
    struct web_post *posts, **posts_end;
    struct web_vhost *vhosts;
    struct web_files *files; /* NULL until the first transfer */
    struct deadlines timers; /* us; libwebsockets keeps its own in a list that it walks */
    lws_sorted_usec_list_t first_timer;
    struct web_stream *streams; /* that are open */
    struct web_timer *silence;  /* looks at them; NULL until the first */
    int64_t ping_us, hangup_us;
    bool stopping; /* web_loop_destroy() has begun */
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
extern const lws_retry_bo_t web_loop_no_keepalive;

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
    /* The answer is out, but the client still sends a body that nobody wants: it is dropped for a
     * while, for a connection closed with unread bytes is reset, and the answer lost. */
    bool draining;
    uint64_t drained_bytes;
    int64_t drain_until_us;
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
    struct web_transfer *upload, *download; /* NULL: the body, the reply is in memory */
    bool body_in_file;
    struct web_body_done body_done;
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
    bool closing;        /* only its close frame is still to go out */
    /* Silence (web_silence.c). */
    struct web_loop *loop; /* NULL: not looked at */
    struct web_stream *next, **link;
    int64_t heard_us; /* when the peer last sent something */
    bool ping;        /* one is due */
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
/* A body that nobody wants any more. */
int web_request_drain(struct web_conn *conn, size_t bytes);
void web_request_abandon(struct web_conn *conn);
void web_request_free(struct web_request *r);
/* Reads path, parameters, headers and peer. Returns 0 or the HTTP status to refuse with. */
int web_request_read(struct web_request *r, struct web_server *s, struct lws *wsi);

/* Bodies that are written to files (web_upload.c): begin and accept return 0 or the HTTP status to
 * refuse with. */
int web_upload_begin(struct web_request *r, const struct web_body_file *file);
int web_upload_receive(struct web_request *r, const void *data, size_t bytes);
/* All has come; the request is handed over when it is written. */
void web_upload_complete(struct web_request *r);
/* The request is whole: to its handler (web_request.c). */
void web_request_hand_over(struct web_request *r);
/* Answers with a problem document; nothing may follow on the connection. */
void web_request_refuse(struct web_request *r, int status);

/* Transfers between a connection and a file (web_files.c): one thread a loop does the I/O, a list
 * of chunks is in between. All functions are for the loop's thread. */
struct web_files;
#define WEB_TRANSFER_MAX_BYTES (4 * WEB_CHUNK_BYTES) /* between the two, about */

struct web_chunk {
    struct web_chunk *next;
    size_t bytes, used; /* used: already sent */
    uint8_t data[WEB_CHUNK_BYTES];
};

struct web_transfer {
    struct web_files *files;
    struct web_transfer *next, **link; /* of all that there are */
    struct web_transfer *next_queued;
    bool writes; /* to the file: an upload */
    /* Under the files' lock. */
    bool queued, busy, stop;
    int code; /* errno value: what went wrong with the file */
    struct web_chunk *chunks, **chunks_end;
    size_t waiting_bytes; /* in chunks, and in those being written */
    /* The thread's while busy. */
    int fd;
    uint64_t offset, left; /* left: still to be read */
    EVP_MD_CTX *digest;
    /* The loop's. */
    unsigned seen;
    struct web_request *request; /* NULL: it has gone */
    /* Something changed: chunks were read or written, or it failed. */
    void (*news)(struct web_transfer *t);
    /* Nobody uses the file any more; frees what is the owner's. */
    void (*release)(struct web_transfer *t);
    struct web_server *server;
    void *user;
    struct web_timer *timer, *after; /* of a lap; of what must wait for libwebsockets */
    bool paused, paused_once, complete, ended;
    uint64_t lap_bytes; /* received since the timer was armed */
};

/* NULL: no memory, or no thread. */
struct web_transfer *web_files_begin(struct web_loop *l, bool writes, int fd, uint64_t offset,
                                     uint64_t bytes);
/* -ENOMEM. */
int web_files_put(struct web_transfer *t, const void *data, size_t bytes);
/* Takes up to `bytes` bytes that have been read. */
size_t web_files_take(struct web_transfer *t, void *data, size_t bytes);
/* Bytes between the two ends; *code as in the transfer, *busy: the thread has it. */
size_t web_files_look(struct web_transfer *t, int *code, bool *busy);
/* Its request has gone: freed at once or when the thread is through with it. */
void web_files_drop(struct web_transfer *t);
/* For web_loop_destroy(): the thread ends before the connections, what is left after them. */
void web_files_stop(struct web_files *f);
void web_files_destroy(struct web_files *f);

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

/* Streams that say nothing (web_silence.c): begun when the connection is open, ended with it. */
void web_silence_begin(struct web_loop *l, struct web_stream *s);
void web_silence_end(struct web_stream *s);
static inline void web_silence_heard(struct web_stream *s)
{
    s->heard_us = lws_now_usecs();
}
void web_silence_destroy(struct web_loop *l);

/* The server's WebSockets (web_socket.c). */
int web_socket_filter(struct web_server *s, struct lws *wsi, struct web_conn *conn);
void web_socket_destroy(struct web_conn *conn);

#endif
