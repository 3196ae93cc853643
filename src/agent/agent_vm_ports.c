/* Which ports a VM has plugged: a file in its run directory, written before they are. A port that
 * is no longer wanted (its NIC was detached) is taken away by it: what is wanted does not name it
 * any more, and an agent that has just begun has no other memory. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_vm_internal.h"
#include "base/fault.h"
#include "base/util.h"
#include "base/uuid.h"

#define PLUGGED_MAX (2 * AGENT_VM_PORTS_MAX)
#define LINE_BYTES  UUID_TEXT_BYTES /* an id and its end of line */

struct plugged {
    unsigned n;
    uint8_t ids[PLUGGED_MAX][16];
};

static void read_plugged(const char *run_dir, struct plugged *p)
{
    char path[VM_PROCESS_PATH_BYTES], text[PLUGGED_MAX * LINE_BYTES + 1];
    p->n = 0;
    if (vm_process_path(run_dir, "ports", path, NULL))
        return;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    for (ssize_t at = 0; at + LINE_BYTES <= bytes; at += LINE_BYTES) {
        text[at + LINE_BYTES - 1] = 0;
        p->n += !uuid_parse(&text[at], p->ids[p->n]);
    }
}

static int write_plugged(const char *run_dir, const struct plugged *p, struct err *err)
{
    char text[PLUGGED_MAX * LINE_BYTES + 1] = "";
    for (unsigned i = 0; i < p->n; i++) {
        uuid_format(p->ids[i], &text[i * LINE_BYTES]);
        text[(i + 1) * LINE_BYTES - 1] = '\n';
        text[(i + 1) * LINE_BYTES] = 0;
    }
    return vm_process_write(run_dir, "ports", text, err);
}

static bool is_wanted(const struct vm_want *want, const uint8_t id[16])
{
    for (unsigned i = 0; i < want->n_ports; i++)
        if (!memcmp(want->ports[i].id, id, 16))
            return true;
    return false;
}

bool agent_vm_has_stale_ports(const char *run_dir, const struct vm_want *want)
{
    struct plugged p;
    read_plugged(run_dir, &p);
    for (unsigned i = 0; i < p.n; i++)
        if (!is_wanted(want, p.ids[i]))
            return true;
    return false;
}

/* Takes away what is not among `kept`. */
static int trim(struct agent_vm *vm, const struct plugged *p, const struct vm_want *kept)
{
    struct network_driver *d = vm->host->networks;
    for (unsigned i = 0; i < p->n; i++) {
        if (is_wanted(kept, p->ids[i]))
            continue;
        int ret = d->ops->unplug(d, p->ids[i], &vm->job_err);
        if (!ret)
            ret = fault_point("agent_vm.trim.port");
        if (ret)
            return err_wrap(&vm->job_err, "a port that is no longer wanted");
    }
    return 0;
}

int agent_vm_note_ports(struct agent_vm *vm)
{
    struct plugged before, now = {.n = vm->job.n_ports};
    read_plugged(vm->run_dir, &before);
    int ret = trim(vm, &before, &vm->job);
    if (ret || (!before.n && !now.n))
        return ret;
    for (unsigned i = 0; i < now.n; i++)
        memcpy(now.ids[i], vm->job.ports[i].id, 16);
    ret = write_plugged(vm->run_dir, &now, &vm->job_err);
    return ret ? ret : fault_point("agent_vm.start.noted");
}

/* Others stay noted, wanted or not: they may be in the guest still. */
int agent_vm_note_port(struct agent_vm *vm, const uint8_t id[16])
{
    struct plugged p;
    read_plugged(vm->run_dir, &p);
    for (unsigned i = 0; i < p.n; i++)
        if (!memcmp(p.ids[i], id, 16))
            return 0;
    if (p.n == PLUGGED_MAX)
        return err_set(&vm->job_err, ENOSPC, "%u ports are plugged or on their way out: try again",
                       p.n);
    memcpy(p.ids[p.n++], id, 16);
    int ret = write_plugged(vm->run_dir, &p, &vm->job_err);
    return ret ? ret : fault_point("agent_vm.plug.noted");
}

void agent_vm_job_trim(struct work *w)
{
    struct agent_vm *vm = container_of(w, struct agent_vm, work);
    struct plugged before, now = {.n = 0};
    vm->job_err = (struct err){0};
    vm->job_pidfd = -1;
    read_plugged(vm->run_dir, &before);
    if (trim(vm, &before, &vm->job))
        return;
    for (unsigned i = 0; i < before.n; i++)
        if (is_wanted(&vm->job, before.ids[i]))
            memcpy(now.ids[now.n++], before.ids[i], 16);
    (void)write_plugged(vm->run_dir, &now, &vm->job_err);
}

int agent_vm_unplug_noted(struct agent_vm *vm)
{
    static const struct vm_want nothing;
    struct plugged before;
    read_plugged(vm->run_dir, &before);
    return trim(vm, &before, &nothing);
}
