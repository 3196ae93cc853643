/* The server's parts: connections (control_conn.c) carry requests to routes (control_routes.c),
 * which answer from the VM's ops; events (control_events.c) are a ring that streams read. */
#ifndef CONTROL_CONTROL_INTERNAL_H
#define CONTROL_CONTROL_INTERNAL_H

#include "control/control.h"
#include "control/control_http.h"

#define CONTROL_CONNS_MAX   16
#define CONTROL_STREAMS_MAX 8
#define CONTROL_EVENTS      64

struct control_event_record {
    uint64_t sequence;
    int64_t time_ms; /* since 1970 */
    enum vm_api_event event;
    char device[VM_CONFIG_ID_BYTES];
    char text[160];
};

/* A client. Reads while nothing is to be written, so that what waits is bounded by one answer. */
struct control_conn {
    struct control *c;
    struct loop_fd watch;
    struct loop_timer deadline;
    char *in; /* head and body of at most one request, and what was pipelined behind it */
    size_t in_len;
    struct control_fds fds;
    char *out;
    size_t out_len, out_at;
    bool close_after; /* what is in `out` */
    bool stop_after;
    bool told_to_continue;
    bool streaming;
    uint64_t next_event;
};

struct control {
    struct loop *loop;
    const struct control_ops *ops;
    void *vm;
    void (*stopped)(void *vm);
    uid_t allowed_uid;
    struct loop_fd listener;
    bool accepting;
    struct control_conn *conns[CONTROL_CONNS_MAX];
    uint64_t last_event; /* sequence of the newest; the first is 1 */
    struct control_event_record events[CONTROL_EVENTS];
    struct loop_post wake_streams;
};

/* What a route answers with. Exactly one of body and err is looked at. */
struct control_answer {
    int status;
    char *body; /* JSON, malloc'd; NULL with a problem or a stream */
    bool stream;
    bool stop;
    uint64_t since;
    bool lines;       /* the body is JSON lines */
    char allow[40];   /* with 405: the methods that this resource takes */
    const char *code; /* a problem's stable code; NULL: the body is the answer */
    struct err err;
};

/* Runs the request against the VM. Always fills *answer. */
void control_route(struct control *c, const struct control_http_request *request, const char *body,
                   size_t body_bytes, struct control_fds *fds, struct control_answer *answer);

/* A problem document (RFC 9457). Owns: free(). */
char *control_problem(int status, const char *code, const char *detail);

/* The events after `since` as JSON lines, as many as fit; *since moves past them. Owns: free(). */
char *control_events_text(const struct control *c, uint64_t *since, size_t *bytes);

int control_conn_create(struct control *c, int fd, struct err *err);
void control_conn_destroy(struct control_conn *conn);
/* Writes what the stream has not seen, if it is not still writing. */
void control_conn_stream(struct control_conn *conn);
/* Closes the connection that has been idle for longest; false when none is. */
bool control_conn_evict(struct control *c);

#endif
