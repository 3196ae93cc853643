/* What VMs hold: quota and usage of processors and memory. */
#include "base/util.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_usage.h"
#include "mgmt/server/server_vm.h"

void server_vm_meter(struct server_txn *t, struct catalog_object *v)
{
    const struct api_vm *vm = v->doc;
    const struct server_usage_rate rates[] = {
        {API_USAGE_RECORD_METER_VM_TIME, 1},
        {API_USAGE_RECORD_METER_VCPU_TIME, vm->status.v->vcpus.v},
        {API_USAGE_RECORD_METER_MEMORY_TIME, vm->status.v->memory_mib.v},
    };
    server_usage_open(t, v, rates, ARRAY_LEN(rates),
                      vm->flavor.is == API_VALUE ? vm->flavor.v : NULL);
}

int server_vm_hold(struct server_txn *t, struct catalog_object *v, int sign)
{
    const struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    int r = server_quota_add(t, &v->project, "vcpus", sign * status->vcpus.v);
    if (!r)
        r = server_quota_add(t, &v->project, "memory_mib", sign * status->memory_mib.v);
    if (r)
        return r;
    if (sign > 0)
        server_vm_meter(t, v);
    else
        server_usage_close(t, v);
    return 0;
}
