/* Reservations: room that is kept for VMs that name it.
 *
 * A *place* is room for one VM of the reservation's flavor on one host (and on certain NUMA nodes
 * of it). The reservation's object says how many places it has where (own.places): those are all,
 * also those that VMs have taken. Who has taken one follows from the VMs: each that names the
 * reservation and has a host uses one there. The rest is *held*: claimed in the scheduler's
 * snapshot, so that nobody else gets it. So a VM that comes or goes writes nothing of the
 * reservation, what is held follows from what the store has, and every server works it out alike.
 *
 * New places raise their hosts' claim generations as VMs do, and so does a VM that takes one: of
 * two servers that take the same room one is overtaken, and decides again.
 *
 * server_reservation_room.c has what is held, server_reservation_fill.c where places go and when,
 * server_reservation.c what people ask for.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_RESERVATION_H
#define MGMT_SERVER_SERVER_RESERVATION_H

#include "mgmt/catalog/catalog.h"
#include "mgmt/sched/sched.h"

struct api_flavor;
struct api_vm;
struct server;
struct server_call;
struct server_txn;

/* Places on one host, on the same NUMA nodes. */
struct server_reservation_place {
    struct store_id host;
    uint8_t nodes;   /* bit = number; 0: they float */
    uint32_t places; /* as the object says */
    uint32_t used;   /* VMs that have one, as they are published */
    uint32_t taking; /* VMs on their way */
    uint32_t held;   /* claims in the scheduler */
    uint32_t number; /* of the host there, while something is held */
    bool raises;     /* a transaction that is filled has raised the host's generation */
};

/* In the order of hosts, then of nodes. */
struct server_reservation_list {
    struct server_reservation_place *at;
    uint32_t n, room;
};

/* slot->aux of a reservation. */
struct server_reservation {
    struct sched_need need; /* of each place */
    struct server_reservation_list list;
    bool stale; /* the object does not show what the list says */
};

/* ---- what is held (server_reservation_room.c) ---- */

/* What a place of a version takes of its host. */
void server_reservation_need(const struct catalog_object *v, struct sched_need *need);
/* A reservation has changed, as catalog_changed. */
void server_reservation_changed(struct server *s, struct catalog_slot *slot,
                                const struct catalog_object *before,
                                const struct catalog_object *after);
/* A VM has changed (NULL: it was not, or is no more), after what it claims itself was counted. */
void server_reservation_vm_changed(struct server *s, const struct catalog_object *before,
                                   const struct catalog_object *after);
/* A host has come, has changed or is gone. */
void server_reservation_host_changed(struct server *s, const struct store_id *host);
/* What is kept beside the objects. */
void server_reservation_destroy_all(struct server *s);

/* Offers places to a placement: lets go of one on each of at most `max` hosts that have some, from
 * the *from-th on, and writes their numbers; *from receives where to go on. Ends with
 * server_reservation_offered(), in the same turn of the loop. Returns how many. */
uint32_t server_reservation_offer(struct server *s, const struct catalog_slot *slot, uint32_t *from,
                                  uint32_t *numbers, uint32_t max);
void server_reservation_offered(struct server *s, const struct catalog_slot *slot);
/* The NUMA nodes of the place that is offered on a host; false: none is. */
bool server_reservation_nodes(const struct catalog_slot *slot, const struct store_id *host,
                              uint8_t *nodes);
/* Places that nobody has taken, wherever; VMs that have taken one. */
uint32_t server_reservation_left(const struct catalog_slot *slot);
uint32_t server_reservation_used(const struct catalog_slot *slot);
/* A transaction's VM takes a place, until it is published or was not made. Errors: ENOMEM. */
int server_reservation_take(struct server_txn *t, const struct catalog_slot *slot,
                            const struct store_id *host, uint8_t nodes);

/* The first entry that is not before it, list->n: none. */
uint32_t server_reservation_seek(const struct server_reservation_list *list,
                                 const struct store_id *host, uint8_t nodes);
/* Where an entry is; NULL: nowhere. */
struct server_reservation_place *server_reservation_find(const struct server_reservation_list *list,
                                                         const struct store_id *host,
                                                         uint8_t nodes);
/* The same, made if need be. NULL: no memory. */
struct server_reservation_place *server_reservation_entry(struct server_reservation_list *list,
                                                          const struct store_id *host,
                                                          uint8_t nodes);

/* ---- where places go (server_reservation_fill.c) ---- */

/* Notes what each place takes, in a new version. */
void server_reservation_size(struct catalog_object *v, const struct api_flavor *flavor);
/* Gives a version that a transaction writes the places that it lacks, takes those from it that are
 * too many or where no VM can go, and sets its status. `aux`: what is known of it; NULL: it is new.
 * *lacks receives how many could not be had. Errors: ENOMEM, EAGAIN. */
int server_reservation_fill(struct server_txn *t, struct catalog_object *v,
                            const struct server_reservation *aux, uint32_t *lacks);
/* The request for one place. NULL, or what no host has (and *which): then there is no place. */
const char *server_reservation_request(struct server *s, const struct catalog_object *v,
                                       struct sched_request *request, const char **which);
/* Its room is given back: the version ends. */
void server_reservation_end(struct server_txn *t, struct catalog_object *v);
/* Makes the object show what is used and held now. */
void server_reservation_show(struct server *s, struct catalog_slot *slot);
/* Begins and ends what is due, and places anew what was lost: once a second. */
void server_reservation_tick(struct server *s);

/* Whether a VM of a flavor may use it now. Returns as handlers do. */
int server_reservation_usable(struct server_call *c, const struct catalog_object *v,
                              const char *flavor_id);
/* Of a VM that takes a place again: its reservation; NULL: it has none, or none any more. */
const struct catalog_slot *server_reservation_of(struct server *s, const struct api_vm *vm);

#endif
