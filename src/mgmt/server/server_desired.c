/* Wants of the link, made from objects: VMs with their disks, ports and cloud-init's texts;
 * volumes, snapshots and images as server_storage.h and server_image.h have them. */
#include "mgmt/server/server_desired.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_desired_seed.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"
#include "mgmt/server/server_network.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_vm.h"

#define VMS_A_MESSAGE     64
#define VOLUMES_A_MESSAGE 500
#define DISKS_MAX         24

/* A message on its way: filled until it is full, then sent. */
struct message {
    struct server *s;
    struct server_link *link;
    struct api_arena arena;
    struct link_desired body;
    const struct store_id *host;
    size_t most; /* of VMs and of volumes that may still come, so that few take little memory */
    size_t volumes_room;
    struct store_id image; /* the last that went out for something that is made from it */
    bool failed;
};

static void message_init(struct message *m, struct server *s, struct server_link *l,
                         const struct store_id *host, size_t most)
{
    *m = (struct message){.s = s, .link = l, .host = host, .most = most};
    api_arena_init(&m->arena, LINK_ARENA_BYTES);
    m->body.seq = (struct api_int){API_VALUE, (int64_t)s->seq};
    m->body.full = (struct api_bool){API_VALUE, most == SIZE_MAX};
}

static void message_send(struct message *m, bool more)
{
    m->body.more = (struct api_bool){API_VALUE, more};
    if (!m->failed)
        server_link_send(m->link, LINK_TYPE_DESIRED, &m->body);
    api_arena_fini(&m->arena);
    message_init(m, m->s, m->link, m->host, m->most);
}

static const char *keep(struct message *m, const char *text)
{
    const char *copy = api_arena_text(&m->arena, text, strlen(text));
    m->failed |= !copy;
    return copy;
}

static struct api_text text_of(struct message *m, const char *text)
{
    const char *copy = keep(m, text);
    return (struct api_text){copy ? API_VALUE : API_ABSENT, copy};
}

static struct api_text id_of(struct message *m, const struct store_id *id)
{
    char text[UUID_TEXT_BYTES];
    uuid_format(id->bytes, text);
    return text_of(m, text);
}

static const struct catalog_object *find(struct server *s, enum catalog_kind kind, const char *id)
{
    const struct catalog_slot *slot = catalog_find_id(s->catalog, kind, id);
    return slot ? slot->now : NULL;
}

/* ---- volumes and images ---- */

static enum link_volume_kind link_kind(enum catalog_kind kind)
{
    return kind == CATALOG_IMAGE      ? LINK_VOLUME_KIND_IMAGE
           : kind == CATALOG_SNAPSHOT ? LINK_VOLUME_KIND_SNAPSHOT
                                      : LINK_VOLUME_KIND_VOLUME;
}

/* Images that come with what is made from them are not in `most`. */
static int grow_volumes(struct message *m)
{
    size_t room = m->volumes_room ? 2 * m->volumes_room : m->most;
    room = MIN(room, (size_t)VOLUMES_A_MESSAGE);
    struct link_volume_want *v = api_arena_array(&m->arena, room, sizeof(*v));
    if (!v) {
        m->failed = true;
        return -ENOMEM;
    }
    if (m->body.volumes.n)
        memcpy(v, m->body.volumes.v, m->body.volumes.n * sizeof(*v));
    m->body.volumes.v = v;
    m->body.volumes.is = API_VALUE;
    m->volumes_room = room;
    return 0;
}

static struct link_volume_want *next_volume(struct message *m, const struct store_id *id,
                                            enum catalog_kind kind, int64_t generation,
                                            enum server_storage_wish wish)
{
    if (m->body.volumes.n == VOLUMES_A_MESSAGE)
        message_send(m, true);
    if (m->body.volumes.n == m->volumes_room && grow_volumes(m))
        return NULL;
    struct link_volume_want *w = &m->body.volumes.v[m->body.volumes.n++];
    w->id = id_of(m, id);
    w->kind.is = API_VALUE;
    w->kind.v = link_kind(kind);
    w->generation = (struct api_int){API_VALUE, MAX(generation, 1)};
    w->present = (struct api_bool){API_VALUE, wish != SERVER_STORAGE_REMOVE};
    return w;
}

static void add_volume(struct message *m, const struct catalog_object *v)
{
    struct server_storage_want want;
    if (!server_storage_want(m->s, v, &want) || memcmp(&want.host, m->host, sizeof(want.host)) != 0)
        return;
    struct link_volume_want *w = next_volume(m, &want.id, want.kind, want.generation, want.wish);
    if (!w)
        return;
    if (want.pool)
        w->pool = text_of(m, want.pool);
    if (want.size_bytes && want.kind == CATALOG_VOLUME)
        w->size_bytes = (struct api_int){API_VALUE, (int64_t)want.size_bytes};
    w->existing = (struct api_bool){API_VALUE, want.wish == SERVER_STORAGE_KEEP};
    if (want.source_kind != CATALOG_NONE && want.wish == SERVER_STORAGE_MAKE) {
        w->source_kind.is = API_VALUE;
        w->source_kind.v = link_kind(want.source_kind);
        w->source = id_of(m, &want.source);
    }
}

static void set_origin(struct message *m, const struct server_image_want *want,
                       struct link_image_origin *o)
{
    o->kind.is = API_VALUE;
    switch (want->from) {
    case SERVER_IMAGE_URL:
        o->kind.v = LINK_IMAGE_ORIGIN_KIND_URL;
        o->url = text_of(m, want->url);
        break;
    case SERVER_IMAGE_DEBIAN: {
        struct api_buf b;
        api_buf_init(&b, 65536);
        if (want->debian)
            api_json_write(&api_types_image_debian, want->debian, 0, NULL, &b);
        o->kind.v = LINK_IMAGE_ORIGIN_KIND_DEBIAN;
        const char *recipe = keep(m, b.text ? b.text : "{}");
        o->recipe = (struct api_any){API_VALUE, recipe};
        api_buf_fini(&b);
        break;
    }
    default:
        o->kind.v = LINK_IMAGE_ORIGIN_KIND_CONTENT;
        o->content = text_of(m, want->path);
        if (want->file[0])
            o->path = text_of(m, want->file);
        break;
    }
}

/* In the order of the API's. */
static const enum link_image_format FORMATS[API_IMAGE_FORMAT_N] = {
    [API_IMAGE_FORMAT_AUTO] = LINK_IMAGE_FORMAT_AUTO,
    [API_IMAGE_FORMAT_RAW] = LINK_IMAGE_FORMAT_RAW,
    [API_IMAGE_FORMAT_QCOW2] = LINK_IMAGE_FORMAT_QCOW2,
    [API_IMAGE_FORMAT_VMDK] = LINK_IMAGE_FORMAT_VMDK,
    [API_IMAGE_FORMAT_OVA] = LINK_IMAGE_FORMAT_OVA,
    [API_IMAGE_FORMAT_VHDX] = LINK_IMAGE_FORMAT_VHDX,
    [API_IMAGE_FORMAT_VDI] = LINK_IMAGE_FORMAT_VDI};

static enum link_image_format link_format(enum api_image_format format)
{
    return (unsigned)format < API_IMAGE_FORMAT_N ? FORMATS[format] : LINK_IMAGE_FORMAT_AUTO;
}

static void add_image(void *ctx, const struct server_image_want *want)
{
    struct message *m = ctx;
    struct link_volume_want *w =
        next_volume(m, &want->id, CATALOG_IMAGE, want->generation, want->wish);
    if (!w || want->wish == SERVER_STORAGE_REMOVE)
        return;
    w->format.is = API_VALUE;
    w->format.v = link_format(want->format);
    if (want->sha256)
        w->sha256 = text_of(m, want->sha256);
    w->origin.v = api_arena_alloc(&m->arena, sizeof(*w->origin.v));
    w->origin.is = w->origin.v ? API_VALUE : API_ABSENT;
    if (w->origin.v)
        set_origin(m, want, w->origin.v);
}

/* ---- VMs ---- */

static void add_disk(struct message *m, const char *id, bool readonly, struct link_vm_want *w)
{
    const struct catalog_object *volume = find(m->s, CATALOG_VOLUME, id);
    struct server_storage_want want;
    if (!volume || w->disks.n == DISKS_MAX || !server_storage_want(m->s, volume, &want))
        return;
    struct link_disk *d = &w->disks.v[w->disks.n++];
    d->volume = id_of(m, &want.id);
    d->size_bytes = (struct api_int){API_VALUE, (int64_t)MAX(want.size_bytes, 512u)};
    d->readonly = (struct api_bool){API_VALUE, readonly};
    d->keep = (struct api_bool){API_VALUE, true}; /* volumes have wants of their own */
    if (want.pool)
        d->pool = text_of(m, want.pool);
    d->existing = (struct api_bool){API_VALUE, want.wish == SERVER_STORAGE_KEEP};
    if (want.source_kind != CATALOG_NONE && want.wish == SERVER_STORAGE_MAKE) {
        d->source_kind.is = API_VALUE;
        d->source_kind.v = link_kind(want.source_kind);
        d->source = id_of(m, &want.source);
    }
}

/* In a rescue its own disks come after the one that it boots from. */
static void add_disks(struct message *m, const struct catalog_object *v, struct link_vm_want *w)
{
    const struct api_vm *vm = v->doc;
    const struct api_texts *ids = &v->own->volumes;
    size_t most = 1 + (ids->is == API_VALUE ? ids->n : 0);
    w->disks.v = api_arena_array(&m->arena, MIN(most, (size_t)DISKS_MAX), sizeof(*w->disks.v));
    w->disks.is = w->disks.v ? API_VALUE : API_ABSENT;
    if (!w->disks.v)
        return;
    if (v->own->rescue.is == API_VALUE)
        add_disk(m, v->own->rescue.v, false, w);
    for (uint32_t i = 0; ids->is == API_VALUE && i < ids->n; i++) {
        if (!server_vm_wants_device(v, ids->v[i]))
            continue;
        const struct api_vm_volume *shown =
            i && vm->volumes.is == API_VALUE && i - 1 < vm->volumes.n ? &vm->volumes.v[i - 1]
                                                                      : NULL;
        add_disk(m, ids->v[i], shown && shown->readonly.is == API_VALUE && shown->readonly.v, w);
    }
}

/* Only passt leads ports in. */
static void add_forwards(struct message *m, const struct server_network_wiring *w,
                         struct link_port *p)
{
    unsigned n = p->kind.v == LINK_PORT_KIND_USER ? w->n_forwards : 0;
    if (!n)
        return;
    p->forwards.v = api_arena_array(&m->arena, n, sizeof(*p->forwards.v));
    p->forwards.is = p->forwards.v ? API_VALUE : API_ABSENT;
    m->failed |= !p->forwards.v;
    for (unsigned i = 0; p->forwards.v && i < n; i++) {
        struct link_forward *f = &p->forwards.v[p->forwards.n++];
        f->udp = (struct api_bool){API_VALUE, w->forwards[i].udp};
        f->host_port = (struct api_int){API_VALUE, w->forwards[i].host_port};
        f->guest_port = (struct api_int){API_VALUE, w->forwards[i].guest_port};
    }
}

static void add_port(struct message *m, const struct catalog_object *port, struct link_port *p)
{
    struct server_network_wiring w;
    if (server_network_wire(m->s, port, &w))
        return;
    p->id = text_of(m, port->id_text);
    p->kind.is = API_VALUE;
    p->kind.v =
        w.driver && !strcmp(w.driver, "bridge") ? LINK_PORT_KIND_BRIDGE : LINK_PORT_KIND_USER;
    p->mac = text_of(m, w.mac);
    if (w.mtu_bytes)
        p->mtu_bytes = (struct api_int){API_VALUE, w.mtu_bytes};
    if (w.bridge)
        p->bridge = text_of(m, w.bridge);
    add_forwards(m, &w, p);
}

static void add_ports(struct message *m, const struct catalog_object *v, struct link_vm_want *w)
{
    const struct api_texts *ids = &v->own->ports;
    uint32_t n = ids->is == API_VALUE ? ids->n : 0;
    w->ports.v = api_arena_array(&m->arena, n, sizeof(*w->ports.v));
    w->ports.is = w->ports.v ? API_VALUE : API_ABSENT;
    for (uint32_t i = 0; w->ports.v && i < n; i++) {
        const struct catalog_object *port = find(m->s, CATALOG_PORT, ids->v[i]);
        if (!port || !server_vm_wants_device(v, ids->v[i]))
            continue;
        add_port(m, port, &w->ports.v[w->ports.n]);
        w->ports.n += w->ports.v[w->ports.n].id.is == API_VALUE;
    }
}

static void add_config(struct message *m, const struct catalog_object *v, struct link_vm_want *w)
{
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    struct api_buf b;
    api_buf_init(&b, 4096);
    api_buf_puts(&b, "{\"name\":");
    api_buf_json_text(&b, v->name);
    api_buf_printf(&b,
                   ",\"uuid\":\"%s\",\"cpus\":{\"count\":%lld},\"memory\":{\"size\":\"%lldM\"%s}}",
                   v->id_text, (long long)status->vcpus.v, (long long)status->memory_mib.v,
                   v->own->hugepages.v ? ",\"hugepages\":true" : "");
    w->config.v = b.failed ? NULL : keep(m, b.text);
    w->config.is = w->config.v ? API_VALUE : API_ABSENT;
    api_buf_fini(&b);
}

/* ---- cloud-init ---- */

static void add_file(struct message *m, struct link_vm_want *w, enum link_seed_file_name name,
                     const char *text)
{
    struct link_seed_file *f = &w->seed.v[w->seed.n];
    if (!text)
        return;
    w->seed.n++;
    f->name.is = API_VALUE;
    f->name.v = name;
    f->text = text_of(m, text);
}

static void add_seed(struct message *m, const struct catalog_object *v, struct link_vm_want *w)
{
    struct seed_cloud_init_texts texts;
    w->seed.v = api_arena_array(&m->arena, 4, sizeof(*w->seed.v));
    if (!w->seed.v || server_desired_seed(m->s, v, &texts))
        return;
    w->seed.is = API_VALUE;
    add_file(m, w, LINK_SEED_FILE_NAME_META_DATA, texts.meta_data);
    add_file(m, w, LINK_SEED_FILE_NAME_USER_DATA, texts.user_data);
    add_file(m, w, LINK_SEED_FILE_NAME_VENDOR_DATA, texts.vendor_data);
    add_file(m, w, LINK_SEED_FILE_NAME_NETWORK_CONFIG, texts.network_config);
    seed_cloud_init_free(&texts);
}

static void add_vm(struct message *m, const struct catalog_object *v)
{
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    if (m->body.vms.n == VMS_A_MESSAGE)
        message_send(m, true);
    if (!m->body.vms.v) {
        m->body.vms.v =
            api_arena_array(&m->arena, MIN(m->most, (size_t)VMS_A_MESSAGE), sizeof(*m->body.vms.v));
        m->body.vms.is = m->body.vms.v ? API_VALUE : API_ABSENT;
    }
    if (!m->body.vms.v) {
        m->failed = true;
        return;
    }
    struct link_vm_want *w = &m->body.vms.v[m->body.vms.n++];
    w->id = text_of(m, v->id_text);
    w->generation = (struct api_int){API_VALUE, (int64_t)v->seq};
    w->epoch = status->run_epoch;
    w->power.is = API_VALUE;
    w->power.v = (enum link_vm_want_power)v->own->want.v;
    if (v->own->grace_ms.is == API_VALUE)
        w->grace_ms = v->own->grace_ms;
    w->devices = (struct api_bool){API_VALUE, server_vm_plugs(v)};
    add_config(m, v, w);
    add_disks(m, v, w);
    add_ports(m, v, w);
    add_seed(m, v, w);
}

/* ---- messages ---- */

void server_desired_all(struct server *s, struct server_host *host)
{
    static const enum catalog_kind kinds[] = {CATALOG_VOLUME, CATALOG_SNAPSHOT};
    struct message m;
    message_init(&m, s, host->link, &host->id, SIZE_MAX);
    server_image_each(s, &host->id, add_image, &m);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        const struct catalog_list *list = catalog_under(s->catalog, kinds[k], &host->id);
        for (size_t i = 0; i < list->n; i++)
            add_volume(&m, list->slots[i]->now);
    }
    const struct catalog_list *vms = catalog_under(s->catalog, CATALOG_VM, &host->id);
    for (size_t i = 0; i < vms->n; i++)
        add_vm(&m, vms->slots[i]->now);
    message_send(&m, false);
    api_arena_fini(&m.arena);
}

/* The host fetches it if it has not got it: nobody else tells it to. */
static void add_image_of(struct message *m, const struct catalog_object *volume)
{
    struct server_storage_want want;
    struct server_image_want image;
    if (!server_storage_want(m->s, volume, &want) || want.wish != SERVER_STORAGE_MAKE ||
        want.source_kind != CATALOG_IMAGE ||
        memcmp(&m->image, &want.source, sizeof(want.source)) == 0)
        return;
    const struct catalog_slot *slot = catalog_find(m->s->catalog, CATALOG_IMAGE, &want.source);
    if (slot && server_image_want(m->s, slot->now, m->host, &image)) {
        add_image(m, &image);
        m->image = want.source;
    }
}

static void add_images_of(struct message *m, const struct catalog_object *vm)
{
    const struct api_texts *ids = &vm->own->volumes;
    const struct catalog_object *v;
    if (vm->own->rescue.is == API_VALUE && (v = find(m->s, CATALOG_VOLUME, vm->own->rescue.v)))
        add_image_of(m, v);
    for (uint32_t i = 0; ids->is == API_VALUE && i < ids->n; i++)
        if ((v = find(m->s, CATALOG_VOLUME, ids->v[i])))
            add_image_of(m, v);
}

static void add_object(struct message *m, const struct catalog_object *v)
{
    struct server_image_want want;
    switch (v->kind) {
    case CATALOG_VM:
        add_images_of(m, v);
        add_vm(m, v);
        break;
    case CATALOG_IMAGE:
        if (server_image_want(m->s, v, m->host, &want))
            add_image(m, &want);
        break;
    case CATALOG_VOLUME:
        add_image_of(m, v);
        add_volume(m, v);
        break;
    default:
        add_volume(m, v);
        break;
    }
}

void server_desired_some(struct server *s, struct server_link *l, const struct store_id *host,
                         struct catalog_object *const *some, size_t n)
{
    struct message m;
    message_init(&m, s, l, host, n);
    for (size_t i = 0; i < n; i++)
        add_object(&m, some[i]);
    if (m.body.vms.n || m.body.volumes.n)
        message_send(&m, false);
    api_arena_fini(&m.arena);
}
