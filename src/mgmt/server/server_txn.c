/* Transactions: what a call changes, as one durable step.
 *
 * Until the store has answered nothing of it can be seen; then all of it can, in the same turn of
 * the loop: versions, events, the answer. What fails leaves nothing but the holds, which are given
 * back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "mgmt/server/server_audit.h"
#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_follow.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_key.h"

#define ARENA_MAX_BYTES (16u << 20)

struct server_txn *server_txn_begin(struct server *s, struct server_call *call)
{
    struct server_txn *t = malloc(sizeof(*t));
    if (!t) {
        if (call)
            api_problem_set(&call->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                            "no memory: try again later");
        return NULL;
    }
    t->s = s;
    t->call = call;
    api_arena_init(&t->arena, ARENA_MAX_BYTES);
    t->store = (struct store_txn){0};
    t->ops = NULL;
    t->changes = NULL;
    t->n_room = 0;
    t->holds = NULL;
    t->answer = t->about = NULL;
    t->status = 0;
    t->key_answer = (struct store_text){0};
    t->failed = 0;
    t->quiet = false;
    return t;
}

static int make_room(struct server_txn *t)
{
    unsigned room = t->n_room ? 2 * t->n_room : 16;
    if (t->store.n_ops == STORE_OPS_MAX)
        return -E2BIG;
    struct store_op *ops = reallocarray(t->ops, room, sizeof(*ops));
    if (!ops)
        return -ENOMEM;
    t->ops = t->store.ops = ops;
    struct server_change *changes = reallocarray(t->changes, room, sizeof(*changes));
    if (!changes)
        return -ENOMEM;
    t->changes = changes;
    t->n_room = room;
    return 0;
}

static struct store_op *next_op(struct server_txn *t, enum store_op_type type)
{
    int r = t->store.n_ops == t->n_room ? make_room(t) : 0;
    if (r) {
        t->failed = t->failed ? t->failed : r;
        return NULL;
    }
    struct store_op *op = &t->ops[t->store.n_ops];
    memset(op, 0, sizeof(*op));
    op->type = type;
    memset(&t->changes[t->store.n_ops], 0, sizeof(t->changes[0]));
    t->store.n_ops++;
    return op;
}

static void failed(struct server_txn *t, int r)
{
    if (r && !t->failed)
        t->failed = r;
}

static struct store_id actor_of(const struct server_txn *t)
{
    static const struct store_id nobody;
    return t->call ? server_store_id(&t->call->who.user) : nobody;
}

static void event(struct server_txn *t, const char *verb, const struct catalog_object *v)
{
    char type[128];
    if (t->quiet)
        return;
    snprintf(type, sizeof(type), "virga.%s.%s", catalog_kinds[v->kind].name, verb);
    server_txn_event(t, type, v, strcmp(verb, "deleted") != 0);
}

void server_txn_put(struct server_txn *t, struct catalog_slot *slot, struct catalog_object *v,
                    bool by_user)
{
    struct store_op *op = next_op(t, STORE_PUT);
    if (!op) {
        catalog_unref(v);
        return;
    }
    struct server_change *change = &t->changes[t->store.n_ops - 1];
    *change = (struct server_change){.v = v, .kind = v->kind, .id = v->id, .quiet = t->quiet};
    int64_t now_ms = server_now_ms();
    failed(t, slot ? server_meta_touch(v, now_ms, by_user) : server_meta_init(v, now_ms));
    if (!t->failed)
        failed(t, catalog_seal(v));
    if (t->failed)
        return;
    op->object = (struct store_object){
        .kind = (uint8_t)v->kind,
        .id = v->id,
        .project = v->project,
        .name = store_text_of(v->name),
        .body = {v->body, v->body_bytes},
        .when = slot ? STORE_IF_SEQ : STORE_IF_ABSENT,
        .seq = slot ? slot->now->seq : 0,
    };
    if (slot)
        slot->writing = true;
    event(t, !slot ? "created" : by_user ? "changed" : "status", v);
}

void server_txn_remove(struct server_txn *t, struct catalog_slot *slot)
{
    struct store_op *op = next_op(t, STORE_DELETE);
    if (!op)
        return;
    struct catalog_object *v = slot->now;
    t->changes[t->store.n_ops - 1] =
        (struct server_change){.kind = v->kind, .id = v->id, .removal = true, .quiet = t->quiet};
    op->object = (struct store_object){.kind = (uint8_t)v->kind,
                                       .id = v->id,
                                       .when = STORE_IF_SEQ,
                                       .seq = v->seq,
                                       .at_ms = server_now_ms()};
    slot->writing = slot->leaving = true;
    event(t, "deleted", v);
}

void server_txn_op(struct server_txn *t, const struct store_op *from)
{
    struct store_op *op = next_op(t, from->type);
    if (op)
        *op = *from;
}

void server_txn_event(struct server_txn *t, const char *type, const struct catalog_object *about,
                      bool shown)
{
    const char *text = server_event_text(t, type, about, shown);
    char *kept = api_arena_text(&t->arena, type, strlen(type));
    struct store_op *op = text && kept ? next_op(t, STORE_EVENT) : NULL;
    if (!op) {
        failed(t, -ENOMEM);
        return;
    }
    op->row = (struct store_row){.at_ms = server_now_ms(),
                                 .project = about->project,
                                 .object = about->id,
                                 .actor = actor_of(t),
                                 .kind = (uint8_t)about->kind,
                                 .name = store_text_of(kept),
                                 .body = store_text_of(text)};
}

void server_txn_hold(struct server_txn *t, struct server_hold *h)
{
    h->next = t->holds;
    t->holds = h;
}

static void end_holds(struct server_txn *t, const struct server_hold *down_to, bool done)
{
    while (t->holds != down_to) {
        struct server_hold *h = t->holds;
        t->holds = h->next;
        h->end(t->s, h, done);
    }
}

static void txn_free(struct server_txn *t)
{
    for (unsigned i = 0; i < t->store.n_ops; i++)
        catalog_unref(t->changes[i].v);
    api_arena_fini(&t->arena);
    free(t->ops);
    free(t->changes);
    free(t);
}

/* Objects may be written again; those who waited for that are called after all of them are free. */
static void free_slots(struct server_txn *t, unsigned from)
{
    for (unsigned i = from; i < t->store.n_ops; i++) {
        const struct server_change *change = &t->changes[i];
        struct catalog_slot *slot =
            change->kind ? catalog_find(t->s->catalog, change->kind, &change->id) : NULL;
        if (slot)
            slot->writing = slot->leaving = false;
    }
}

static void wake_waiting(struct server_txn *t)
{
    for (unsigned i = 0; i < t->store.n_ops; i++)
        if (t->changes[i].kind)
            server_written(t->s, t->changes[i].kind, &t->changes[i].id);
    for (unsigned i = 0; i < t->store.n_ops; i++)
        if (t->changes[i].kind)
            server_call_wake(t->s, t->changes[i].kind, &t->changes[i].id);
}

struct server_txn_mark server_txn_here(const struct server_txn *t)
{
    return (struct server_txn_mark){t->store.n_ops, t->holds};
}

void server_txn_back(struct server_txn *t, struct server_txn_mark mark)
{
    end_holds(t, mark.holds, false);
    free_slots(t, mark.n_ops);
    for (unsigned i = mark.n_ops; i < t->store.n_ops; i++)
        catalog_unref(t->changes[i].v);
    t->store.n_ops = mark.n_ops;
}

void server_txn_abandon(struct server_txn *t)
{
    if (!t)
        return;
    end_holds(t, NULL, false);
    free_slots(t, 0);
    wake_waiting(t);
    txn_free(t);
}

static void publish(struct server_txn *t)
{
    for (unsigned i = 0; i < t->store.n_ops; i++) {
        struct server_change *change = &t->changes[i];
        const struct store_op *op = &t->ops[i];
        t->s->seq = op->seq > t->s->seq ? op->seq : t->s->seq;
        if (change->v) {
            change->v->seq = op->seq;
            catalog_publish(t->s->catalog, catalog_ref(change->v));
        } else if (change->removal) {
            catalog_remove(t->s->catalog, change->kind, &change->id, op->seq);
        }
    }
    for (unsigned i = 0; i < t->store.n_ops && !t->s->follow; i++)
        if (t->ops[i].type == STORE_EVENT) {
            struct store_row row = t->ops[i].row;
            row.position = t->ops[i].seq;
            server_event_publish(t->s, &row);
        }
}

/* What the store said, as people are told it. */
static void refuse(struct server_txn *t, int result)
{
    struct api_refusal *r = &t->call->refusal;
    const struct store_op *op = &t->ops[t->store.failed_op];
    switch (result) {
    case -ENOTUNIQ:
        api_problem_set(r, API_PROBLEM_CODE_RESOURCE_NAME_TAKEN,
                        "a %s is called %.*s already: choose another name",
                        catalog_kinds[op->object.kind].name, (int)op->object.name.len_bytes,
                        op->object.name.data);
        break;
    case -EEXIST: /* the key's: it is looked up before this is said */
        api_problem_set(r, API_PROBLEM_CODE_IDEMPOTENCY_IN_FLIGHT,
                        "a request with this Idempotency-Key has just ended: try again");
        break;
    case -EDQUOT:
        api_problem_set(r, API_PROBLEM_CODE_QUOTA_EXCEEDED,
                        "quota %.*s: %lld of %lld are used and %lld more are asked for: delete "
                        "some, or ask an administrator for more",
                        (int)op->add.name.len_bytes, op->add.name.data, (long long)t->store.current,
                        (long long)op->add.limit, (long long)op->add.delta);
        break;
    case -ESTALE:
        api_problem_set(r, API_PROBLEM_CODE_PLACEMENT_CONFLICT,
                        "others changed the same things again and again: try again");
        r->retry_after_s = 1;
        break;
    case -E2BIG:
        api_problem_set(r, API_PROBLEM_CODE_REQUEST_TOO_LARGE,
                        "it changes more at once than %u things: ask for less", STORE_OPS_MAX);
        break;
    default:
        api_problem_set(r, API_PROBLEM_CODE_SERVER_STORE,
                        "the store is full, slow or gone, and nothing was changed: try again");
        r->retry_after_s = 2;
    }
}

static void done(struct store_txn *store_txn, void *ctx)
{
    struct server_txn *t = ctx;
    struct server_call *c = t->call;
    int result = store_txn->result;
    (void)fault_point("server_txn.commit.stored");
    const struct store_op *failed_op = &t->ops[store_txn->failed_op];
    if (!result)
        publish(t);
    else if (result == -ESTALE && failed_op->type == STORE_RAISE)
        server_claim_overtaken(t->s, &failed_op->raise.host, (uint64_t)store_txn->current);
    (void)fault_point("server_txn.commit.published");
    end_holds(t, NULL, !result);
    free_slots(t, 0);
    if (result == -EEXIST && server_network_clash(t->s, failed_op))
        result = -ESTALE;
    bool again = result == -ESTALE && c && c->tries++ < SERVER_RETRIES;
    if (result && c && !again)
        refuse(t, result);
    if (t->done)
        t->done(t, result);
    if (c && !result && t->answer)
        server_call_reply_object(c, t->status, t->answer);
    else if (c && result && !again)
        server_call_refuse(c);
    (void)fault_point("server_txn.commit.answered");
    wake_waiting(t);
    txn_free(t);
    if (again && !server_follow_again(c))
        server_call_run(c);
}

/* What the request was about: what it is answered with; of a DELETE the last one that goes; else
 * the first object. */
static const struct server_change *audited(const struct server_txn *t)
{
    bool removes = t->call->request.route->method == API_METHOD_DELETE;
    for (unsigned i = 0; t->about && i < t->store.n_ops; i++)
        if (t->changes[i].v == t->about)
            return &t->changes[i];
    const struct server_change *first = NULL, *removed = NULL;
    for (unsigned i = 0; i < t->store.n_ops; i++) {
        const struct server_change *change = &t->changes[i];
        if (!change->kind || change->quiet)
            continue;
        /* What it is answered with, or what it changes first. */
        if (change->v && change->v == (t->about ? t->about : t->answer) &&
            change->kind != CATALOG_OPERATION)
            return change;
        if (!first && change->v)
            first = change;
        if (change->removal)
            removed = change;
    }
    if (removed && (removes || !first))
        return removed;
    return first ? first : &t->changes[0];
}

static void add_audit(struct server_txn *t)
{
    struct server_call *c = t->call;
    const char *text = server_audit_text(c, "done", c->request.route->status, 0, &t->arena);
    struct store_op *op = text ? next_op(t, STORE_AUDIT) : NULL;
    if (!op) {
        failed(t, -ENOMEM);
        return;
    }
    const struct server_change *about = audited(t);
    op->row = (struct store_row){.at_ms = server_now_ms(),
                                 .project = c->project,
                                 .object = about->id,
                                 .actor = actor_of(t),
                                 .kind = (uint8_t)about->kind,
                                 .name = store_text_of(c->request.route->id),
                                 .body = store_text_of(text)};
}

int server_txn_commit(struct server_txn *t, server_txn_done *when_done, void *ctx)
{
    t->done = when_done;
    t->ctx = ctx;
    if (t->call && !t->failed) {
        add_audit(t);
        server_key_add(t);
    }
    (void)fault_point("server_txn.commit.begin");
    int r = t->failed ? t->failed : store_submit(t->s->store, &t->store, done, t);
    if (!r)
        return 0;
    if (t->call)
        refuse(t, r);
    server_txn_abandon(t);
    return r;
}
