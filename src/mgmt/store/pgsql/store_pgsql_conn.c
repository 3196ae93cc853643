/* Connections and values. */
#include <errno.h>
#include <libpq-fe.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/store/pgsql/store_pgsql_internal.h"

int store_pgsql_error(PGconn *conn, PGresult *result, struct err *err, const char *what)
{
    const char *said = result && *PQresultErrorMessage(result) ? PQresultErrorMessage(result)
                                                               : PQerrorMessage(conn);
    err_set(err, EAGAIN, "%s: %.*s", what, (int)strcspn(said, "\n"), said);
    PQclear(result);
    return -EAGAIN;
}

int store_pgsql_exec(PGconn *conn, const char *sql, struct err *err)
{
    PGresult *r = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        return store_pgsql_error(conn, r, err, "PostgreSQL refused a statement");
    PQclear(r);
    return 0;
}

/* Notices would go to stderr; libraries return errors and print nothing. */
static void drop_notice(void *arg, const PGresult *r)
{
}

/* What the conninfo says goes over the defaults before it: a server that does not answer is noticed
 * within seconds. */
PGconn *store_pgsql_connect(const struct store_pgsql *q, struct err *err)
{
    static const char *const keys[] = {"connect_timeout",
                                       "keepalives_idle",
                                       "keepalives_interval",
                                       "keepalives_count",
                                       "tcp_user_timeout",
                                       "application_name",
                                       "dbname",
                                       NULL};
    const char *values[] = {"5", "5", "2", "3", "10000", "virgad", q->conninfo, NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    if (!conn || PQstatus(conn) != CONNECTION_OK) {
        const char *said = conn ? PQerrorMessage(conn) : "no memory";
        err_set(err, EAGAIN, "could not connect to PostgreSQL: %.*s", (int)strcspn(said, "\n"),
                said);
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeReceiver(conn, drop_notice, NULL);
    /* A commit must be durable even where the administrator made that optional. */
    if (store_pgsql_exec(conn,
                         "SET idle_in_transaction_session_timeout = '10s';"
                         "SELECT set_config('synchronous_commit', 'on', false)"
                         "  WHERE current_setting('synchronous_commit') = 'off'",
                         err)) {
        PQfinish(conn);
        return NULL;
    }
    return conn;
}

int64_t store_pgsql_int(const PGresult *r, int row, int column)
{
    const char *p = PQgetvalue(r, row, column);
    uint64_t be;
    uint32_t be32;
    if (PQgetlength(r, row, column) == 4) {
        memcpy(&be32, p, sizeof(be32));
        return (int32_t)be32toh(be32);
    }
    if (PQgetlength(r, row, column) != 8)
        return 0;
    memcpy(&be, p, sizeof(be));
    return (int64_t)be64toh(be);
}

struct store_text store_pgsql_text(const PGresult *r, int row, int column)
{
    return (struct store_text){PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column)};
}

void store_pgsql_id(const PGresult *r, int row, int column, struct store_id *id)
{
    *id = (struct store_id){{0}};
    if (PQgetlength(r, row, column) == STORE_ID_BYTES)
        memcpy(id->bytes, PQgetvalue(r, row, column), STORE_ID_BYTES);
}
