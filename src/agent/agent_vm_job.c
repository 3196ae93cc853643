/* What making and removing a VM takes, in order, on a worker. Each step may have been done before.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent_vm_internal.h"
#include "base/fault.h"
#include "base/util.h"
#include "base/uuid.h"
#include "vmmapi/vm_config.h"

void agent_vm_want_fini(struct vm_want *want)
{
    free(want->config_json);
    want->config_json = NULL;
    for (unsigned i = 0; i < want->n_seed; i++) {
        free((char *)want->seed[i].name);
        free((void *)(uintptr_t)want->seed[i].data);
    }
    want->n_seed = 0;
}

static void *copy(const void *data, size_t bytes)
{
    void *made = malloc(bytes + 1);
    return made ? memcpy(made, data, bytes) : NULL;
}

int agent_vm_want_copy(struct vm_want *to, const struct vm_want *from)
{
    struct vm_want made = *from;
    bool whole = true;
    made.config_json = strdup(from->config_json ? from->config_json : "{}");
    for (unsigned i = 0; i < from->n_seed; i++) {
        made.seed[i].name = strdup(from->seed[i].name);
        made.seed[i].data = copy(from->seed[i].data, from->seed[i].bytes);
        whole = whole && made.seed[i].name && made.seed[i].data;
    }
    if (!made.config_json || !whole) {
        agent_vm_want_fini(&made);
        return -ENOMEM;
    }
    agent_vm_want_fini(to);
    *to = made;
    return 0;
}

/* ---- the epoch ---- */

uint64_t agent_vm_read_epoch(const char *run_dir)
{
    char path[VM_PROCESS_PATH_BYTES], text[32] = "";
    if (vm_process_path(run_dir, "epoch", path, NULL))
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    return n > 0 ? strtoull(text, NULL, 10) : 0;
}

static int write_epoch(const char *run_dir, uint64_t epoch, struct err *err)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);
    return vm_process_write(run_dir, "epoch", text, err);
}

/* ---- starting ---- */

int agent_vm_make_disk(struct agent_vm *vm, unsigned i)
{
    struct volume_driver *d = vm->host->volumes;
    return d->ops->create(d, &vm->job.disks[i].volume, &vm->job_err);
}

static int prepare_volumes(struct agent_vm *vm)
{
    for (unsigned i = 0; i < vm->job.n_disks; i++) {
        int ret = agent_vm_make_disk(vm, i);
        if (!ret)
            ret = fault_point("agent_vm.start.volume");
        if (ret)
            return err_wrap(&vm->job_err, "disk %u", i);
    }
    return 0;
}

int agent_vm_make_port(struct agent_vm *vm, unsigned i)
{
    struct network_driver *d = vm->host->networks;
    return d->ops->plug(d, &vm->job.ports[i], &vm->nics[i], &vm->job_err);
}

static int plug_ports(struct agent_vm *vm)
{
    int noted = agent_vm_note_ports(vm);
    if (noted)
        return noted;
    for (unsigned i = 0; i < vm->job.n_ports; i++) {
        int ret = agent_vm_make_port(vm, i);
        if (!ret)
            ret = fault_point("agent_vm.start.port");
        if (ret)
            return err_wrap(&vm->job_err, "port %u", i);
    }
    return 0;
}

/* Devices are named by their volumes and ports, so that who asks a monitor knows what it has. The
 * serial number is that which the server shows as the volume's device_id: the random half of the
 * id, since there is room for 20 characters. */
int agent_vm_add_disk(struct agent_vm *vm, unsigned i, struct vm_config *c)
{
    struct volume_driver *d = vm->host->volumes;
    const struct vm_want_disk *w = &vm->job.disks[i];
    const uint8_t *b = w->volume.id + 8;
    struct volume_info info;
    int ret = d->ops->info(d, VOLUME_VOLUME, w->volume.id, &info, &vm->job_err);
    if (ret)
        return ret;
    struct vm_config_disk disk = {.path = info.path[0] ? info.path : NULL,
                                  .socket = info.socket[0] ? info.socket : NULL,
                                  .format = info.format == VOLUME_QCOW2 ? VM_CONFIG_FORMAT_QCOW2
                                                                        : VM_CONFIG_FORMAT_RAW,
                                  .readonly = w->readonly,
                                  .own_thread = true,
                                  .queues = 1,
                                  .on_error = VM_CONFIG_ON_ERROR_ENOSPC};
    if (!disk.path && !disk.socket)
        return 1;
    uuid_format(w->volume.id, disk.id);
    snprintf(disk.serial, sizeof(disk.serial), "vol-%02x%02x%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7]);
    return vm_config_add_disk(c, &disk, &vm->job_err);
}

static int add_disks(struct agent_vm *vm, struct vm_config *c)
{
    int ret = 0;
    for (unsigned i = 0; i < vm->job.n_disks && ret >= 0; i++)
        ret = agent_vm_add_disk(vm, i, c);
    return MIN(ret, 0);
}

/* A new one each time: it is written from what is wanted, and never by the guest. */
static int write_seed(struct agent_vm *vm, const char *path)
{
    size_t bytes = 0;
    CLEANUP_FREE uint8_t *disk = NULL;
    if (seed_iso_make(vm->job.seed, vm->job.n_seed, 0, &disk, &bytes, &vm->job_err))
        return err_wrap(&vm->job_err, "seed");
    if (mkdir(vm->run_dir, 0700) < 0 && errno != EEXIST)
        return err_sys(&vm->job_err, errno, "could not make the run directory %s", vm->run_dir);
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n = fd < 0 ? -1 : write(fd, disk, bytes);
    if (n < 0)
        return err_sys(&vm->job_err, errno, "could not write %s", path);
    if ((size_t)n < bytes)
        return err_sys(&vm->job_err, ENOSPC, "could not write %s", path);
    return 0;
}

static int add_seed(struct agent_vm *vm, struct vm_config *c)
{
    char path[VM_PROCESS_PATH_BYTES];
    struct vm_config_disk disk = {.id = AGENT_VM_SEED_ID,
                                  .path = path,
                                  .format = VM_CONFIG_FORMAT_RAW,
                                  .readonly = true,
                                  .queues = 1};
    if (!vm->job.n_seed)
        return 0;
    int ret = vm_process_path(vm->run_dir, "seed", path, &vm->job_err);
    if (!ret)
        ret = write_seed(vm, path);
    return ret ? ret : vm_config_add_disk(c, &disk, &vm->job_err);
}

int agent_vm_add_nic(struct agent_vm *vm, unsigned i, struct vm_config *c)
{
    uuid_format(vm->job.ports[i].id, vm->nics[i].id);
    return vm_config_add_nic(c, &vm->nics[i], &vm->job_err);
}

static int add_nics(struct agent_vm *vm, struct vm_config *c)
{
    int ret = 0;
    for (unsigned i = 0; i < vm->job.n_ports && !ret; i++)
        ret = agent_vm_add_nic(vm, i, c);
    return ret;
}

/* The monitor's whole config. Owns: free(). */
static char *write_config(struct agent_vm *vm)
{
    char *json = NULL;
    struct vm_config c;
    vm_config_init(&c);
    int ret =
        vm_config_from_json(&c, vm->job.config_json, strlen(vm->job.config_json), &vm->job_err);
    if (!ret) {
        memcpy(c.uuid, vm->seen.id, sizeof(c.uuid));
        free(c.api_socket);
        free(c.console.path);
        c.autostart = true;
        c.api_socket = strdup(vm->api);
        c.console.kind = VM_CONFIG_CONSOLE_UNIX;
        c.console.path = strdup(vm->console);
        ret = add_disks(vm, &c);
    }
    if (!ret)
        ret = add_seed(vm, &c);
    if (!ret)
        ret = add_nics(vm, &c);
    if (!ret)
        ret = vm_config_finish(&c, &vm->job_err);
    if (!ret) {
        json = vm_config_to_json(&c);
        if (!json)
            err_set(&vm->job_err, ENOMEM, "could not write the monitor's config");
    }
    vm_config_fini(&c);
    return json;
}

void agent_vm_job_start(struct work *w)
{
    struct agent_vm *vm = container_of(w, struct agent_vm, work);
    vm->job_err = (struct err){0};
    vm->job_pidfd = -1;
    if (prepare_volumes(vm) || plug_ports(vm))
        return;
    CLEANUP_FREE char *json = write_config(vm);
    if (!json)
        return;
    /* From here on this epoch has had its start, come what may. */
    if (write_epoch(vm->run_dir, vm->job.epoch, &vm->job_err))
        return;
    int ret = fault_point("agent_vm.start.epoch");
    if (!ret)
        ret = vm_process_start(vm->host->vmm_path, vm->run_dir, json, &vm->job_pidfd, &vm->job_err);
    if (!ret)
        fault_point("agent_vm.start.forked");
    else if (!vm->job_err.code)
        err_set(&vm->job_err, -ret, "could not start the monitor");
}

/* ---- removing ---- */

void agent_vm_job_remove(struct work *w)
{
    struct agent_vm *vm = container_of(w, struct agent_vm, work);
    struct network_driver *networks = vm->host->networks;
    struct volume_driver *volumes = vm->host->volumes;
    int ret = 0;
    vm->job_err = (struct err){0};
    vm->job_pidfd = -1;
    for (unsigned i = 0; i < vm->job.n_ports && !ret; i++) {
        ret = networks->ops->unplug(networks, vm->job.ports[i].id, &vm->job_err);
        if (!ret)
            ret = fault_point("agent_vm.remove.port");
    }
    if (!ret)
        ret = agent_vm_unplug_noted(vm);
    for (unsigned i = 0; i < vm->job.n_disks && !ret; i++) {
        if (!vm->job.disks[i].keep)
            ret = volumes->ops->remove(volumes, VOLUME_VOLUME, vm->job.disks[i].volume.id,
                                       &vm->job_err);
        if (!ret)
            ret = fault_point("agent_vm.remove.volume");
    }
    if (!ret)
        ret = vm_process_remove(vm->run_dir, &vm->job_err);
    if (ret && !vm->job_err.code)
        err_set(&vm->job_err, -ret, "could not remove what the VM had");
}
