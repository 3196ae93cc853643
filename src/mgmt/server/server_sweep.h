/* What is done again and again: who leads, what is old goes, whose rights have gone is closed, and
 * a store that failed is asked whether it is well again. */
#ifndef MGMT_SERVER_SERVER_SWEEP_H
#define MGMT_SERVER_SERVER_SWEEP_H

#include <stdbool.h>

#include "base/err.h"

struct server;
struct server_sweep;

/* Duties (store_lead()) of servers that share a store: one at a time has each. */
enum server_sweep_duty { SERVER_DUTY_LEAD = 1 };

struct server_sweep *server_sweep_create(struct server *s, struct err *err);
/* Before the loop is destroyed; jobs and transactions of it have ended. NULL is allowed. */
void server_sweep_destroy(struct server_sweep *w);

/* Whether this server leads: as it was a few seconds ago, so what a leader does must carry its
 * preconditions. */
bool server_sweep_leads(const struct server *s);

#endif
