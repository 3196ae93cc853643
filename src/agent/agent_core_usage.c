/* What is used: each VM's monitor is asked for its counters, the book adds them up, and says. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/agent_core_internal.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/util.h"

#define MS_NS INT64_C(1000000)

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* ---- counters of a monitor ---- */

static uint64_t number(const json_t *device, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(device, name));
    return v > 0 ? (uint64_t)v : 0;
}

static void count(struct agent_core_vm *v, const uint8_t object[16], enum link_usage_item_kind kind,
                  enum link_usage_item_meter meter, uint64_t raw)
{
    const struct vm_seen *seen = agent_vm_seen(v->vm);
    struct usage_counter c = {.run = seen->epoch, .kind = kind, .meter = meter};
    memcpy(c.vm, seen->id, 16);
    memcpy(c.object, object, 16);
    int ret = usage_book_count(v->core->usage, &c, raw);
    if (ret)
        LOG_LIMITED(LOG_ERROR, "agent", "what was used could not be counted: %s", strerror(-ret));
}

static void count_port(struct agent_core_vm *v, const uint8_t port[16], const json_t *nic)
{
    count(v, port, LINK_USAGE_ITEM_KIND_PORT, LINK_USAGE_ITEM_METER_EGRESS_BYTES,
          number(nic, "tx_bytes"));
    count(v, port, LINK_USAGE_ITEM_KIND_PORT, LINK_USAGE_ITEM_METER_INGRESS_BYTES,
          number(nic, "rx_bytes"));
}

static void count_disk(struct agent_core_vm *v, const uint8_t volume[16], const json_t *disk)
{
    count(v, volume, LINK_USAGE_ITEM_KIND_VOLUME, LINK_USAGE_ITEM_METER_READ_BYTES,
          number(disk, "read_bytes"));
    count(v, volume, LINK_USAGE_ITEM_KIND_VOLUME, LINK_USAGE_ITEM_METER_WRITTEN_BYTES,
          number(disk, "written_bytes"));
}

/* Devices have the ids of their ports and volumes. What the VM itself has used is what all of its
 * ports have in this run, with those that have left: it never falls. */
static void count_all(struct agent_core_vm *v, const json_t *all)
{
    static const enum link_usage_item_meter METERS[] = {LINK_USAGE_ITEM_METER_EGRESS_BYTES,
                                                        LINK_USAGE_ITEM_METER_INGRESS_BYTES};
    const struct vm_seen *seen = agent_vm_seen(v->vm);
    const char *name;
    const json_t *device;
    uint8_t id[16];
    json_object_foreach((json_t *)(uintptr_t)all, name, device)
    {
        if (uuid_parse(name, id))
            continue;
        if (json_object_get(device, "tx_bytes"))
            count_port(v, id, device);
        else if (json_object_get(device, "read_bytes"))
            count_disk(v, id, device);
    }
    for (unsigned i = 0; i < ARRAY_LEN(METERS); i++)
        count(v, seen->id, LINK_USAGE_ITEM_KIND_VM, METERS[i],
              usage_book_sum(v->core->usage, seen->id, seen->epoch, LINK_USAGE_ITEM_KIND_PORT,
                             METERS[i]));
}

static void counted(void *opaque, const char *text)
{
    struct agent_core_vm *v = opaque;
    json_t *all = text ? json_loads(text, 0, NULL) : NULL;
    if (json_is_object(all))
        count_all(v, all);
    json_decref(all);
}

void agent_core_usage_read(struct agent_core_vm *v)
{
    (void)agent_vm_count(v->vm, counted, v);
}

/* ---- saying it ---- */

static void say(struct agent_core *c)
{
    struct api_arena arena;
    struct link_usage usage;
    struct err err = {0};
    api_arena_init(&arena, 1u << 20);
    int ret = usage_book_message(c->usage, wall_ms(), &arena, &usage, &err);
    if (ret < 0) {
        snprintf(c->usage_problem, sizeof(c->usage_problem), "%.*s",
                 (int)sizeof(c->usage_problem) - 1, err.msg);
        LOG_LIMITED(LOG_ERROR, "agent", "what was used cannot be written down: %s", err.msg);
    } else {
        c->usage_problem[0] = 0;
    }
    if (ret > 0) {
        (void)fault_point("agent_core.usage.written");
        (void)c->config.ops->send(c->config.opaque, LINK_TYPE_USAGE, &usage);
        (void)fault_point("agent_core.usage.said");
    }
    api_arena_fini(&arena);
}

/* Asks now and says what the last time came to: there is no hurry. */
static void usage_due(struct loop_timer *t)
{
    struct agent_core *c = container_of(t, struct agent_core, usage_timer);
    for (unsigned i = 0; i < c->n_vms; i++) {
        agent_core_usage_read(c->vms[i]);
        agent_vm_look(c->vms[i]->vm);
    }
    if (c->up)
        say(c);
    loop_timer_arm(c->config.loop, t, loop_now_ns(c->config.loop) + c->usage_ns);
}

void agent_core_usage_start(struct agent_core *c, int64_t usage_ms)
{
    c->usage_ns = usage_ms * MS_NS;
    loop_timer_arm(c->config.loop, &c->usage_timer, loop_now_ns(c->config.loop) + c->usage_ns);
}

void agent_core_usage_ack(struct agent_core *c, const struct link_usage_ack *ack)
{
    uint8_t source[16];
    link_uuid(&ack->source, source);
    if (!memcmp(source, c->config.host, 16))
        usage_book_ack(c->usage, (uint64_t)ack->epoch.v, (uint64_t)ack->number.v);
}

static bool is_here(void *opaque, const uint8_t vm[16])
{
    return agent_core_find(opaque, vm);
}

int agent_core_usage_open(struct agent_core *c, struct err *err)
{
    c->usage = usage_book_open(c->usage_path, c->config.host, wall_ms(), err);
    if (!c->usage)
        return -EIO;
    usage_book_keep(c->usage, is_here, c);
    c->usage_timer.expired = usage_due;
    return 0;
}
