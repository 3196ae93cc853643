/* What VMs hold of their hosts: in the scheduler's snapshot, and as the store's claim generations.
 *
 * What a VM holds follows its published version (server_claim_changed()); a transaction that is on
 * its way holds its claim besides, until its end.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_CLAIM_H
#define MGMT_SERVER_SERVER_CLAIM_H

#include "mgmt/catalog/catalog.h"
#include "mgmt/sched/sched.h"

struct server;
struct server_host;
struct server_txn;

/* What a VM of a flavor needs of a host. */
void server_claim_need(struct server *s, const struct api_vm *vm, const struct api_flavor *flavor,
                       int64_t disk_gib, struct sched_need *need);
/* Claims a choice with the commit, and notes it in the VM's own fields. Errors: EAGAIN: it is no
 * longer there; ENOSPC; ENOMEM. */
int server_claim_take(struct server_txn *t, const struct sched_need *need,
                      const struct sched_choice *choice, struct catalog_object *vm);
/* Claims room for somebody else than a VM, until the transaction's end; `raise`: it is the
 * transaction's first of that host. A further one has to be chosen after those before it were
 * claimed, in the same turn of the loop. Errors: as above. */
int server_claim_room(struct server_txn *t, const struct sched_need *need,
                      const struct sched_choice *choice, bool raise);
/* Gives back in the scheduler what was adopted there. */
void server_claim_release(struct server *s, const struct sched_need *need,
                          const struct sched_choice *choice);
/* Claims what a VM needs more when it becomes as `need` says, where it is, and notes it in `next`,
 * the version that the transaction writes. Errors: EAGAIN: its host is gone; ENOSPC: no room. */
int server_claim_grow(struct server_txn *t, const struct catalog_object *now,
                      struct catalog_object *next, const struct sched_need *need);

/* The store says that a host's claim generation is `current`, and not what was expected. */
void server_claim_overtaken(struct server *s, const struct store_id *host, uint64_t current);
/* Has the scheduler know the generation that the next claim of a host shall expect. */
void server_claim_generation(struct server *s, struct server_host *host);
/* A host has come, or has other NUMA nodes: VMs of it that could not be counted are counted. */
void server_claim_adopt(struct server *s, const struct store_id *host);
/* A VM or a server group has changed, as catalog_changed. */
void server_claim_changed(struct server *s, struct catalog_slot *slot,
                          const struct catalog_object *before, const struct catalog_object *after);

#endif
