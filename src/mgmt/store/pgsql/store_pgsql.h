/* The store in a PostgreSQL database, which several servers may share. Design:
 * docs/arch/16-store.md. */
#ifndef MGMT_STORE_PGSQL_STORE_PGSQL_H
#define MGMT_STORE_PGSQL_STORE_PGSQL_H

#include "mgmt/store/store.h"

/* Connects (libpq's connection string or URI) and brings the schema up to date, in the connection's
 * search path. A connection that breaks later is made anew by itself.
 * Errors: -EAGAIN: no connection, or PostgreSQL's errors; -EPROTO: the schema is newer than this
 * program; -EINVAL: config->server is all zero.
 * Owns: store_close() frees. Blocks. */
struct store *store_pgsql_open(const char *conninfo, const struct store_config *config,
                               struct err *err);

#endif
