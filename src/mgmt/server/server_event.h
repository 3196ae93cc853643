/* Events: the newest in memory, older ones in the store, and those who read them.
 *
 * What is committed is shown in the order of positions. A server that is alone on its store shows
 * what its own transactions made; one of several shows what the store has, own events too, when the
 * follower brings them: so "after N" means the same at each of them. */
#ifndef MGMT_SERVER_SERVER_EVENT_H
#define MGMT_SERVER_SERVER_EVENT_H

#include <stdbool.h>

#include "mgmt/server/server_internal.h"

struct server_event {
    uint64_t position;
    struct store_id project, object;
    uint8_t kind;
    const char *type;
    const char *text; /* the CloudEvent, as it is sent */
    size_t bytes;
};

/* Who reads, and what. */
struct server_event_filter {
    struct auth_principal who;
    bool all; /* projects; else: this one */
    struct store_id project;
    char type[128];    /* begins with this; empty: any */
    char subject[256]; /* empty: any */
};
/* By the call, and the query's type and subject. Errors: EINVAL (query.invalid). */
int server_event_filter_init(struct server_event_filter *f, struct server_call *c,
                             const struct api_text *type, const struct api_text *subject);
/* Whether it is of what is asked for; and whether the reader may see it (the loop's thread). */
bool server_event_asked(const struct server_event_filter *f, const struct server_event *e);
bool server_event_may(struct server *s, const struct server_event_filter *f,
                      const struct server_event *e);
/* The number behind `after`; absent: that of the newest event. Errors: EINVAL (query.invalid). */
int server_event_after(struct server_call *c, const struct api_text *after, uint64_t *position);

/* A reader is told of each new event, when the server ends (`end` may be NULL), and when there were
 * events that it cannot be told of any more. Embedded in its user; add and remove in the loop's
 * thread. */
struct server_event_reader {
    void (*event)(struct server_event_reader *r, const struct server_event *e);
    void (*end)(struct server_event_reader *r);
    void (*lost)(struct server_event_reader *r);
    struct server_event_reader *next, **link;
};
void server_event_add(struct server *s, struct server_event_reader *r);
void server_event_remove(struct server_event_reader *r);

/* Events up to a position have expired before they were shown here. */
void server_events_lost(struct server *s, uint64_t position);

/* The newest position, and the one after which all are in memory. */
uint64_t server_event_newest(const struct server *s);
uint64_t server_event_memory(const struct server *s);
/* The first in memory after a position; NULL: none. Borrowed until the next is published. */
const struct server_event *server_event_next(const struct server *s, uint64_t after);

/* Reads older events: at most `limit` that are asked for, of a bounded number of rows. */
struct server_event_fetch {
    struct server_job job;
    struct server *s;
    struct server_event_filter filter;
    uint64_t after; /* in and out */
    unsigned limit;
    int result; /* -ESTALE: they are no longer kept; -EAGAIN */
    bool end;   /* there was nothing more */
    struct server_event *events;
    size_t n, bytes;
    unsigned rows;
    struct err err;
};
/* Submits; job.done is the caller's. Errors: EAGAIN. */
int server_event_fetch(struct server_event_fetch *f);
void server_event_fetch_fini(struct server_event_fetch *f);

extern const struct server_route server_event_routes[];

#endif
