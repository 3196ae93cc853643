/* One of several servers on a store: what the others commit comes here too.
 *
 * A thread asks the store for everything after what is known, again and again, and hands it to the
 * loop, which shows it: objects (unless what is shown is as new), counters, then the events up to
 * there. Own commits come back too and are skipped by their numbers. */
#ifndef MGMT_SERVER_SERVER_FOLLOW_H
#define MGMT_SERVER_SERVER_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct server;
struct server_call;
struct server_follow;
struct store_record;

/* From a seq on that is shown in full, every `ms`. */
struct server_follow *server_follow_create(struct server *s, uint64_t seq, unsigned ms,
                                           struct err *err);
/* Ends the thread, and refuses the calls that wait. NULL is allowed. */
void server_follow_end(struct server_follow *f);
/* After the loop and the store have ended. NULL is allowed. */
void server_follow_destroy(struct server_follow *f);

/* A commit that this server shows in full: nothing before it is missing. */
uint64_t server_follow_seq(const struct server *s);
/* A call says that it has seen a commit (Virga-Seq) that is not shown here yet: true: it begins
 * when it is, or is refused after a while. */
bool server_follow_await(struct server_call *c, uint64_t seq);
/* A call's decision was overtaken: true: it runs again when what is committed now is shown. */
bool server_follow_again(struct server_call *c);

/* What the store says of one thing, taken into the catalog and the counters (server.c). */
int server_follow_record(struct server *s, const struct store_record *r, struct err *err);

#endif
