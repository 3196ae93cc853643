/* Placement: from a VM's document to a host and a claim. Design: docs/arch/14-placement.md. */
#ifndef MGMT_SERVER_SERVER_PLACE_H
#define MGMT_SERVER_SERVER_PLACE_H

#include "mgmt/catalog/catalog.h"
#include "mgmt/sched/sched.h"

struct api_flavor;
struct api_text;
struct api_vm;
struct server;
struct server_call;
struct server_txn;

#define SERVER_PLACE_OFFERS 256 /* hosts of a reservation that are looked at together */

struct server_place {
    struct sched_request request;
    uint32_t only[1]; /* request.only: the host that was asked for */
    struct sched_result result;
    /* The reservation of which a place is taken; NULL: none. Set after server_place_prepare(). */
    const struct catalog_slot *reservation;
    uint32_t offers[SERVER_PLACE_OFFERS];
};

/* The labels of a request: project, policy, zone (an id; may be absent), what a flavor asks for,
 * and aggregates that are dedicated to others. NULL, or what no host has and *which of it. */
const char *server_place_labels(struct server *s, const struct store_id *project,
                                const struct api_text *zone, const struct api_flavor *flavor,
                                struct sched_request *request, const char **which);

/* The request of a VM whose references are ids, of a flavor. `host`: where it must be; NULL:
 * anywhere. */
int server_place_prepare(struct server_call *c, const struct api_vm *vm,
                         const struct api_flavor *flavor, int64_t disk_gib,
                         const struct store_id *host, struct server_place *p);
/* Decides. Errors: ENOSPC (placement.no_host; c->explanation says why, per filter). */
int server_place_choose(struct server_call *c, struct server_place *p, const char *name);
/* Answers a dry run: where it would go, or why not; with `explain` for each host. */
void server_place_answer(struct server_call *c, struct server_place *p, const char *name,
                         bool explain);
/* The same of several, one after the other: add says whether it found a host. NULL: no memory. */
struct server_place_dry;
struct server_place_dry *server_place_dry_begin(struct server_call *c, unsigned n);
bool server_place_dry_add(struct server_place_dry *d, struct server_place *p, const char *name,
                          bool explain);
void server_place_dry_answer(struct server_place_dry *d);
/* The id of the i-th chosen host. */
struct store_id server_place_host(struct server *s, const struct server_place *p, uint32_t i);
/* Claims the i-th choice, with the commit, and notes it in the VM's own fields. Nothing that may
 * return SERVER_WAIT comes between choosing and claiming. Errors: EAGAIN: it is no longer there. */
int server_place_claim(struct server_txn *t, const struct server_place *p, uint32_t i,
                       struct catalog_object *vm);

#endif
