/* Inside the PostgreSQL store: three connections (the commit thread's, one for reads, one that
 * holds the duties), the parameters of the one call that a group is, and the schema. */
#ifndef MGMT_STORE_PGSQL_STORE_PGSQL_INTERNAL_H
#define MGMT_STORE_PGSQL_STORE_PGSQL_INTERNAL_H

#include "mgmt/store/pgsql/store_pgsql.h"
#include "mgmt/store/store_provider.h"

#define STORE_PGSQL_DUTIES_MAX 32

struct pg_conn; /* libpq's PGconn and PGresult; an Oid is an unsigned */
struct pg_result;

struct store_pgsql {
    struct store store;
    char *conninfo;

    /* The commit thread's. */
    struct pg_conn *conn;
    uint64_t group; /* the number of our last group; the database has the same */

    pthread_mutex_t reading; /* the two below */
    struct pg_conn *read_conn;

    pthread_mutex_t leading; /* the three below */
    struct pg_conn *lead_conn;
    uint32_t duties[STORE_PGSQL_DUTIES_MAX];
    unsigned n_duties;
};

/* store_pgsql_conn.c */
/* A new connection, its session set up. NULL: err says why. */
struct pg_conn *store_pgsql_connect(const struct store_pgsql *q, struct err *err);
/* Says what PostgreSQL said, and frees `result` (may be NULL); returns -EAGAIN. */
int store_pgsql_error(struct pg_conn *conn, struct pg_result *result, struct err *err,
                      const char *what);
/* A statement without rows. */
int store_pgsql_exec(struct pg_conn *conn, const char *sql, struct err *err);
/* Values of a result in binary form. */
int64_t store_pgsql_int(const struct pg_result *r, int row, int column);
struct store_text store_pgsql_text(const struct pg_result *r, int row, int column);
void store_pgsql_id(const struct pg_result *r, int row, int column, struct store_id *id);

/* store_pgsql_params.c: the operations of a group as arrays, one element each. */
#define STORE_PGSQL_PARAMS 15

struct store_pgsql_buf {
    char *data;
    size_t len, room;
};

struct store_pgsql_params {
    struct store_pgsql_buf bufs[STORE_PGSQL_PARAMS];
    const char *values[STORE_PGSQL_PARAMS];
    int lengths[STORE_PGSQL_PARAMS], formats[STORE_PGSQL_PARAMS];
    bool no_memory;
};

extern const unsigned store_pgsql_param_types[STORE_PGSQL_PARAMS];
int store_pgsql_params_fill(struct store_pgsql_params *p, const struct store_id *server,
                            uint64_t group, struct store_txn **txns, unsigned n);
void store_pgsql_params_free(struct store_pgsql_params *p);

/* store_pgsql_schema.c */
int store_pgsql_schema(struct pg_conn *conn, struct err *err);

/* store_pgsql_commit.c */
/* Makes the commit thread's connection anew if need be, and fences off what an older one of this
 * server may still be doing. Returns 0 or -EAGAIN; *last: the number of the last group that
 * happened; *results: what it answered, the caller's to free. Both may be NULL. */
int store_pgsql_ready(struct store_pgsql *q, uint64_t *last, char **results, struct err *err);
int store_pgsql_commit(struct store *s, struct store_txn **txns, unsigned n, struct err *err);
int store_pgsql_resolve(struct store *s, struct store_txn **txns, unsigned n, struct err *err);

/* store_pgsql_read.c */
int store_pgsql_read(struct store *s, bool everything, uint64_t *seq, store_each_record *each,
                     void *ctx, struct err *err);
int store_pgsql_rows(struct store *s, enum store_table table, uint64_t after, unsigned limit,
                     store_each_row *each, void *ctx, struct err *err);
int store_pgsql_key_get(struct store *s, const struct store_id *principal, struct store_text key,
                        uint8_t hash[STORE_HASH_BYTES], char **answer, size_t *answer_bytes,
                        int64_t *expires_ms, struct err *err);
int store_pgsql_links(struct store *s, store_each_link *each, void *ctx, struct err *err);

#endif
