/* What the files of the noun identity share: who is an administrator, passwords, sessions. */
#ifndef MGMT_SERVER_SERVER_IDENTITY_H
#define MGMT_SERVER_SERVER_IDENTITY_H

#include "mgmt/server/server_internal.h"

extern const struct server_route server_identity_user_routes[];
extern const struct server_route server_identity_role_routes[];
extern const struct server_route server_identity_token_routes[];
extern const struct server_route server_identity_session_routes[];
extern const struct server_route server_identity_quota_routes[];

/* The most objects that go with another one in its transaction: each takes an operation. */
#define SERVER_IDENTITY_WITH_MAX 200

/* ---- server_role.c ---- */

/* Before an administrator of the cloud goes: the user `user`, or the assignment `role`, the other
 * one NULL. Refused if nobody else could sign in as one. Otherwise the transaction writes the
 * settings too, if it is one that goes: so of two such changes, also on two servers, the second
 * sees what the first has left. Returns as handlers do. */
int server_identity_spare_admin(struct server_call *c, struct server_txn *t,
                                const struct catalog_object *user,
                                const struct catalog_object *role);
/* Removes the role assignments and tokens of a user, or those in a project, in the transaction that
 * removes that. Returns as handlers do: resource.in_use, where there are too many. */
int server_identity_remove_with(struct server_call *c, struct server_txn *t,
                                const struct catalog_object *v);

/* ---- server_password.c: what a handler does about passwords ---- */

/* Each of these returns 0 once it has been done: *hash (where there is one) is the text to keep.
 * Before that 1 (SERVER_IDENTITY_LATER): the handler returns 0 then, and is run again. What is
 * negative it returns. A call hashes once and verifies once. */
#define SERVER_IDENTITY_LATER 1
/* A new password. Wipes the one that it is given. */
int server_identity_hash(struct server_call *c, const char *password, const char **hash);
/* Whether it is the one that `stored` (NULL: nobody's) was made from. *hash: a new text for it,
 * where the stored one is to be replaced; else NULL. `detail` is what the refusal says. */
int server_identity_verify(struct server_call *c, const char *password, const char *stored,
                           const char *detail, const char **hash);
/* Whether the caller's address may try a password now: rate.limited. */
int server_identity_login_rate(struct server_call *c);

/* ---- server_session.c ---- */

/* Ends the stored sessions of a user in the transaction that makes them void (own.serial). */
int server_identity_end_sessions(struct server_call *c, struct server_txn *t,
                                 const struct catalog_object *user);
/* Bytes as hexadecimal; `text` has room for 2 * bytes + 1. */
void server_identity_hex(const uint8_t *bytes, size_t n, char *text);
bool server_identity_is_session(const struct catalog_object *token);
/* Notes that a session or a token was used, no more than once a minute. */
void server_identity_used(struct server_call *c);
/* What the settings say of sessions. */
void server_identity_settings(struct server *s, const struct catalog_object *settings);
/* Begins to sweep expired sessions, once a minute. */
int server_identity_start(struct server *s, struct err *err);
/* One sweep: of what has expired at that time. */
void server_identity_sweep(struct server *s, int64_t now_ms);

#endif
