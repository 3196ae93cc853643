/* Theory of operation. A tick every few seconds asks by a worker for the lead (which may block),
 * then looks at the sockets. A leader's every so-many-th tick begins a sweep: one small transaction
 * after the other, each when the last is done, until nothing old is left. So requests never wait
 * for more than one of them. */
#include "mgmt/server/server_sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/util.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_socket.h"

#define FIRST_US           500000
#define TICK_US            2000000
#define TICKS_A_SWEEP      30
#define ROWS               500
#define OPERATIONS         50
#define OPERATIONS_LOOKED  2000
#define HOUR_MS            (INT64_C(3600) * 1000)
#define OPERATIONS_KEPT_MS (7 * 24 * HOUR_MS)
#define TOMBSTONES_KEPT_MS (48 * HOUR_MS) /* a follower that was away for longer begins anew */
#define EVENTS_KEPT_HOURS  168

enum step { STEP_KEYS, STEP_TOMBSTONES, STEP_EVENTS, STEP_OPERATIONS, STEPS };

struct server_sweep {
    struct server *s;
    struct web_timer *timer;
    struct server_job job;
    bool asking, busy, leads;
    unsigned ticks;
    enum step step;
    struct store_txn txn;
    struct store_op op;
};

static int64_t events_kept_ms(struct server *s)
{
    static const struct store_id zero;
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_SETTINGS, &zero);
    const struct api_settings *settings = slot ? slot->now->doc : NULL;
    bool set = settings && settings->events_kept_hours.is == API_VALUE;
    return (set ? settings->events_kept_hours.v : EVENTS_KEPT_HOURS) * HOUR_MS;
}

static void go_on(struct server_sweep *w);

static void expired(struct store_txn *txn, void *ctx)
{
    struct server_sweep *w = ctx;
    (void)fault_point("server_sweep.step.stored");
    w->busy = false;
    if (txn->result) /* the next sweep tries again */
        return;
    if (w->op.value < ROWS)
        w->step++;
    go_on(w);
}

static int64_t before_ms(struct server_sweep *w, enum store_expirable *what)
{
    int64_t now_ms = server_now_ms();
    switch (w->step) {
    case STEP_TOMBSTONES:
        *what = STORE_OLD_TOMBSTONES;
        return now_ms - TOMBSTONES_KEPT_MS;
    case STEP_EVENTS:
        *what = STORE_OLD_EVENTS;
        return now_ms - events_kept_ms(w->s);
    default:
        *what = STORE_OLD_KEYS;
        return now_ms;
    }
}

static void expire(struct server_sweep *w, unsigned rows)
{
    w->op = (struct store_op){.type = STORE_EXPIRE, .expire = {.max_rows = rows}};
    w->op.expire.before_ms = before_ms(w, &w->op.expire.what);
    w->txn = (struct store_txn){.ops = &w->op, .n_ops = 1};
    (void)fault_point("server_sweep.step.begin");
    w->busy = !store_submit(w->s->store, &w->txn, expired, w);
}

static bool is_old(const struct catalog_object *v, int64_t now_ms)
{
    const struct api_operation *o = v->doc;
    int64_t ended_ms;
    return o->ended_at.is == API_VALUE && !server_meta_parse_time(o->ended_at.v, &ended_ms) &&
           ended_ms < now_ms - OPERATIONS_KEPT_MS;
}

static void operations_gone(struct server_txn *t, int result)
{
    struct server_sweep *w = t->ctx;
    w->busy = false;
    if (!result)
        go_on(w);
}

/* The oldest that ended long ago: they are in the order in which they began. */
static void remove_operations(struct server_sweep *w)
{
    const struct catalog_list *list = catalog_all(w->s->catalog, CATALOG_OPERATION);
    struct server_txn *t = server_txn_begin(w->s, NULL);
    int64_t now_ms = server_now_ms();
    unsigned n = 0;
    for (size_t i = 0; t && i < list->n && i < OPERATIONS_LOOKED && n < OPERATIONS; i++)
        if (!list->slots[i]->writing && is_old(list->slots[i]->now, now_ms)) {
            server_txn_remove(t, list->slots[i]);
            n++;
        }
    if (!n) {
        server_txn_abandon(t);
        w->step = STEPS;
        return;
    }
    w->busy = !server_txn_commit(t, operations_gone, w);
}

static void go_on(struct server_sweep *w)
{
    if (w->busy || w->step == STEPS)
        return;
    if (w->step == STEP_OPERATIONS)
        remove_operations(w);
    else
        expire(w, ROWS);
}

/* A store that has failed is not known to be well before somebody writes: nobody may, while a load
 * balancer keeps requests away because of it. */
static void probe(struct server_sweep *w)
{
    struct store_status status;
    store_status(w->s->store, &status);
    if (!status.last.code || w->busy)
        return;
    w->step = STEP_KEYS;
    expire(w, 1);
}

static void ask(struct server_job *j)
{
    struct server_sweep *w = container_of(j, struct server_sweep, job);
    w->leads = store_lead(w->s->store, SERVER_DUTY_LEAD);
}

static void asked(struct server_job *j)
{
    struct server_sweep *w = container_of(j, struct server_sweep, job);
    w->asking = false;
    w->s->leads = w->leads;
    if (!w->leads || w->busy || w->ticks % TICKS_A_SWEEP != 1)
        return;
    w->step = STEP_KEYS;
    go_on(w);
}

static void tick(void *ctx)
{
    struct server_sweep *w = ctx;
    w->ticks++;
    if (!w->asking) {
        w->job = (struct server_job){.work = ask, .done = asked};
        w->asking = !server_workers_submit(w->s->workers, &w->job);
    }
    server_socket_sweep(w->s);
    probe(w);
    web_timer_arm(w->timer, TICK_US);
}

struct server_sweep *server_sweep_create(struct server *s, struct err *err)
{
    struct server_sweep *w = calloc(1, sizeof(*w));
    if (w) {
        w->s = s;
        w->step = STEPS;
        w->timer = web_timer_create(s->loop, tick, w);
    }
    if (!w || !w->timer) {
        free(w);
        err_set(err, ENOMEM, "no memory for a server");
        return NULL;
    }
    web_timer_arm(w->timer, FIRST_US);
    return w;
}

void server_sweep_destroy(struct server_sweep *w)
{
    if (!w)
        return;
    web_timer_destroy(w->timer);
    free(w);
}

bool server_sweep_leads(const struct server *s)
{
    return s->leads;
}
