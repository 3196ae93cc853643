/* The VM as a file: what the API's save writes, what --load goes on with. The state in the file
 * begins with the config that it belongs to, as JSON; the machine's own sections follow. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "cmd/virga-vmm/vmm.h"
#include "migrate/saved_vm.h"

#define CONFIG_SECTION "config"

/* ---- save ---- */

static void save_ended(void *opaque, const struct err *why)
{
    struct vmm *v = opaque;
    save_task_destroy(v->save);
    v->save = NULL;
    machine_release(v->machine);
    log_line(why->code ? LOG_WARN : LOG_INFO, "vmm", "saved: %s", why->code ? why->msg : "whole");
    if (v->control)
        control_event(v->control, why->code ? VM_API_EVENT_SAVE_FAILED : VM_API_EVENT_SAVED, NULL,
                      why->code ? why->msg : NULL);
}

static int flush(void *opaque, struct err *err)
{
    struct vmm *v = opaque;
    return machine_flush_disks(v->machine, err);
}

static int save_state(struct vmm *v, struct state_writer *w, struct err *err)
{
    CLEANUP_FREE char *config = vm_config_to_json(&v->config);
    if (!config)
        return err_set(err, ENOMEM, "no memory for the VM's description");
    state_begin(w, CONFIG_SECTION, 0, 1);
    state_put_u32(w, (uint32_t)strlen(config));
    state_put_bytes(w, config, strlen(config));
    state_end(w);
    return machine_save(v->machine, w, err);
}

int vmm_save(struct vmm *v, struct control_fds *fds, struct err *err)
{
    struct state_writer state;
    int ret = machine_hold(v->machine, err);
    if (ret)
        return ret;
    state_writer_init(&state);
    ret = save_state(v, &state, err);
    if (ret) {
        state_writer_fini(&state);
        machine_release(v->machine);
        return ret;
    }
    struct save_task_config config = {.mem = machine_mem(v->machine),
                                      .flush = flush,
                                      .thread_setup = v->threads,
                                      .loop = v->loop,
                                      .done = save_ended,
                                      .opaque = v};
    memcpy(config.uuid, v->config.uuid, sizeof(config.uuid));
    v->save = save_task_start(&config, &state, steal_fd(&fds->fd[0]), err);
    if (v->save)
        return 0;
    machine_release(v->machine);
    return -err->code;
}

/* ---- load ---- */

int vmm_take_uuid(struct vmm *v, struct err *err)
{
    static const uint8_t none[16];
    if (!v->config.load || memcmp(v->config.uuid, none, sizeof(none)) != 0)
        return 0;
    return saved_vm_read_uuid(v->load_fd, v->config.load, v->config.uuid, err);
}

static int check_config(struct vmm *v, struct state_reader *r, struct err *err)
{
    struct vm_config saved;
    if (state_open(r, CONFIG_SECTION, 0, 1) < 0)
        return err_set(err, r->err.code, "%s", r->err.msg);
    uint32_t n = state_get_u32(r);
    if (n > VM_CONFIG_JSON_MAX_BYTES || n > r->section_end - r->pos)
        return err_set(err, EINVAL, "its config says that it has %u bytes", n);
    vm_config_init(&saved);
    int ret = vm_config_from_json(&saved, (const char *)r->data + r->pos, n, err);
    if (!ret)
        ret = vm_config_finish(&saved, err);
    if (ret)
        err_wrap(err, "its config");
    else
        ret = vm_config_check_saved(&v->config, &saved, err);
    vm_config_fini(&saved);
    r->pos += n;
    if (!ret && state_close(r))
        ret = err_set(err, r->err.code, "%s", r->err.msg);
    return ret;
}

int vmm_load(struct vmm *v, struct err *err)
{
    CLEANUP_FREE void *state = NULL;
    size_t state_bytes = 0;
    struct state_reader r;
    int ret = saved_vm_read(v->load_fd, v->config.load, machine_mem(v->machine), &state,
                            &state_bytes, err);
    if (ret)
        return ret;
    close(steal_fd(&v->load_fd));
    state_reader_init(&r, state, state_bytes);
    ret = check_config(v, &r, err);
    if (!ret)
        ret = machine_load(v->machine, &r, err);
    return ret ? err_wrap(err, "saved VM '%s'", v->config.load) : 0;
}
