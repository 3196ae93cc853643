#include "mgmt/store/pgsql/store_pgsql.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/store/pgsql/store_pgsql_internal.h"

/* More subtransactions than 64 overflow what PostgreSQL keeps of them in shared memory, and make
 * every reader look elsewhere. */
#define GROUP_BEST 64
#define LOCK_CLASS 0x76697267 /* "virg": our advisory locks are (class, duty) */

static void close_pgsql(struct store *s)
{
    struct store_pgsql *q = (struct store_pgsql *)s;
    PQfinish(q->conn);
    PQfinish(q->read_conn);
    PQfinish(q->lead_conn);
    pthread_mutex_destroy(&q->reading);
    pthread_mutex_destroy(&q->leading);
    free(q->conninfo);
    free(q);
}

static int backup(struct store *s, const char *path, struct err *err)
{
    return err_set(err, EOPNOTSUPP, "this store is in PostgreSQL: use pg_dump or pg_basebackup");
}

static int held_at(const struct store_pgsql *q, uint32_t duty)
{
    for (unsigned i = 0; i < q->n_duties; i++)
        if (q->duties[i] == duty)
            return (int)i;
    return -1;
}

/* A statement with a boolean answer on the duties' connection. */
static bool ask(struct store_pgsql *q, const char *function, uint32_t duty)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "SELECT %s(%d, %d)", function, LOCK_CLASS, (int)duty);
    PGresult *r = PQexec(q->lead_conn, sql);
    bool yes =
        PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 && *PQgetvalue(r, 0, 0) == 't';
    PQclear(r);
    return yes;
}

/* Duties are locks of this connection's session: they end with it. Being asked for one that is held
 * is a question to the database too, or a broken connection would never be noticed. */
static bool lead(struct store *s, uint32_t duty)
{
    struct store_pgsql *q = (struct store_pgsql *)s;
    pthread_mutex_lock(&q->leading);
    bool leads = false;
    if (q->lead_conn && held_at(q, duty) >= 0)
        leads = store_pgsql_exec(q->lead_conn, "SELECT 1", NULL) == 0;
    if (!leads && (!q->lead_conn || PQstatus(q->lead_conn) != CONNECTION_OK)) {
        PQfinish(q->lead_conn);
        q->n_duties = 0;
        q->lead_conn = store_pgsql_connect(q, NULL);
    }
    if (!leads && q->lead_conn && held_at(q, duty) < 0 && q->n_duties < STORE_PGSQL_DUTIES_MAX) {
        leads = ask(q, "pg_try_advisory_lock", duty);
        if (leads)
            q->duties[q->n_duties++] = duty;
    }
    pthread_mutex_unlock(&q->leading);
    return leads;
}

static void unlead(struct store *s, uint32_t duty)
{
    struct store_pgsql *q = (struct store_pgsql *)s;
    pthread_mutex_lock(&q->leading);
    int at = held_at(q, duty);
    if (at >= 0) {
        q->duties[at] = q->duties[--q->n_duties];
        ask(q, "pg_advisory_unlock", duty);
    }
    pthread_mutex_unlock(&q->leading);
}

static const struct store_ops pgsql_ops = {
    .commit = store_pgsql_commit,
    .resolve = store_pgsql_resolve,
    .read = store_pgsql_read,
    .rows = store_pgsql_rows,
    .key_get = store_pgsql_key_get,
    .links = store_pgsql_links,
    .backup = backup,
    .lead = lead,
    .unlead = unlead,
    .close = close_pgsql,
};

static int open_all(struct store_pgsql *q, struct err *err)
{
    static const struct store_id zero;
    if (!memcmp(&q->store.config.server, &zero, sizeof(zero)))
        return err_set(err, EINVAL, "a server that shares a store needs an id");
    q->read_conn = store_pgsql_connect(q, err);
    if (!q->read_conn)
        return -EAGAIN;
    int r = store_pgsql_schema(q->read_conn, err);
    if (!r)
        r = store_pgsql_ready(q, NULL, NULL, err);
    return r ? r : store_start(&q->store, err);
}

struct store *store_pgsql_open(const char *conninfo, const struct store_config *config,
                               struct err *err)
{
    struct store_pgsql *q = calloc(1, sizeof(*q));
    if (!q) {
        err_set(err, ENOMEM, "could not allocate a store");
        return NULL;
    }
    store_init(&q->store, &pgsql_ops, config, GROUP_BEST);
    pthread_mutex_init(&q->reading, NULL);
    pthread_mutex_init(&q->leading, NULL);
    q->conninfo = strdup(conninfo);
    if (!q->conninfo)
        err_set(err, ENOMEM, "could not allocate a store");
    else if (!open_all(q, err))
        return &q->store;
    store_close(&q->store);
    return NULL;
}
