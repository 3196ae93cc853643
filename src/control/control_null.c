#include "control/control_null.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

void control_null_init(struct control_null *vm)
{
    memset(vm, 0, sizeof(*vm));
    vm_config_init(&vm->config);
    vm->kept_fd = -1;
}

void control_null_fini(struct control_null *vm)
{
    vm_config_fini(&vm->config);
    if (vm->kept_fd >= 0)
        close(vm->kept_fd);
}

void control_null_stopped(void *vm)
{
    ((struct control_null *)vm)->stopped = true;
}

static int called(struct control_null *vm, const char *what, struct err *err)
{
    int fail = vm->fail_next;
    vm->fail_next = 0;
    vm->n_calls++;
    vm->last_call = what;
    return fail ? err_set(err, fail, "%s was told to fail", what) : 0;
}

static void null_status(void *opaque, struct control_status *status)
{
    const struct control_null *vm = opaque;
    *status = (struct control_status){.state = vm->state, .engine = "null"};
}

static const struct vm_config *null_config(void *opaque)
{
    return &((struct control_null *)opaque)->config;
}

static void null_counters(void *opaque, control_counter_fn *fn, void *arg)
{
    const struct control_null *vm = opaque;
    fn(arg, "vm", "calls", vm->n_calls);
    for (unsigned i = 0; i < vm->config.n_disks; i++)
        fn(arg, vm->config.disks[i].id, "read_bytes", 0);
}

static void null_addresses(void *opaque, control_address_fn *fn, void *arg)
{
    const struct control_null *vm = opaque;
    if (vm->address)
        fn(arg, "net0", vm->address);
}

static int move(struct control_null *vm, const char *what, unsigned from_states,
                enum vm_api_state to, struct err *err)
{
    int r = called(vm, what, err);
    if (r)
        return r;
    if (!(from_states & 1u << vm->state))
        return err_set(err, EBUSY, "cannot %s a VM that is %s", what, vm_api_state_name(vm->state));
    vm->state = to;
    return 0;
}

#define CREATED (1u << VM_API_STATE_CREATED)
#define RUNNING (1u << VM_API_STATE_RUNNING)
#define PAUSED  (1u << VM_API_STATE_PAUSED)

static int null_boot(void *vm, struct err *err)
{
    return move(vm, "boot", CREATED, VM_API_STATE_RUNNING, err);
}

static int null_pause(void *vm, struct err *err)
{
    return move(vm, "pause", RUNNING | PAUSED, VM_API_STATE_PAUSED, err);
}

static int null_resume(void *vm, struct err *err)
{
    return move(vm, "resume", RUNNING | PAUSED, VM_API_STATE_RUNNING, err);
}

static int null_reset(void *opaque, struct err *err)
{
    struct control_null *vm = opaque;
    return move(vm, "reset", RUNNING | PAUSED, vm->state, err);
}

static int null_power_button(void *opaque, struct err *err)
{
    struct control_null *vm = opaque;
    return move(vm, "power-button", RUNNING, vm->state, err);
}

static int null_stop(void *vm, struct err *err)
{
    return move(vm, "stop", CREATED | RUNNING | PAUSED, VM_API_STATE_STOPPED, err);
}

static void keep_fd(struct control_null *vm, struct control_fds *fds)
{
    if (vm->kept_fd >= 0)
        close(vm->kept_fd);
    vm->kept_fd = fds->n ? steal_fd(&fds->fd[0]) : -1;
}

static int null_attach_disk(void *opaque, const struct vm_config_disk *disk,
                            struct control_fds *fds, struct err *err)
{
    struct control_null *vm = opaque;
    int r = called(vm, "attach-disk", err);
    if (r)
        return r;
    for (unsigned i = 0; i < vm->config.n_disks; i++)
        if (!strcmp(vm->config.disks[i].id, disk->id))
            return err_set(err, EEXIST, "there is a disk \"%s\" already", disk->id);
    if (vm->config.n_disks == VM_CONFIG_DISKS_MAX)
        return err_set(err, ENOSPC, "there are %d disks already", VM_CONFIG_DISKS_MAX);
    struct vm_config_disk *mine = &vm->config.disks[vm->config.n_disks++];
    *mine = *disk;
    mine->path = disk->path ? strdup(disk->path) : NULL;
    mine->socket = disk->socket ? strdup(disk->socket) : NULL;
    keep_fd(vm, fds);
    return 0;
}

static int null_detach_disk(void *opaque, const char *id, struct err *err)
{
    struct control_null *vm = opaque;
    int r = called(vm, "detach-disk", err);
    for (unsigned i = 0; !r && i < vm->config.n_disks; i++)
        if (!strcmp(vm->config.disks[i].id, id)) {
            vm_config_disk_fini(&vm->config.disks[i]);
            vm->config.disks[i] = vm->config.disks[--vm->config.n_disks];
            return 0;
        }
    return r ? r : err_set(err, ENOENT, "there is no disk \"%s\"", id);
}

static int null_attach_nic(void *opaque, const struct vm_config_nic *nic, struct control_fds *fds,
                           struct err *err)
{
    struct control_null *vm = opaque;
    int r = called(vm, "attach-nic", err);
    for (unsigned i = 0; !r && i < vm->config.n_nics; i++)
        if (!strcmp(vm->config.nics[i].id, nic->id))
            r = err_set(err, EEXIST, "there is a NIC \"%s\" already", nic->id);
    if (!r)
        r = vm_config_add_nic(&vm->config, nic, err);
    if (!r)
        keep_fd(vm, fds);
    return r;
}

static int null_detach_nic(void *opaque, const char *id, struct err *err)
{
    struct control_null *vm = opaque;
    int r = called(vm, "detach-nic", err);
    for (unsigned i = 0; !r && i < vm->config.n_nics; i++)
        if (!strcmp(vm->config.nics[i].id, id)) {
            vm_config_remove_device(&vm->config, id);
            return 0;
        }
    return r ? r : err_set(err, ENOENT, "there is no NIC \"%s\"", id);
}

static int null_balloon_get(void *opaque, struct control_balloon *balloon, struct err *err)
{
    const struct control_null *vm = opaque;
    *balloon = (struct control_balloon){.target_bytes = vm->balloon_bytes};
    return 0;
}

static int null_balloon_set(void *opaque, uint64_t target_bytes, struct err *err)
{
    struct control_null *vm = opaque;
    int r = called(vm, "balloon", err);
    if (!r)
        vm->balloon_bytes = target_bytes;
    return r;
}

static int null_console_resize(void *opaque, uint16_t columns, uint16_t rows, struct err *err)
{
    struct control_null *vm = opaque;
    vm->columns = columns;
    vm->rows = rows;
    return called(vm, "console", err);
}

const struct control_ops control_null_ops = {
    .status = null_status,
    .config = null_config,
    .counters = null_counters,
    .addresses = null_addresses,
    .boot = null_boot,
    .pause = null_pause,
    .resume = null_resume,
    .reset = null_reset,
    .power_button = null_power_button,
    .stop = null_stop,
    .attach_disk = null_attach_disk,
    .detach_disk = null_detach_disk,
    .attach_nic = null_attach_nic,
    .detach_nic = null_detach_nic,
    .balloon_get = null_balloon_get,
    .balloon_set = null_balloon_set,
    .console_resize = null_console_resize,
};
