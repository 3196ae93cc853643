/* audit_list and audit_verify: both read the store by a worker.
 *
 * A page in the order of numbers, either way, reads about as much as it shows; any other order or a
 * filter that hardly anything passes reads all there is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_audit.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_page.h"

#define READ_AT_ONCE    500
#define WINDOW_ROWS     2048
#define ARENA_MAX_BYTES (128u << 20)

struct listing {
    struct server_job job;
    struct server_call *c;
    const struct api_query *query;
    uint64_t last, before; /* rows behind one and before the other */
    unsigned n_read;
    struct api_arena arena; /* what is shown */
    const void **docs;
    size_t n, room;
    struct api_buf text;
    int result;
    struct err err;
    struct api_refusal refusal;
};

/* ---- in the worker ---- */

static int set_id(struct api_arena *arena, struct api_text *field, const struct store_id *id)
{
    char text[UUID_TEXT_BYTES];
    if (catalog_id_is_zero(id))
        return 0;
    uuid_format(id->bytes, text);
    const char *copy = api_arena_text(arena, text, UUID_TEXT_BYTES - 1);
    *field = (struct api_text){copy ? API_VALUE : API_ABSENT, copy};
    return copy ? 0 : -ENOMEM;
}

static int set_resource(struct api_arena *arena, struct api_text *field,
                        const struct store_row *row)
{
    char id[UUID_TEXT_BYTES], text[128];
    if (!row->kind || row->kind >= CATALOG_KINDS)
        return 0;
    uuid_format(row->object.bytes, id);
    snprintf(text, sizeof(text), "%s/%s", catalog_kinds[row->kind].name, id);
    const char *copy = api_arena_text(arena, text, strlen(text));
    *field = (struct api_text){copy ? API_VALUE : API_ABSENT, copy};
    return copy ? 0 : -ENOMEM;
}

/* The record; one that cannot be read has what the row has. NULL: no memory. */
static struct api_audit_record *record_of(const struct store_row *row, struct api_arena *arena)
{
    struct api_audit_record *d = NULL;
    struct api_refusal ignored;
    api_problem_init(&ignored);
    if (api_json_read(&api_types_audit_record, row->body.data, row->body.len_bytes,
                      API_JSON_LENIENT, arena, (void **)&d, &ignored))
        d = api_json_new(&api_types_audit_record, arena);
    if (!d)
        return NULL;
    d->number = (struct api_int){API_VALUE, (int64_t)row->position};
    d->link = (struct api_int){API_VALUE, (int64_t)row->link};
    if (set_id(arena, &d->principal, &row->actor) || set_id(arena, &d->project, &row->project) ||
        set_id(arena, &d->server, &row->server) || set_resource(arena, &d->resource, row))
        return NULL;
    return d;
}

static int keep(struct listing *l, const struct store_row *row)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        void *p = reallocarray(l->docs, room, sizeof(*l->docs));
        if (!p)
            return -ENOMEM;
        l->docs = p;
        l->room = room;
    }
    l->docs[l->n] = record_of(row, &l->arena);
    return l->docs[l->n++] ? 0 : -ENOMEM;
}

static int look(const struct store_row *row, void *ctx)
{
    struct listing *l = ctx;
    struct api_arena scratch;
    if (row->position >= l->before)
        return 1;
    l->n_read++;
    l->last = row->position;
    api_arena_init(&scratch, ARENA_MAX_BYTES);
    const struct api_audit_record *d = record_of(row, &scratch);
    bool shown = d && api_query_match(l->query, d) && api_query_after(l->query, d);
    api_arena_fini(&scratch);
    return !d ? -ENOMEM : shown ? keep(l, row) : 0;
}

/* Rows of a window; ends early when there are as many as a page needs. */
static int read_window(struct listing *l, uint64_t after, uint64_t before, size_t enough)
{
    int r;
    l->last = after;
    l->before = before;
    do {
        l->n_read = 0;
        r = store_rows(l->c->s->store, STORE_AUDIT_TRAIL, l->last, READ_AT_ONCE, look, l, &l->err);
    } while (!r && l->n_read == READ_AT_ONCE && l->n < enough);
    return r > 0 ? 0 : r;
}

static void forget(struct listing *l)
{
    l->n = 0;
    api_arena_fini(&l->arena);
    api_arena_init(&l->arena, ARENA_MAX_BYTES);
}

/* The newest first: windows from the end, each wider than the last. */
static int read_backwards(struct listing *l, uint64_t before)
{
    for (uint64_t window = WINDOW_ROWS;; window *= 8) {
        uint64_t after = before > window ? before - window : 0;
        int r = read_window(l, after, before, SIZE_MAX);
        if (r || !after || l->n > l->query->limit)
            return r;
        forget(l);
    }
}

static int read_all(struct listing *l)
{
    const struct api_query *q = l->query;
    const struct api_query_sort *first = &q->sorts[0];
    bool by_number = q->n_sorts && !strcmp(first->path.steps[0]->name, "number");
    uint64_t at =
        by_number && q->has_cursor && q->cursor[0].kind == API_QUERY_INT && q->cursor[0].number > 0
            ? (uint64_t)q->cursor[0].number
            : 0;
    struct store_status status;
    if (by_number && !first->descending)
        return read_window(l, at, INT64_MAX, q->limit + 1);
    store_status(l->c->s->store, &status);
    if (by_number)
        return read_backwards(l, at ? at : MAX(status.seq, l->c->s->seq) + 1);
    return read_window(l, 0, INT64_MAX, SIZE_MAX);
}

static void list_work(struct server_job *j)
{
    struct listing *l = container_of(j, struct listing, job);
    l->result = read_all(l);
    if (!l->result)
        l->result = server_page_write(l->query, l->docs, l->n, &l->text, &l->refusal);
}

/* ---- in the loop ---- */

static void listing_free(struct listing *l)
{
    api_arena_fini(&l->arena);
    api_buf_fini(&l->text);
    free(l->docs);
    free(l);
}

static void list_done(struct server_job *j)
{
    struct listing *l = container_of(j, struct listing, job);
    struct server_call *c = l->c;
    if (!l->result) {
        server_call_reply(c, 200, l->text.text, l->text.bytes);
    } else {
        if (l->refusal.set)
            c->refusal = l->refusal;
        else if (l->result == -ENOMEM)
            api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                            "too many records are meant: sort by number, or filter");
        else
            api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_STORE,
                            "the audit log cannot be read now: try again");
        c->refusal.retry_after_s = 2;
        server_call_refuse(c);
    }
    listing_free(l);
}

static int busy(struct server_call *c)
{
    c->refusal.retry_after_s = 1;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                           "too much is being read: try again");
}

static int audit_list(struct server_call *c)
{
    struct listing *l = calloc(1, sizeof(*l));
    if (!l)
        return busy(c);
    l->job = (struct server_job){.work = list_work, .done = list_done};
    l->c = c;
    l->query = &c->request.list;
    api_arena_init(&l->arena, ARENA_MAX_BYTES);
    api_buf_init(&l->text, SERVER_BODY_MAX_BYTES);
    api_problem_init(&l->refusal);
    if (!server_workers_submit(c->s->workers, &l->job))
        return 0;
    listing_free(l);
    return busy(c);
}

/* ---- verifying ---- */

struct verifying {
    struct server_job job;
    struct server_call *c;
    struct store_audit_report report;
    int result;
    struct err err;
};

static void verify_work(struct server_job *j)
{
    struct verifying *v = container_of(j, struct verifying, job);
    v->result = store_audit_inspect(v->c->s->store, &v->report, &v->err);
}

static void reply_verified(struct verifying *v)
{
    struct server_call *c = v->c;
    struct api_audit_chain *chains =
        api_arena_array(&c->arena, v->report.n_heads + 1, sizeof(*chains));
    struct api_audit_verify answer = {
        .whole = {API_VALUE, !v->result},
        .records = {API_VALUE, (int64_t)v->report.rows},
    };
    answer.chains.is = API_VALUE;
    for (unsigned i = 0; chains && i < v->report.n_heads; i++) {
        const struct store_audit_head *head = &v->report.heads[i];
        char hash[2 * STORE_HASH_BYTES + 1];
        for (unsigned k = 0; k < STORE_HASH_BYTES; k++)
            snprintf(hash + 2 * (size_t)k, 3, "%02x", head->hash[k]);
        if (!head->link || set_id(&c->arena, &chains[answer.chains.n].server, &head->server))
            continue;
        struct api_audit_chain *chain = &chains[answer.chains.n++];
        chain->link = (struct api_int){API_VALUE, (int64_t)head->link};
        chain->hash.v = api_arena_text(&c->arena, hash, sizeof(hash) - 1);
        chain->hash.is = chain->hash.v ? API_VALUE : API_ABSENT;
    }
    answer.chains.v = chains;
    if (v->result)
        answer.detail = (struct api_text){API_VALUE, v->err.msg};
    server_call_reply_struct(c, 200, &api_types_audit_verify, &answer);
}

static void verify_done(struct server_job *j)
{
    struct verifying *v = container_of(j, struct verifying, job);
    if (!v->result || v->result == -EBADMSG) {
        reply_verified(v);
    } else {
        v->c->refusal.retry_after_s = 2;
        api_problem_set(&v->c->refusal, API_PROBLEM_CODE_SERVER_STORE,
                        "the audit log cannot be read now: try again");
        server_call_refuse(v->c);
    }
    free(v);
}

static int audit_verify(struct server_call *c)
{
    struct verifying *v = calloc(1, sizeof(*v));
    if (!v)
        return busy(c);
    v->job = (struct server_job){.work = verify_work, .done = verify_done};
    v->c = c;
    if (!server_workers_submit(c->s->workers, &v->job))
        return 0;
    free(v);
    return busy(c);
}

const struct server_route server_audit_routes[] = {
    {API_OP_AUDIT_LIST, audit_list},
    {API_OP_AUDIT_VERIFY, audit_verify},
    {0},
};
