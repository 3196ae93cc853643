#include "agent/agent_core.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent_core_internal.h"
#include "base/log.h"
#include "base/util.h"

#define REPORT_NS INT64_C(2000000) /* what changes together is told together */

void agent_core_report_soon(struct agent_core *c)
{
    if (c->up && !loop_timer_armed(&c->report))
        loop_timer_arm(c->config.loop, &c->report, loop_now_ns(c->config.loop) + REPORT_NS);
}

/* ---- VMs ---- */

struct agent_core_vm *agent_core_find(struct agent_core *c, const uint8_t id[16])
{
    for (unsigned i = 0; i < c->n_vms; i++)
        if (!memcmp(agent_vm_seen(c->vms[i]->vm)->id, id, 16))
            return c->vms[i];
    return NULL;
}

static void vm_free(struct agent_core_vm *v)
{
    vm_console_destroy(v->console);
    agent_vm_destroy(v->vm);
    free(v);
}

static bool has_monitor(enum vm_seen_state state)
{
    return state == VM_SEEN_STARTING || state == VM_SEEN_RUNNING || state == VM_SEEN_PAUSED ||
           state == VM_SEEN_STOPPING;
}

struct agent_core_vm *agent_core_add(struct agent_core *c, const uint8_t id[16], struct err *err)
{
    if (c->n_vms == c->vms_capacity) {
        unsigned capacity = MAX(2 * c->vms_capacity, 16u);
        struct agent_core_vm **vms = realloc(c->vms, capacity * sizeof(*vms));
        if (!vms) {
            err_set(err, ENOMEM, "could not allocate a VM");
            return NULL;
        }
        c->vms = vms;
        c->vms_capacity = capacity;
    }
    struct agent_core_vm *v = calloc(1, sizeof(*v));
    if (v)
        v->vm = agent_vm_create(&c->host, id, err);
    if (v && v->vm)
        v->console =
            vm_console_create(c->config.loop, agent_vm_console(v->vm), &agent_core_console_ops, c);
    if (!v || !v->vm || !v->console) {
        if (!v || v->vm)
            err_set(err, ENOMEM, "could not allocate a VM");
        if (v)
            vm_free(v);
        return NULL;
    }
    v->core = c;
    v->last = agent_vm_seen(v->vm)->state;
    c->vms[c->n_vms++] = v;
    vm_console_follow(v->console, has_monitor(v->last));
    return v;
}

static void vm_seen(void *opaque, const struct vm_seen *seen)
{
    struct agent_core *c = opaque;
    struct agent_core_vm *v = agent_core_find(c, seen->id);
    char id[UUID_TEXT_BYTES];
    if (!v)
        return; /* while it is being made */
    v->dirty = true;
    agent_core_report_soon(c);
    if (seen->state == v->last)
        return;
    uuid_format(seen->id, id);
    log_line(LOG_INFO, "agent", "a VM is %s%s%s: vm=%s epoch=%llu",
             agent_vm_state_name(seen->state), seen->reason[0] ? ": " : "", seen->reason, id,
             (unsigned long long)seen->epoch);
    v->last = seen->state;
    vm_console_follow(v->console, has_monitor(seen->state));
    if (seen->state == VM_SEEN_STOPPING)
        agent_core_usage_read(v);
    if (seen->state == VM_SEEN_STARTING || seen->state == VM_SEEN_ABSENT ||
        seen->state == VM_SEEN_FAILED) { /* what it has has come or gone */
        agent_volumes_look(c->volumes);
        agent_ports_look(c->ports);
    }
    if (seen->state == VM_SEEN_ABSENT)
        usage_book_end(c->usage, seen->id);
}

static void vm_unplugs(void *opaque, const uint8_t vm[16])
{
    struct agent_core_vm *v = agent_core_find(opaque, vm);
    if (v)
        agent_core_usage_read(v);
}

static int adopt_all(struct agent_core *c, struct err *err)
{
    DIR *dir = opendir(c->run_root);
    uint8_t id[16];
    int ret = 0;
    if (!dir)
        return err_sys(err, errno, "could not read %s", c->run_root);
    for (struct dirent *e; !ret && (e = readdir(dir));)
        if (!uuid_parse(e->d_name, id) && !agent_core_add(c, id, err))
            ret = err_wrap(err, "VM %s", e->d_name);
    closedir(dir);
    return ret;
}

/* ---- what volumes and ports ask ---- */

static void changed(void *opaque)
{
    agent_core_report_soon(opaque);
}

static bool volume_in_use(void *opaque, const uint8_t id[16])
{
    const struct agent_core *c = opaque;
    for (unsigned i = 0; i < c->n_vms; i++) {
        const struct vm_want *w = agent_vm_wanted(c->vms[i]->vm);
        for (unsigned k = 0; w && k < w->n_disks; k++)
            if (!memcmp(w->disks[k].volume.id, id, 16))
                return true;
    }
    return false;
}

static int volume_source(void *opaque, const struct volume_spec *volume, char why[static 256])
{
    struct agent_core *c = opaque;
    return agent_volumes_source(c->volumes, volume, why);
}

static bool port_in_use(void *opaque, const uint8_t id[16])
{
    const struct agent_core *c = opaque;
    for (unsigned i = 0; i < c->n_vms; i++) {
        const struct vm_want *w = agent_vm_wanted(c->vms[i]->vm);
        for (unsigned k = 0; w && w->power != VM_POWER_ABSENT && k < w->n_ports; k++)
            if (!memcmp(w->ports[k].id, id, 16))
                return true;
    }
    return false;
}

/* ---- the whole ---- */

static int make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_sys(err, errno, "could not make the directory %s", path);
    return 0;
}

static int make_folders(struct agent_core *c, struct err *err)
{
    const struct agent_core_config *f = &c->config;
    int n = f->run_root ? snprintf(c->run_root, sizeof(c->run_root), "%s", f->run_root)
                        : snprintf(c->run_root, sizeof(c->run_root), "%s/run", f->state_dir);
    snprintf(c->usage_path, sizeof(c->usage_path), "%s/usage", f->state_dir);
    if (n >= (int)sizeof(c->run_root))
        return err_set(err, ENAMETOOLONG, "the path of the state directory %.60s is too long",
                       f->state_dir);
    int ret = make_folder(f->state_dir, err);
    if (!ret)
        ret = make_folder(c->run_root, err);
    return ret;
}

static int begin(struct agent_core *c, struct err *err)
{
    char incoming[512];
    const struct agent_core_config *f = &c->config;
    int ret = make_folders(c, err);
    if (ret)
        return ret;
    c->workers = worker_pool_create(f->loop, f->workers, err);
    if (!c->workers)
        return -ENOMEM;
    c->host = (struct agent_host){.loop = f->loop,
                                  .workers = c->workers,
                                  .volumes = f->volumes,
                                  .networks = f->networks,
                                  .vmm_path = f->vmm_path,
                                  .run_root = c->run_root,
                                  .source = volume_source,
                                  .seen = vm_seen,
                                  .unplugs = vm_unplugs,
                                  .opaque = c};
    snprintf(incoming, sizeof(incoming), "%.400s/incoming", f->state_dir);
    c->images = image_origin_open(&f->images, incoming, f->volumes, err);
    if (!c->images)
        return -EIO;
    const struct agent_volumes_config volumes = {.loop = f->loop,
                                                 .workers = c->workers,
                                                 .pools = f->volumes,
                                                 .images = c->images,
                                                 .changed = changed,
                                                 .in_use = volume_in_use,
                                                 .opaque = c};
    const struct agent_ports_config ports = {.loop = f->loop,
                                             .workers = c->workers,
                                             .networks = f->networks,
                                             .changed = changed,
                                             .in_use = port_in_use,
                                             .opaque = c};
    c->volumes = agent_volumes_create(&volumes, err);
    c->ports = c->volumes ? agent_ports_create(&ports, err) : NULL;
    if (!c->ports)
        return -EIO;
    ret = adopt_all(c, err);
    return ret ? ret : agent_core_usage_open(c, err);
}

struct agent_core *agent_core_create(const struct agent_core_config *config, struct err *err)
{
    struct agent_core *c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(err, ENOMEM, "could not allocate an agent");
        return NULL;
    }
    c->config = *config;
    c->report.expired = agent_core_report;
    if (begin(c, err)) {
        agent_core_destroy(c);
        return NULL;
    }
    return c;
}

void agent_core_destroy(struct agent_core *c)
{
    if (!c)
        return;
    c->up = false;
    if (c->volumes)
        agent_volumes_stop(c->volumes);
    worker_pool_destroy(c->workers);
    loop_timer_cancel(c->config.loop, &c->report);
    loop_timer_cancel(c->config.loop, &c->usage_timer);
    for (unsigned i = 0; i < c->n_vms; i++)
        vm_free(c->vms[i]);
    free(c->vms);
    agent_ports_destroy(c->ports);
    agent_volumes_destroy(c->volumes);
    image_origin_close(c->images);
    usage_book_close(c->usage);
    free(c);
}

/* ---- the link ---- */

void agent_core_up(struct agent_core *c, const struct link_welcome *welcome)
{
    c->up = true;
    c->collecting = false;
    c->say_all = true;
    agent_core_report_soon(c);
    agent_core_usage_start(c, welcome->usage_ms.is == API_VALUE ? welcome->usage_ms.v : 60000);
}

void agent_core_down(struct agent_core *c)
{
    c->up = false;
    c->collecting = false;
    loop_timer_cancel(c->config.loop, &c->report);
    for (unsigned i = 0; i < c->n_vms; i++)
        vm_console_close_all(c->vms[i]->console);
}

void agent_core_message(struct agent_core *c, const struct link_message *m)
{
    switch (m->type) {
    case LINK_TYPE_DESIRED:
        agent_core_desired(c, m->desired);
        break;
    case LINK_TYPE_GONE:
        agent_core_gone(c, m->gone);
        break;
    case LINK_TYPE_USAGE_ACK:
        agent_core_usage_ack(c, m->usage_ack);
        break;
    case LINK_TYPE_COMMAND:
        agent_core_command(c, m->command);
        break;
    case LINK_TYPE_STREAM_END:
        agent_core_stream_end(c, (uint32_t)m->stream_end->stream.v);
        break;
    default:
        break; /* the link's own */
    }
}

unsigned agent_core_running(const struct agent_core *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_vms; i++)
        n += has_monitor(agent_vm_seen(c->vms[i]->vm)->state);
    return n;
}

const char *agent_core_problem(const struct agent_core *c, unsigned i)
{
    return i == 0 && c->usage_problem[0] ? c->usage_problem : NULL;
}
