/* Idempotency-Key: a request that is sent again has no second effect and gets the first answer.
 *
 * A key belongs to its user, and to one request: method, path, project and body. While that is
 * under way another one is refused (409). The answer is stored by the transaction that the request
 * makes; a later one is not looked up first, since few are retries: it runs, and either finds its
 * key there when it commits, or is refused (its name is taken by now, say) and then looks before it
 * says so. Kept for a day.
 *
 * Kept is what was answered, byte for byte, with its status and place. Answers with secrets are not
 * kept: a retry is told so (409 idempotency.secret), and of what. Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_KEY_H
#define MGMT_SERVER_SERVER_KEY_H

#include <stdbool.h>
#include <stddef.h>

struct server_call;
struct server_keys;
struct server_txn;

struct server_keys *server_keys_create(void);
void server_keys_destroy(struct server_keys *k);

/* Before the handler runs; nothing to do without a key. Errors: EBUSY (idempotency.in_flight);
 * ENOMEM (server.busy). */
int server_key_begin(struct server_call *c);
/* The call is answered. */
void server_key_end(struct server_call *c);
/* A call is about to be refused: true: it is answered later, by what its key says. */
bool server_key_look(struct server_call *c);

/* What the call's transaction remembers: t->answer, or what was given to server_key_keep(). */
void server_key_add(struct server_txn *t);
/* For calls that are answered by `done`: the answer that a retry shall get, without secrets; before
 * the commit. What is not given is taken for a secret, unless the answer has no body (204). */
void server_key_keep(struct server_txn *t, int status, const char *text, size_t bytes);

#endif
