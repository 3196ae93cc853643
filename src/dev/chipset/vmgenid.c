#include "dev/chipset/vmgenid.h"

#include <errno.h>
#include <sys/random.h>

#include "bus/memory_map.h"

void vmgenid_init(struct vmgenid *v, struct guest_mem *mem, struct acpi_pm *pm, uint64_t gpa)
{
    *v = (struct vmgenid){.mem = mem, .pm = pm, .gpa = gpa};
}

int vmgenid_publish(struct vmgenid *v, struct err *err)
{
    if (guest_mem_write(v->mem, v->gpa, v->id, sizeof(v->id)))
        return err_set(err, EFAULT, "the VM generation id cannot be at 0x%llx: not guest RAM",
                       (unsigned long long)v->gpa);
    return 0;
}

int vmgenid_renew(struct vmgenid *v, bool notify, struct err *err)
{
    if (getrandom(v->id, sizeof(v->id), 0) != (ssize_t)sizeof(v->id))
        return err_sys(err, EIO, "could not draw a VM generation id");
    int ret = vmgenid_publish(v, err);
    if (!ret && notify)
        acpi_pm_raise_gpe(v->pm, MEMORY_MAP_GPE_VMGENID);
    return ret;
}

#define STATE_VERSION 1

void vmgenid_save(const struct vmgenid *v, struct state_writer *w)
{
    state_begin(w, "vmgenid", 0, STATE_VERSION);
    state_put_bytes(w, v->id, sizeof(v->id));
    state_end(w);
}

int vmgenid_load(struct vmgenid *v, struct state_reader *r)
{
    if (state_open(r, "vmgenid", 0, STATE_VERSION) < 0)
        return -r->err.code;
    state_get_bytes(r, v->id, sizeof(v->id));
    return state_close(r);
}
