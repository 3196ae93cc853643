/* A server for unit tests, on the null store, without its sockets: requests are handed to the
 * handlers as if they had come by HTTP from an administrator, and the test plays hosts and storage.
 *
 * Replies, the end of the store and the storage's part of a VM are replaced by the linker (--wrap,
 * in meson.build). The store outlives the server, so that a server can be destroyed and another one
 * created on what it left. Nothing waits: rig_pump() delivers until every commit has been answered.
 */
#ifndef TESTS_UNIT_MGMT_SERVER_SERVER_RIG_H
#define TESTS_UNIT_MGMT_SERVER_SERVER_RIG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/uuid.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_network.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_vm.h"
#include "mgmt/store/null/store_null.h"
#include "tap.h"

#define RIG_HOSTS 3

/* A request's other end; stands in c->web. */
struct rig_reply {
    int status; /* 0: none yet */
    char text[4096];
};

struct rig {
    struct server *s;
    struct store *store;
    char dir[64];
    struct store_id project, hosts[RIG_HOSTS], image, flavors[2];
    unsigned long submitted, delivered;
    bool busy_volumes; /* their release has to wait */
};
static struct rig rig;

/* ---- what the linker replaces ---- */

int __real_store_submit(struct store *s, struct store_txn *txn,
                        void (*done)(struct store_txn *txn, void *ctx), void *ctx);
int __wrap_store_submit(struct store *s, struct store_txn *txn,
                        void (*done)(struct store_txn *txn, void *ctx), void *ctx);
void __real_store_close(struct store *s);
void __wrap_store_close(struct store *s);
const char *__wrap_web_request_path(const struct web_request *r);
const char *__wrap_web_request_header(const struct web_request *r, const char *name);
const char *__wrap_web_request_peer_address(const struct web_request *r);
int __wrap_web_reply_header(struct web_request *r, const char *name, const char *value);
void __wrap_web_reply(struct web_request *r, int status, const char *type, const char *body,
                      size_t bytes);
int __wrap_server_storage_boot(struct server_call *c, struct server_txn *t,
                               struct catalog_object *vm, const struct catalog_object *image,
                               int64_t size_gib, const char *pool, const struct store_id *host,
                               struct catalog_object **volume);
int __wrap_server_storage_attach(struct server_call *c, struct server_txn *t,
                                 struct catalog_object *vm, const struct api_vm_volume *spec,
                                 unsigned index, const struct store_id *host,
                                 struct catalog_object **volume);
int __wrap_server_storage_release(struct server_txn *t, struct catalog_slot *volume, bool remove);
void __wrap_server_storage_changed(struct server *s, const struct catalog_object *before,
                                   const struct catalog_object *after);
void __wrap_server_storage_written(struct server *s, enum catalog_kind kind,
                                   const struct store_id *id);
const struct store_id *__wrap_server_image_host_of(const struct catalog_object *image,
                                                   struct store_id *host);

int __wrap_store_submit(struct store *s, struct store_txn *txn,
                        void (*done)(struct store_txn *txn, void *ctx), void *ctx)
{
    int r = __real_store_submit(s, txn, done, ctx);
    rig.submitted += !r;
    return r;
}

static void rig_pump(void)
{
    while (rig.delivered < rig.submitted) {
        unsigned n = store_deliver(rig.store);
        rig.delivered += n;
        if (!n)
            usleep(50);
    }
}

void __wrap_store_close(struct store *s)
{
    if (s == rig.store)
        rig_pump();
    else
        __real_store_close(s);
}

const char *__wrap_web_request_path(const struct web_request *r)
{
    (void)r;
    return "/v1/test";
}

const char *__wrap_web_request_header(const struct web_request *r, const char *name)
{
    (void)r, (void)name;
    return NULL;
}

const char *__wrap_web_request_peer_address(const struct web_request *r)
{
    (void)r;
    return "127.0.0.1";
}

int __wrap_web_reply_header(struct web_request *r, const char *name, const char *value)
{
    (void)r, (void)name, (void)value;
    return 0;
}

void __wrap_web_reply(struct web_request *r, int status, const char *type, const char *body,
                      size_t bytes)
{
    struct rig_reply *reply = (struct rig_reply *)r;
    (void)type;
    reply->status = status;
    snprintf(reply->text, sizeof(reply->text), "%.*s", (int)bytes, body ? body : "");
}

/* Storage: a volume is its object, an image is anywhere. */
void __wrap_server_storage_changed(struct server *s, const struct catalog_object *before,
                                   const struct catalog_object *after)
{
    (void)s, (void)before, (void)after;
}

void __wrap_server_storage_written(struct server *s, enum catalog_kind kind,
                                   const struct store_id *id)
{
    (void)s, (void)kind, (void)id;
}

const struct store_id *__wrap_server_image_host_of(const struct catalog_object *image,
                                                   struct store_id *host)
{
    (void)image, (void)host;
    return NULL;
}

static int new_volume(struct server_txn *t, struct catalog_object *vm, const struct store_id *host,
                      struct catalog_object **volume)
{
    struct store_id id = catalog_id(server_now_ms());
    struct catalog_object *v = catalog_new(CATALOG_VOLUME, &id, &vm->project);
    char text[UUID_TEXT_BYTES];
    if (!v)
        return -ENOMEM;
    struct api_volume *doc = v->doc;
    uuid_format(host->bytes, text);
    if (server_meta_text(v, &doc->name, v->id_text) || server_meta_text(v, &v->own->host, text) ||
        server_meta_text(v, &v->own->vm, vm->id_text))
        return -ENOMEM;
    doc->size_gib = (struct api_int){API_VALUE, 1};
    server_txn_put(t, NULL, v, true);
    *volume = v;
    return server_quota_add(t, &vm->project, "volumes", 1);
}

int __wrap_server_storage_boot(struct server_call *c, struct server_txn *t,
                               struct catalog_object *vm, const struct catalog_object *image,
                               int64_t size_gib, const char *pool, const struct store_id *host,
                               struct catalog_object **volume)
{
    (void)c, (void)image, (void)size_gib, (void)pool;
    return new_volume(t, vm, host, volume);
}

int __wrap_server_storage_attach(struct server_call *c, struct server_txn *t,
                                 struct catalog_object *vm, const struct api_vm_volume *spec,
                                 unsigned index, const struct store_id *host,
                                 struct catalog_object **volume)
{
    struct api_text ref = spec->volume;
    struct catalog_slot *slot;
    (void)index;
    if (ref.is != API_VALUE)
        return new_volume(t, vm, host, volume);
    int r = server_call_ref(c, CATALOG_VOLUME, &ref, "/volume", &slot);
    if (!r)
        r = server_call_wait(c, slot);
    if (r)
        return r;
    struct catalog_object *v = catalog_copy(slot->now);
    r = server_meta_text(v, &v->own->vm, vm->id_text);
    server_txn_put(t, slot, v, false);
    *volume = v;
    return r;
}

int __wrap_server_storage_release(struct server_txn *t, struct catalog_slot *slot, bool remove)
{
    if (slot->writing || rig.busy_volumes) {
        if (t->call && slot->writing)
            (void)server_call_wait(t->call, slot);
        return t->call ? -EAGAIN : SERVER_WAIT;
    }
    if (remove) {
        struct store_id project = slot->now->project;
        server_txn_remove(t, slot);
        return server_quota_add(t, &project, "volumes", -1);
    }
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return -ENOMEM;
    v->own->vm = (struct api_text){0};
    server_txn_put(t, slot, v, false);
    return 0;
}

/* ---- the server ---- */

static void rig_wake(void *ctx)
{
    (void)ctx; /* rig_pump() asks */
}

static struct store *rig_open(void *ctx, const struct store_config *config, struct err *err)
{
    (void)ctx;
    if (!rig.store) {
        const struct store_config own = {.server = config->server, .wake = rig_wake};
        rig.store = store_null_create(&own, err);
    }
    return rig.store;
}

static bool rig_start(void)
{
    struct err err = {0};
    const struct server_config config = {
        .open_store = rig_open,
        .id = {{1}},
        .address = "127.0.0.1",
        .agents_address = "127.0.0.1",
        .password_cost = {.memory_kib = 64, .passes = 1, .lanes = 1},
        .state_dir = rig.dir};
    rig.s = server_create(&config, &err);
    if (!rig.s)
        printf("# %s\n", err.msg);
    rig.delivered = rig.submitted;
    return rig.s;
}

/* A new object, put by the server itself. */
static struct catalog_slot *rig_put(struct catalog_object *v)
{
    struct server_txn *t = server_txn_begin(rig.s, NULL);
    struct store_id id = v->id;
    enum catalog_kind kind = v->kind;
    if (api_json_fill(catalog_kinds[kind].type, v->doc, &v->arena))
        t->failed = -ENOMEM;
    server_txn_put(t, catalog_find(rig.s->catalog, kind, &id), v, false);
    (void)server_txn_commit(t, NULL, NULL);
    rig_pump();
    return catalog_find(rig.s->catalog, kind, &id);
}

static struct catalog_object *rig_object(enum catalog_kind kind, struct store_id *id, bool project)
{
    static const struct store_id nobody;
    *id = catalog_id(server_now_ms());
    return catalog_new(kind, id, project ? &rig.project : &nobody);
}

static void rig_host_state(unsigned i, enum api_host_status_state state)
{
    const struct catalog_slot *slot = catalog_find(rig.s->catalog, CATALOG_HOST, &rig.hosts[i]);
    struct catalog_object *v = catalog_copy(slot->now);
    ((struct api_host *)v->doc)->status.v->state.v = state;
    rig_put(v);
}

static void rig_add_host(unsigned i, int64_t cpus, int64_t memory_mib)
{
    struct catalog_object *v = rig_object(CATALOG_HOST, &rig.hosts[i], false);
    struct api_host *doc = v->doc;
    char name[16];
    snprintf(name, sizeof(name), "host%u", i);
    server_meta_text(v, &doc->name, name);
    doc->mode.is = API_VALUE;
    doc->mode.v = API_HOST_MODE_ACTIVE;
    doc->reserved_memory_mib = (struct api_int){API_VALUE, 0};
    doc->status.is = API_VALUE;
    doc->status.v = api_json_new(&api_types_host_status, &v->arena);
    doc->status.v->state.is = API_VALUE;
    doc->status.v->state.v = API_HOST_STATUS_STATE_UP;
    doc->status.v->cpus = (struct api_int){API_VALUE, cpus};
    doc->status.v->memory_mib = (struct api_int){API_VALUE, memory_mib};
    doc->status.v->disk_gib = (struct api_int){API_VALUE, 1000};
    rig_put(v);
}

static void rig_add_flavor(unsigned i, int64_t vcpus, int64_t memory_mib)
{
    struct catalog_object *v = rig_object(CATALOG_FLAVOR, &rig.flavors[i], false);
    struct api_flavor *doc = v->doc;
    char name[16];
    snprintf(name, sizeof(name), "flavor%u", i);
    server_meta_text(v, &doc->name, name);
    doc->vcpus = (struct api_int){API_VALUE, vcpus};
    doc->memory_mib = (struct api_int){API_VALUE, memory_mib};
    doc->disk_gib = (struct api_int){API_VALUE, 10};
    rig_put(v);
}

static void rig_project(void)
{
    const struct catalog_list *all = catalog_all(rig.s->catalog, CATALOG_PROJECT);
    struct catalog_object *v = catalog_copy(all->slots[0]->now);
    rig.project = v->id;
    ((struct api_project *)v->doc)->undelete_window_s = (struct api_int){API_VALUE, 3600};
    rig_put(v);
}

static bool rig_init(void)
{
    memset(&rig, 0, sizeof(rig));
    snprintf(rig.dir, sizeof(rig.dir), "/tmp/virga-rig-XXXXXX");
    if (!mkdtemp(rig.dir) || !rig_start())
        return false;
    rig_project();
    for (unsigned i = 0; i < RIG_HOSTS; i++)
        rig_add_host(i, 8, 16384);
    rig_add_flavor(0, 1, 1024);
    rig_add_flavor(1, 4, 4096);
    struct catalog_object *v = rig_object(CATALOG_IMAGE, &rig.image, true);
    server_meta_text(v, &((struct api_image *)v->doc)->name, "image");
    return rig_put(v);
}

static bool rig_restart(void)
{
    server_destroy(rig.s);
    return rig_start();
}

static void rig_fini(void)
{
    struct store *store = rig.store;
    server_destroy(rig.s);
    rig.store = NULL;
    __real_store_close(store);
    static const char *const files[] = {"agents.crt", "agents.key", "authority.crt"};
    char path[128];
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", rig.dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(rig.dir);
}

/* ---- requests ---- */

/* Hands a request over; its answer comes with a rig_pump(). */
static void rig_send(struct rig_reply *reply, const char *method, const char *target,
                     const char *body)
{
    struct server_call *c = calloc(1, sizeof(*c));
    const char *type =
        !strcmp(method, "PATCH") ? "application/merge-patch+json" : "application/json";
    reply->status = 0;
    c->s = rig.s;
    c->web = (struct web_request *)reply;
    api_problem_init(&c->refusal);
    api_arena_init(&c->arena, API_JSON_ARENA_BYTES);
    c->wire = (struct api_request_wire){.method = method,
                                        .target = target,
                                        .method_bytes = strlen(method),
                                        .target_bytes = strlen(target),
                                        .content_type = body ? type : NULL,
                                        .body = body,
                                        .body_bytes = body ? strlen(body) : 0};
    c->project = rig.project;
    c->role = API_ROLE_ADMIN;
    if (api_request_route(&c->request, &c->wire, &c->refusal) ||
        api_request_read(&c->request, &c->wire, &c->arena, &c->refusal))
        server_call_refuse(c);
    else
        server_call_run(c);
}

/* The status of the answer; its text is rig_text. */
static struct rig_reply rig_answer;
static int rig_ask(const char *method, const char *target, const char *body)
{
    rig_send(&rig_answer, method, target, body);
    rig_pump();
    return rig_answer.status;
}

/* ---- VMs ---- */

static struct catalog_slot *rig_vm(const char *name)
{
    return catalog_find_text(rig.s->catalog, CATALOG_VM, &rig.project, name);
}

static const struct api_vm_status *rig_status(const char *name)
{
    const struct catalog_slot *slot = rig_vm(name);
    return slot ? ((const struct api_vm *)slot->now->doc)->status.v : NULL;
}

/* The state's name; "gone". */
static const char *rig_state(const char *name)
{
    const struct api_vm_status *status = rig_status(name);
    return status ? api_types_vm_state.names[status->state.v] : "gone";
}

static int rig_act(const char *name, const char *action, const char *body)
{
    char target[128];
    snprintf(target, sizeof(target), "/v1/vms/%s/%s", name, action);
    return rig_ask("POST", target, body);
}

static int rig_create(const char *name, const char *more)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"name\":\"%s\",\"flavor\":\"flavor0\",\"image\":\"image\"%s}",
             name, more);
    return rig_ask("POST", "/v1/vms", body);
}

static int rig_delete(const char *name, bool purge)
{
    char target[128];
    snprintf(target, sizeof(target), "/v1/vms/%s%s", name, purge ? "?purge=true" : "");
    return rig_ask("DELETE", target, NULL);
}

/* ---- an agent that does as it is told, at once ---- */

static void rig_say(const struct catalog_object *v, enum link_vm_seen_state state,
                    uint64_t generation, int64_t epoch, const char *reason)
{
    struct store_id host = catalog_parent(v);
    const struct link_vm_seen seen = {
        .id = {API_VALUE, v->id_text},
        .managed = {API_VALUE, true},
        .generation = {API_VALUE, (int64_t)generation},
        .epoch = {API_VALUE, epoch},
        .state = {API_VALUE, state},
        .reason = {reason ? API_VALUE : API_ABSENT, reason},
    };
    struct catalog_object *held = catalog_ref((struct catalog_object *)(uintptr_t)v);
    server_vm_seen(rig.s, &host, &seen);
    catalog_unref(held);
}

/* The same of one that has those disks and ports (the server looks through both lists), and cannot
 * have, or lose, `problem`. */
static void rig_say_devices(const struct catalog_object *v, enum link_vm_seen_state state,
                            const char *const *ids, uint32_t n, const char *problem,
                            const char *why)
{
    struct store_id host = catalog_parent(v);
    struct link_device_problem one = {{API_VALUE, problem}, {API_VALUE, why}};
    const struct link_vm_seen seen = {
        .id = {API_VALUE, v->id_text},
        .managed = {API_VALUE, true},
        .generation = {API_VALUE, (int64_t)v->seq},
        .epoch = ((const struct api_vm *)v->doc)->status.v->run_epoch,
        .state = {API_VALUE, state},
        .disks = {API_VALUE, n, (const char **)(uintptr_t)ids},
        .ports = {API_VALUE, 0, NULL},
        .problems = {problem ? API_VALUE : API_ABSENT, problem != NULL, &one},
    };
    struct catalog_object *held = catalog_ref((struct catalog_object *)(uintptr_t)v);
    server_vm_seen(rig.s, &host, &seen);
    catalog_unref(held);
}

/* What is wanted of the host. */
static uint32_t rig_wanted_devices(const struct catalog_object *v, const char *ids[64])
{
    const struct api_texts *lists[] = {&v->own->volumes, &v->own->ports};
    uint32_t n = 0;
    for (unsigned k = 0; k < 2; k++)
        for (uint32_t i = 0; lists[k]->is == API_VALUE && i < lists[k]->n && n < 64; i++)
            if (server_vm_wants_device(v, lists[k]->v[i]))
                ids[n++] = lists[k]->v[i];
    return n;
}

static void rig_obey_one(const struct catalog_object *v)
{
    static const enum link_vm_seen_state states[] = {
        [LINK_VM_WANT_POWER_ABSENT] = LINK_VM_SEEN_STATE_ABSENT,
        [LINK_VM_WANT_POWER_STOPPED] = LINK_VM_SEEN_STATE_STOPPED,
        [LINK_VM_WANT_POWER_RUNNING] = LINK_VM_SEEN_STATE_RUNNING,
        [LINK_VM_WANT_POWER_PAUSED] = LINK_VM_SEEN_STATE_PAUSED,
    };
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    struct store_id host = catalog_parent(v);
    if (catalog_id_is_zero(&host) || server_host_lost(rig.s, &host))
        return;
    if (server_vm_plugs(v)) {
        const char *ids[64];
        rig_say_devices(v, states[v->own->want.v], ids, rig_wanted_devices(v, ids), NULL, NULL);
    } else
        rig_say(v, states[v->own->want.v], v->seq, status->run_epoch.v, NULL);
}

/* All VMs, until nothing changes any more. */
static void rig_obey(void)
{
    for (uint64_t seq = 0, rounds = 0; seq != rig.s->seq && rounds < 50; rounds++) {
        seq = rig.s->seq;
        const struct catalog_list *all = catalog_all(rig.s->catalog, CATALOG_VM);
        for (size_t i = 0; i < all->n; i++)
            rig_obey_one(all->slots[i]->now);
        rig_pump();
        server_vm_tick(rig.s);
        rig_pump();
    }
}

/* ---- what must hold of claims and quotas ---- */

struct rig_sum {
    int64_t vcpus, memory_mib, disk_gib, vms;
};

static void rig_check_host(unsigned i)
{
    const struct server_host *host = server_host_find(rig.s, &rig.hosts[i]);
    const struct catalog_list *vms = catalog_under(rig.s->catalog, CATALOG_VM, &rig.hosts[i]);
    struct rig_sum sum = {0};
    struct sched_free left;
    for (size_t k = 0; k < vms->n; k++) {
        const struct catalog_object *v = vms->slots[k]->now;
        const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
        sum.vcpus += status->vcpus.v;
        sum.memory_mib += status->memory_mib.v;
        sum.disk_gib += v->own->disk_gib.v;
    }
    REQUIRE(host && host->in_sched && !sched_free(rig.s->sched, host->number, &left));
    const struct sched_host *spec = sched_host(rig.s->sched, host->number);
    sum.vcpus += (int64_t)host->kept_vcpus;
    sum.memory_mib += (int64_t)host->kept_memory_mib;
    sum.disk_gib += (int64_t)host->kept_disk_gib;
    CHECK_EQ(left.cpu_hundredths, (int64_t)spec->cores * spec->cpu_ratio_percent - 100 * sum.vcpus);
    CHECK_EQ(left.memory_mib, spec->memory_mib - sum.memory_mib);
    CHECK_EQ(left.disk_gib, spec->disk_gib - sum.disk_gib);
    CHECK_EQ(left.claims, vms->n + host->kept_places);
    CHECK_EQ(host->in_flight, 0);
    CHECK_EQ(spec->generation, (uint32_t)host->committed);
}

/* Nothing is under way: what is free is what VMs and reservations leave, what is counted is what
 * VMs have. */
static void rig_check(void)
{
    const struct catalog_list *all = catalog_all(rig.s->catalog, CATALOG_VM);
    struct rig_sum sum = {.vms = (int64_t)all->n};
    for (unsigned i = 0; i < RIG_HOSTS; i++)
        rig_check_host(i);
    for (size_t k = 0; k < all->n; k++) {
        const struct api_vm_status *status =
            ((const struct api_vm *)all->slots[k]->now->doc)->status.v;
        if (status->host.is != API_VALUE)
            continue;
        sum.vcpus += status->vcpus.v;
        sum.memory_mib += status->memory_mib.v;
    }
    CHECK_EQ(server_quota_used(rig.s, &rig.project, "vms"), sum.vms);
    CHECK_EQ(server_quota_used(rig.s, &rig.project, "vcpus"), sum.vcpus);
    CHECK_EQ(server_quota_used(rig.s, &rig.project, "memory_mib"), sum.memory_mib);
    CHECK_EQ(server_quota_used(rig.s, &rig.project, "volumes"),
             catalog_all(rig.s->catalog, CATALOG_VOLUME)->n);
}

#endif
