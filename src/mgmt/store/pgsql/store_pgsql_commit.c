/* One group: one call of virga.commit_group(), one round trip.
 *
 * When the connection breaks before the answer, the group may have happened or may even happen
 * later: the old session can still be at it, or have the call in its socket. The database knows the
 * number of each server's last group. A new connection takes the next number for itself: that waits
 * for a group which is being committed (its row is locked), and makes the call fail that has not
 * begun (its number is no longer the next). What was the last number before then tells; its answer
 * is kept beside it. */
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/util.h"
#include "mgmt/store/pgsql/store_pgsql_internal.h"

static const char commit_sql[] =
    "SELECT virga.commit_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

/* What virga.commit_group() calls refusals. */
static const int refusals[] = {0,         -EEXIST, -ESTALE, -ENOENT,
                               -ENOTUNIQ, -EDQUOT, -ERANGE, -EALREADY};

static int take_number(struct store_pgsql *q, PGconn *conn, uint64_t *last, char **results,
                       struct err *err)
{
    const char *value = (const char *)q->store.config.server.bytes;
    int len = STORE_ID_BYTES, format = 1;
    Oid type = 17;
    PGresult *r = PQexecParams(conn,
                               "INSERT INTO virga.servers AS s"
                               " VALUES($1, 1, 0, decode(repeat('00', 32), 'hex'), 0, '')"
                               " ON CONFLICT (server) DO UPDATE SET group_no = s.group_no + 1"
                               " RETURNING group_no, done_no, convert_to(results, 'UTF8')",
                               1, &type, &value, &len, &format, 1);
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1)
        return store_pgsql_error(conn, r, err, "could not take a number for the next group");
    struct store_text text = store_pgsql_text(r, 0, 2);
    if (results)
        *results = strndup(text.data, text.len_bytes);
    if (last)
        *last = (uint64_t)store_pgsql_int(r, 0, 1);
    q->group = (uint64_t)store_pgsql_int(r, 0, 0);
    PQclear(r);
    return results && !*results ? err_set(err, EAGAIN, "could not allocate for results") : 0;
}

int store_pgsql_ready(struct store_pgsql *q, uint64_t *last, char **results, struct err *err)
{
    PQfinish(q->conn);
    q->conn = NULL;
    PGconn *conn = store_pgsql_connect(q, err);
    if (!conn)
        return -EAGAIN;
    int r = store_pgsql_exec(conn, "SET statement_timeout = '10s'", err);
    if (!r)
        r = take_number(q, conn, last, results, err);
    if (!r) {
        PGresult *res =
            PQprepare(conn, "commit", commit_sql, STORE_PGSQL_PARAMS, store_pgsql_param_types);
        if (PQresultStatus(res) != PGRES_COMMAND_OK)
            r = store_pgsql_error(conn, res, err, "could not prepare the commit");
        else
            PQclear(res);
    }
    if (r) {
        if (results) {
            free(*results);
            *results = NULL;
        }
        PQfinish(conn);
        return r;
    }
    q->conn = conn;
    return 0;
}

/* The next number of the results' text, past a separator. */
static int64_t next_number(const char **p)
{
    char *end;
    int64_t v = strtoll(*p, &end, 10);
    *p = *end ? end + 1 : end;
    return v;
}

static void read_results(struct store_pgsql *q, const char *p, struct store_txn **txns, unsigned n)
{
    for (unsigned t = 0; t < n; t++) {
        int64_t code = next_number(&p);
        txns[t]->result = code >= 0 && code < (int)ARRAY_LEN(refusals) ? refusals[code] : -EAGAIN;
    }
    for (unsigned t = 0; t < n; t++)
        txns[t]->failed_op = (unsigned)next_number(&p);
    for (unsigned t = 0; t < n; t++)
        txns[t]->current = next_number(&p);
    for (unsigned t = 0; t < n; t++)
        for (unsigned k = 0; k < txns[t]->n_ops; k++)
            txns[t]->ops[k].seq = (uint64_t)next_number(&p);
    for (unsigned t = 0; t < n; t++)
        for (unsigned k = 0; k < txns[t]->n_ops; k++)
            txns[t]->ops[k].value = next_number(&p);
    q->store.seq = (uint64_t)next_number(&p);
}

int store_pgsql_commit(struct store *s, struct store_txn **txns, unsigned n, struct err *err)
{
    struct store_pgsql *q = (struct store_pgsql *)s;
    if ((!q->conn || PQstatus(q->conn) != CONNECTION_OK) && store_pgsql_ready(q, NULL, NULL, err))
        return -EAGAIN;
    struct store_pgsql_params p = {.no_memory = false};
    int r = store_pgsql_params_fill(&p, &s->config.server, q->group + 1, txns, n);
    PGresult *res = NULL;
    if (!r) {
        (void)fault_point("store_pgsql.group.begin");
        res = PQexecPrepared(q->conn, "commit", STORE_PGSQL_PARAMS, p.values, p.lengths, p.formats,
                             0);
        (void)fault_point("store_pgsql.group.committed");
    }
    store_pgsql_params_free(&p);
    if (r)
        return err_set(err, EAGAIN, "could not allocate for a commit");
    if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1) {
        q->group++;
        read_results(q, PQgetvalue(res, 0, 0), txns, n);
        PQclear(res);
        return 0;
    }
    store_pgsql_error(q->conn, res, err, "could not commit to PostgreSQL");
    if (PQstatus(q->conn) != CONNECTION_OK)
        return -EINPROGRESS;
    /* An error on a connection that lives was the transaction's end. The next group begins anew,
     * with a number taken anew: the reason may have been that another process had taken ours. */
    PQfinish(q->conn);
    q->conn = NULL;
    return -EAGAIN;
}

int store_pgsql_resolve(struct store *s, struct store_txn **txns, unsigned n, struct err *err)
{
    struct store_pgsql *q = (struct store_pgsql *)s;
    uint64_t asked = q->group + 1, last = 0;
    char *results = NULL;
    if (store_pgsql_ready(q, &last, &results, err)) {
        q->group = asked - 1;
        return -EINPROGRESS;
    }
    if (last == asked)
        read_results(q, results, txns, n);
    free(results);
    return last == asked ? 0 : -EAGAIN;
}
