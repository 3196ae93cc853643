/* The machine as the API sees it: struct control_ops over machine.h, and the machine's events as
 * the API tells them. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "cmd/virga-vmm/vmm.h"

static void status(void *vm, struct control_status *s)
{
    struct vmm *v = vm;
    s->state = (enum vm_api_state)machine_state(v->machine);
    s->reason = v->save ? "being saved" : v->reason[0] ? v->reason : NULL;
    s->engine = machine_engine_name(v->machine);
    int64_t ran_ns = v->ran_ns;
    if (v->running_since_ns)
        ran_ns += clock_now_ns() - v->running_since_ns;
    s->uptime_ms = (uint64_t)ran_ns / 1000000;
}

static_assert((int)MACHINE_CREATED == (int)VM_API_STATE_CREATED, "one order of states");
static_assert((int)MACHINE_STOPPED == (int)VM_API_STATE_STOPPED, "one order of states");

static const struct vm_config *config(void *vm)
{
    struct vmm *v = vm;
    return &v->config;
}

static void counters(void *vm, control_counter_fn *fn, void *arg)
{
    struct vmm *v = vm;
    machine_counters(v->machine, fn, arg);
}

static void addresses(void *vm, control_address_fn *fn, void *arg)
{
    struct vmm *v = vm;
    machine_addresses(v->machine, fn, arg);
}

static int boot(void *vm, struct err *err)
{
    return machine_boot(((struct vmm *)vm)->machine, err);
}

static int pause_vm(void *vm, struct err *err)
{
    return machine_pause(((struct vmm *)vm)->machine, err);
}

static int resume(void *vm, struct err *err)
{
    return machine_resume(((struct vmm *)vm)->machine, err);
}

static int reset(void *vm, struct err *err)
{
    return machine_reset(((struct vmm *)vm)->machine, err);
}

static int power_button(void *vm, struct err *err)
{
    return machine_power_button(((struct vmm *)vm)->machine, err);
}

static int stop(void *vm, struct err *err)
{
    struct vmm *v = vm;
    if (v->save)
        return err_set(err, EBUSY,
                       "cannot stop a VM that is being saved: wait for the event \"saved\"");
    return machine_stop(v->machine, err);
}

static int save(void *vm, struct control_fds *fds, struct err *err)
{
    return vmm_save(vm, fds, err);
}

/* Takes the descriptors of an image and its backing files, top down. */
static int adopt_image(const struct vm_config_disk *disk, struct control_fds *fds,
                       struct image_fds *image, struct err *err)
{
    enum image_format format = disk->format == VM_CONFIG_FORMAT_QCOW2 ? IMAGE_QCOW2 : IMAGE_RAW;
    int ret = image_adopt(fds->fd, fds->n, disk->path ? disk->path : disk->id, format,
                          disk->readonly, image, err);
    image->no_flush = disk->cache == VM_CONFIG_CACHE_UNSAFE;
    for (unsigned i = 0; !ret && i < fds->n; i++)
        fds->fd[i] = -1;
    return ret;
}

static int attach_disk(void *vm, const struct vm_config_disk *disk, struct control_fds *fds,
                       struct err *err)
{
    struct vmm *v = vm;
    if (!fds->n || fds->n > (disk->socket ? 1 : IMAGE_CHAIN_MAX))
        return err_set(err, EINVAL,
                       "attaching disk '%s' takes 1 to %d descriptors, %u came: send the open "
                       "image (then its backing files), or one vhost-user socket",
                       disk->id, disk->socket ? 1 : IMAGE_CHAIN_MAX, fds->n);
    struct machine_disk_files files = {.vhost_user_fd = -1};
    struct image_fds *image = calloc(1, sizeof(*image));
    if (!image)
        return err_set(err, ENOMEM, "could not allocate disk '%s'", disk->id);
    int ret = 0;
    if (disk->socket)
        files.vhost_user_fd = steal_fd(&fds->fd[0]);
    else
        ret = adopt_image(disk, fds, image, err);
    files.image = disk->socket ? NULL : image;
    if (!ret)
        ret = vm_config_add_disk(&v->config, disk, err);
    if (!ret && (ret = machine_attach_disk(v->machine, disk, &files, err)))
        vm_config_disk_fini(&v->config.disks[--v->config.n_disks]);
    image_close(image);
    free(image);
    if (files.vhost_user_fd >= 0)
        close(files.vhost_user_fd);
    return ret;
}

/* Descriptors that the machine took read -1 afterwards, here and so in control's list. */
static void give_back(struct control_fds *fds, const int *left, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fds->fd[i] = left[i];
}

static int attach_nic(void *vm, const struct vm_config_nic *nic, struct control_fds *fds,
                      struct err *err)
{
    struct vmm *v = vm;
    struct machine_nic_files files;
    unsigned needed = nic->kind == VM_CONFIG_NIC_NONE ? 0 : 1;
    if (fds->n < needed || fds->n > ARRAY_LEN(files.fds))
        return err_set(err, EINVAL,
                       "attaching NIC '%s' takes %u to %zu descriptors, %u came: send the open "
                       "TAP queues or socket with the request",
                       nic->id, needed, ARRAY_LEN(files.fds), fds->n);
    for (unsigned i = 0; i < ARRAY_LEN(files.fds); i++)
        files.fds[i] = i < fds->n ? fds->fd[i] : -1;
    files.n_fds = fds->n;
    int ret = vm_config_add_nic(&v->config, nic, err);
    if (!ret && (ret = machine_attach_nic(v->machine, nic, &files, err)))
        vm_config_nic_fini(&v->config.nics[--v->config.n_nics]);
    give_back(fds, files.fds, fds->n);
    return ret;
}

static int detach_disk(void *vm, const char *id, struct err *err)
{
    struct vmm *v = vm;
    for (unsigned i = 0; i < v->config.n_nics; i++)
        if (strcmp(v->config.nics[i].id, id) == 0)
            return err_set(err, ENOENT, "the VM has no disk '%s': that is a NIC", id);
    return machine_detach(v->machine, id, err);
}

static int detach_nic(void *vm, const char *id, struct err *err)
{
    struct vmm *v = vm;
    for (unsigned i = 0; i < v->config.n_disks; i++)
        if (strcmp(v->config.disks[i].id, id) == 0)
            return err_set(err, ENOENT, "the VM has no NIC '%s': that is a disk", id);
    return machine_detach(v->machine, id, err);
}

static int balloon_get(void *vm, struct control_balloon *b, struct err *err)
{
    struct machine_balloon m;
    int ret = machine_balloon_get(((struct vmm *)vm)->machine, &m, err);
    if (!ret)
        *b = (struct control_balloon){m.target_bytes, m.actual_bytes,    m.has_stats,
                                      m.free_bytes,   m.available_bytes, m.total_bytes};
    return ret;
}

static int balloon_set(void *vm, uint64_t target_bytes, struct err *err)
{
    return machine_balloon_set(((struct vmm *)vm)->machine, target_bytes, err);
}

static int console_resize(void *vm, uint16_t columns, uint16_t rows, struct err *err)
{
    return machine_console_resize(((struct vmm *)vm)->machine, columns, rows, err);
}

const struct control_ops vmm_control_ops = {
    .status = status,
    .config = config,
    .counters = counters,
    .addresses = addresses,
    .boot = boot,
    .pause = pause_vm,
    .resume = resume,
    .reset = reset,
    .power_button = power_button,
    .stop = stop,
    .save = save,
    .attach_disk = attach_disk,
    .detach_disk = detach_disk,
    .attach_nic = attach_nic,
    .detach_nic = detach_nic,
    .balloon_get = balloon_get,
    .balloon_set = balloon_set,
    .console_resize = console_resize,
};

/* ---- events ---- */

static void end(struct vmm *v, int exit_code)
{
    if (v->gdb)
        gdb_vm_ended(v->gdb);
    v->exit_code = exit_code;
    v->want_exit = true;
    loop_stop(v->loop);
}

static void tell(struct vmm *v, enum vm_api_event event, const struct machine_event *e)
{
    if (v->control)
        control_event(v->control, event, e->device, e->text);
}

static void remember(struct vmm *v, const char *what, const struct machine_event *e)
{
    snprintf(v->reason, sizeof(v->reason), "%s%s%s%s%s", what, e->device ? " on " : "",
             e->device ? e->device : "", e->text ? ": " : "", e->text ? e->text : "");
}

/* Counts the time that it runs; what stopped it is over when it runs again. */
static void state_changed(struct vmm *v, const struct machine_event *e)
{
    if (v->running_since_ns)
        v->ran_ns += clock_now_ns() - v->running_since_ns;
    v->running_since_ns = 0;
    if (e->value == MACHINE_RUNNING) {
        v->running_since_ns = clock_now_ns();
        v->reason[0] = 0;
    }
    tell(v, VM_API_EVENT_STATE, e);
}

static void event(void *opaque, const struct machine_event *e)
{
    struct vmm *v = opaque;
    switch (e->kind) {
    case MACHINE_EVENT_STATE:
        state_changed(v, e);
        break;
    case MACHINE_EVENT_SHUTDOWN:
        remember(v, "the guest powered off", e);
        tell(v, VM_API_EVENT_SHUTDOWN, e);
        end(v, 0);
        break;
    case MACHINE_EVENT_RESET:
        log_line(LOG_INFO, "machine", "reset");
        tell(v, VM_API_EVENT_RESET, e);
        break;
    case MACHINE_EVENT_DEBUG_EXIT:
        tell(v, VM_API_EVENT_DEBUG_EXIT, e);
        end(v, e->value);
        break;
    case MACHINE_EVENT_CRASH:
        remember(v, "crashed", e);
        log_line(LOG_ERROR, "machine", "the guest cannot go on: %s", e->text);
        tell(v, VM_API_EVENT_CRASH, e);
        end(v, 1);
        break;
    case MACHINE_EVENT_IO_ERROR:
        remember(v, "paused by an I/O error", e);
        log_line(LOG_WARN, "machine", "paused: disk=%s %s", e->device, e->text);
        tell(v, VM_API_EVENT_IO_ERROR, e);
        break;
    case MACHINE_EVENT_ATTACHED:
        tell(v, VM_API_EVENT_ATTACHED, e);
        break;
    case MACHINE_EVENT_DETACHED:
        vm_config_remove_device(&v->config, e->device);
        tell(v, VM_API_EVENT_DETACHED, e);
        break;
    case MACHINE_EVENT_ADDRESSES:
        tell(v, VM_API_EVENT_ADDRESSES, e);
        break;
    case MACHINE_EVENT_DEVICE_FAILED:
        LOG_LIMITED(LOG_WARN, "machine", "device failed: device=%s %s", e->device, e->text);
        tell(v, VM_API_EVENT_DEVICE_FAILED, e);
        break;
    }
}

static int connect_outside(void *opaque, const char *path)
{
    struct vmm *v = opaque;
    return sandbox_connect(v->sandbox, path);
}

const struct machine_callbacks vmm_machine_callbacks = {.event = event, .connect = connect_outside};
