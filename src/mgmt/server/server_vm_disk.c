/* First disks of VMs: made anew, or left aside for another one for a while. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_vm.h"
#include "mgmt/server/server_vm_act.h"

/* What an earlier one has left; its monitor has ended, or there was none. */
static int drop(struct server_vm_act *a, struct api_text *field)
{
    struct catalog_slot *slot =
        field->is == API_VALUE ? catalog_find_id(a->c->s->catalog, CATALOG_VOLUME, field->v) : NULL;
    int r = slot ? server_storage_release(a->t, slot, true) : 0;
    if (!r)
        *field = (struct api_text){API_ABSENT, NULL};
    return r;
}

/* Makes the disk that own.swap names. */
static int make_disk(struct server_vm_act *a, const struct catalog_object *image, int64_t size_gib)
{
    struct store_id host = catalog_parent(a->v);
    struct catalog_object *volume;
    const char *pool = a->vm->pool.is == API_VALUE ? a->vm->pool.v : NULL;
    int r = drop(a, &a->v->own->swap);
    if (!r)
        r = drop(a, &a->v->own->rescue);
    if (!r)
        r = server_storage_boot(a->c, a->t, a->v, image, size_gib, pool, &host, &volume);
    if (!r && server_meta_text(a->v, &a->v->own->swap, volume->id_text))
        r = api_problem_set(&a->c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    return r;
}

static int rebuild(struct server_vm_act *a)
{
    const struct api_vm_rebuild *body = a->c->request.body;
    struct api_text image_ref = body->image, key_ref = body->keypair;
    struct catalog_slot *image, *key;
    int r = server_call_ref(a->c, CATALOG_IMAGE, &image_ref, "/image", &image);
    if (!r)
        r = server_call_ref(a->c, CATALOG_KEYPAIR, &key_ref, "/keypair", &key);
    if (!r)
        r = make_disk(a, image->now, a->v->own->disk_gib.v);
    if (r)
        return r;
    a->vm->image = image_ref;
    a->vm->boot_volume = (struct api_text){API_ABSENT, NULL};
    if (key)
        a->vm->keypair = key_ref;
    if (body->user_data.is == API_VALUE)
        a->vm->user_data = body->user_data;
    return 0;
}

int server_vm_rebuild(struct server_call *c)
{
    static const char *const steps[] = {"stop", "swap", "run", NULL};
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    if (r)
        return r;
    if (a.vm->boot_volume.is == API_VALUE)
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                            "VM %s boots from a volume that was not made for it: make a new VM "
                            "instead",
                            a.slot->now->name);
    if (!r)
        r = rebuild(&a);
    return r ? server_vm_act_refuse(&a, r) : server_vm_act_end(&a, steps, API_VM_STATE_RUNNING);
}

static int find_rescue_image(struct server_vm_act *a, struct catalog_slot **image)
{
    const struct api_vm_rescue *body = a->c->request.body;
    struct api_text ref = body->image.is == API_VALUE ? body->image : a->vm->image;
    int r = server_call_ref(a->c, CATALOG_IMAGE, &ref, "/image", image);
    if (!r && !*image)
        r = api_problem_add(&a->c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/image",
                            "the VM was not made from an image: say which one to boot");
    return r;
}

int server_vm_rescue(struct server_call *c)
{
    static const char *const steps[] = {"stop", "rescue", "run", NULL};
    struct catalog_slot *image;
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    if (r)
        return r;
    r = find_rescue_image(&a, &image);
    if (!r)
        r = make_disk(&a, image->now, 0);
    return r ? server_vm_act_refuse(&a, r) : server_vm_act_end(&a, steps, API_VM_STATE_RESCUED);
}

/* It is an image whose source is the VM: made as any other, from here on. */
static int make_image(struct server_call *c, const struct catalog_object *vm)
{
    const struct api_vm_create_image *body = c->request.body;
    struct api_image_create *image = api_json_new(&api_types_image_create, &c->arena);
    struct api_image_source *source = api_json_new(&api_types_image_source, &c->arena);
    const char *id = api_arena_text(&c->arena, vm->id_text, UUID_TEXT_BYTES - 1);
    if (!image || !source || !id || api_json_fill(&api_types_image_source, source, &c->arena))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    source->kind.is = API_VALUE;
    source->kind.v = API_IMAGE_SOURCE_KIND_VM;
    source->resource = (struct api_text){API_VALUE, id};
    image->name = body->name;
    image->description = body->description;
    image->labels = body->labels;
    image->source.is = API_VALUE;
    image->source.v = source;
    if (api_json_fill(&api_types_image_create, image, &c->arena))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    c->request.body = image;
    c->request.route = &api_route_table[API_OP_IMAGE_CREATE]; /* if it has to run again, as that */
    return c->s->handlers[API_OP_IMAGE_CREATE](c);
}

/* A disk is copied while no monitor uses it. */
int server_vm_create_image(struct server_call *c)
{
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    if (r)
        return r;
    bool stopped = a.status->state.v == API_VM_STATE_STOPPED;
    (void)server_vm_act_refuse(&a, -ECANCELED);
    if (!stopped)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                               "VM %s is not stopped, and no driver of this cloud copies a disk "
                               "that is in use: stop it first, or make the image of a snapshot",
                               a.slot->now->name);
    return make_image(c, a.slot->now);
}

int server_vm_unrescue(struct server_call *c)
{
    static const char *const steps[] = {"stop", "tidy", "run", NULL};
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    return r ? r : server_vm_act_end(&a, steps, API_VM_STATE_RUNNING);
}
