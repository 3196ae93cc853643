/* What is seen, said: all of it when a link begins, and what has changed from then on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_core_internal.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/util.h"

#define PART_MAX   400 /* volumes or ports in a message */
#define VMS_MAX    128 /* each of them may have 64 addresses */
#define PART_BYTES (8u << 20)
#define RETRY_NS   INT64_C(200000000)

#define MAC_BYTES 18

/* Of which port an address is: as long as the ports that are known are those of this run. */
static bool name_port(const struct network_port *port, struct api_arena *arena,
                      struct link_address *out)
{
    char *id = api_arena_alloc(arena, UUID_TEXT_BYTES), *mac = api_arena_alloc(arena, MAC_BYTES);
    if (!id || !mac)
        return false;
    const uint8_t *m = port->mac;
    uuid_format(port->id, id);
    snprintf(mac, MAC_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    out->port = (struct api_text){API_VALUE, id};
    out->mac = (struct api_text){API_VALUE, mac};
    return true;
}

static bool describe_addresses(const struct vm_seen *s, const struct vm_want *want,
                               struct api_arena *arena, struct link_vm_seen *out)
{
    struct link_address ports[AGENT_VM_PORTS_MAX] = {{.ip = {API_ABSENT, NULL}}};
    struct link_address *list = api_arena_array(arena, s->n_addresses, sizeof(*list));
    for (unsigned i = 0; list && i < s->n_addresses; i++) {
        const struct vm_seen_address *a = &s->addresses[i];
        char *ip = api_arena_text(arena, a->ip, strlen(a->ip));
        if (!ip)
            return false;
        for (unsigned k = 0; want && k < want->n_ports; k++) {
            if (memcmp(want->ports[k].id, a->port, 16) != 0)
                continue;
            if (ports[k].port.is != API_VALUE && !name_port(&want->ports[k], arena, &ports[k]))
                return false;
            list[i] = ports[k];
        }
        list[i].ip = (struct api_text){API_VALUE, ip};
    }
    out->addresses.is = s->n_addresses ? API_VALUE : API_ABSENT;
    out->addresses.n = s->n_addresses;
    out->addresses.v = list;
    return list || !s->n_addresses;
}

static bool describe_ids(const uint8_t (*ids)[16], unsigned n, struct api_arena *arena,
                         struct api_texts *out)
{
    const char **list = api_arena_array(arena, n, sizeof(*list));
    for (unsigned i = 0; list && i < n; i++) {
        char *text = api_arena_alloc(arena, UUID_TEXT_BYTES);
        if (!text)
            return false;
        uuid_format(ids[i], text);
        list[i] = text;
    }
    *out = (struct api_texts){API_VALUE, n, list};
    return list || !n;
}

static bool describe_problems(const struct vm_seen *s, struct api_arena *arena,
                              struct link_vm_seen *out)
{
    struct link_device_problem *list = api_arena_array(arena, s->n_problems, sizeof(*list));
    for (unsigned i = 0; list && i < s->n_problems; i++) {
        char *id = api_arena_alloc(arena, UUID_TEXT_BYTES);
        char *why = api_arena_text(arena, s->problems[i].reason, strlen(s->problems[i].reason));
        if (!id || !why)
            return false;
        uuid_format(s->problems[i].id, id);
        list[i].id = (struct api_text){API_VALUE, id};
        list[i].reason = (struct api_text){API_VALUE, why};
    }
    out->problems.is = s->n_problems ? API_VALUE : API_ABSENT;
    out->problems.n = s->n_problems;
    out->problems.v = list;
    return list || !s->n_problems;
}

/* For who has asked for it: they are being changed. */
static bool describe_devices(const struct vm_seen *s, const struct vm_want *want,
                             struct api_arena *arena, struct link_vm_seen *out)
{
    if (!want || !want->tell_devices)
        return true;
    if (s->devices_known && (!describe_ids(s->disks, s->n_disks, arena, &out->disks) ||
                             !describe_ids(s->ports, s->n_ports, arena, &out->ports)))
        return false;
    return describe_problems(s, arena, out);
}

static bool describe(const struct agent_core_vm *v, struct api_arena *arena,
                     struct link_vm_seen *out)
{
    static const enum link_vm_seen_state STATES[] = {
        [VM_SEEN_ABSENT] = LINK_VM_SEEN_STATE_ABSENT,
        [VM_SEEN_PREPARING] = LINK_VM_SEEN_STATE_PREPARING,
        [VM_SEEN_STARTING] = LINK_VM_SEEN_STATE_STARTING,
        [VM_SEEN_RUNNING] = LINK_VM_SEEN_STATE_RUNNING,
        [VM_SEEN_PAUSED] = LINK_VM_SEEN_STATE_PAUSED,
        [VM_SEEN_STOPPING] = LINK_VM_SEEN_STATE_STOPPING,
        [VM_SEEN_STOPPED] = LINK_VM_SEEN_STATE_STOPPED,
        [VM_SEEN_FAILED] = LINK_VM_SEEN_STATE_FAILED,
    };
    const struct vm_seen *s = agent_vm_seen(v->vm);
    char *id = api_arena_alloc(arena, UUID_TEXT_BYTES);
    if (!id)
        return false;
    uuid_format(s->id, id);
    *out = (struct link_vm_seen){.id = {API_VALUE, id},
                                 .managed = {API_VALUE, agent_vm_wanted(v->vm) != NULL},
                                 .generation = {API_VALUE, (int64_t)s->generation},
                                 .epoch = {API_VALUE, (int64_t)s->epoch},
                                 .exit_status = {API_VALUE, s->exit_status}};
    out->state.is = API_VALUE;
    out->state.v = STATES[s->state];
    if (!describe_addresses(s, agent_vm_wanted(v->vm), arena, out) ||
        !describe_devices(s, agent_vm_wanted(v->vm), arena, out))
        return false;
    if (s->reason[0]) {
        char *reason = api_arena_text(arena, s->reason, strlen(s->reason));
        if (!reason)
            return false;
        out->reason = (struct api_text){API_VALUE, reason};
    }
    return true;
}

void agent_core_report_refused(struct agent_core *c, const struct link_vm_want *w, const char *why)
{
    uint8_t id[16];
    link_uuid(&w->id, id);
    const struct agent_core_vm *v = agent_core_find(c, id);
    struct link_vm_seen vm = {
        .id = w->id,
        .managed = {API_VALUE, v && agent_vm_wanted(v->vm)},
        .generation = w->generation,
        .epoch = {API_VALUE, v ? (int64_t)agent_vm_seen(v->vm)->epoch : 0},
        .reason = {API_VALUE, why},
    };
    vm.state.is = API_VALUE;
    vm.state.v = LINK_VM_SEEN_STATE_FAILED;
    struct link_seen seen = {.desired_seq = {API_VALUE, c->desired_seq}};
    seen.vms.is = API_VALUE;
    seen.vms.n = 1;
    seen.vms.v = &vm;
    (void)c->config.ops->send(c->config.opaque, LINK_TYPE_SEEN, &seen);
}

/* VMs that are not here, and of which nobody wants to hear any more. */
static void forget(struct agent_core *c)
{
    for (unsigned i = c->n_vms; i-- > 0;) {
        struct agent_core_vm *v = c->vms[i];
        if (!v->gone || agent_vm_busy(v->vm) || agent_vm_seen(v->vm)->state != VM_SEEN_ABSENT)
            continue;
        c->vms[i] = c->vms[--c->n_vms];
        vm_console_destroy(v->console);
        agent_vm_destroy(v->vm);
        free(v);
    }
}

/* The places in the tables up to which all has been said. */
struct cursor {
    bool all;
    unsigned vms, volumes, ports;
};

static bool fill_vms(struct agent_core *c, struct cursor *at, struct api_arena *arena,
                     struct link_seen *seen)
{
    seen->vms.v = api_arena_array(arena, VMS_MAX, sizeof(*seen->vms.v));
    for (; seen->vms.v && at->vms < c->n_vms && seen->vms.n < VMS_MAX; at->vms++) {
        struct agent_core_vm *v = c->vms[at->vms];
        if (!at->all && !v->dirty)
            continue;
        if (!describe(v, arena, &seen->vms.v[seen->vms.n]))
            return false;
        seen->vms.n++;
        v->dirty = false;
    }
    seen->vms.is = seen->vms.n ? API_VALUE : API_ABSENT;
    return seen->vms.v;
}

static bool fill(struct agent_core *c, struct cursor *at, struct api_arena *arena,
                 struct link_seen *seen)
{
    if (!fill_vms(c, at, arena, seen))
        return false;
    seen->volumes.v = api_arena_array(arena, PART_MAX, sizeof(*seen->volumes.v));
    seen->ports.v = api_arena_array(arena, PART_MAX, sizeof(*seen->ports.v));
    if (!seen->volumes.v || !seen->ports.v)
        return false;
    while (seen->volumes.n < PART_MAX &&
           agent_volumes_next(c->volumes, at->all, &at->volumes, arena,
                              &seen->volumes.v[seen->volumes.n]))
        seen->volumes.n++;
    while (seen->ports.n < PART_MAX &&
           agent_ports_next(c->ports, at->all, &at->ports, arena, &seen->ports.v[seen->ports.n]))
        seen->ports.n++;
    seen->volumes.is = seen->volumes.n ? API_VALUE : API_ABSENT;
    seen->ports.is = seen->ports.n ? API_VALUE : API_ABSENT;
    return true;
}

/* One message. 1: there is more; 0: that was all; or -errno. */
static int say_part(struct agent_core *c, struct cursor *at)
{
    struct api_arena arena;
    struct link_seen seen = {.full = {API_VALUE, at->all},
                             .desired_seq = {API_VALUE, c->desired_seq}};
    api_arena_init(&arena, PART_BYTES);
    int ret = fill(c, at, &arena, &seen) ? 0 : -ENOMEM;
    bool more = seen.vms.n == VMS_MAX || seen.volumes.n == PART_MAX || seen.ports.n == PART_MAX;
    bool empty = !seen.vms.n && !seen.volumes.n && !seen.ports.n;
    if (at->all)
        seen.more = (struct api_bool){API_VALUE, more};
    if (!ret && (at->all || !empty)) {
        (void)fault_point("agent_core.seen.begin");
        ret = c->config.ops->send(c->config.opaque, LINK_TYPE_SEEN, &seen);
        (void)fault_point("agent_core.seen.said");
    }
    api_arena_fini(&arena);
    return ret ? ret : more;
}

void agent_core_report(struct loop_timer *t)
{
    struct agent_core *c = container_of(t, struct agent_core, report);
    struct cursor at = {.all = c->say_all};
    int ret;
    if (!c->up)
        return;
    do
        ret = say_part(c, &at);
    while (ret > 0);
    if (!ret) {
        c->say_all = false;
        forget(c);
        return;
    }
    /* What was taken out of the tables is said again with all of it. */
    LOG_LIMITED(LOG_WARN, "agent", "what is seen could not be said, and will be again: %s",
                strerror(-ret));
    c->say_all = true;
    loop_timer_arm(c->config.loop, t, loop_now_ns(c->config.loop) + RETRY_NS);
}
