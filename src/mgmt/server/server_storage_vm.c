/* Volumes of VMs: the first one, further ones, and what becomes of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/server/server_storage_internal.h"

static int no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

/* The disk's serial number has 20 characters: the random half of the id. */
static void device_id(const struct catalog_object *volume, char text[static 24])
{
    const uint8_t *b = volume->id.bytes + 8;
    snprintf(text, 24, "vol-%02x%02x%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5],
             b[6], b[7]);
}

static int give(struct catalog_object *volume, const struct catalog_object *vm)
{
    struct api_volume *doc = volume->doc;
    char id[24];
    device_id(volume, id);
    int r = server_meta_text(volume, &volume->own->vm, vm->id_text);
    if (!r)
        r = server_meta_text(volume, &doc->status.v->vm, vm->id_text);
    return r ? r : server_meta_text(volume, &doc->status.v->device_id, id);
}

/* Its name is its id's: it is nobody's choice, and the next VM of this name gets another. */
static struct catalog_object *volume_new(const struct catalog_object *vm, const char *prefix)
{
    struct store_id id = catalog_id(server_now_ms());
    struct catalog_object *v = catalog_new(CATALOG_VOLUME, &id, &vm->project);
    char name[64];
    if (!v)
        return NULL;
    struct api_volume *doc = v->doc;
    snprintf(name, sizeof(name), "%s-%s", prefix, v->id_text);
    if (!server_meta_text(v, &doc->name, name) && !api_json_fill(&api_types_volume, doc, &v->arena))
        return v;
    catalog_unref(v);
    return NULL;
}

static int set_text(struct catalog_object *v, struct api_text *field, const char *text)
{
    return text ? server_meta_text(v, field, text) : 0;
}

/* Finishes a new volume of a VM: placed on its host, counted, put. Takes the reference. */
static int put_new(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                   struct catalog_object *v, const struct store_id *host, const char *where,
                   struct catalog_object **volume)
{
    struct server_storage_place p = {.host = *host};
    int r = server_storage_volume_init(c, t, v, &p, where);
    if (!r)
        r = server_quota_add(t, &vm->project, "volumes", 1);
    if (!r && give(v, vm))
        r = no_memory(c);
    if (r) {
        catalog_unref(v);
        return r;
    }
    server_txn_put(t, NULL, v, true);
    *volume = v;
    return 0;
}

int server_storage_boot(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                        const struct catalog_object *image, int64_t size_gib, const char *pool,
                        const struct store_id *host, struct catalog_object **volume)
{
    struct catalog_object *v = volume_new(vm, "boot");
    struct api_volume *doc = v ? v->doc : NULL;
    if (!v || set_text(v, &doc->image, image->id_text) || set_text(v, &doc->pool, pool)) {
        catalog_unref(v);
        return no_memory(c);
    }
    if (size_gib)
        doc->size_gib = (struct api_int){API_VALUE, size_gib};
    return put_new(c, t, vm, v, host, "", volume);
}

/* ---- further ones ---- */

static bool in_transaction(const struct server_txn *t, const struct store_id *id)
{
    for (unsigned i = 0; i < t->store.n_ops; i++)
        if (t->changes[i].kind == CATALOG_VOLUME && !memcmp(&t->changes[i].id, id, sizeof(*id)))
            return true;
    return false;
}

static int check_free(struct server_call *c, const struct catalog_object *v,
                      const struct store_id *host, const char *pointer)
{
    const struct api_volume *doc = v->doc;
    const char *vm = server_storage_value(&v->own->vm);
    if (vm)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, pointer,
                               "volume %s belongs to VM %s: detach it first", v->name, vm);
    if (server_storage_phase(v) != SERVER_STORAGE_READY)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE, pointer,
                               "volume %s is %s: only one that is available can be attached",
                               v->name,
                               api_types_volume_status_state.names[doc->status.v->state.v]);
    if (server_storage_host_is(v, host))
        return 0;
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_PLACEMENT_NO_HOST, pointer,
                           "volume %s lies on host %s and the VM is on another: use a volume of "
                           "the VM's host",
                           v->name, server_storage_value(&v->own->host));
}

static int attach_there(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                        const struct api_vm_volume *spec, unsigned index,
                        const struct store_id *host, struct catalog_object **volume)
{
    struct catalog_slot *slot;
    struct api_text ref = spec->volume;
    char pointer[64];
    snprintf(pointer, sizeof(pointer), "/volumes/%u/volume", index);
    if (spec->size_gib.is == API_VALUE || spec->snapshot.is == API_VALUE ||
        spec->pool.is == API_VALUE)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer,
                               "size_gib, snapshot and pool are for new volumes: leave them out");
    int r = server_call_ref(c, CATALOG_VOLUME, &ref, pointer, &slot);
    if (!r && in_transaction(t, &slot->now->id))
        r = api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, pointer,
                            "volume %s is asked for twice: give it once", slot->now->name);
    if (!r)
        r = server_call_wait(c, slot);
    if (!r)
        r = check_free(c, slot->now, host, pointer);
    if (r)
        return r;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v || give(v, vm) || server_storage_set_phase(v, SERVER_STORAGE_READY)) {
        catalog_unref(v);
        return no_memory(c);
    }
    server_txn_put(t, slot, v, false);
    *volume = v;
    return 0;
}

int server_storage_attach(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                          const struct api_vm_volume *spec, unsigned index,
                          const struct store_id *host, struct catalog_object **volume)
{
    char where[32];
    if (spec->volume.is == API_VALUE)
        return attach_there(c, t, vm, spec, index, host, volume);
    snprintf(where, sizeof(where), "/volumes/%u", index);
    struct catalog_object *v = volume_new(vm, "disk");
    struct api_volume *doc = v ? v->doc : NULL;
    if (!v || set_text(v, &doc->snapshot, server_storage_value(&spec->snapshot)) ||
        set_text(v, &doc->pool, server_storage_value(&spec->pool))) {
        catalog_unref(v);
        return no_memory(c);
    }
    doc->size_gib = spec->size_gib;
    return put_new(c, t, vm, v, host, where, volume);
}

/* ---- the end ---- */

int server_storage_release(struct server_txn *t, struct catalog_slot *slot, bool remove)
{
    if (slot->writing) {
        if (t->call)
            (void)server_call_wait(t->call, slot);
        return SERVER_WAIT;
    }
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return t->call ? no_memory(t->call) : -ENOMEM;
    struct api_volume *doc = v->doc;
    enum server_storage_phase phase = server_storage_phase(v);
    v->own->vm = (struct api_text){0};
    doc->status.v->vm = (struct api_text){0};
    doc->status.v->device_id = (struct api_text){0};
    if (remove && phase != SERVER_STORAGE_REMOVING) {
        struct api_text *operation = server_storage_operation(v);
        if (operation->is == API_VALUE)
            server_operation_cancelled(t, operation->v);
        *operation = (struct api_text){0};
        phase = SERVER_STORAGE_REMOVING;
        server_storage_wish_next(v);
    }
    int r = server_storage_set_phase(v, phase);
    server_txn_put(t, slot, v, false);
    return r;
}

const struct store_id *server_storage_host_of(const struct catalog_object *volume,
                                              struct store_id *host)
{
    return server_storage_id(&volume->own->host, host) ? host : NULL;
}
