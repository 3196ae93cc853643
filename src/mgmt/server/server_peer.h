/* Other servers on the same store: whether they live. Each says so by a counter that it raises now
 * and then, which the others follow.
 *
 * A host is connected to one server, which alone hears it. So only that one ends its lease; the
 * others do when that server is gone.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_PEER_H
#define MGMT_SERVER_SERVER_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "mgmt/store/store.h"

struct server;
struct server_peers;

#define SERVER_PEER_COUNTER  "server_alive" /* the counter's name; its owner is the server */
#define SERVER_PEER_LEASE_NS (INT64_C(20) * 1000000000)

struct server_peers *server_peers_create(void);
/* After the store was closed. NULL is allowed. */
void server_peers_destroy(struct server_peers *p);

/* Whether a counter is another server's saying, which is taken then. `now_ns`: monotonic. */
bool server_peer_heard(struct server *s, const struct store_id *owner, struct store_text name,
                       int64_t now_ns);
/* Whether a server other than this one was heard within its lease. */
bool server_peer_lives(struct server *s, const char *id_text, int64_t now_ns);
/* Says that this one lives, if others may listen: once a second. */
void server_peer_tick(struct server *s);

#endif
