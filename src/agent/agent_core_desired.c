/* What the server wants, given to VMs, volumes and ports as they take it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent_core_internal.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/util.h"

static void read_disk(const struct link_disk *d, struct vm_want_disk *out)
{
    link_uuid(&d->volume, out->volume.id);
    link_uuid(&d->source, out->volume.source);
    snprintf(out->volume.pool, sizeof(out->volume.pool), "%s",
             d->pool.is == API_VALUE ? d->pool.v : "");
    out->volume.size_bytes = (uint64_t)d->size_bytes.v;
    out->volume.from_source = d->source.is == API_VALUE;
    out->volume.source_kind =
        d->source_kind.is == API_VALUE && d->source_kind.v == LINK_VOLUME_KIND_SNAPSHOT
            ? VOLUME_SNAPSHOT
            : VOLUME_IMAGE;
    out->volume.must_exist = d->existing.v;
    out->readonly = d->readonly.v;
    out->keep = d->keep.v;
}

static int read_port(const struct link_port *p, struct network_port *out, struct err *err)
{
    link_uuid(&p->id, out->id);
    if (vm_config_parse_mac(p->mac.v, out->mac))
        return err_set(err, EINVAL, "%s is no MAC for a port", p->mac.v);
    out->mtu = p->mtu_bytes.is == API_VALUE ? (uint32_t)p->mtu_bytes.v : 0;
    out->queues = (uint32_t)p->queues.v;
    if (p->kind.v == LINK_PORT_KIND_BRIDGE) {
        if (p->bridge.is != API_VALUE)
            return err_set(err, EINVAL, "a port of kind bridge names its bridge");
        snprintf(out->bridge, sizeof(out->bridge), "%s", p->bridge.v);
    }
    out->n_forwards = MIN(p->forwards.n, VM_CONFIG_FORWARDS_MAX);
    for (unsigned i = 0; i < out->n_forwards; i++)
        out->forwards[i] =
            (struct vm_config_forward){.udp = p->forwards.v[i].udp.v,
                                       .host_port = (uint16_t)p->forwards.v[i].host_port.v,
                                       .guest_port = (uint16_t)p->forwards.v[i].guest_port.v};
    return 0;
}

/* Texts are borrowed. */
static int read_vm(const struct link_vm_want *w, struct vm_want *out, struct err *err)
{
    static const enum vm_power POWERS[LINK_VM_WANT_POWER_N] = {
        [LINK_VM_WANT_POWER_ABSENT] = VM_POWER_ABSENT,
        [LINK_VM_WANT_POWER_STOPPED] = VM_POWER_STOPPED,
        [LINK_VM_WANT_POWER_RUNNING] = VM_POWER_RUNNING,
        [LINK_VM_WANT_POWER_PAUSED] = VM_POWER_PAUSED};
    *out = (struct vm_want){.generation = (uint64_t)w->generation.v,
                            .epoch = (uint64_t)w->epoch.v,
                            .power = POWERS[w->power.v],
                            .grace_ms = (uint32_t)w->grace_ms.v,
                            .tell_devices = w->devices.v,
                            .config_json = w->config.is == API_VALUE ? (char *)w->config.v : NULL,
                            .n_disks = MIN(w->disks.n, AGENT_VM_DISKS_MAX),
                            .n_ports = MIN(w->ports.n, AGENT_VM_PORTS_MAX),
                            .n_seed = MIN(w->seed.n, AGENT_VM_SEED_MAX)};
    for (unsigned i = 0; i < out->n_disks; i++)
        read_disk(&w->disks.v[i], &out->disks[i]);
    for (unsigned i = 0; i < out->n_ports; i++) {
        int ret = read_port(&w->ports.v[i], &out->ports[i], err);
        if (ret)
            return ret;
    }
    for (unsigned i = 0; i < out->n_seed; i++)
        out->seed[i] =
            (struct seed_iso_file){.name = link_types_seed_file_name.names[w->seed.v[i].name.v],
                                   .data = w->seed.v[i].text.v,
                                   .bytes = strlen(w->seed.v[i].text.v)};
    return 0;
}

static int take_vm(struct agent_core *c, const struct link_vm_want *w, struct err *err)
{
    struct vm_want want;
    uint8_t id[16];
    link_uuid(&w->id, id);
    struct agent_core_vm *v = agent_core_find(c, id);
    if (v)
        v->named = true; /* also where the want cannot be taken up: it is not unknown */
    int ret = read_vm(w, &want, err);
    if (ret)
        return ret;
    if (!v)
        v = agent_core_add(c, id, err);
    if (!v)
        return -ENOMEM;
    bool first = !agent_vm_wanted(v->vm);
    v->named = true;
    v->gone = false;
    ret = agent_vm_want(v->vm, &want);
    if (ret)
        return err_set(err, -ret, "the agent has no memory left");
    /* Told in any case: the server shall see that its want has arrived. */
    v->dirty = v->dirty || first || agent_vm_seen(v->vm)->generation != want.generation;
    return 0;
}

static void complain(const struct api_text *id, const struct err *err)
{
    LOG_LIMITED(LOG_WARN, "agent", "what the server wants cannot be taken up: %s: id=%s", err->msg,
                id->v);
}

static void begin_full(struct agent_core *c)
{
    c->collecting = true;
    for (unsigned i = 0; i < c->n_vms; i++)
        c->vms[i]->named = false;
    agent_volumes_begin_full(c->volumes);
    agent_ports_begin_full(c->ports);
}

/* What was not named is nobody's any more: it stays as it is, and is said to be so. */
static void end_full(struct agent_core *c, int64_t seq)
{
    c->collecting = false;
    for (unsigned i = 0; i < c->n_vms; i++) {
        struct agent_core_vm *v = c->vms[i];
        if (v->named)
            continue;
        if (agent_vm_wanted(v->vm))
            v->dirty = true;
        agent_vm_let_be(v->vm);
        v->gone = true; /* if it is absent; else it is told of */
    }
    agent_volumes_end_full(c->volumes);
    agent_ports_end_full(c->ports);
    c->config.ops->took(c->config.opaque, seq);
}

static void take_volumes(struct agent_core *c, const struct link_desired *d, bool images)
{
    struct err err = {0};
    for (uint32_t i = 0; i < d->volumes.n; i++)
        if ((d->volumes.v[i].kind.v == LINK_VOLUME_KIND_IMAGE) == images &&
            agent_volumes_want(c->volumes, &d->volumes.v[i], &err))
            complain(&d->volumes.v[i].id, &err);
}

/* Images come first: a VM that is made from one waits for it, if it knows that it will come. */
void agent_core_desired(struct agent_core *c, const struct link_desired *d)
{
    struct err err = {0};
    (void)fault_point("agent_core.desired.begin");
    if (d->full.v && !c->collecting)
        begin_full(c);
    take_volumes(c, d, true);
    for (uint32_t i = 0; i < d->vms.n; i++)
        if (take_vm(c, &d->vms.v[i], &err)) {
            complain(&d->vms.v[i].id, &err);
            agent_core_report_refused(c, &d->vms.v[i], err.msg);
        }
    take_volumes(c, d, false);
    for (uint32_t i = 0; i < d->ports.n; i++)
        if (agent_ports_want(c->ports, &d->ports.v[i], &err))
            complain(&d->ports.v[i].id, &err);
    (void)fault_point("agent_core.desired.taken");
    c->desired_seq = MAX(c->desired_seq, d->seq.v);
    if (d->full.v && !d->more.v)
        end_full(c, d->seq.v);
    agent_core_report_soon(c);
}

void agent_core_gone(struct agent_core *c, const struct link_gone *g)
{
    uint8_t id[16];
    (void)fault_point("agent_core.gone.begin");
    for (uint32_t i = 0; i < g->vms.n; i++) {
        link_uuid(&(struct api_text){API_VALUE, g->vms.v[i]}, id);
        struct agent_core_vm *v = agent_core_find(c, id);
        if (v)
            v->gone = true;
    }
    for (uint32_t i = 0; i < g->volumes.n; i++) {
        link_uuid(&(struct api_text){API_VALUE, g->volumes.v[i]}, id);
        agent_volumes_gone(c->volumes, id);
    }
    for (uint32_t i = 0; i < g->ports.n; i++) {
        link_uuid(&(struct api_text){API_VALUE, g->ports.v[i]}, id);
        agent_ports_gone(c->ports, id);
    }
    agent_core_report_soon(c);
}
