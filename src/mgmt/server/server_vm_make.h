/* Making VMs (server_vm_make.c). */
#ifndef MGMT_SERVER_SERVER_VM_MAKE_H
#define MGMT_SERVER_SERVER_VM_MAKE_H

struct server_call;

/* The handler of vm_create. */
int server_vm_make(struct server_call *c);

#endif
