/* Reads, on a connection of their own; one broken before it showed anything is made anew, once. */
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/store/pgsql/store_pgsql_internal.h"

#define ROW_COLUMNS "position, at_ms, project, object, actor, kind, name, body"

/* A result of up to two int8 parameters; rows are handled one by one as they arrive. */
struct query {
    const char *sql;
    int64_t args[2];
    int n_args;
    int (*row)(const PGresult *r, void *ctx);
    void *ctx;
};

static int drain(PGconn *conn, int result)
{
    for (PGresult *r; (r = PQgetResult(conn));)
        PQclear(r);
    return result;
}

static int run_query(PGconn *conn, const struct query *query, struct err *err)
{
    uint64_t be[2] = {htobe64((uint64_t)query->args[0]), htobe64((uint64_t)query->args[1])};
    const char *values[2] = {(const char *)&be[0], (const char *)&be[1]};
    static const int lengths[2] = {8, 8}, formats[2] = {1, 1};
    static const Oid types[2] = {20, 20};
    if (!PQsendQueryParams(conn, query->sql, query->n_args, types, values, lengths, formats, 1))
        return store_pgsql_error(conn, NULL, err, "could not read from PostgreSQL");
    PQsetSingleRowMode(conn);
    for (PGresult *r; (r = PQgetResult(conn));) {
        ExecStatusType status = PQresultStatus(r);
        int result = 0;
        if (status == PGRES_SINGLE_TUPLE)
            result = query->row(r, query->ctx);
        else if (status != PGRES_TUPLES_OK)
            return drain(conn, store_pgsql_error(conn, r, err, "could not read from PostgreSQL"));
        PQclear(r);
        if (result)
            return drain(conn, result);
    }
    return 0;
}

struct state {
    int64_t seq, tombstone_horizon, event_horizon;
};

static int take_state(const PGresult *r, void *ctx)
{
    struct state *st = ctx;
    st->seq = store_pgsql_int(r, 0, 0);
    st->tombstone_horizon = store_pgsql_int(r, 0, 1);
    st->event_horizon = store_pgsql_int(r, 0, 2);
    return 0;
}

static int read_state(PGconn *conn, struct state *st, struct err *err)
{
    struct query query = {.sql = "SELECT seq, tombstone_horizon, event_horizon FROM virga.state",
                          .row = take_state,
                          .ctx = st};
    return run_query(conn, &query, err);
}

/* Takes the connection; a snapshot begins and says what virga.state has. */
static int begin(struct store_pgsql *q, struct state *st, struct err *err)
{
    pthread_mutex_lock(&q->reading);
    int r = -EAGAIN;
    for (unsigned attempt = 0; attempt < 2 && r; attempt++) {
        if (!q->read_conn || PQstatus(q->read_conn) != CONNECTION_OK) {
            PQfinish(q->read_conn);
            q->read_conn = store_pgsql_connect(q, err);
        }
        if (!q->read_conn)
            break;
        r = store_pgsql_exec(q->read_conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
        if (!r)
            r = read_state(q->read_conn, st, err);
    }
    return r;
}

static int end(struct store_pgsql *q, int result)
{
    if (q->read_conn)
        store_pgsql_exec(q->read_conn, "ROLLBACK", NULL);
    pthread_mutex_unlock(&q->reading);
    return result;
}

struct record_ctx {
    store_each_record *each;
    void *ctx;
};

static int show_record(const PGresult *r, void *ctx)
{
    struct record_ctx *c = ctx;
    struct store_record record = {
        .type = (enum store_record_type)store_pgsql_int(r, 0, 0),
        .seq = (uint64_t)store_pgsql_int(r, 0, 1),
        .kind = (uint8_t)store_pgsql_int(r, 0, 2),
        .name = store_pgsql_text(r, 0, 5),
        .body = store_pgsql_text(r, 0, 6),
        .value = store_pgsql_int(r, 0, 7),
    };
    store_pgsql_id(r, 0, 3, &record.id);
    store_pgsql_id(r, 0, 4, &record.project);
    return c->each(&record, c->ctx);
}

int store_pgsql_read(struct store *s, bool everything, uint64_t *seq, store_each_record *each,
                     void *ctx, struct err *err)
{
    struct store_pgsql *q = (struct store_pgsql *)s;
    struct state st = {.seq = 0};
    int r = begin(q, &st, err);
    if (!r && !everything && (int64_t)*seq < st.tombstone_horizon)
        r = err_set(err, ESTALE, "deletions after %llu are no longer known: load again",
                    (unsigned long long)*seq);
    if (!r && (everything || (int64_t)*seq < st.seq)) {
        struct record_ctx c = {each, ctx};
        struct query query = {
            .sql = "SELECT CASE WHEN gone_ms IS NULL THEN 0 ELSE 1 END, seq, kind, id, project,"
                   "  name, body, 0::bigint FROM virga.objects"
                   "  WHERE seq > $1 AND ($2 = 0 OR gone_ms IS NULL) "
                   "UNION ALL SELECT 2, seq, 0, host, NULL, NULL, NULL, generation"
                   "  FROM virga.claims WHERE seq > $1 "
                   "UNION ALL SELECT 3, seq, 0, owner, NULL, name, NULL, value"
                   "  FROM virga.counters WHERE seq > $1 "
                   "ORDER BY 2",
            .args = {everything ? 0 : (int64_t)*seq, everything},
            .n_args = 2,
            .row = show_record,
            .ctx = &c};
        r = run_query(q->read_conn, &query, err);
    }
    if (!r && (everything || (uint64_t)st.seq > *seq))
        *seq = (uint64_t)st.seq;
    if (!r && (uint64_t)st.seq > s->seq)
        s->seq = (uint64_t)st.seq;
    return end(q, r);
}

struct row_ctx {
    store_each_row *each;
    void *ctx;
    enum store_table table;
};

static int show_row(const PGresult *r, void *ctx)
{
    struct row_ctx *c = ctx;
    struct store_row row = {
        .position = (uint64_t)store_pgsql_int(r, 0, 0),
        .at_ms = store_pgsql_int(r, 0, 1),
        .kind = (uint8_t)store_pgsql_int(r, 0, 5),
        .name = store_pgsql_text(r, 0, 6),
        .body = store_pgsql_text(r, 0, 7),
    };
    store_pgsql_id(r, 0, 2, &row.project);
    store_pgsql_id(r, 0, 3, &row.object);
    store_pgsql_id(r, 0, 4, &row.actor);
    if (c->table == STORE_AUDIT_TRAIL) {
        store_pgsql_id(r, 0, 8, &row.server);
        row.link = (uint64_t)store_pgsql_int(r, 0, 9);
    } else if (c->table == STORE_USAGE_ROWS) {
        row.epoch = (uint64_t)store_pgsql_int(r, 0, 8);
        row.number = (uint64_t)store_pgsql_int(r, 0, 9);
    }
    return c->each(&row, c->ctx);
}

int store_pgsql_rows(struct store *s, enum store_table table, uint64_t after, unsigned limit,
                     store_each_row *each, void *ctx, struct err *err)
{
    static const char *const sql[] = {
        [STORE_EVENTS] = "SELECT " ROW_COLUMNS " FROM virga.events WHERE position > $1 "
                         "ORDER BY position LIMIT $2",
        [STORE_AUDIT_TRAIL] = "SELECT " ROW_COLUMNS ", server, link FROM virga.audit "
                              "WHERE position > $1 ORDER BY position LIMIT $2",
        [STORE_USAGE_ROWS] = "SELECT " ROW_COLUMNS ", epoch, number FROM virga.usage "
                             "WHERE position > $1 ORDER BY position LIMIT $2",
    };
    struct store_pgsql *q = (struct store_pgsql *)s;
    struct state st = {.seq = 0};
    int r = begin(q, &st, err);
    if (!r && table == STORE_EVENTS && after && (int64_t)after < st.event_horizon)
        r = err_set(err, ESTALE, "events after %llu have expired", (unsigned long long)after);
    if (!r) {
        struct row_ctx c = {each, ctx, table};
        struct query query = {.sql = sql[table],
                              .args = {(int64_t)after, limit},
                              .n_args = 2,
                              .row = show_row,
                              .ctx = &c};
        r = run_query(q->read_conn, &query, err);
    }
    return end(q, r);
}

int store_pgsql_key_get(struct store *s, const struct store_id *principal, struct store_text key,
                        uint8_t hash[STORE_HASH_BYTES], char **answer, size_t *answer_bytes,
                        int64_t *expires_ms, struct err *err)
{
    struct store_pgsql *q = (struct store_pgsql *)s;
    struct state st;
    int r = begin(q, &st, err);
    if (r)
        return end(q, r);
    const char *values[2] = {(const char *)principal->bytes, key.data};
    int lengths[2] = {STORE_ID_BYTES, (int)key.len_bytes}, formats[2] = {1, 1};
    static const Oid types[2] = {17, 17};
    PGresult *res = PQexecParams(q->read_conn,
                                 "SELECT hash, expires_ms, answer FROM virga.keys "
                                 "WHERE principal = $1 AND key = $2",
                                 2, types, values, lengths, formats, 1);
    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        return end(q, store_pgsql_error(q->read_conn, res, err, "could not read a key"));
    r = -ENOENT;
    if (PQntuples(res) == 1 && PQgetlength(res, 0, 0) == STORE_HASH_BYTES) {
        struct store_text text = store_pgsql_text(res, 0, 2);
        char *copy = malloc(text.len_bytes + 1);
        r = copy ? 0 : err_set(err, EAGAIN, "could not allocate for an answer");
        if (copy) {
            memcpy(copy, text.data, text.len_bytes);
            copy[text.len_bytes] = 0;
            memcpy(hash, PQgetvalue(res, 0, 0), STORE_HASH_BYTES);
            *expires_ms = store_pgsql_int(res, 0, 1);
            *answer = copy;
            *answer_bytes = text.len_bytes;
        }
    }
    PQclear(res);
    return end(q, r);
}

struct link_ctx {
    store_each_link *each;
    void *ctx;
};

static int show_link(const PGresult *r, void *ctx)
{
    struct link_ctx *c = ctx;
    struct store_link link = {.number = (uint64_t)store_pgsql_int(r, 0, 1)};
    store_pgsql_id(r, 0, 0, &link.server);
    if (PQgetlength(r, 0, 2) == STORE_HASH_BYTES)
        memcpy(link.hash, PQgetvalue(r, 0, 2), STORE_HASH_BYTES);
    return c->each(&link, c->ctx);
}

int store_pgsql_links(struct store *s, store_each_link *each, void *ctx, struct err *err)
{
    struct store_pgsql *q = (struct store_pgsql *)s;
    struct state st;
    int r = begin(q, &st, err);
    if (!r) {
        struct link_ctx c = {each, ctx};
        struct query query = {
            .sql = "SELECT server, number, hash FROM virga.links ORDER BY server, number",
            .row = show_link,
            .ctx = &c};
        r = run_query(q->read_conn, &query, err);
    }
    return end(q, r);
}
