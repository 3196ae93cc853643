/* Operations: work that outlives its request. One is written together with what it is about, when
 * it begins and when it ends; its progress in between is shown and not stored. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_operation_cancel.h"

/* A call that waits for an operation's end. */
struct server_waiter {
    struct server_call *c;
    struct store_id operation;
    struct web_timer *timer;
    struct server_waiter *next, **link;
};

static bool ended(const struct catalog_object *v)
{
    const struct api_operation *o = v->doc;
    return o->state.is == API_VALUE && o->state.v >= API_OPERATION_STATE_DONE;
}

static void set(struct server_txn *t, struct catalog_object *v, struct api_text *field,
                const char *text)
{
    if (server_meta_text(v, field, text) && !t->failed)
        t->failed = -ENOMEM;
}

static const char *begin(struct server_txn *t, const struct catalog_object *about, bool cancellable,
                         bool done)
{
    struct server_call *c = t->call;
    struct store_id id = catalog_id(server_now_ms()), who = server_store_id(&c->who.user);
    struct catalog_object *v = catalog_new(CATALOG_OPERATION, &id, &about->project);
    char text[UUID_TEXT_BYTES];
    if (!v) {
        t->failed = t->failed ? t->failed : -ENOMEM;
        return NULL;
    }
    struct api_operation *o = v->doc;
    o->state.is = API_VALUE;
    o->state.v = done ? API_OPERATION_STATE_DONE : API_OPERATION_STATE_RUNNING;
    o->progress_percent = (struct api_int){API_VALUE, done ? 100 : 0};
    if (done) {
        server_meta_time(server_now_ms(), text);
        set(t, v, &o->ended_at, text);
    }
    o->cancellable = (struct api_bool){API_VALUE, cancellable};
    set(t, v, &o->kind, c->request.route->id);
    set(t, v, &o->resource, about->id_text);
    set(t, v, &o->resource_kind, catalog_kinds[about->kind].name);
    set(t, v, &o->request_id, c->request_id);
    uuid_format(who.bytes, text);
    set(t, v, &o->principal, text);
    const char *id_text = api_arena_text(&t->arena, v->id_text, UUID_TEXT_BYTES - 1);
    server_txn_put(t, NULL, v, true);
    t->answer = v;
    t->status = 202;
    return id_text;
}

const char *server_operation_begin(struct server_txn *t, const struct catalog_object *about,
                                   bool cancellable)
{
    return begin(t, about, cancellable, false);
}

void server_operation_done(struct server_txn *t, const struct catalog_object *about)
{
    (void)begin(t, about, false, true);
}

static struct catalog_slot *find(struct server *s, const char *id)
{
    struct catalog_slot *slot = catalog_find_id(s->catalog, CATALOG_OPERATION, id);
    return slot && !ended(slot->now) ? slot : NULL;
}

void server_operation_step(struct server *s, const char *id, int percent, const char *step)
{
    struct catalog_slot *slot = find(s, id);
    struct catalog_object *v = slot ? catalog_copy(slot->now) : NULL;
    if (!v)
        return;
    struct api_operation *o = v->doc;
    v->seq = slot->now->seq;
    o->progress_percent = (struct api_int){API_VALUE, percent};
    if ((step && server_meta_text(v, &o->step, step)) ||
        server_meta_touch(v, server_now_ms(), false) || catalog_seal(v)) {
        catalog_unref(v);
        return;
    }
    catalog_publish(s->catalog, v);
}

static int set_problem(struct catalog_object *v, const struct api_refusal *problem)
{
    struct api_operation *o = v->doc;
    struct api_problem *p = api_json_new(&api_types_problem, &v->arena);
    const struct api_problem_kind *kind = &api_problem_kinds[problem->code];
    struct api_buf b;
    if (!p)
        return -ENOMEM;
    api_buf_init(&b, 128);
    api_buf_printf(&b, "urn:virga:problem:%s", kind->code);
    p->status = (struct api_int){API_VALUE, kind->status};
    p->code.is = API_VALUE;
    p->code.v = problem->code;
    int r = b.failed ? -ENOMEM : server_meta_text(v, &p->type, b.text);
    api_buf_fini(&b);
    if (!r)
        r = server_meta_text(v, &p->title, kind->title);
    if (!r && problem->detail[0])
        r = server_meta_text(v, &p->detail, problem->detail);
    o->problem.is = API_VALUE;
    o->problem.v = p;
    return r;
}

static void end(struct server_txn *t, const char *id, enum api_operation_state state,
                const struct api_refusal *problem)
{
    struct catalog_slot *slot = find(t->s, id);
    struct catalog_object *v = slot ? catalog_copy(slot->now) : NULL;
    char now[SERVER_TIME_BYTES];
    if (!v)
        return;
    (void)fault_point("server_operation.end.begin");
    struct api_operation *o = v->doc;
    o->state.v = state;
    o->cancellable = (struct api_bool){API_VALUE, false};
    if (state == API_OPERATION_STATE_DONE)
        o->progress_percent = (struct api_int){API_VALUE, 100};
    server_meta_time(server_now_ms(), now);
    set(t, v, &o->ended_at, now);
    if (problem && set_problem(v, problem) && !t->failed)
        t->failed = -ENOMEM;
    server_txn_put(t, slot, v, false);
}

void server_operation_end(struct server_txn *t, const char *id, const struct api_refusal *problem)
{
    end(t, id, problem ? API_OPERATION_STATE_FAILED : API_OPERATION_STATE_DONE, problem);
}

void server_operation_cancelled(struct server_txn *t, const char *id)
{
    end(t, id, API_OPERATION_STATE_CANCELLED, NULL);
}

/* ---- waiting ---- */

static void answer(struct server_waiter *w)
{
    struct server_call *c = w->c;
    const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_OPERATION, &w->operation);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    web_timer_destroy(w->timer);
    free(w);
    if (slot) {
        server_call_reply_object(c, 200, slot->now);
    } else {
        api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_GONE,
                        "the operation is no longer kept");
        server_call_refuse(c);
    }
}

static void timed_out(void *ctx)
{
    answer(ctx);
}

void server_operation_changed(struct server *s, const struct catalog_object *after)
{
    if (!ended(after))
        return;
    for (struct server_waiter *w = s->operation_waiters, *next; w; w = next) {
        next = w->next;
        if (!memcmp(&w->operation, &after->id, sizeof(after->id)))
            web_timer_arm(w->timer, 0); /* not from here: it is being published */
    }
}

void server_operation_answer_all(struct server *s)
{
    while (s->operation_waiters)
        answer(s->operation_waiters);
}

static int operation_wait(struct server_call *c)
{
    const struct api_operation_wait_query *query = c->request.query;
    const struct catalog_slot *slot = server_call_object(c, CATALOG_OPERATION, 0);
    if (!slot)
        return -ENOENT;
    if (ended(slot->now)) {
        server_call_reply_object(c, 200, slot->now);
        return 0;
    }
    struct server_waiter *w = calloc(1, sizeof(*w));
    if (w)
        w->timer = web_timer_create(c->s->loop, timed_out, w);
    if (!w || !w->timer) {
        free(w);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    w->c = c;
    w->operation = slot->now->id;
    w->next = c->s->operation_waiters;
    w->link = &c->s->operation_waiters;
    if (w->next)
        w->next->link = &w->next;
    c->s->operation_waiters = w;
    web_timer_arm(w->timer, query->timeout_s.v * 1000000);
    return 0;
}

/* ---- cancelling ---- */

/* Imports of images are what can be given up; NULL: it is of another kind. */
static struct catalog_slot *import_of(struct server *s, const struct catalog_object *v)
{
    const struct api_operation *o = v->doc;
    bool may = o->cancellable.is == API_VALUE && o->cancellable.v;
    return may && o->resource.is == API_VALUE
               ? catalog_find_id(s->catalog, CATALOG_IMAGE, o->resource.v)
               : NULL;
}

static int cancel(struct server_call *c, struct catalog_slot *image)
{
    struct server_txn *t = server_txn_begin(c->s, c);
    if (!t)
        return -EAGAIN;
    int r = server_image_cancel(c, t, image);
    if (r) {
        server_txn_abandon(t);
        return r;
    }
    for (unsigned i = 0; i < t->store.n_ops; i++)
        if (t->changes[i].v && t->changes[i].kind == CATALOG_OPERATION)
            t->answer = t->changes[i].v;
    t->status = 202;
    return server_txn_commit(t, NULL, NULL);
}

int server_operation_cancel_image(struct server_call *c, struct catalog_slot *operation)
{
    struct catalog_slot *image = import_of(c->s, operation->now);
    if (!image)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_OPERATION_NOT_CANCELLABLE,
                               "operation %s cannot be cancelled: wait for its end",
                               operation->now->id_text);
    return cancel(c, image);
}

static const struct server_resource operation = {.kind = CATALOG_OPERATION};

static int operation_get(struct server_call *c)
{
    return server_resource_get(c, &operation);
}
static int operation_list(struct server_call *c)
{
    return server_resource_list(c, &operation);
}

const struct server_route server_operation_routes[] = {
    {API_OP_OPERATION_LIST, operation_list},
    {API_OP_OPERATION_GET, operation_get},
    {API_OP_OPERATION_WAIT, operation_wait},
    {API_OP_OPERATION_CANCEL, server_operation_cancel},
    {0},
};
