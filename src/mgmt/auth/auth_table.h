/* Who there is, in memory: users, role assignments, API tokens, sessions, tickets.
 *
 * The server puts what the store holds, in any order (a role may come before its user: it counts
 * once the user is there), and asks mgmt/auth/auth.h. Sessions and tickets live here only, unless
 * the server stores sessions too: then it puts those of other servers, as it does tokens.
 *
 * A user who is disabled or removed is nobody from that call on, whatever tokens are still there.
 * Time is an argument (ms since 1970, wall clock). Threads: none of its own; the user's. */
#ifndef MGMT_AUTH_AUTH_TABLE_H
#define MGMT_AUTH_AUTH_TABLE_H

#include <stddef.h>

#include "mgmt/auth/auth_record.h"

#define AUTH_TABLE_SESSION_IDLE_MS      (INT64_C(8) * 3600 * 1000)      /* each use moves the end */
#define AUTH_TABLE_SESSION_LONGEST_MS   (INT64_C(7) * 24 * 3600 * 1000) /* but not beyond this */
#define AUTH_TABLE_SESSIONS_A_USER      64 /* one more ends the one that was not used longest */
#define AUTH_TABLE_SESSION_RATE_PER_MIN 6000
#define AUTH_TABLE_TICKET_MS            (INT64_C(30) * 1000) /* api/identity.yaml: Ticket */
#define AUTH_TABLE_TICKETS_MAX          65536
#define AUTH_TABLE_TICKETS_A_USER       256

struct auth_table;
struct auth_principal; /* mgmt/auth/auth.h */

struct auth_table *auth_table_create(struct err *err);
void auth_table_destroy(struct auth_table *t);

/* Put: adds, or replaces what has that id. Errors: ENOMEM, EINVAL (an id that is zero, a name that
 * is too long, a rate of zero); EEXIST: another token has this hash. Nothing has changed then.
 * Remove: of what is not there is nothing. */
int auth_table_put_user(struct auth_table *t, const struct auth_user *user);
void auth_table_remove_user(struct auth_table *t, const struct auth_id *id);
int auth_table_put_role(struct auth_table *t, const struct auth_role *role);
void auth_table_remove_role(struct auth_table *t, const struct auth_id *id);
int auth_table_put_token(struct auth_table *t, const struct auth_api_token *token);
void auth_table_remove_token(struct auth_table *t, const struct auth_id *id);

/* What signing in needs. Borrowed until the next change. NULL: no such user; of two that have the
 * name for a moment (a rename that is followed half) the one put last. */
const struct auth_user *auth_table_user(const struct auth_table *t, const struct auth_id *id);
const struct auth_user *auth_table_user_named(const struct auth_table *t, const char *name);
size_t auth_table_users(const struct auth_table *t);

/* A user's role in a project by assignment there or in the cloud, whichever is more; `project` NULL
 * or zero: in the cloud. API_ROLE_NONE: none. Costs two look-ups. */
enum api_types_role auth_table_role(const struct auth_table *t, const struct auth_id *user,
                                    const struct auth_id *project);
/* Calls `each` with the user's role assignments, in no order. `each` changes nothing in the table.
 */
void auth_table_each_role(const struct auth_table *t, const struct auth_id *user,
                          void (*each)(const struct auth_role *role, void *ctx), void *ctx);

/* A session that another server has opened, or that was stored. */
struct auth_session {
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    struct auth_id user;
    int64_t created_ms, expires_ms;
};

/* Signs in: the password was right. `text` is the secret, shown once; `session` (may be NULL)
 * receives what would be stored. A session's id is the first 16 bytes of its hash.
 * Errors: ENOENT (no such user, or disabled meanwhile), ENOMEM, EIO. */
int auth_table_open_session(struct auth_table *t, const struct auth_id *user, int64_t now_ms,
                            char text[AUTH_TOKEN_BYTES], struct auth_session *session,
                            struct err *err);
/* After how long without use sessions end; AUTH_TABLE_SESSION_IDLE_MS until it is said. What was
 * moved already stays. */
void auth_table_set_session_idle(struct auth_table *t, int64_t idle_ms);
int64_t auth_table_session_idle(const struct auth_table *t);
/* Of a session that is there only the end is moved, never back. Errors: ENOMEM, EINVAL. */
int auth_table_put_session(struct auth_table *t, const struct auth_session *session);
/* Signs out; `id` is that of the principal. */
void auth_table_end_session(struct auth_table *t, const struct auth_id *id);
/* Every session of a user, and the tickets made by them; returns how many sessions. What
 * sessions_since_ms says when it is put needs no such call. */
unsigned auth_table_end_sessions(struct auth_table *t, const struct auth_id *user);

/* A ticket that speaks for what made it, with its scopes and its restriction, once, within
 * AUTH_TABLE_TICKET_MS, and only as long as that itself would.
 * Errors: EAGAIN (too many are open), ENOMEM, EIO. */
int auth_table_open_ticket(struct auth_table *t, const struct auth_principal *p, int64_t now_ms,
                           char text[AUTH_TOKEN_BYTES], int64_t *expires_ms, struct err *err);

/* Removes sessions and tickets that have expired; returns how many. Costs a walk over all of them:
 * once a minute is enough, since nothing that has expired works anyway. */
unsigned auth_table_sweep(struct auth_table *t, int64_t now_ms);

#endif
