/* New VMs: one, or up to a hundred in one transaction. */
#ifndef MGMT_SERVER_SERVER_VM_MAKE_H
#define MGMT_SERVER_SERVER_VM_MAKE_H

struct server_call;

/* The handlers of vm_create and vm_batch_create. */
int server_vm_make(struct server_call *c);
int server_vm_make_batch(struct server_call *c);

#endif
