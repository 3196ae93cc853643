/* Disks and ports of a monitor that runs, made to be what is wanted of this run: one device at a
 * time, by what the monitor says that it has. What could not be done is a problem of its device
 * for the present want, and not tried again before another want comes: who wants it decides what
 * becomes of it then. A guest is asked again, once a second, to let a device go; what it lets go
 * by itself is plugged again, no more often than that. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_vm_internal.h"
#include "base/fault.h"
#include "base/util.h"
#include "base/uuid.h"
#include "vmmapi/vm_api.h"

#define MS       INT64_C(1000000)
#define AGAIN_MS 1000

/* ---- what the monitor has ---- */

/* Ids that are no UUIDs are the seed's, or those of a monitor that an earlier agent started. */
static unsigned take_ids(struct agent_vm *vm, const json_t *list, uint8_t (*ids)[16], unsigned max)
{
    unsigned n = 0;
    for (size_t i = 0; i < json_array_size(list) && n < max; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text && !uuid_parse(text, ids[n]))
            n++;
        else if (!text || strcmp(text, AGENT_VM_SEED_ID) != 0)
            vm->foreign_devices = true;
    }
    return n;
}

void agent_vm_take_devices(struct agent_vm *vm, const json_t *state)
{
    struct vm_seen *s = &vm->seen;
    uint8_t disks[AGENT_VM_DISKS_MAX][16], ports[AGENT_VM_PORTS_MAX][16];
    const json_t *disk_list = json_object_get(state, "disks"),
                 *nic_list = json_object_get(state, "nics");
    vm->foreign_devices = !json_is_array(disk_list) || !json_is_array(nic_list);
    unsigned n_disks = take_ids(vm, disk_list, disks, ARRAY_LEN(disks));
    unsigned n_ports = take_ids(vm, nic_list, ports, ARRAY_LEN(ports));
    if (s->devices_known && n_disks == s->n_disks && n_ports == s->n_ports &&
        !memcmp(disks, s->disks, n_disks * sizeof(disks[0])) &&
        !memcmp(ports, s->ports, n_ports * sizeof(ports[0])))
        return;
    s->devices_known = !vm->foreign_devices;
    s->n_disks = n_disks;
    s->n_ports = n_ports;
    memcpy(s->disks, disks, n_disks * sizeof(disks[0]));
    memcpy(s->ports, ports, n_ports * sizeof(ports[0]));
    if (vm->wanted && vm->want.tell_devices)
        vm->news = true;
}

static bool is_in(const uint8_t (*ids)[16], unsigned n, const uint8_t id[16])
{
    for (unsigned i = 0; i < n; i++)
        if (!memcmp(ids[i], id, 16))
            return true;
    return false;
}

/* ---- problems ---- */

static bool has_problem(const struct agent_vm *vm, const uint8_t id[16])
{
    for (unsigned i = 0; i < vm->seen.n_problems; i++)
        if (!memcmp(vm->seen.problems[i].id, id, 16))
            return true;
    return false;
}

static void add_problem(struct agent_vm *vm, const uint8_t id[16], const char *reason)
{
    struct vm_seen *s = &vm->seen;
    /* More at once are tried again, and find room. */
    struct vm_seen_problem *p = &s->problems[s->n_problems % ARRAY_LEN(s->problems)];
    if (s->n_problems < ARRAY_LEN(s->problems))
        s->n_problems++;
    memcpy(p->id, id, 16);
    snprintf(p->reason, sizeof(p->reason), "%.255s", reason);
    if (vm->want.tell_devices) {
        vm->news = true;
        agent_vm_tell_news(vm);
    }
}

/* What a monitor's refusal says. */
static void read_refusal(const char *body, int status, char text[static 256])
{
    json_t *json = json_loads(body, 0, NULL);
    const char *detail = json_string_value(json_object_get(json, "detail"));
    if (detail)
        snprintf(text, 256, "%.255s", detail);
    else
        snprintf(text, 256, "its monitor answered %d", status);
    json_decref(json);
}

/* ---- out ---- */

static void unplugged(void *opaque, int status, const char *body, size_t bytes)
{
    struct agent_vm *vm = opaque;
    (void)bytes;
    if (!agent_vm_answered(vm))
        return;
    if (status >= 300 && status != 404)
        read_refusal(body, status, vm->refusal);
    if (status > 0 && status < 300)
        agent_vm_ask(vm); /* it may have gone at once */
    else
        agent_vm_arm(vm, AGAIN_MS);
}

static unsigned unplug_ms(const struct agent_vm *vm)
{
    return vm->host->unplug_ms ? vm->host->unplug_ms : AGENT_VM_UNPLUG_MS;
}

static void unplug(struct agent_vm *vm, bool port, const uint8_t id[16])
{
    int64_t now_ns = loop_now_ns(vm->host->loop);
    char text[UUID_TEXT_BYTES], target[96], reason[256];
    if (now_ns >= vm->unplug_deadline_ns) {
        if (vm->refusal[0])
            snprintf(reason, sizeof(reason), "it could not be unplugged: %.200s", vm->refusal);
        else
            snprintf(reason, sizeof(reason),
                     "the guest has not let go of it in %u s: stop using it there and ask again, "
                     "or stop the VM",
                     unplug_ms(vm) / 1000);
        add_problem(vm, id, reason);
        agent_vm_arm(vm, 1); /* others may follow */
        return;
    }
    if (now_ns < vm->unplug_again_ns) {
        agent_vm_arm(vm, (MIN(vm->unplug_again_ns, vm->unplug_deadline_ns) - now_ns) / MS + 1);
        return;
    }
    vm->unplug_again_ns = now_ns + AGAIN_MS * MS;
    vm->refusal[0] = 0;
    if (port && vm->host->unplugs)
        vm->host->unplugs(vm->host->opaque, vm->seen.id);
    uuid_format(id, text);
    snprintf(target, sizeof(target), "%s/%s", port ? VM_API_PATH_NICS : VM_API_PATH_DISKS, text);
    vm->asked += !vm_client_request(vm->client, "DELETE", target, NULL, unplugged, vm);
    (void)fault_point("agent_vm.unplug.asked");
}

/* Whether something is to go, and not given up. */
static bool unplug_first(struct agent_vm *vm)
{
    const struct vm_seen *s = &vm->seen;
    for (unsigned i = 0; i < s->n_disks; i++) {
        bool wanted = false;
        for (unsigned k = 0; k < vm->want.n_disks; k++)
            wanted = wanted || !memcmp(vm->want.disks[k].volume.id, s->disks[i], 16);
        if (!wanted && !has_problem(vm, s->disks[i])) {
            unplug(vm, false, s->disks[i]);
            return true;
        }
    }
    for (unsigned i = 0; i < s->n_ports; i++) {
        bool wanted = false;
        for (unsigned k = 0; k < vm->want.n_ports; k++)
            wanted = wanted || !memcmp(vm->want.ports[k].id, s->ports[i], 16);
        if (!wanted && !has_problem(vm, s->ports[i])) {
            unplug(vm, true, s->ports[i]);
            return true;
        }
    }
    return false;
}

/* ---- in ---- */

static void plugged(void *opaque, int status, const char *body, size_t bytes)
{
    struct agent_vm *vm = opaque;
    char reason[256];
    (void)bytes;
    (void)fault_point("agent_vm.plug.done");
    if (!agent_vm_answered(vm))
        return;
    if (status < 0) {
        agent_vm_arm(vm, AGAIN_MS); /* it may have it or not: that is asked */
        return;
    }
    if (status >= 300) {
        read_refusal(body, status, reason);
        add_problem(vm, vm->plugging, reason);
    }
    agent_vm_ask(vm);
}

void agent_vm_plug_ready(struct agent_vm *vm)
{
    struct agent_vm_plug *plug = &vm->plug;
    bool current = vm->client && vm->answered && !vm->stopping && vm->wanted &&
                   vm->want.generation == vm->job.generation;
    if (current && vm->job_err.code)
        add_problem(vm, vm->plugging, vm->job_err.msg);
    else if (current) {
        const char *target = plug->port ? VM_API_PATH_NICS : VM_API_PATH_DISKS;
        unsigned n = plug->n_fds;
        plug->n_fds = 0; /* the request's */
        vm->asked += !vm_client_request_fds(vm->client, "POST", target, plug->json, plug->fds, n,
                                            plugged, vm);
        (void)fault_point("agent_vm.plug.asked");
    }
    agent_vm_plug_fini(plug);
}

static void plug(struct agent_vm *vm, bool port, unsigned index)
{
    int64_t now_ns = loop_now_ns(vm->host->loop);
    if (now_ns < vm->plug_again_ns) {
        agent_vm_arm(vm, (vm->plug_again_ns - now_ns) / MS + 1);
        return;
    }
    vm->plug_again_ns = now_ns + AGAIN_MS * MS;
    memcpy(vm->plugging, port ? vm->want.ports[index].id : vm->want.disks[index].volume.id, 16);
    vm->plug = (struct agent_vm_plug){.port = port, .index = index};
    agent_vm_begin(vm, AGENT_VM_JOB_PLUG);
}

/* Whether something is lacking, and not given up. */
static bool plug_first(struct agent_vm *vm)
{
    const struct vm_seen *s = &vm->seen;
    for (unsigned i = 0; i < vm->want.n_disks; i++) {
        const uint8_t *id = vm->want.disks[i].volume.id;
        if (!is_in(s->disks, s->n_disks, id) && !has_problem(vm, id)) {
            plug(vm, false, i);
            return true;
        }
    }
    for (unsigned i = 0; i < vm->want.n_ports; i++) {
        const uint8_t *id = vm->want.ports[i].id;
        if (!is_in(s->ports, s->n_ports, id) && !has_problem(vm, id)) {
            plug(vm, true, i);
            return true;
        }
    }
    return false;
}

/* ---- the step ---- */

static void begin_generation(struct agent_vm *vm)
{
    vm->plug_generation = vm->want.generation;
    vm->unplug_deadline_ns = loop_now_ns(vm->host->loop) + unplug_ms(vm) * MS;
    vm->plug_again_ns = vm->unplug_again_ns = 0;
    vm->refusal[0] = 0;
}

/* A port that has left, or never came in: what it has on the host goes. None that is in still. */
static bool ports_are_out(const struct agent_vm *vm)
{
    for (unsigned i = 0; i < vm->seen.n_ports; i++) {
        bool wanted = false;
        for (unsigned k = 0; k < vm->want.n_ports; k++)
            wanted = wanted || !memcmp(vm->want.ports[k].id, vm->seen.ports[i], 16);
        if (!wanted)
            return false;
    }
    return true;
}

void agent_vm_step_devices(struct agent_vm *vm)
{
    static const char foreign[] = "its monitor was started by an earlier version of the agent, and "
                                  "nothing can be plugged into or out of it: stop the VM first";
    if (vm->want.epoch != vm->seen.epoch)
        return;
    if (vm->foreign_devices && !has_problem(vm, vm->seen.id))
        add_problem(vm, vm->seen.id, foreign); /* all are the VM's */
    if (!vm->seen.devices_known)
        return;
    if (vm->plug_generation != vm->want.generation)
        begin_generation(vm);
    if (plug_first(vm) || unplug_first(vm) || !vm->stale_ports || !ports_are_out(vm))
        return;
    vm->stale_ports = false;
    agent_vm_begin(vm, AGENT_VM_JOB_TRIM);
}
