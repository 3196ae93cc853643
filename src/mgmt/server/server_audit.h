/* The audit trail: who did what, or tried to.
 *
 * What a call changes is recorded in the transaction that changes it. What is refused is recorded
 * beside: changes, and tries to sign in; reads are not. Of refusals so many a minute are recorded
 * of one address or user, and so many of all; how many were left out is in the next one that is
 * not. Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_AUDIT_H
#define MGMT_SERVER_SERVER_AUDIT_H

#include <stdint.h>

#include "mgmt/server/server_internal.h"

struct server_audit *server_audit_create(struct err *err);
/* After the store. NULL is allowed. */
void server_audit_destroy(struct server_audit *a);

/* The record's body; `outcome` is a word of the API's. NULL: no memory. */
const char *server_audit_text(const struct server_call *c, const char *outcome, int status,
                              uint64_t suppressed, struct api_arena *arena);
/* A call is being refused with that status: recorded where it matters. */
void server_audit_refused(struct server_call *c, int status);

extern const struct server_route server_audit_routes[];

#endif
