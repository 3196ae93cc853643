/* New VMs: what each refers to, where it goes, what it takes; one transaction.
 *
 * Order: everything that may be refused or may have to wait comes first, the claim last, so that
 * nobody can come between the choice of a host and its claim. */
#include "mgmt/server/server_vm_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_key.h"
#include "mgmt/server/server_network.h"
#include "mgmt/server/server_place.h"
#include "mgmt/server/server_ref.h"
#include "mgmt/server/server_reservation.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_vm.h"

#define DEFAULT_GRACE_MS 60000

struct make {
    struct server_call *c;
    const struct api_vm_create *body;
    struct server_txn *t;
    struct catalog_object *v;
    struct api_vm *vm;
    struct catalog_slot *flavor, *image, *boot_volume, *reservation;
    const struct api_flavor *size;
    int64_t disk_gib;
    struct store_id host;
    struct server_place place;
    const char **ports, **volumes; /* ids, in the version's arena */
    uint32_t n_ports, n_volumes;
};

static int no_memory(struct make *m)
{
    return api_problem_set(&m->c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

static int resolve(struct make *m)
{
    struct server_call *c = m->c;
    struct catalog_slot *other;
    struct api_vm *vm = m->vm;
    int r = server_call_ref(c, CATALOG_FLAVOR, &vm->flavor, "/flavor", &m->flavor);
    if (!r)
        r = server_call_ref(c, CATALOG_IMAGE, &vm->image, "/image", &m->image);
    if (!r)
        r = server_call_ref(c, CATALOG_VOLUME, &vm->boot_volume, "/boot_volume", &m->boot_volume);
    if (!r)
        r = server_call_ref(c, CATALOG_KEYPAIR, &vm->keypair, "/keypair", &other);
    if (!r)
        r = server_call_ref(c, CATALOG_ZONE, &vm->zone, "/zone", &other);
    if (!r)
        r = server_call_ref(c, CATALOG_SERVER_GROUP, &vm->server_group, "/server_group", &other);
    if (!r)
        r = server_call_ref(c, CATALOG_RESERVATION, &vm->reservation, "/reservation",
                            &m->reservation);
    if (!r)
        r = server_call_ref(c, CATALOG_HOST, &vm->host, "/host", &other);
    if (!r && !m->image == !m->boot_volume)
        r = api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/image",
                            "give an image or a boot_volume, and not both");
    return r;
}

static int check_flavor(struct make *m)
{
    const struct api_flavor *f = m->flavor->now->doc;
    m->size = f;
    if (f->enabled.is == API_VALUE && !f->enabled.v)
        return api_problem_add(&m->c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/flavor",
                               "flavor %s is not offered any more: choose another",
                               m->flavor->now->name);
    m->disk_gib = m->vm->disk_gib.is == API_VALUE ? m->vm->disk_gib.v
                  : f->disk_gib.is == API_VALUE   ? f->disk_gib.v
                                                  : 0;
    return 0;
}

/* Where its volumes force it to be; NULL: anywhere. */
static const struct store_id *forced_host(struct make *m, struct store_id *host)
{
    if (m->vm->host.is == API_VALUE && !catalog_id_parse(m->vm->host.v, host))
        return host;
    if (m->boot_volume && server_storage_host_of(m->boot_volume->now, host))
        return host;
    for (uint32_t i = 0; m->vm->volumes.is == API_VALUE && i < m->vm->volumes.n; i++) {
        const struct api_text *ref = &m->vm->volumes.v[i].volume;
        const struct catalog_slot *slot =
            ref->is == API_VALUE
                ? catalog_find_text(m->c->s->catalog, CATALOG_VOLUME, &m->c->project, ref->v)
                : NULL;
        if (slot && server_storage_host_of(slot->now, host))
            return host;
    }
    return m->image ? server_image_host_of(m->image->now, host) : NULL;
}

static int status_init(struct make *m)
{
    struct api_vm_status *status = api_json_new(&api_types_vm_status, &m->v->arena);
    char host[UUID_TEXT_BYTES];
    if (!status)
        return no_memory(m);
    m->vm->status.is = API_VALUE;
    m->vm->status.v = status;
    status->run_epoch = (struct api_int){API_VALUE, 0};
    status->vcpus = (struct api_int){API_VALUE, m->size->vcpus.v};
    status->memory_mib = (struct api_int){API_VALUE, m->size->memory_mib.v};
    m->host = server_place_host(m->c->s, &m->place, 0);
    uuid_format(m->host.bytes, host);
    m->v->own->grace_ms = (struct api_int){API_VALUE, DEFAULT_GRACE_MS};
    return server_meta_text(m->v, &status->host, host) ? no_memory(m) : 0;
}

static int remember(struct make *m, const char **ids, uint32_t *n, const struct catalog_object *of)
{
    const char *id = api_arena_text(&m->v->arena, of->id_text, UUID_TEXT_BYTES - 1);
    if (!id)
        return no_memory(m);
    ids[(*n)++] = id;
    return 0;
}

/* What was asked for, with the ports that it led to. */
static int show_nics(struct make *m, const struct api_vm_nic *nics)
{
    struct api_vm_nic *list = api_arena_array(&m->v->arena, m->n_ports, sizeof(*list));
    if (!list)
        return no_memory(m);
    for (uint32_t i = 0; i < m->n_ports; i++) {
        const struct api_vm_nic *nic = api_json_copy(&api_types_vm_nic, &nics[i], &m->v->arena);
        if (!nic)
            return no_memory(m);
        list[i] = *nic;
        list[i].port = (struct api_text){API_VALUE, m->ports[i]};
    }
    m->vm->nics.v = list;
    m->vm->nics.n = m->n_ports;
    m->vm->nics.is = m->n_ports ? API_VALUE : API_ABSENT;
    return 0;
}

static int make_ports(struct make *m)
{
    struct api_vm_nic only = {0};
    const struct api_vm_nic *nics = m->vm->nics.is == API_VALUE ? m->vm->nics.v : NULL;
    uint32_t n = m->vm->nics.is == API_VALUE ? m->vm->nics.n : 0;
    bool none = false;
    struct catalog_object *port;
    int r =
        nics ? 0 : server_network_default_nic(m->c, m->vm->keypair.is == API_VALUE, &only, &none);
    if (!nics && !none) {
        nics = &only;
        n = 1;
    }
    m->ports = api_arena_array(&m->v->arena, n, sizeof(*m->ports));
    if (!m->ports)
        return no_memory(m);
    for (uint32_t i = 0; i < n && !r; i++) {
        r = server_network_plug(m->c, m->t, m->v, &nics[i], i, &port);
        if (!r)
            r = remember(m, m->ports, &m->n_ports, port);
    }
    m->v->own->ports = (struct api_texts){API_VALUE, m->n_ports, m->ports};
    return r ? r : show_nics(m, nics);
}

static int make_boot_volume(struct make *m)
{
    struct catalog_object *volume;
    struct api_vm_volume spec = {.volume = m->vm->boot_volume};
    int r = m->boot_volume ? server_storage_attach(m->c, m->t, m->v, &spec, 0, &m->host, &volume)
                           : server_storage_boot(m->c, m->t, m->v, m->image->now, m->disk_gib,
                                                 m->vm->pool.is == API_VALUE ? m->vm->pool.v : NULL,
                                                 &m->host, &volume);
    if (r)
        return r;
    if (server_meta_text(m->v, &m->vm->status.v->boot_volume, volume->id_text))
        return no_memory(m);
    return remember(m, m->volumes, &m->n_volumes, volume);
}

static int make_volumes(struct make *m)
{
    uint32_t n = m->vm->volumes.is == API_VALUE ? m->vm->volumes.n : 0;
    struct catalog_object *volume;
    m->volumes = api_arena_array(&m->v->arena, n + 1, sizeof(*m->volumes));
    int r = m->volumes ? make_boot_volume(m) : no_memory(m);
    for (uint32_t i = 0; i < n && !r; i++) {
        r = server_storage_attach(m->c, m->t, m->v, &m->vm->volumes.v[i], i, &m->host, &volume);
        if (!r)
            r = remember(m, m->volumes, &m->n_volumes, volume);
        if (!r)
            m->vm->volumes.v[i].volume = (struct api_text){API_VALUE, m->volumes[i + 1]};
    }
    m->v->own->volumes = (struct api_texts){API_VALUE, m->n_volumes, m->volumes};
    return r;
}

static int take_quota(struct make *m)
{
    int r = server_quota_add(m->t, &m->c->project, "vms", 1);
    return r ? r : server_vm_hold(m->t, m->v, 1);
}

static int finish(struct make *m)
{
    static const char *const run[] = {"run", NULL}, *const stopped[] = {"stop", NULL};
    bool start = m->body->start.is != API_VALUE || m->body->start.v;
    int r = server_place_claim(m->t, &m->place, 0, m->v);
    if (r)
        return api_problem_set(&m->c->refusal, API_PROBLEM_CODE_PLACEMENT_CONFLICT,
                               "the host that was chosen changed meanwhile: try again");
    if (server_vm_plan(m->v, start ? run : stopped, API_VM_STATE_BUILDING,
                       start ? API_VM_STATE_RUNNING : API_VM_STATE_STOPPED))
        return no_memory(m);
    const char *id = server_operation_begin(m->t, m->v, false);
    if (!id || server_meta_text(m->v, &m->vm->status.v->operation, id))
        return no_memory(m);
    return 0;
}

/* The body is the document's, from here on with ids instead of names. */
static int fill(struct make *m)
{
    void *body = api_json_copy(&api_types_vm_create, m->body, &m->v->arena);
    m->vm = m->v->doc;
    if (!body || api_json_merge(&api_types_vm, m->vm, &api_types_vm_create, body, &m->v->arena))
        return no_memory(m);
    return 0;
}

/* It stays until the VM is there, or is not. */
static int check_reservation(struct make *m)
{
    if (!m->reservation)
        return 0;
    int r = server_call_wait(m->c, m->reservation); /* it may be on its way to less room */
    if (!r)
        r = server_ref_keep(m->t, m->reservation);
    return r ? r : server_reservation_usable(m->c, m->reservation->now, m->flavor->now->id_text);
}

static int choose(struct make *m)
{
    struct store_id forced;
    int r = resolve(m);
    if (!r)
        r = check_flavor(m);
    if (!r)
        r = check_reservation(m);
    if (!r)
        r = server_place_prepare(m->c, m->vm, m->size, m->disk_gib, forced_host(m, &forced),
                                 &m->place);
    m->place.reservation = m->reservation;
    return r;
}

static int begin(struct make *m, struct server_call *c, struct server_txn *t,
                 const struct api_vm_create *body)
{
    struct store_id id = catalog_id(server_now_ms());
    *m = (struct make){.c = c, .t = t, .body = body};
    m->v = catalog_new(CATALOG_VM, &id, &c->project);
    int r = m->v ? fill(m) : no_memory(m);
    return r ? r : choose(m);
}

/* All but the look for a host. The version is the transaction's, or let go. */
static int build(struct make *m)
{
    int r = status_init(m);
    if (!r)
        r = take_quota(m);
    if (!r)
        r = make_ports(m);
    if (!r)
        r = make_volumes(m);
    if (!r)
        r = finish(m);
    if (r) {
        catalog_unref(m->v);
        return r;
    }
    m->t->about = m->v;
    server_txn_put(m->t, NULL, m->v, true);
    return 0;
}

static int make_one(struct make *m)
{
    int r = server_place_choose(m->c, &m->place, m->vm->name.v);
    if (!r)
        return build(m);
    catalog_unref(m->v);
    return r;
}

int server_vm_make(struct server_call *c)
{
    const struct api_vm_create_query *query = c->request.query;
    struct make *m = api_arena_alloc(&c->arena, sizeof(*m));
    struct server_txn *t = m ? server_txn_begin(c->s, c) : NULL;
    if (!t)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    int r = begin(m, c, t, c->request.body);
    if (!r && query->dry_run.v) {
        catalog_unref(m->v);
        server_txn_abandon(t);
        server_place_answer(c, &m->place, m->body->name.v, query->explain.v);
        return 0;
    }
    if (r)
        catalog_unref(m->v);
    else
        r = make_one(m);
    if (!r)
        return server_txn_commit(t, NULL, NULL);
    server_txn_abandon(t);
    return r;
}

/* ---- batches ---- */

struct batch {
    struct make m;
    struct server_txn *t;
    struct api_vm_batch *answer;
    bool best_effort;
    unsigned made;
};

static int item_made(struct batch *b, struct api_vm_batch_item *item)
{
    struct api_arena *arena = &b->t->arena;
    if (b->t->failed)
        return no_memory(&b->m);
    const struct api_vm *vm = b->m.v->doc; /* sealed: another one than it was */
    const char *operation = vm->status.v->operation.v;
    item->vm.v = api_arena_text(arena, b->m.v->id_text, UUID_TEXT_BYTES - 1);
    item->operation.v = api_arena_text(arena, operation, strlen(operation));
    item->vm.is = item->operation.is = API_VALUE;
    b->made++;
    return item->vm.v && item->operation.v ? 0 : no_memory(&b->m);
}

static int item_refused(struct batch *b, struct api_vm_batch_item *item)
{
    struct api_arena *arena = &b->t->arena;
    struct api_refusal *refusal = &b->m.c->refusal;
    api_problem_summarize(refusal);
    const struct api_problem_kind *kind = &api_problem_kinds[refusal->code];
    struct api_problem *p = api_json_new(&api_types_problem, arena);
    const char *detail = api_arena_text(arena, refusal->detail, strlen(refusal->detail));
    char *type = api_arena_alloc(arena, 96);
    if (!p || !detail || !type)
        return no_memory(&b->m);
    snprintf(type, 96, "urn:virga:problem:%s", kind->code);
    p->type = (struct api_text){API_VALUE, type};
    p->title = (struct api_text){API_VALUE, kind->title};
    p->status = (struct api_int){API_VALUE, kind->status};
    p->detail = (struct api_text){API_VALUE, detail};
    p->code.is = API_VALUE;
    p->code.v = refusal->code;
    item->problem.is = API_VALUE;
    item->problem.v = p;
    api_problem_init(refusal);
    b->m.c->explanation = NULL;
    return 0;
}

/* The store would refuse all of the batch for it. */
static int batch_name(struct batch *b, const struct api_vm_create *body,
                      const struct api_vm_batch_item *item)
{
    struct server_call *c = b->m.c;
    const struct catalog_slot *slot =
        catalog_find_text(c->s->catalog, CATALOG_VM, &c->project, body->name.v);
    bool taken = slot && !strcmp(slot->now->name, body->name.v);
    for (const struct api_vm_batch_item *i = b->answer->vms.v; i < item && !taken; i++)
        taken = i->vm.is == API_VALUE && !strcmp(i->name.v, body->name.v);
    return taken ? api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NAME_TAKEN,
                                   "a vm is called %s already: choose another name", body->name.v)
                 : 0;
}

/* One that is refused leaves nothing in the transaction. */
static int batch_one(struct batch *b, const struct api_vm_create *body,
                     struct api_vm_batch_item *item)
{
    struct server_call *c = b->m.c;
    struct server_txn_mark here = server_txn_here(b->t);
    item->name = body->name;
    b->m.v = NULL;
    int r = batch_name(b, body, item);
    if (!r)
        r = begin(&b->m, c, b->t, body);
    if (r)
        catalog_unref(b->m.v);
    else
        r = make_one(&b->m);
    if (!r)
        return item_made(b, item);
    if (r == SERVER_WAIT || !b->best_effort || b->t->failed)
        return r;
    server_txn_back(b->t, here);
    return item_refused(b, item);
}

static int batch_fill(struct batch *b, const struct api_vm_batch_create *body)
{
    b->answer = api_json_new(&api_types_vm_batch, &b->t->arena);
    struct api_vm_batch_item *items = api_arena_array(&b->t->arena, body->vms.n, sizeof(*items));
    if (!b->answer || !items)
        return no_memory(&b->m);
    b->answer->vms.is = API_VALUE;
    b->answer->vms.v = items;
    b->answer->vms.n = body->vms.n;
    int r = 0;
    for (uint32_t i = 0; i < body->vms.n && !r; i++)
        r = batch_one(b, &body->vms.v[i], &items[i]);
    return r;
}

static void batch_done(struct server_txn *t, int result)
{
    if (!result)
        server_call_reply_struct(t->call, 202, &api_types_vm_batch, t->ctx);
}

/* Nothing could be made: there is nothing to commit. */
static int batch_empty(struct batch *b)
{
    struct server_txn *t = b->t; /* the batch goes with the call, the answer with this */
    server_call_reply_struct(b->m.c, 202, &api_types_vm_batch, b->answer);
    server_txn_abandon(t);
    return 0;
}

static int batch_commit(struct batch *b)
{
    struct api_buf text;
    b->t->answer = NULL; /* the last operation, otherwise */
    if (!b->made)
        return batch_empty(b);
    api_buf_init(&text, SERVER_BODY_MAX_BYTES);
    api_json_write(&api_types_vm_batch, b->answer, 0, NULL, &text);
    if (text.failed)
        b->t->failed = -ENOMEM;
    else
        server_key_keep(b->t, 202, text.text, text.bytes);
    api_buf_fini(&text);
    return server_txn_commit(b->t, batch_done, b->answer);
}

/* Where each would go, each claimed so that the next one is placed as it would be. */
static int batch_dry_run(struct batch *b, const struct api_vm_batch_create *body, bool each_host)
{
    struct server_call *c = b->m.c;
    struct server_place_dry *dry = server_place_dry_begin(c, body->vms.n);
    int r = dry ? 0 : no_memory(&b->m);
    for (uint32_t i = 0; i < body->vms.n && !r; i++) {
        r = begin(&b->m, c, b->t, &body->vms.v[i]);
        if (!r && server_place_dry_add(dry, &b->m.place, b->m.vm->name.v, each_host))
            (void)server_place_claim(b->t, &b->m.place, 0, b->m.v);
        catalog_unref(b->m.v);
    }
    server_txn_abandon(b->t);
    if (r)
        return r;
    server_place_dry_answer(dry);
    return 0;
}

int server_vm_make_batch(struct server_call *c)
{
    const struct api_vm_batch_create *body = c->request.body;
    const struct api_vm_batch_create_query *query = c->request.query;
    struct batch *b = api_arena_alloc(&c->arena, sizeof(*b));
    struct server_txn *t = b ? server_txn_begin(c->s, c) : NULL;
    if (!t)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    memset(b, 0, sizeof(*b));
    b->t = t;
    b->m.c = c;
    b->best_effort =
        body->mode.is == API_VALUE && body->mode.v == API_VM_BATCH_CREATE_MODE_BEST_EFFORT;
    if (query->dry_run.v)
        return batch_dry_run(b, body, query->explain.v);
    int r = batch_fill(b, body);
    if (!r)
        return batch_commit(b);
    server_txn_abandon(t);
    return r;
}
