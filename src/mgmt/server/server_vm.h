/* VMs: what the server keeps beside their objects, and how they come from state to state.
 *
 * A VM's life is a row of *steps* (own.steps), stored with it. The first one is under way: it says
 * what is wanted of the host (own.want, status.run_epoch), and is over when the host has been seen
 * to agree; then the next begins, in the same transaction. At the end of the row the VM is in
 * own.to_state, and its operation is done. What is seen is never stored: the host says it again.
 *
 *   run       the epoch is raised; until it is seen running with that epoch
 *   stop      until no process is seen
 *   pause     until it is seen paused
 *   resume    until it is seen running
 *   absent    until nothing of it is left on the host
 *   plug      until its monitor is seen to have own.resource; nothing runs: it is over
 *   unplug    until its monitor is seen without own.resource; then that is the VM's no more
 * and at once, once the one before is over:
 *   swap      own.swap takes the place of its first disk, which is deleted
 *   rescue    own.swap is what it boots from
 *   tidy      own.swap and own.rescue are deleted
 *   shelve    it has no host any more
 *   forget    its ports, volumes and its object go
 *
 * docs/arch/24-vms.md draws the states. */
#ifndef MGMT_SERVER_SERVER_VM_H
#define MGMT_SERVER_SERVER_VM_H

#include "link/link.h"
#include "mgmt/catalog/catalog.h"
#include "mgmt/sched/sched.h"

struct server;
struct server_txn;

#define SERVER_VM_REASON_BYTES 256

struct server_vm_address {
    char ip[48], mac[24];
};

/* slot->aux of a VM. */
struct server_vm {
    struct store_id id;
    /* What it holds in the scheduler (server_claim.c). */
    bool holds;
    struct sched_need need;
    struct sched_choice choice;
    /* What its host last said; `seen` false: nothing since the server began. */
    bool seen;
    struct store_id seen_by;
    uint64_t generation, epoch;
    enum link_vm_seen_state state;
    char reason[SERVER_VM_REASON_BYTES];
    struct server_vm_address *addresses;
    uint32_t n_addresses;
    /* Of own.resource, while it comes or goes. */
    bool device_known, has_device;
    char *problem; /* why it cannot; NULL: nothing stands against it */
    bool tried;    /* its object could not be written: the tick tries again */
    /* In the list of those that the tick looks at. */
    struct server_vm *next_pending, **link_pending;
};

/* ---- what is seen (server_vm_seen.c) ---- */

void server_vm_changed(struct server *s, struct catalog_slot *slot,
                       const struct catalog_object *before, const struct catalog_object *after);
/* What a host says of a VM. */
void server_vm_seen(struct server *s, const struct store_id *host, const struct link_vm_seen *seen);
/* A host has come, or is lost, or fenced: the next tick looks at its VMs. */
void server_vm_host_changed(struct server *s, const struct store_id *host);
/* The next tick looks at it. */
void server_vm_later(struct server *s, struct server_vm *vm);
/* Those that wait for something else than their host, or that could not be written: once a second.
 */
void server_vm_tick(struct server *s);
/* After the load: hosts are known now. */
void server_vm_loaded(struct server *s);
/* What is kept beside the objects. */
void server_vm_destroy_all(struct server *s);

/* ---- what follows from it (server_vm_settle.c) ---- */

/* Does what is due, unless the VM is being written (then it is called again) or could not be (then
 * the tick does). */
void server_vm_settle(struct server *s, struct catalog_slot *slot);

/* ---- steps (server_vm_step.c) ---- */

#define SERVER_VM_STEPS_MAX 8

/* Gives a version its steps (ended by NULL) and the state while they are taken. Errors: ENOMEM. */
int server_vm_plan(struct catalog_object *v, const char *const *steps, enum api_vm_state via,
                   enum api_vm_state to);

enum server_vm_outcome { SERVER_VM_NOT_YET, SERVER_VM_DONE, SERVER_VM_FAILED };

/* NULL: there is none. */
const char *server_vm_step(const struct catalog_object *v);
/* Whether the first step is over, by what was seen; `why` receives why it failed. */
enum server_vm_outcome server_vm_look(struct server *s, const struct catalog_object *v,
                                      const struct server_vm *vm, char why[SERVER_VM_REASON_BYTES]);
/* Whether what was seen is of what is wanted now. */
bool server_vm_heard(const struct catalog_object *v, const struct server_vm *vm);
/* Ends the first step, and those behind it that are over at once. Returns 0, SERVER_WAIT or an
 * error: then nothing may be committed. */
int server_vm_advance(struct server_txn *t, struct catalog_object *v);
/* Ends the row: the VM is in that state for that reason, and its operation has failed. */
void server_vm_fail(struct server_txn *t, struct catalog_object *v, enum api_vm_state state,
                    const char *reason);
/* The row is at its end; NULL: it was done, else its operation has failed so. */
void server_vm_arrive(struct server_txn *t, struct catalog_object *v,
                      const struct api_refusal *problem);
/* The last one: removes the VM and all that is its own. */
void server_vm_forget(struct server *s, struct catalog_slot *slot);

/* ---- disks and NICs that come and go while it runs (server_vm_plug.c) ---- */

/* Whether its first step is `plug` or `unplug`. */
bool server_vm_plugs(const struct catalog_object *v);
/* Whether its host shall have that volume or port of it: it is not on its way out. */
bool server_vm_wants_device(const struct catalog_object *v, const char *id);
/* What is seen of the device. */
void server_vm_take_device(struct server_vm *vm, const struct catalog_object *v,
                           const struct link_vm_seen *seen);
enum server_vm_outcome server_vm_look_plug(const struct catalog_object *v,
                                           const struct server_vm *vm,
                                           char why[SERVER_VM_REASON_BYTES]);
/* The end of `unplug`: as server_vm_drop_device(), of own.resource. */
int server_vm_unplugged(struct server_txn *t, struct catalog_object *v);
/* The step has failed: a device that should come is taken back, then the operation fails; one that
 * should go stays, and it fails now. Errors: ENOMEM. */
int server_vm_plug_failed(struct server_txn *t, struct catalog_object *v, const char *why);
/* Steps that take the place of these: the device of an operation that is given up is as it was
 * before. Whether the VM has to lose it once nothing runs: by `unplug`, behind `stop`. */
bool server_vm_plug_give_up(struct catalog_object *v);
/* Takes a volume or port, that is a further one of its, from a VM: as server_storage_release() and
 * server_network_unplug(). */
int server_vm_drop_device(struct server_txn *t, struct catalog_object *v, const char *id);

/* ---- what it holds (server_vm_hold.c) ---- */

/* Takes (sign 1) or gives back (-1) a VM's processors and memory: quota and usage, of a version
 * that is not sealed yet. Errors: EDQUOT, the refusal is set. */
int server_vm_hold(struct server_txn *t, struct catalog_object *v, int sign);
/* Begins a new interval of its usage, by its present size. */
void server_vm_meter(struct server_txn *t, struct catalog_object *v);
/* ---- addresses (server_vm_addresses.c) ---- */

/* Makes status.addresses say what its ports have and its guest was seen with; whether what its
 * ports have is news. */
bool server_vm_addresses(struct server_txn *t, struct catalog_object *v,
                         const struct server_vm *vm);
/* Whether that would be so. */
bool server_vm_addresses_given(struct server *s, const struct catalog_object *v,
                               const struct server_vm *vm);
/* The same in what is shown, without a write; nothing, while the VM is being written. */
void server_vm_show(struct server *s, struct catalog_slot *slot);

#endif
