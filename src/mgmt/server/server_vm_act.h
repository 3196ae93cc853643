/* Actions on VMs: what their handlers share. One finds the VM, looks at its state, and makes a
 * version of it in a transaction; the handler changes that; the end gives it steps and an
 * operation. */
#ifndef MGMT_SERVER_SERVER_VM_ACT_H
#define MGMT_SERVER_SERVER_VM_ACT_H

#include "mgmt/catalog/catalog.h"
#include "mgmt/server/server_internal.h"

struct server_vm_act {
    struct server_call *c;
    struct catalog_slot *slot;
    struct server_txn *t;
    struct catalog_object *v; /* the version that the action makes */
    struct api_vm *vm;        /* its document */
    struct api_vm_status *status;
};

/* Returns as handlers do; after anything but 0 there is nothing to end. */
int server_vm_act_begin(struct server_vm_act *a, struct server_call *c);
/* The same, for what needs the VM's host to answer. */
int server_vm_act_begin_up(struct server_vm_act *a, struct server_call *c);
/* The same look alone. */
int server_vm_act_check_up(const struct server_vm_act *a);
/* Gives up: returns r, which is not 0. */
int server_vm_act_refuse(struct server_vm_act *a, int r);
int server_vm_act_no_memory(struct server_vm_act *a);
/* The steps (ended by NULL) from here by the route's state on the way to `to`. */
int server_vm_act_end(struct server_vm_act *a, const char *const *steps, enum api_vm_state to);
/* It is done with the commit: the state stays. */
int server_vm_act_end_now(struct server_vm_act *a);

/* Disks and NICs (server_vm_disk.c, server_vm_device.c), sizes and places (server_vm_size.c). */
int server_vm_rebuild(struct server_call *c);
int server_vm_rescue(struct server_call *c);
int server_vm_unrescue(struct server_call *c);
int server_vm_create_image(struct server_call *c);
int server_vm_attach_volume(struct server_call *c);
int server_vm_detach_volume(struct server_call *c);
int server_vm_attach_nic(struct server_call *c);
int server_vm_detach_nic(struct server_call *c);
int server_vm_resize(struct server_call *c);
int server_vm_shelve(struct server_call *c);
int server_vm_unshelve(struct server_call *c);
int server_vm_migrate(struct server_call *c);

#endif
