/* A new VM: what it refers to, where it goes, what it takes; one transaction.
 *
 * Order: everything that may be refused or may have to wait comes first, the claim last, so that
 * nobody can come between the choice of a host and its claim. */
#include "mgmt/server/server_vm_make.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_network.h"
#include "mgmt/server/server_place.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_vm.h"

#define DEFAULT_GRACE_MS 60000

struct make {
    struct server_call *c;
    struct server_txn *t;
    struct catalog_object *v;
    struct api_vm *vm;
    struct catalog_slot *flavor, *image, *boot_volume;
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

static int make_ports(struct make *m)
{
    struct api_vm_nic only = {0};
    const struct api_vm_nic *nics = m->vm->nics.is == API_VALUE ? m->vm->nics.v : NULL;
    uint32_t n = m->vm->nics.is == API_VALUE ? m->vm->nics.n : 0;
    bool none = false;
    struct catalog_object *port;
    int r = nics ? 0 : server_network_default_nic(m->c, &only, &none);
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
    return r;
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
    }
    m->v->own->volumes = (struct api_texts){API_VALUE, m->n_volumes, m->volumes};
    return r;
}

static int take_quota(struct make *m)
{
    const struct store_id *project = &m->c->project;
    int r = server_quota_add(m->t, project, "vms", 1);
    if (!r)
        r = server_quota_add(m->t, project, "vcpus", m->size->vcpus.v);
    return r ? r : server_quota_add(m->t, project, "memory_mib", m->size->memory_mib.v);
}

static int finish(struct make *m)
{
    static const char *const run[] = {"run", NULL}, *const stopped[] = {"stop", NULL};
    const struct api_vm_create *body = m->c->request.body;
    bool start = body->start.is != API_VALUE || body->start.v;
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
    struct server_call *c = m->c;
    void *body = api_json_copy(c->request.route->request, c->request.body, &m->v->arena);
    m->vm = m->v->doc;
    if (!body ||
        api_json_merge(&api_types_vm, m->vm, c->request.route->request, body, &m->v->arena))
        return no_memory(m);
    return 0;
}

static int choose(struct make *m)
{
    struct store_id forced;
    int r = resolve(m);
    if (!r)
        r = check_flavor(m);
    if (!r)
        r = server_place_prepare(m->c, m->vm, m->size, m->disk_gib, forced_host(m, &forced),
                                 &m->place);
    return r;
}

int server_vm_make(struct server_call *c)
{
    const struct api_vm_create_query *query = c->request.query;
    struct store_id id = catalog_id(server_now_ms());
    struct make *m = api_arena_alloc(&c->arena, sizeof(*m));
    if (!m)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    *m = (struct make){.c = c, .t = server_txn_begin(c->s, c)};
    m->v = m->t ? catalog_new(CATALOG_VM, &id, &c->project) : NULL;
    int r = m->v ? fill(m) : no_memory(m);
    if (!r)
        r = choose(m);
    if (!r && query->dry_run.v) {
        const char *name = ((const struct api_vm_create *)c->request.body)->name.v;
        server_txn_abandon(m->t);
        catalog_unref(m->v);
        server_place_answer(c, &m->place, name, query->explain.v);
        return 0;
    }
    if (!r)
        r = server_place_choose(c, &m->place, m->vm->name.v);
    if (!r)
        r = status_init(m);
    if (!r)
        r = take_quota(m);
    if (!r)
        r = make_ports(m);
    if (!r)
        r = make_volumes(m);
    if (!r)
        r = finish(m);
    if (r) {
        server_txn_abandon(m->t);
        catalog_unref(m->v);
        return r;
    }
    server_txn_put(m->t, NULL, m->v, true);
    return server_txn_commit(m->t, NULL, NULL);
}
