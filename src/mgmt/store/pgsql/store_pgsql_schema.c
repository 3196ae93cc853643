/* The schema, as steps, and the function that commits a group.
 *
 * A group is one call of virga.commit_group(), so one round trip, and one transaction of
 * PostgreSQL's, with a subtransaction for each of ours. It locks the row of virga.state first:
 * groups of servers that share the database come one after the other, which makes the running
 * number the order of the commits (a follower misses nothing) and each precondition exact. Names
 * and documents are bytea: no encoding, no forbidden byte.
 *
 * No index on the seq of claims and counters: their rows change all the time and are few, and
 * without one PostgreSQL updates them in place (HOT). */
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>

#include "base/util.h"
#include "mgmt/store/pgsql/store_pgsql_internal.h"

#define SCHEMA_LOCK "7236834" /* an advisory lock of one transaction; any number of ours */

static const char tables[] =
    "CREATE TABLE virga.objects(kind int NOT NULL, id bytea NOT NULL, project bytea NOT NULL,"
    "  seq bigint NOT NULL, gone_ms bigint, name bytea, body bytea, PRIMARY KEY(kind, id));"
    "CREATE UNIQUE INDEX objects_name ON virga.objects(kind, project, name) WHERE gone_ms IS NULL;"
    "CREATE INDEX objects_seq ON virga.objects(seq);"
    "CREATE INDEX objects_gone ON virga.objects(seq) WHERE gone_ms IS NOT NULL;"
    "CREATE TABLE virga.claims(host bytea PRIMARY KEY, generation bigint NOT NULL,"
    "  seq bigint NOT NULL) WITH (fillfactor = 50);"
    "CREATE TABLE virga.counters(owner bytea, name bytea, value bigint NOT NULL,"
    "  seq bigint NOT NULL, PRIMARY KEY(owner, name)) WITH (fillfactor = 50);"
    "CREATE TABLE virga.events(position bigint PRIMARY KEY, at_ms bigint, project bytea,"
    "  object bytea, actor bytea, kind int, name bytea, body bytea);"
    "CREATE TABLE virga.audit(position bigint PRIMARY KEY, at_ms bigint, project bytea,"
    "  object bytea, actor bytea, kind int, name bytea, body bytea, server bytea, link bigint);"
    "CREATE TABLE virga.usage(position bigint PRIMARY KEY, at_ms bigint, project bytea,"
    "  object bytea, actor bytea, kind int, name bytea, body bytea, epoch bigint, number bigint);"
    "CREATE TABLE virga.sources(source bytea PRIMARY KEY, epoch bigint NOT NULL,"
    "  number bigint NOT NULL);"
    "CREATE TABLE virga.keys(principal bytea, key bytea, hash bytea NOT NULL,"
    "  expires_ms bigint NOT NULL, seq bigint NOT NULL, answer bytea NOT NULL,"
    "  PRIMARY KEY(principal, key));"
    "CREATE INDEX keys_expiry ON virga.keys(expires_ms);"
    "CREATE TABLE virga.links(server bytea, number bigint, hash bytea NOT NULL,"
    "  PRIMARY KEY(server, number));"
    "CREATE TABLE virga.state(one int PRIMARY KEY CHECK (one = 1), seq bigint NOT NULL,"
    "  tombstone_horizon bigint NOT NULL, event_horizon bigint NOT NULL) WITH (fillfactor = 10);"
    "INSERT INTO virga.state VALUES(1, 0, 0, 0);"
    /* The last group of each server: its number and what it answered, for a commit whose answer
     * got lost; and the end of its audit chain. */
    "CREATE TABLE virga.servers(server bytea PRIMARY KEY, group_no bigint NOT NULL,"
    "  link_no bigint NOT NULL, link_hash bytea NOT NULL, done_no bigint NOT NULL,"
    "  results text NOT NULL) WITH (fillfactor = 10);";

/* Refusals are numbers here (see store_pgsql_commit.c). a, b, at: what store_pgsql_params.c puts
 * there. Variables outlive the rollback of a subtransaction, and so are set back by hand. */
static const char function_head[] =
    "CREATE FUNCTION virga.commit_group(p_server bytea, p_group bigint, p_txns int, p_txn int[],"
    "  p_type int[], p_kind int[], p_cond int[], p_id bytea[], p_project bytea[],"
    "  p_object bytea[], p_name bytea[], p_body bytea[], p_a bigint[], p_b bigint[],"
    "  p_at bigint[]) RETURNS text LANGUAGE plpgsql AS $$ "
    "DECLARE st virga.state; sv virga.servers; old virga.state; was_digests bytea;"
    "  digests bytea := ''; i int := 1; n int := array_length(p_txn, 1); first int; code int;"
    "  cur bigint; val bigint; v_seq bigint; v_gone bigint; v_there boolean; v_sum numeric;"
    "  codes int[]; failed int[]; curs bigint[]; seqs bigint[]; vals bigint[]; result text; "
    "BEGIN"
    "  SELECT * INTO st FROM virga.state FOR UPDATE;"
    "  SELECT * INTO sv FROM virga.servers WHERE server = p_server FOR UPDATE;"
    "  IF sv.group_no IS DISTINCT FROM p_group - 1 THEN"
    "    RAISE EXCEPTION 'another process writes with this server''s id'; END IF;"
    "  FOR t IN 1..p_txns LOOP"
    "    old := st; was_digests := digests; first := i; code := 0; cur := 0;"
    "    BEGIN"
    "      WHILE i <= n AND p_txn[i] = t LOOP"
    "        st.seq := st.seq + 1; val := 0;"
    "        CASE p_type[i] ";

static const char function_objects[] =
    "WHEN 0 THEN" /* PUT */
    "  SELECT seq, gone_ms INTO v_seq, v_gone FROM virga.objects"
    "    WHERE kind = p_kind[i] AND id = p_id[i];"
    "  v_there := FOUND;"
    "  cur := CASE WHEN v_there AND v_gone IS NULL THEN v_seq ELSE 0 END;"
    "  IF p_cond[i] = 1 AND cur <> 0 THEN code := 1;"
    "  ELSIF p_cond[i] = 2 AND (cur = 0 OR cur <> p_a[i]) THEN code := 2;"
    "  ELSE"
    "    SELECT seq INTO v_seq FROM virga.objects WHERE kind = p_kind[i]"
    "      AND project = p_project[i] AND name = p_name[i] AND gone_ms IS NULL"
    "      AND id <> p_id[i];"
    "    IF FOUND THEN code := 4; cur := v_seq;"
    "    ELSIF v_there THEN"
    "      UPDATE virga.objects SET project = p_project[i], seq = st.seq, gone_ms = NULL,"
    "        name = p_name[i], body = p_body[i] WHERE kind = p_kind[i] AND id = p_id[i];"
    "    ELSE"
    "      INSERT INTO virga.objects VALUES(p_kind[i], p_id[i], p_project[i], st.seq, NULL,"
    "        p_name[i], p_body[i]);"
    "    END IF;"
    "  END IF; "
    "WHEN 1 THEN" /* DELETE */
    "  SELECT seq INTO v_seq FROM virga.objects"
    "    WHERE kind = p_kind[i] AND id = p_id[i] AND gone_ms IS NULL;"
    "  IF NOT FOUND THEN code := 3; cur := 0;"
    "  ELSIF p_cond[i] = 2 AND v_seq <> p_a[i] THEN code := 2; cur := v_seq;"
    "  ELSE"
    "    UPDATE virga.objects SET seq = st.seq, gone_ms = p_at[i], name = NULL, body = NULL"
    "      WHERE kind = p_kind[i] AND id = p_id[i];"
    "  END IF; "
    "WHEN 2 THEN" /* RAISE */
    "  SELECT generation INTO val FROM virga.claims WHERE host = p_id[i];"
    "  IF NOT FOUND THEN val := 0; END IF;"
    "  IF val <> p_a[i] THEN code := 2; cur := val;"
    "  ELSE val := val + 1;"
    "    INSERT INTO virga.claims VALUES(p_id[i], val, st.seq) ON CONFLICT (host)"
    "      DO UPDATE SET generation = excluded.generation, seq = excluded.seq;"
    "  END IF; "
    "WHEN 3 THEN" /* ADD */
    "  SELECT value INTO cur FROM virga.counters WHERE owner = p_id[i] AND name = p_name[i];"
    "  IF NOT FOUND THEN cur := 0; END IF;"
    "  v_sum := cur::numeric + p_a[i];"
    "  IF v_sum > 9223372036854775807 OR (p_a[i] > 0 AND p_b[i] >= 0 AND v_sum > p_b[i])"
    "    THEN code := 5;"
    "  ELSIF v_sum < 0 THEN code := 6;"
    "  ELSE val := v_sum;"
    "    INSERT INTO virga.counters VALUES(p_id[i], p_name[i], val, st.seq)"
    "      ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value, seq = excluded.seq;"
    "  END IF; ";

static const char function_rows[] =
    "WHEN 4 THEN" /* EVENT */
    "  INSERT INTO virga.events VALUES(st.seq, p_at[i], p_project[i], p_object[i], p_id[i],"
    "    p_kind[i], p_name[i], p_body[i]); "
    "WHEN 5 THEN" /* AUDIT: its digest lies before the object's id */
    "  digests := digests || substring(p_object[i] FOR 32);"
    "  INSERT INTO virga.audit VALUES(st.seq, p_at[i], p_project[i],"
    "    substring(p_object[i] FROM 33), p_id[i], p_kind[i], p_name[i], p_body[i], p_server,"
    "    sv.link_no + 1); "
    "WHEN 6 THEN" /* USAGE */
    "  SELECT number INTO cur FROM virga.sources WHERE source = p_id[i]"
    "    AND (epoch > p_a[i] OR (epoch = p_a[i] AND number >= p_b[i]));"
    "  IF FOUND THEN code := 7;"
    "  ELSE"
    "    INSERT INTO virga.sources VALUES(p_id[i], p_a[i], p_b[i]) ON CONFLICT (source)"
    "      DO UPDATE SET epoch = excluded.epoch, number = excluded.number;"
    "    INSERT INTO virga.usage VALUES(st.seq, p_at[i], p_project[i], p_object[i], p_id[i],"
    "      p_kind[i], p_name[i], p_body[i], p_a[i], p_b[i]);"
    "  END IF; "
    "WHEN 7 THEN" /* KEY */
    "  SELECT seq INTO cur FROM virga.keys WHERE principal = p_id[i] AND key = p_name[i]"
    "    AND expires_ms > p_at[i];"
    "  IF FOUND THEN code := 1;"
    "  ELSE"
    "    INSERT INTO virga.keys VALUES(p_id[i], p_name[i], p_object[i], p_b[i], st.seq, p_body[i])"
    "      ON CONFLICT (principal, key) DO UPDATE SET hash = excluded.hash,"
    "        expires_ms = excluded.expires_ms, seq = excluded.seq, answer = excluded.answer;"
    "  END IF; "
    "WHEN 8 THEN" /* EXPIRE */
    "  st.seq := st.seq - 1;"
    "  IF p_cond[i] = 0 THEN"
    "    DELETE FROM virga.keys WHERE (principal, key) IN (SELECT principal, key FROM virga.keys"
    "      WHERE expires_ms <= p_at[i] ORDER BY expires_ms LIMIT p_b[i]);"
    "    GET DIAGNOSTICS val = ROW_COUNT;"
    "  ELSIF p_cond[i] = 1 THEN"
    "    SELECT max(seq) INTO v_seq FROM (SELECT seq FROM virga.objects WHERE gone_ms IS NOT NULL"
    "      AND gone_ms <= p_at[i] ORDER BY seq LIMIT p_b[i]) x;"
    "    DELETE FROM virga.objects"
    "      WHERE gone_ms IS NOT NULL AND gone_ms <= p_at[i] AND seq <= v_seq;"
    "    GET DIAGNOSTICS val = ROW_COUNT;"
    "    st.tombstone_horizon := greatest(st.tombstone_horizon, v_seq);"
    "  ELSE"
    "    SELECT max(position) INTO v_seq FROM (SELECT position, bool_and(at_ms <= p_at[i])"
    "      OVER (ORDER BY position) AS is_old FROM (SELECT position, at_ms FROM virga.events"
    "      ORDER BY position LIMIT p_b[i]) x) y WHERE is_old;"
    "    DELETE FROM virga.events WHERE position <= v_seq;"
    "    GET DIAGNOSTICS val = ROW_COUNT;"
    "    st.event_horizon := greatest(st.event_horizon, v_seq);"
    "  END IF; "
    "END CASE;";

static const char function_tail[] =
    "        IF code <> 0 THEN RAISE EXCEPTION USING ERRCODE = 'VR001'; END IF;"
    "        seqs[i] := st.seq; vals[i] := val; i := i + 1;"
    "      END LOOP;"
    "      codes[t] := 0; failed[t] := 0; curs[t] := 0;"
    "    EXCEPTION WHEN SQLSTATE 'VR001' THEN"
    "      st := old; digests := was_digests;"
    "      codes[t] := code; failed[t] := i - first; curs[t] := cur;"
    "      i := first;"
    "      WHILE i <= n AND p_txn[i] = t LOOP seqs[i] := 0; vals[i] := 0; i := i + 1; END LOOP;"
    "    END;"
    "  END LOOP;"
    "  IF digests <> '' THEN"
    "    sv.link_no := sv.link_no + 1;"
    /* int8send() is big-endian; the chain's numbers are little-endian. */
    "    sv.link_hash := sha256(sv.link_hash || p_server || decode(reverse(regexp_replace("
    "      encode(int8send(sv.link_no), 'hex'), '(.)(.)', '\\2\\1', 'g')), 'hex') || digests);"
    "    INSERT INTO virga.links VALUES(p_server, sv.link_no, sv.link_hash);"
    "  END IF;"
    "  result := array_to_string(codes, ' ') || ';' || array_to_string(failed, ' ') || ';'"
    "    || array_to_string(curs, ' ') || ';' || array_to_string(seqs, ' ') || ';'"
    "    || array_to_string(vals, ' ') || ';' || st.seq;"
    "  UPDATE virga.state SET seq = st.seq, tombstone_horizon = st.tombstone_horizon,"
    "    event_horizon = st.event_horizon;"
    "  UPDATE virga.servers SET group_no = p_group, done_no = p_group, link_no = sv.link_no,"
    "    link_hash = sv.link_hash, results = result WHERE server = p_server;"
    "  RETURN result;"
    "END $$;";

static const struct {
    int version;
    const char *const sql[6];
} steps[] = {
    {1, {tables, function_head, function_objects, function_rows, function_tail}},
};

/* The parts of a step, one text: string literals have a portable limit of 4,095 characters. */
static int apply_step(PGconn *conn, unsigned i, struct err *err)
{
    char sql[16 * 1024];
    size_t len = 0;
    for (unsigned k = 0; k < ARRAY_LEN(steps[i].sql) && steps[i].sql[k]; k++)
        len += (size_t)snprintf(sql + len, len < sizeof(sql) ? sizeof(sql) - len : 0, "%s",
                                steps[i].sql[k]);
    if (len < sizeof(sql))
        len += (size_t)snprintf(sql + len, sizeof(sql) - len,
                                "UPDATE virga.version SET version = %d", steps[i].version);
    if (len >= sizeof(sql))
        return err_set(err, EAGAIN, "schema step %d is too long", steps[i].version);
    return store_pgsql_exec(conn, sql, err);
}

/* In a transaction and under a lock, since servers start at the same time. */
static int upgrade(PGconn *conn, struct err *err)
{
    int r = store_pgsql_exec(conn,
                             "SELECT pg_advisory_xact_lock(" SCHEMA_LOCK ");"
                             "CREATE SCHEMA IF NOT EXISTS virga;"
                             "CREATE TABLE IF NOT EXISTS virga.version(version int NOT NULL);"
                             "INSERT INTO virga.version SELECT 0"
                             "  WHERE NOT EXISTS (SELECT 1 FROM virga.version)",
                             err);
    if (r)
        return r;
    PGresult *res = PQexecParams(conn, "SELECT version::bigint FROM virga.version", 0, NULL, NULL,
                                 NULL, NULL, 1);
    if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) != 1)
        return store_pgsql_error(conn, res, err, "could not read the schema's version");
    int64_t version = store_pgsql_int(res, 0, 0);
    PQclear(res);
    int newest = steps[ARRAY_LEN(steps) - 1].version;
    if (version > newest)
        return err_set(err, EPROTO,
                       "the database has schema version %lld and this program knows %d: start a "
                       "newer program",
                       (long long)version, newest);
    for (unsigned i = 0; !r && i < ARRAY_LEN(steps); i++)
        if (steps[i].version > version)
            r = apply_step(conn, i, err);
    return r;
}

int store_pgsql_schema(PGconn *conn, struct err *err)
{
    int r = store_pgsql_exec(conn, "BEGIN", err);
    if (r)
        return r;
    r = upgrade(conn, err);
    if (!r)
        return store_pgsql_exec(conn, "COMMIT", err);
    store_pgsql_exec(conn, "ROLLBACK", NULL);
    return r;
}
