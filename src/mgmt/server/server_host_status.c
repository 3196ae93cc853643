/* A host's status, from what its agent said of it. */
#include "mgmt/server/server_host_status.h"

#include <errno.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"

static enum api_host_status_state state_of(const struct server_host *host,
                                           const struct api_host_status *status)
{
    enum api_host_status_state old = status ? status->state.v : API_HOST_STATUS_STATE_JOINING;
    if (old == API_HOST_STATUS_STATE_FENCED && !host->link)
        return old;
    if (host->link && host->inventory)
        return API_HOST_STATUS_STATE_UP;
    if (host->lease_ended && old == API_HOST_STATUS_STATE_UP)
        return API_HOST_STATUS_STATE_UNREACHABLE;
    return old;
}

static int64_t disk_gib(const struct link_inventory *inventory)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; inventory->pools.is == API_VALUE && i < inventory->pools.n; i++)
        if (inventory->pools.v[i].size_bytes.is == API_VALUE)
            bytes += inventory->pools.v[i].size_bytes.v;
    return bytes >> 30;
}

static int fill_engines(struct catalog_object *v, struct api_host_status *status,
                        const struct link_inventory *inventory)
{
    uint32_t n = inventory->engines.is == API_VALUE ? inventory->engines.n : 0;
    const char **names = api_arena_array(&v->arena, MIN(n, 8u), sizeof(*names));
    if (!names)
        return -ENOMEM;
    status->engines.is = API_VALUE;
    status->engines.v = names;
    status->engines.n = 0;
    for (uint32_t i = 0; i < n && status->engines.n < 8; i++) {
        struct api_text name = {API_ABSENT, NULL};
        if (!inventory->engines.v[i].usable.v)
            continue;
        if (server_meta_text(v, &name, inventory->engines.v[i].name.v))
            return -ENOMEM;
        names[status->engines.n++] = name.v;
    }
    return 0;
}

static int copy_text(struct catalog_object *v, struct api_text *to, const struct api_text *from)
{
    return from->is == API_VALUE ? server_meta_text(v, to, from->v) : 0;
}

int server_host_status_fill(const struct server_host *host, struct catalog_object *v)
{
    struct api_host *doc = v->doc;
    const struct link_inventory *inventory = host->inventory;
    if (doc->status.is != API_VALUE) {
        doc->status.v = api_json_new(&api_types_host_status, &v->arena);
        if (!doc->status.v)
            return -ENOMEM;
        doc->status.is = API_VALUE;
    }
    struct api_host_status *status = doc->status.v;
    status->state.v = state_of(host, status->state.is == API_VALUE ? status : NULL);
    status->state.is = API_VALUE;
    if (!inventory)
        return 0;
    status->cpus = inventory->cpus;
    status->memory_mib = inventory->memory_mib;
    status->disk_gib = (struct api_int){API_VALUE, disk_gib(inventory)};
    int r = fill_engines(v, status, inventory);
    if (!r)
        r = copy_text(v, &status->agent_version, &inventory->agent_version);
    if (!r)
        r = copy_text(v, &status->kernel_version, &inventory->kernel_version);
    if (!r)
        r = copy_text(v, &status->address, &inventory->address);
    return r;
}

int server_host_status_heard(struct catalog_object *v)
{
    struct api_host *doc = v->doc;
    char text[SERVER_TIME_BYTES];
    server_meta_time(server_now_ms(), text);
    return server_meta_text(v, &doc->status.v->seen_at, text);
}

/* Another version of the same write, as progress of operations is. */
void server_host_status_seen(struct server *s, const struct store_id *host)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_HOST, host);
    const struct api_host *doc = slot ? slot->now->doc : NULL;
    if (!doc || doc->status.is != API_VALUE)
        return;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    v->seq = slot->now->seq;
    if (server_host_status_heard(v) || catalog_seal(v)) {
        catalog_unref(v);
        return;
    }
    catalog_publish(s->catalog, v);
}
