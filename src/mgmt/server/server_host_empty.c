#include "mgmt/server/server_host_empty.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_vm.h"

#define NAMED_MAX 5

static enum api_vm_state state_of(const struct catalog_object *vm)
{
    return ((const struct api_vm *)vm->doc)->status.v->state.v;
}

/* Whether something of it runs, or is about to. */
static bool runs(const struct catalog_object *vm)
{
    enum api_vm_state state = state_of(vm);
    return server_vm_step(vm) || state == API_VM_STATE_RUNNING || state == API_VM_STATE_PAUSED ||
           state == API_VM_STATE_RESCUED || state == API_VM_STATE_LOST;
}

static bool any(const struct catalog_object *vm)
{
    (void)vm;
    return true;
}

/* How many there are, and the names of some. */
static size_t name_vms(struct server *s, const struct store_id *host,
                       bool (*which)(const struct catalog_object *vm), char text[256])
{
    const struct catalog_list *vms = catalog_under(s->catalog, CATALOG_VM, host);
    size_t n = 0, at = 0;
    text[0] = 0;
    for (size_t i = 0; i < vms->n; i++) {
        if (!which(vms->slots[i]->now))
            continue;
        if (n++ < NAMED_MAX && at < 200)
            at += (size_t)snprintf(text + at, 256 - at, "%s%.40s", n > 1 ? ", " : "",
                                   vms->slots[i]->now->name);
    }
    if (n > NAMED_MAX && at < 220)
        snprintf(text + at, 256 - at, " and %zu more", n - NAMED_MAX);
    return n;
}

/* ---- requests ---- */

struct change {
    struct server_call *c;
    struct catalog_slot *slot;
    struct server_txn *t;
    struct catalog_object *v;
    struct api_host *host;
};

static int no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

static int find(struct change *h, struct server_call *c)
{
    *h = (struct change){.c = c, .slot = server_call_object(c, CATALOG_HOST, 0)};
    int r = h->slot ? server_call_wait(c, h->slot) : -ENOENT;
    if (!r)
        r = server_call_match(c, h->slot->now);
    return r;
}

static int begin(struct change *h)
{
    h->t = server_txn_begin(h->c->s, h->c);
    h->v = h->t ? catalog_copy(h->slot->now) : NULL;
    if (!h->v) {
        server_txn_abandon(h->t);
        return no_memory(h->c);
    }
    h->host = h->v->doc;
    server_host_empty_end(h->t, h->v);
    return 0;
}

static int commit(struct change *h, enum api_host_mode mode)
{
    h->host->mode.is = API_VALUE;
    h->host->mode.v = mode;
    h->t->about = h->v;
    server_txn_put(h->t, h->slot, h->v, true);
    return server_txn_commit(h->t, NULL, NULL);
}

static int fence(struct server_call *c)
{
    const struct api_host_fence *body = c->request.body;
    struct change h;
    int r = find(&h, c);
    if (r)
        return r;
    const struct server_host *host = h.slot->aux;
    if (!body->confirmed.v)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/confirmed",
                               "make sure that the host is off, and say true");
    if (host && host->link)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "host %s answers, so it is not off: switch it off first",
                               h.slot->now->name);
    r = begin(&h);
    if (r)
        return r;
    if (h.host->status.is == API_VALUE) {
        h.host->status.v->state.is = API_VALUE;
        h.host->status.v->state.v = API_HOST_STATUS_STATE_FENCED;
        if (server_meta_text(h.v, &h.host->status.v->reason, "an operator has fenced it"))
            h.t->failed = -ENOMEM;
    }
    server_operation_done(h.t, h.v);
    return commit(&h, h.host->mode.is == API_VALUE ? h.host->mode.v : API_HOST_MODE_ACTIVE);
}

static int drain(struct server_call *c)
{
    const struct api_host_drain *body = c->request.body;
    char names[256];
    struct change h;
    int r = find(&h, c);
    if (r)
        return r;
    size_t n = name_vms(c->s, &h.slot->now->id, any, names);
    if (n)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                               "the disks of %zu VMs lie on host %s, and no driver can move them: "
                               "shelve or delete %s first, or cordon the host",
                               n, h.slot->now->name, names);
    r = begin(&h);
    if (r)
        return r;
    bool then = body->then_maintenance.is == API_VALUE && body->then_maintenance.v;
    server_operation_done(h.t, h.v);
    return commit(&h, then ? API_HOST_MODE_MAINTENANCE : API_HOST_MODE_CORDONED);
}

static int maintenance(struct server_call *c)
{
    const struct api_host_maintenance *body = c->request.body;
    char names[256];
    struct change h;
    int r = find(&h, c);
    if (r)
        return r;
    size_t n = name_vms(c->s, &h.slot->now->id, runs, names);
    bool force = body->force.is == API_VALUE && body->force.v;
    if (n && server_host_lost(c->s, &h.slot->now->id))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "host %s does not answer, and may still run %s: make sure that it "
                               "is off, and fence it",
                               h.slot->now->name, names);
    if (n && !force)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "%zu VMs run on host %s and cannot be moved, since their disks lie "
                               "there: stop %s first, or give force to have them stopped",
                               n, h.slot->now->name, names);
    r = begin(&h);
    if (r)
        return r;
    if (!n) {
        server_operation_done(h.t, h.v);
        return commit(&h, API_HOST_MODE_MAINTENANCE);
    }
    const char *id = server_operation_begin(h.t, h.v, false);
    if (id && server_meta_text(h.v, &h.v->own->operation, id))
        h.t->failed = -ENOMEM;
    return commit(&h, API_HOST_MODE_DRAINING);
}

const struct server_route server_host_empty_routes[] = {
    {API_OP_HOST_FENCE, fence},
    {API_OP_HOST_DRAIN, drain},
    {API_OP_HOST_MAINTENANCE, maintenance},
    {0},
};

void server_host_empty_end(struct server_txn *t, struct catalog_object *v)
{
    struct api_refusal problem;
    if (v->own->operation.is != API_VALUE)
        return;
    api_problem_init(&problem);
    api_problem_set(&problem, API_PROBLEM_CODE_RESOURCE_BUSY, "%s took its place",
                    t->call ? t->call->request.route->id : "another request");
    server_operation_end(t, v->own->operation.v, &problem);
    v->own->operation = (struct api_text){API_ABSENT, NULL};
}

bool server_host_empty_may_run(struct server *s, const struct store_id *id)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_HOST, id);
    const struct api_host *host = slot ? slot->now->doc : NULL;
    return !host || host->mode.is != API_VALUE ||
           (host->mode.v != API_HOST_MODE_DRAINING && host->mode.v != API_HOST_MODE_MAINTENANCE);
}

/* ---- what is under way ---- */

/* One that is on its way is left: it comes to its end, and is stopped then. */
static void stop(struct server *s, struct catalog_slot *slot)
{
    static const char *const steps[] = {"stop", NULL};
    if (slot->writing || server_vm_step(slot->now) || !runs(slot->now) ||
        state_of(slot->now) == API_VM_STATE_LOST)
        return;
    struct catalog_object *v = catalog_copy(slot->now);
    struct server_txn *t = v ? server_txn_begin(s, NULL) : NULL;
    if (!t || server_vm_plan(v, steps, API_VM_STATE_STOPPING, API_VM_STATE_STOPPED)) {
        catalog_unref(v);
        server_txn_abandon(t);
        return;
    }
    server_txn_put(t, slot, v, false);
    (void)server_txn_commit(t, NULL, NULL); /* the next step tries again */
}

static void finish(struct server *s, struct catalog_slot *slot)
{
    struct catalog_object *v = catalog_copy(slot->now);
    struct server_txn *t = v ? server_txn_begin(s, NULL) : NULL;
    if (!t) {
        catalog_unref(v);
        return;
    }
    struct api_host *host = v->doc;
    host->mode.v = API_HOST_MODE_MAINTENANCE;
    server_operation_end(t, v->own->operation.v, NULL);
    v->own->operation = (struct api_text){API_ABSENT, NULL};
    server_txn_put(t, slot, v, false);
    (void)server_txn_commit(t, NULL, NULL);
}

void server_host_empty_step(struct server *s, struct catalog_slot *slot)
{
    const struct catalog_list *vms = catalog_under(s->catalog, CATALOG_VM, &slot->now->id);
    size_t left = 0, n = vms->n;
    if (slot->writing || slot->now->own->operation.is != API_VALUE)
        return;
    for (size_t i = 0; i < n; i++) {
        left += runs(vms->slots[i]->now);
        stop(s, vms->slots[i]);
    }
    if (!left) {
        finish(s, slot);
        return;
    }
    char text[64];
    snprintf(text, sizeof(text), "%zu VMs are being stopped", left);
    server_operation_step(s, slot->now->own->operation.v, (int)(100 * (n - left) / n), text);
}
