/* What plugging a device into a monitor that runs takes, on a worker. The monitor opens nothing by
 * path, so what it is told goes with open files: of an image all of its chain, locked as the
 * monitor's own launcher would lock it; of a TAP its queues; of NAT by passt the socket of one that
 * is started here and outlives the agent as the monitor does. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_vm_internal.h"
#include "base/fault.h"
#include "base/util.h"
#include "blk/image.h"
#include "net/passt_spawn.h"
#include "net/tap.h"
#include "vmmapi/vm_config.h"

static_assert(IMAGE_CHAIN_MAX <= VM_CLIENT_FDS_MAX, "a chain goes with one request");
static_assert(VM_CONFIG_QUEUES_MAX <= VM_CLIENT_FDS_MAX, "all queues go with one request");

void agent_vm_plug_fini(struct agent_vm_plug *plug)
{
    for (unsigned i = 0; i < plug->n_fds; i++)
        close(plug->fds[i]);
    free(plug->json);
    *plug = (struct agent_vm_plug){.json = NULL};
}

static int open_image(const struct vm_config_disk *d, struct agent_vm_plug *plug, struct err *err)
{
    struct image_fds *image;
    const struct image_options options = {
        .read_only = d->readonly,
        .format = d->format == VM_CONFIG_FORMAT_QCOW2 ? IMAGE_QCOW2 : IMAGE_RAW};
    if (d->socket)
        return err_set(err, ENOTSUP,
                       "the volume is served by another process, and such a one cannot be plugged "
                       "into a VM that runs: stop the VM first");
    image = calloc(1, sizeof(*image));
    if (!image)
        return err_set(err, ENOMEM, "could not allocate an image");
    int ret = image_open(d->path, &options, image, err);
    for (unsigned i = 0; !ret && i < image->n; i++)
        plug->fds[plug->n_fds++] = image->layers[i].fd;
    free(image);
    return ret;
}

static int start_passt(const struct vm_config_nic *n, struct agent_vm_plug *plug, struct err *err)
{
    struct passt_spawn_options o = {
        .mtu = n->mtu, .n_forwards = n->n_forwards, .stderr_fd = -1, .background = true};
    pid_t pid;
    for (unsigned i = 0; i < n->n_forwards; i++)
        o.forwards[i] = (struct passt_spawn_forward){.host_port = n->forwards[i].host_port,
                                                     .guest_port = n->forwards[i].guest_port,
                                                     .udp = n->forwards[i].udp};
    int ret = passt_spawn(&o, &pid, &plug->fds[0], err);
    plug->n_fds = !ret;
    return ret;
}

static int open_nic(const struct vm_config_nic *n, struct agent_vm_plug *plug, struct err *err)
{
    unsigned queues = MAX(n->queues, 1u);
    int ret;
    switch (n->kind) {
    case VM_CONFIG_NIC_USER:
        return start_passt(n, plug, err);
    case VM_CONFIG_NIC_TAP:
        ret = tap_open(n->ifname, queues, plug->fds, err);
        plug->n_fds = ret ? 0 : queues;
        return ret;
    case VM_CONFIG_NIC_NONE:
        return 0;
    default:
        return err_set(err, ENOTSUP,
                       "the port is served by another process, and such a one cannot be plugged "
                       "into a VM that runs: stop the VM first");
    }
}

/* The one device of a config, as the monitor's API takes it. */
static int write_json(const struct vm_config *c, const char *list, struct agent_vm_plug *plug,
                      struct err *err)
{
    CLEANUP_FREE char *text = vm_config_to_json(c);
    json_t *all = text ? json_loads(text, 0, NULL) : NULL;
    json_t *device = json_array_get(json_object_get(all, list), 0);
    plug->json = device ? json_dumps(device, JSON_COMPACT) : NULL;
    json_decref(all);
    return plug->json ? 0 : err_set(err, ENOMEM, "no memory for what the monitor is told");
}

static int plug_disk(struct agent_vm *vm, struct vm_config *c)
{
    struct agent_vm_plug *plug = &vm->plug;
    int ret = agent_vm_make_disk(vm, plug->index);
    if (!ret)
        ret = fault_point("agent_vm.plug.volume");
    if (!ret)
        ret = agent_vm_add_disk(vm, plug->index, c);
    if (ret > 0)
        return err_set(&vm->job_err, ENOTSUP, "the volume's driver has nothing for a monitor");
    if (!ret)
        ret = open_image(&c->disks[0], plug, &vm->job_err);
    return ret ? ret : write_json(c, "disks", plug, &vm->job_err);
}

static int plug_port(struct agent_vm *vm, struct vm_config *c)
{
    struct agent_vm_plug *plug = &vm->plug;
    int ret = agent_vm_note_port(vm, vm->job.ports[plug->index].id);
    if (!ret)
        ret = agent_vm_make_port(vm, plug->index);
    if (!ret)
        ret = fault_point("agent_vm.plug.port");
    if (!ret)
        ret = agent_vm_add_nic(vm, plug->index, c);
    if (!ret)
        ret = open_nic(&c->nics[0], plug, &vm->job_err);
    return ret ? ret : write_json(c, "nics", plug, &vm->job_err);
}

void agent_vm_job_plug(struct work *w)
{
    struct agent_vm *vm = container_of(w, struct agent_vm, work);
    struct vm_config c;
    vm->job_err = (struct err){0};
    vm->job_pidfd = -1;
    vm_config_init(&c);
    int ret = vm->plug.port ? plug_port(vm, &c) : plug_disk(vm, &c);
    vm_config_fini(&c);
    if (!ret)
        ret = fault_point("agent_vm.plug.opened");
    if (ret && !vm->job_err.code)
        err_set(&vm->job_err, -ret, "could not plug it");
}
