/* What the store's tests share: operations made in one line, reads gathered into lists. */
#ifndef TESTS_UNIT_MGMT_STORE_STORE_RIG_H
#define TESTS_UNIT_MGMT_STORE_STORE_RIG_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/store/store.h"

static inline struct store_id rig_id(unsigned n)
{
    struct store_id id = {{0}};
    for (unsigned i = 0; i < 4; i++)
        id.bytes[STORE_ID_BYTES - 1 - i] = (uint8_t)(n >> 8 * i);
    return id;
}

static inline unsigned rig_number(const struct store_id *id)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 4; i++)
        n |= (unsigned)id->bytes[STORE_ID_BYTES - 1 - i] << 8 * i;
    return n;
}

static inline struct store_config rig_config(unsigned server)
{
    return (struct store_config){.server = rig_id(server)};
}

static inline struct store_op rig_put(uint8_t kind, unsigned id, unsigned project, const char *name,
                                      const char *body, enum store_when when, uint64_t seq)
{
    return (struct store_op){.type = STORE_PUT,
                             .object = {.kind = kind,
                                        .id = rig_id(id),
                                        .project = rig_id(project),
                                        .name = store_text_of(name),
                                        .body = store_text_of(body),
                                        .when = when,
                                        .seq = seq}};
}

static inline struct store_op rig_delete(uint8_t kind, unsigned id, enum store_when when,
                                         uint64_t seq, int64_t at_ms)
{
    return (struct store_op){
        .type = STORE_DELETE,
        .object = {.kind = kind, .id = rig_id(id), .when = when, .seq = seq, .at_ms = at_ms}};
}

static inline struct store_op rig_raise(unsigned host, uint64_t expected)
{
    return (struct store_op){.type = STORE_RAISE,
                             .raise = {.host = rig_id(host), .expected = expected}};
}

static inline struct store_op rig_add(unsigned owner, const char *name, int64_t delta,
                                      int64_t limit)
{
    return (struct store_op){
        .type = STORE_ADD,
        .add = {
            .owner = rig_id(owner), .name = store_text_of(name), .delta = delta, .limit = limit}};
}

static inline struct store_op rig_row(enum store_op_type type, const char *name, const char *body,
                                      int64_t at_ms)
{
    return (struct store_op){.type = type,
                             .row = {.at_ms = at_ms,
                                     .project = rig_id(1),
                                     .object = rig_id(2),
                                     .actor = rig_id(3),
                                     .kind = 4,
                                     .name = store_text_of(name),
                                     .body = store_text_of(body)}};
}

static inline struct store_op rig_usage(unsigned source, uint64_t epoch, uint64_t number)
{
    struct store_op op = rig_row(STORE_USAGE, "egress_bytes", "{}", 5);
    op.row.actor = rig_id(source);
    op.row.epoch = epoch;
    op.row.number = number;
    return op;
}

static inline struct store_op rig_key(unsigned principal, const char *key, const char *answer,
                                      int64_t at_ms, int64_t expires_ms)
{
    struct store_op op = {.type = STORE_KEY,
                          .key = {.principal = rig_id(principal),
                                  .key = store_text_of(key),
                                  .answer = store_text_of(answer),
                                  .at_ms = at_ms,
                                  .expires_ms = expires_ms}};
    memset(op.key.hash, (int)principal + 1, sizeof(op.key.hash));
    return op;
}

static inline struct store_op rig_expire(enum store_expirable what, int64_t before_ms,
                                         unsigned max_rows)
{
    return (struct store_op){
        .type = STORE_EXPIRE,
        .expire = {.what = what, .before_ms = before_ms, .max_rows = max_rows}};
}

/* One transaction, waited for. */
static inline int rig_run(struct store *s, struct store_op *ops, unsigned n, struct store_txn *txn)
{
    struct store_txn local;
    txn = txn ? txn : &local;
    *txn = (struct store_txn){.ops = ops, .n_ops = n};
    return store_submit_wait(s, txn);
}

static inline int rig_one(struct store *s, struct store_op op)
{
    return rig_run(s, &op, 1, NULL);
}

/* Records and rows as lines of text, one string: easy to compare and to print. */
struct rig_text {
    char *text;
    size_t len, room;
    unsigned n;
};

static inline void rig_text_add(struct rig_text *t, const char *line)
{
    size_t len = strlen(line);
    if (t->len + len + 2 > t->room) {
        t->room = 2 * (t->room + len + 2);
        t->text = realloc(t->text, t->room);
        if (!t->text)
            abort();
    }
    memcpy(t->text + t->len, line, len);
    t->len += len;
    t->text[t->len++] = '\n';
    t->text[t->len] = 0;
    t->n++;
}

static inline void rig_text_free(struct rig_text *t)
{
    free(t->text);
    *t = (struct rig_text){.text = NULL};
}

static inline int rig_add_record(const struct store_record *r, void *ctx)
{
    char line[256];
    int n = (int)r->name.len_bytes, b = (int)r->body.len_bytes;
    if (r->type == STORE_OBJECT)
        snprintf(line, sizeof(line), "%" PRIu64 " object %u/%u of %u %.*s=%.*s", r->seq, r->kind,
                 rig_number(&r->id), rig_number(&r->project), n, r->name.data, b, r->body.data);
    else if (r->type == STORE_TOMBSTONE)
        snprintf(line, sizeof(line), "%" PRIu64 " tombstone %u/%u", r->seq, r->kind,
                 rig_number(&r->id));
    else if (r->type == STORE_CLAIM)
        snprintf(line, sizeof(line), "%" PRIu64 " claim %u=%" PRId64, r->seq, rig_number(&r->id),
                 r->value);
    else
        snprintf(line, sizeof(line), "%" PRIu64 " counter %u.%.*s=%" PRId64, r->seq,
                 rig_number(&r->id), n, r->name.data, r->value);
    rig_text_add(ctx, line);
    return 0;
}

static inline int rig_add_row(const struct store_row *r, void *ctx)
{
    char line[256];
    snprintf(line, sizeof(line),
             "%" PRIu64 " at %" PRId64 " %u/%u of %u by %u %.*s=%.*s %" PRIu64 ".%" PRIu64,
             r->position, r->at_ms, r->kind, rig_number(&r->object), rig_number(&r->project),
             rig_number(&r->actor), (int)r->name.len_bytes, r->name.data, (int)r->body.len_bytes,
             r->body.data, r->epoch, r->number);
    rig_text_add(ctx, line);
    return 0;
}

static inline struct rig_text rig_load(struct store *s, uint64_t *seq)
{
    struct rig_text t = {.text = NULL};
    uint64_t ignored;
    struct err err = {.code = 0};
    if (store_load(s, seq ? seq : &ignored, rig_add_record, &t, &err))
        printf("# load: %s\n", err.msg);
    return t;
}

static inline struct rig_text rig_rows(struct store *s, enum store_table table)
{
    struct rig_text t = {.text = NULL};
    struct err err = {.code = 0};
    if (store_rows(s, table, 0, 1000000, rig_add_row, &t, &err))
        printf("# rows: %s\n", err.msg);
    return t;
}

static inline const char *rig_str(const struct rig_text *t)
{
    return t->text ? t->text : "";
}

/* xorshift: the same numbers everywhere. */
static inline uint32_t rig_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

static inline bool rig_long(void)
{
    const char *v = getenv("VIRGA_LONG");
    return v && *v && strcmp(v, "0") != 0;
}

#endif
