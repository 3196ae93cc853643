/* What the files that serve networks share.
 *
 * Theory of operation. What is in use (addresses of a network, MACs, host ports) is kept in memory
 * as sets of numbers, in two halves: what published ports have, and what transactions under way
 * have taken. The first follows the catalog, whoever wrote: it is rebuilt by loading. The second is
 * emptied by the transactions' ends. So an address is free if it is in neither, and nothing that
 * fails can lose or double one.
 *
 * Two servers on one store cannot see what is under way at each other. So each address, MAC and
 * host port is a row of its own in the store too, a *lease* (CATALOG_LEASE), whose id is a hash of
 * what is taken: written if absent with the port, deleted with it. Whoever is second is told so,
 * remembers the number as taken and decides again. Leases are no objects and are not loaded: the
 * ports say the same. */
#ifndef MGMT_SERVER_SERVER_NETWORK_INTERNAL_H
#define MGMT_SERVER_SERVER_NETWORK_INTERNAL_H

#include "mgmt/server/server_address.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_network.h"

/* ---- in memory (server_network_state.c) ---- */

/* Of a network or a security group: who uses it, with what is in flight. */
struct server_network_entry {
    struct store_id id;
    struct server_ipam addresses; /* of a network's ports */
    int64_t ports;                /* in the network; that have the group */
    int64_t others;               /* subnets of the network; networks that name the group */
    int64_t groups;               /* security groups that name the group */
    unsigned holds;               /* transactions that point here */
    bool stale;                   /* the numbers that are shown are not these */
    struct server_network_entry *next, *next_stale, **stale_link;
};

/* Created when it is asked for. NULL: no memory. */
struct server_network_entry *server_network_entry(struct server *s, const struct store_id *id);
/* Brings the numbers that a network, its subnets or a security group show up to date: those of one,
 * or of all that the call's project (or all projects) may see in a list. */
void server_network_refresh(struct server *s, const struct catalog_object *v);
void server_network_refresh_all(struct server_call *c);

/* The networks that every project may use, in no order. */
size_t server_network_shared(struct server *s, const struct store_id **ids);

/* A transaction's use of a network or group, counted until its end. */
enum server_network_use { SERVER_NETWORK_PORT, SERVER_NETWORK_OTHER, SERVER_NETWORK_GROUP };
void server_network_hold(struct server_txn *t, const struct store_id *id,
                         enum server_network_use use);

/* ---- leases (server_network_lease.c) ---- */

enum server_network_lease { SERVER_NETWORK_ADDRESS, SERVER_NETWORK_MAC, SERVER_NETWORK_FORWARD };
/* The numbers in use of a sort; `network` matters for addresses. NULL: no memory. */
struct server_ipam *server_network_numbers(struct server *s, enum server_network_lease what,
                                           const struct store_id *network);
/* Takes a number for an object with the transaction. Errors: EEXIST (it is in use), ENOMEM. */
int server_network_take(struct server_txn *t, enum server_network_lease what,
                        const struct store_id *network, server_ipam_number x,
                        const struct catalog_object *for_whom);
/* Gives it back when the transaction is done. */
void server_network_give(struct server_txn *t, enum server_network_lease what,
                         const struct store_id *network, server_ipam_number x);
/* What leases a port has: `each` is called with all of them. */
void server_network_leases(const struct catalog_object *port,
                           void (*each)(void *ctx, enum server_network_lease what,
                                        const struct store_id *network, server_ipam_number x),
                           void *ctx);
/* Gives all of them back. */
void server_network_give_all(struct server_txn *t, const struct catalog_object *port);
/* A host port's number in its set. */
server_ipam_number server_network_forward(bool udp, int64_t host_port);

/* ---- what they look at (server_network_look.c) ---- */

/* By id or name, in the call's project or shared with it; *slot NULL and the refusal set: there is
 * none, or several. */
int server_network_find(struct server_call *c, const char *ref, const char *pointer,
                        struct catalog_slot **slot);
/* Whether the call's project may see it: its own, or of a shared network. */
bool server_network_visible(struct server_call *c, const struct catalog_object *v);
/* The object of the path for reading, by the same rule. NULL: 404. */
struct catalog_slot *server_network_readable(struct server_call *c, enum catalog_kind kind);
/* A page of what is visible of a kind: the project's, and what belongs to shared networks. */
int server_network_list(struct server_call *c, enum catalog_kind kind);
/* The network that a subnet or port says. NULL: it is gone. */
struct catalog_slot *server_network_of(struct server *s, const struct api_text *network);
/* Resolves a list of groups; each has to let everything through, as no driver filters. The uses are
 * held. Returns 0, SERVER_WAIT or an error; `pointer` is the list's. */
int server_network_groups(struct server_call *c, struct server_txn *t, struct api_texts *groups,
                          enum server_network_use use, const char *pointer,
                          struct catalog_object *v);
/* Whether a group's rules let everything through. */
bool server_network_group_open(const struct catalog_object *group);
/* server.busy, for want of memory. */
int server_network_no_memory(struct server_call *c);

/* ---- ports (server_port.c) ---- */

/* Where a refusal points: into a port's document, or into a NIC of a VM. */
struct server_network_where {
    char prefix[32]; /* "", "/nics/3" */
    bool nic;
};
/* Completes a new port whose document says what is wanted: references resolved, everything taken,
 * status set. Returns as a handler; after SERVER_WAIT nothing was taken. */
int server_network_port_make(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                             const struct server_network_where *where);
/* Its VM, as its status shows it: `vm` NULL is none. Errors: ENOMEM. */
int server_network_port_status(struct catalog_object *v, const struct catalog_object *vm);
/* Shows a VM's state and host in the status of a port of it: the same version, not stored. */
void server_network_port_show(struct server *s, struct catalog_slot *slot,
                              const struct catalog_object *vm);

/* ---- handlers ---- */

int server_network_subnet_create(struct server_call *c);
int server_network_subnet_get(struct server_call *c);
int server_network_subnet_list(struct server_call *c);
int server_network_subnet_patch(struct server_call *c);
int server_network_subnet_delete(struct server_call *c);
int server_network_port_create(struct server_call *c);
int server_network_port_get(struct server_call *c);
int server_network_port_list(struct server_call *c);
int server_network_port_patch(struct server_call *c);
int server_network_port_delete(struct server_call *c);
int server_network_group_create(struct server_call *c);
int server_network_group_get(struct server_call *c);
int server_network_group_list(struct server_call *c);
int server_network_group_patch(struct server_call *c);
int server_network_group_delete(struct server_call *c);

#endif
