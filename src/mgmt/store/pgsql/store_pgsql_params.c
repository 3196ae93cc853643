/* A group's operations as PostgreSQL's binary arrays. Which field goes where:
 *
 *   type    id         project  object       name  body    a           b         at
 *   PUT     id         project               name  body    seq
 *   DELETE  id                                             seq                   at
 *   RAISE   host                                           expected
 *   ADD     owner                            name          delta       limit
 *   EVENT   actor      project  object       name  body                          at
 *   AUDIT   actor      project  digest+obj.  name  body                          at
 *   USAGE   actor      project  object       name  body    epoch       number    at
 *   KEY     principal           hash         key   answer              expires   at
 *   EXPIRE                                                             max_rows  before
 * and kind, cond (when; EXPIRE: what). */
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/store/pgsql/store_pgsql_internal.h"

#define OID_BYTEA       17
#define OID_INT8        20
#define OID_INT4        23
#define OID_BYTEA_ARRAY 1001
#define OID_INT4_ARRAY  1007
#define OID_INT8_ARRAY  1016

enum {
    P_SERVER,
    P_GROUP,
    P_TXNS,
    P_TXN,
    P_TYPE,
    P_KIND,
    P_COND,
    P_ID,
    P_PROJECT,
    P_OBJECT,
    P_NAME,
    P_BODY,
    P_A,
    P_B,
    P_AT
};

const Oid store_pgsql_param_types[STORE_PGSQL_PARAMS] = {
    OID_BYTEA,       OID_INT8,        OID_INT4,        OID_INT4_ARRAY,  OID_INT4_ARRAY,
    OID_INT4_ARRAY,  OID_INT4_ARRAY,  OID_BYTEA_ARRAY, OID_BYTEA_ARRAY, OID_BYTEA_ARRAY,
    OID_BYTEA_ARRAY, OID_BYTEA_ARRAY, OID_INT8_ARRAY,  OID_INT8_ARRAY,  OID_INT8_ARRAY,
};

static void put(struct store_pgsql_params *p, unsigned at, const void *data, size_t len)
{
    struct store_pgsql_buf *b = &p->bufs[at];
    if (b->len + len > b->room) {
        size_t room = 2 * (b->len + len) + 256;
        char *data_new = realloc(b->data, room);
        if (!data_new) {
            p->no_memory = true;
            return;
        }
        b->data = data_new;
        b->room = room;
    }
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void put_32(struct store_pgsql_params *p, unsigned at, uint32_t v)
{
    v = htobe32(v);
    put(p, at, &v, sizeof(v));
}

static void put_64(struct store_pgsql_params *p, unsigned at, int64_t v)
{
    uint64_t be = htobe64((uint64_t)v);
    put(p, at, &be, sizeof(be));
}

static void element_32(struct store_pgsql_params *p, unsigned at, uint32_t v)
{
    put_32(p, at, 4);
    put_32(p, at, v);
}

static void element_64(struct store_pgsql_params *p, unsigned at, int64_t v)
{
    put_32(p, at, 8);
    put_64(p, at, v);
}

static void element_bytes(struct store_pgsql_params *p, unsigned at, const void *data, size_t len)
{
    put_32(p, at, (uint32_t)len);
    put(p, at, data, len);
}

/* One operation's fields, before they go into the arrays. */
struct fields {
    struct store_id id, project;
    uint8_t object[STORE_HASH_BYTES + STORE_ID_BYTES];
    size_t object_bytes;
    struct store_text name, body;
    int64_t a, b, at;
    uint32_t kind, cond;
};

static void row_fields(const struct store_op *op, struct fields *f)
{
    const struct store_row *row = &op->row;
    f->id = row->actor;
    f->project = row->project;
    f->kind = row->kind;
    f->name = row->name;
    f->body = row->body;
    f->at = row->at_ms;
    f->a = (int64_t)row->epoch;
    f->b = (int64_t)row->number;
    if (op->type == STORE_AUDIT) {
        store_audit_digest(row, f->object);
        f->object_bytes = STORE_HASH_BYTES;
    }
    memcpy(f->object + f->object_bytes, row->object.bytes, STORE_ID_BYTES);
    f->object_bytes += STORE_ID_BYTES;
}

static void op_fields(const struct store_op *op, struct fields *f)
{
    *f = (struct fields){.kind = 0};
    switch (op->type) {
    case STORE_PUT:
    case STORE_DELETE:
        f->id = op->object.id;
        f->project = op->object.project;
        f->kind = op->object.kind;
        f->cond = op->object.when;
        f->name = op->object.name;
        f->body = op->object.body;
        f->a = (int64_t)op->object.seq;
        f->at = op->object.at_ms;
        if (op->type == STORE_DELETE)
            f->name = f->body = (struct store_text){"", 0};
        break;
    case STORE_RAISE:
        f->id = op->raise.host;
        f->a = (int64_t)op->raise.expected;
        break;
    case STORE_ADD:
        f->id = op->add.owner;
        f->name = op->add.name;
        f->a = op->add.delta;
        f->b = op->add.limit;
        break;
    case STORE_EVENT:
    case STORE_AUDIT:
    case STORE_USAGE:
        row_fields(op, f);
        break;
    case STORE_KEY:
        f->id = op->key.principal;
        memcpy(f->object, op->key.hash, STORE_HASH_BYTES);
        f->object_bytes = STORE_HASH_BYTES;
        f->name = op->key.key;
        f->body = op->key.answer;
        f->b = op->key.expires_ms;
        f->at = op->key.at_ms;
        break;
    case STORE_EXPIRE:
        f->cond = op->expire.what;
        f->b = op->expire.max_rows;
        f->at = op->expire.before_ms;
        break;
    case STORE_OP_TYPES:
        break;
    }
}

static void put_op(struct store_pgsql_params *p, unsigned txn, const struct store_op *op)
{
    struct fields f;
    op_fields(op, &f);
    element_32(p, P_TXN, txn);
    element_32(p, P_TYPE, op->type);
    element_32(p, P_KIND, f.kind);
    element_32(p, P_COND, f.cond);
    element_bytes(p, P_ID, f.id.bytes, STORE_ID_BYTES);
    element_bytes(p, P_PROJECT, f.project.bytes, STORE_ID_BYTES);
    element_bytes(p, P_OBJECT, f.object, f.object_bytes);
    element_bytes(p, P_NAME, f.name.data, f.name.len_bytes);
    element_bytes(p, P_BODY, f.body.data, f.body.len_bytes);
    element_64(p, P_A, f.a);
    element_64(p, P_B, f.b);
    element_64(p, P_AT, f.at);
}

static uint32_t element_type(Oid array)
{
    return array == OID_BYTEA_ARRAY ? OID_BYTEA : array == OID_INT8_ARRAY ? OID_INT8 : OID_INT4;
}

int store_pgsql_params_fill(struct store_pgsql_params *p, const struct store_id *server,
                            uint64_t group, struct store_txn **txns, unsigned n)
{
    unsigned n_ops = 0;
    for (unsigned t = 0; t < n; t++)
        n_ops += txns[t]->n_ops;
    put(p, P_SERVER, server->bytes, STORE_ID_BYTES);
    put_64(p, P_GROUP, (int64_t)group);
    put_32(p, P_TXNS, n);
    for (unsigned i = P_TXN; i < STORE_PGSQL_PARAMS; i++) {
        put_32(p, i, 1); /* dimensions */
        put_32(p, i, 0); /* no NULLs */
        put_32(p, i, element_type(store_pgsql_param_types[i]));
        put_32(p, i, n_ops);
        put_32(p, i, 1); /* the first index */
    }
    for (unsigned t = 0; t < n; t++)
        for (unsigned k = 0; k < txns[t]->n_ops; k++)
            put_op(p, t + 1, &txns[t]->ops[k]);
    for (unsigned i = 0; i < STORE_PGSQL_PARAMS; i++) {
        p->values[i] = p->bufs[i].data;
        p->lengths[i] = (int)p->bufs[i].len;
        p->formats[i] = 1;
    }
    return p->no_memory ? -EAGAIN : 0;
}

void store_pgsql_params_free(struct store_pgsql_params *p)
{
    for (unsigned i = 0; i < STORE_PGSQL_PARAMS; i++)
        free(p->bufs[i].data);
}
