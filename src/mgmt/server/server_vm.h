/* VMs: what the server keeps beside their objects, and how they come from state to state.
 *
 * A VM's life is a row of *steps* (own.steps), stored with it. The first one is under way: it says
 * what is wanted of the host (own.want, status.run_epoch), and is over when the host has been seen
 * to agree; then the next begins, in the same transaction. At the end of the row the VM is in
 * own.to_state, and its operation is done. What is seen is never stored: the host says it again.
 *
 *   run      the epoch is raised; until it is seen running with that epoch
 *   stop     until no process is seen
 *   pause    until it is seen paused
 *   resume   until it is seen running
 *   absent   until nothing of it is left on the host
 *   forget   at once: its ports, volumes and its object go
 *
 * docs/arch/24-vms.md draws the states. */
#ifndef MGMT_SERVER_SERVER_VM_H
#define MGMT_SERVER_SERVER_VM_H

#include "link/link.h"
#include "mgmt/catalog/catalog.h"
#include "mgmt/sched/sched.h"

struct server;

#define SERVER_VM_REASON_BYTES 256

/* slot->aux of a VM. */
struct server_vm {
    struct store_id id;
    /* What it holds in the scheduler (server_place.c). */
    bool holds;
    struct store_id host;
    struct sched_need need;
    struct sched_choice choice;
    /* What its host last said; `seen` false: nothing since the server began. */
    bool seen;
    struct store_id seen_by;
    uint64_t generation, epoch;
    enum link_vm_seen_state state;
    char reason[SERVER_VM_REASON_BYTES];
    /* In the list of those with steps, which the tick looks at. */
    struct server_vm *next_pending, **link_pending;
};

void server_vm_changed(struct server *s, struct catalog_slot *slot,
                       const struct catalog_object *before, const struct catalog_object *after);
/* What a host says of a VM. */
void server_vm_seen(struct server *s, const struct store_id *host, const struct link_vm_seen *seen);
/* Does what follows from what was seen, unless the VM is being written: then it is called again. */
void server_vm_settle(struct server *s, struct catalog_slot *slot);
/* Those that wait for something else than their host: once a second. */
void server_vm_tick(struct server *s);
/* After the load: hosts are known now. */
void server_vm_loaded(struct server *s);
/* What is kept beside the objects. */
void server_vm_destroy_all(struct server *s);

/* Gives a version its steps (ended by NULL) and the state while they are taken. Errors: ENOMEM. */
int server_vm_plan(struct catalog_object *v, const char *const *steps, enum api_vm_state via,
                   enum api_vm_state to);

#endif
