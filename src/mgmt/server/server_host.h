/* What the server keeps of a host beside its object: its place in the scheduler, its connection,
 * and what it last said of itself. A host's object is written only when what it says has changed.
 */
#ifndef MGMT_SERVER_SERVER_HOST_H
#define MGMT_SERVER_SERVER_HOST_H

#include "link/link.h"
#include "mgmt/catalog/catalog.h"
#include "mgmt/sched/sched.h"

struct server;
struct server_link;

struct server_host {
    struct server *s;
    struct store_id id;
    bool in_sched;
    uint32_t number;           /* in the scheduler */
    uint64_t committed;        /* the claim generation that the store has */
    uint64_t chain, in_flight; /* server_claim.c */
    /* What reservations hold of it (server_reservation_room.c). */
    uint64_t kept_places, kept_vcpus, kept_memory_mib, kept_disk_gib;

    struct server_link *link; /* NULL: not connected */
    bool lease_ended;
    bool tried;           /* its object could not be written: the tick tries again */
    struct store_id boot; /* as its agent said last; zero: not known */
    int64_t heard_ns;     /* monotonic; when it last said anything, or the server began */

    /* The last inventory; its texts are the arena's. NULL: none yet. */
    struct api_arena arena;
    const struct link_inventory *inventory;

    /* What its object says where it is connected to another server (server_host_has.h); the seq of
     * the version that was taken up. */
    struct api_arena has_arena;
    const struct link_inventory *has;
    uint64_t has_seq;
};

struct server_hosts;
struct server_hosts *server_hosts_create(struct server *s);
void server_hosts_destroy(struct server_hosts *h);

/* NULL: there is none. */
struct server_host *server_host_find(struct server *s, const struct store_id *id);
/* By its number in the scheduler. */
struct server_host *server_host_numbered(struct server *s, uint32_t number);
/* Whether it does not answer, or is fenced, or gone; whether it is known to be off. */
bool server_host_lost(struct server *s, const struct store_id *id);
bool server_host_fenced(struct server *s, const struct store_id *id);
/* The store's claim generation, at the load and from other servers. */
void server_host_generation(struct server *s, const struct store_id *id, uint64_t generation);

/* Hosts, zones, aggregates and settings that changed; see catalog_changed. */
void server_host_changed(struct server *s, struct catalog_slot *slot,
                         const struct catalog_object *before, const struct catalog_object *after);
/* Makes the object say what is true, unless it is being written: then it is called again. */
void server_host_settle(struct server *s, struct catalog_slot *slot);
/* Leases, once a second. */
void server_host_tick(struct server *s);

/* Numbers for what the scheduler knows by number: 0 and false: not known. */
uint32_t server_host_zone_number(struct server *s, const struct store_id *zone);
bool server_host_trait(struct server *s, const char *name, uint64_t bits[SCHED_LABEL_WORDS]);
bool server_host_aggregate(struct server *s, const struct store_id *aggregate,
                           uint64_t bits[SCHED_LABEL_WORDS]);
uint32_t server_host_project_number(struct server *s, const struct store_id *project);

#endif
