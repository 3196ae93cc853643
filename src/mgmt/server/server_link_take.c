/* What agents say, message by message: to hosts, VMs, volumes, commands, consoles, the metering. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_command.h"
#include "mgmt/server/server_console.h"
#include "mgmt/server/server_desired.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_host_has.h"
#include "mgmt/server/server_host_status.h"
#include "mgmt/server/server_infra.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_usage.h"
#include "mgmt/server/server_vm.h"

/* ---- what a host has ---- */

static void take_inventory(struct server *s, struct server_host *host,
                           const struct link_inventory *inventory, struct api_arena *arena)
{
    api_arena_fini(&host->arena);
    host->arena = *arena;
    api_arena_init(arena, LINK_ARENA_BYTES);
    host->inventory = inventory;
    struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_HOST, &host->id);
    if (!slot)
        return;
    server_host_changed(s, slot, slot->now, slot->now); /* its nodes */
    if (inventory->pools.is == API_VALUE)
        server_host_has_pools(s, &host->id, inventory->pools.v, inventory->pools.n);
    server_host_settle(s, slot);
}

static void take_heartbeat_pools(struct server *s, const struct server_host *host,
                                 const struct link_heartbeat *heartbeat)
{
    struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_HOST, &host->id);
    server_host_has_pools(s, &host->id, heartbeat->pools.v, heartbeat->pools.n);
    if (slot && s->follow)
        server_host_settle(s, slot);
}

static void take_seen(struct server *s, const struct store_id *host, const struct link_seen *seen)
{
    for (uint32_t i = 0; seen->vms.is == API_VALUE && i < seen->vms.n; i++)
        server_vm_seen(s, host, &seen->vms.v[i]);
    for (uint32_t i = 0; seen->volumes.is == API_VALUE && i < seen->volumes.n; i++)
        server_desired_volume_seen(s, host, &seen->volumes.v[i]);
}

/* ---- usage: acknowledged when all of a message is durable ---- */

struct report {
    struct server *s;
    struct store_id host;
    char source[UUID_TEXT_BYTES];
    int64_t epoch, number;
    unsigned open;
    bool again;
};

static void counted(void *ctx, int result)
{
    struct report *r = ctx;
    r->again |= result != 0;
    if (--r->open)
        return;
    struct server_link *link = r->again ? NULL : server_link_to(r->s, &r->host);
    struct link_usage_ack ack = {.source = {API_VALUE, r->source},
                                 .epoch = {API_VALUE, r->epoch},
                                 .number = {API_VALUE, r->number}};
    if (link)
        server_link_send(link, LINK_TYPE_USAGE_ACK, &ack);
    free(r);
}

/* The API has one meter of bytes, egress. What belongs to nobody any more is nobody's bill. */
static bool counter_of(struct server *s, const struct link_usage_item *item,
                       struct server_usage_counter *counter)
{
    static const enum catalog_kind kinds[] = {[LINK_USAGE_ITEM_KIND_VM] = CATALOG_VM,
                                              [LINK_USAGE_ITEM_KIND_VOLUME] = CATALOG_VOLUME,
                                              [LINK_USAGE_ITEM_KIND_PORT] = CATALOG_PORT};
    struct store_id object, vm;
    if (item->meter.v != LINK_USAGE_ITEM_METER_EGRESS_BYTES)
        return false;
    link_uuid(&item->object, object.bytes);
    link_uuid(&item->vm, vm.bytes);
    const struct catalog_slot *slot = catalog_find(s->catalog, kinds[item->kind.v], &object);
    if (!slot)
        slot = catalog_find(s->catalog, CATALOG_VM, &vm);
    if (!slot)
        return false;
    *counter = (struct server_usage_counter){.project = slot->now->project,
                                             .object = object,
                                             .by = vm,
                                             .meter = API_USAGE_RECORD_METER_EGRESS,
                                             .epoch = (uint64_t)item->run.v,
                                             .cumulative = (uint64_t)item->value.v};
    return true;
}

static void take_usage(struct server *s, const struct server_host *host,
                       const struct link_usage *usage)
{
    struct report *r = calloc(1, sizeof(*r));
    if (!r)
        return; /* it is sent again */
    *r = (struct report){
        .s = s, .host = host->id, .epoch = usage->epoch.v, .number = usage->number.v, .open = 1};
    uuid_format(host->id.bytes, r->source);
    for (uint32_t i = 0; usage->items.is == API_VALUE && i < usage->items.n; i++) {
        struct server_usage_counter counter;
        if (!counter_of(s, &usage->items.v[i], &counter))
            continue;
        r->open++;
        server_usage_count(s, &counter, counted, r);
    }
    counted(r, strcmp(usage->source.v, r->source) ? -EINVAL : 0);
}

/* ---- certificates ---- */

static void take_renew(struct server *s, const struct server_host *host,
                       const struct link_renew *renew)
{
    struct server_link *link = server_link_to(s, &host->id);
    const char *ca = server_join_authority(s);
    char id[UUID_TEXT_BYTES], serial[64];
    struct err err = {0};
    uuid_format(host->id.bytes, id);
    char *pem = server_join_sign(s, renew->csr.v, id, serial, &err);
    struct link_certificate body = {.certificate = {API_VALUE, pem}, .ca = {API_VALUE, ca}};
    if (pem && ca && link)
        server_link_send(link, LINK_TYPE_CERTIFICATE, &body);
    else
        LOG_LIMITED(LOG_WARN, "server", "a host's certificate was not renewed: %s", err.msg);
    free(pem);
}

void server_link_take(struct server *s, struct server_host *host, const struct link_message *m,
                      struct api_arena *arena)
{
    switch (m->type) {
    case LINK_TYPE_INVENTORY:
        take_inventory(s, host, m->inventory, arena);
        server_host_status_seen(s, &host->id);
        (void)fault_point("server_link.inventory.taken");
        break;
    case LINK_TYPE_HEARTBEAT:
        (void)fault_point("server_link.heartbeat.taken");
        if (m->heartbeat->pools.is == API_VALUE)
            take_heartbeat_pools(s, host, m->heartbeat);
        server_host_status_seen(s, &host->id);
        break;
    case LINK_TYPE_SEEN:
        (void)fault_point("server_link.seen.begin");
        take_seen(s, &host->id, m->seen);
        (void)fault_point("server_link.seen.taken");
        break;
    case LINK_TYPE_USAGE:
        take_usage(s, host, m->usage);
        break;
    case LINK_TYPE_RESULT:
        server_command_result(s, &host->id, m->result);
        break;
    case LINK_TYPE_STREAM_END:
        server_console_end(s, &host->id, (uint32_t)m->stream_end->stream.v);
        break;
    case LINK_TYPE_RENEW:
        take_renew(s, host, m->renew);
        break;
    case LINK_TYPE_BYE:
        log_line(LOG_INFO, "server", "an agent ends");
        break;
    default:
        break;
    }
}
