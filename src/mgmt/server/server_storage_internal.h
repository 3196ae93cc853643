/* What the files of storage and images share. */
#ifndef MGMT_SERVER_SERVER_STORAGE_INTERNAL_H
#define MGMT_SERVER_SERVER_STORAGE_INTERNAL_H

#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_storage.h"

#define SERVER_STORAGE_RETRY_US 1000000 /* after a write that the store did not take */

/* ---- facts: what agents said, the latest of each (server_storage_fact.c) ---- */

/* Of a volume or snapshot there is one, of an image one for each host that spoke of it, and one
 * (host zero) that stands for the image. */
struct server_storage_fact {
    enum catalog_kind kind;
    struct store_id id, host;
    bool reported;
    int64_t generation;
    enum server_storage_state state;
    int percent;
    uint64_t size_bytes, used_bytes, virtual_bytes, received_bytes;
    enum api_image_format format;
    char *reason, *sha256;
    /* The object's own. */
    bool settling; /* a change that follows from it is on its way, or waits for the timer */
    bool retry;
    int64_t early; /* VOLUME: the wish that was refused since its image was not there; 0: none */
    bool uploading, uploaded; /* a part is being spooled; all of it is, and has that sha256 */
    struct server_storage_fact *copies; /* IMAGE: those with a host */
    /* The table's. */
    struct server_storage_fact *next, *next_copy;
};

/* NULL: there is none. */
struct server_storage_fact *server_storage_fact_find(const struct server_storage *st,
                                                     enum catalog_kind kind,
                                                     const struct store_id *id,
                                                     const struct store_id *host);
/* Makes one that is not there. NULL: no memory. */
struct server_storage_fact *server_storage_fact_get(struct server_storage *st,
                                                    enum catalog_kind kind,
                                                    const struct store_id *id,
                                                    const struct store_id *host);
/* Forgets all of an object. */
void server_storage_fact_forget(struct server_storage *st, enum catalog_kind kind,
                                const struct store_id *id);
void server_storage_fact_fini(struct server_storage *st); /* with the sums */
/* Replaces a text. */
void server_storage_fact_text(char **field, const char *text);

/* ---- sums: what objects add up to (server_storage_fact.c) ---- */

/* Of an IMAGE or SNAPSHOT: volumes that are made from it. Of a POOL: GiB promised, in all (host
 * zero) and on a host. With what is in flight. */
int64_t server_storage_sum(const struct server_storage *st, enum catalog_kind kind,
                           const struct store_id *id, const struct store_id *host);
void server_storage_sum_add(struct server_storage *st, enum catalog_kind kind,
                            const struct store_id *id, const struct store_id *host, int64_t delta);
/* Counts while a transaction is in flight. */
void server_storage_sum_hold(struct server_txn *t, enum catalog_kind kind,
                             const struct store_id *id, const struct store_id *host, int64_t delta);

/* ---- hosts and their pools (server_storage_pool.c) ---- */

struct server_storage_part {
    char name[64], location[256], reason[256];
    int64_t size_gib, free_gib;
};
struct server_storage_host {
    struct store_id id;
    struct server_storage_part parts[SERVER_STORAGE_POOLS];
    unsigned n;
    struct server_storage_host *next;      /* in its bucket */
    struct server_storage_host *next_host; /* of all */
};

/* What to look for; an id of zeros is any. */
struct server_storage_place {
    struct store_id host;    /* this one; otherwise one that takes something new */
    struct store_id project; /* whose it is: some hosts are for one only */
    struct store_id zone, pool;
    int64_t size_gib;                   /* that must fit */
    const struct catalog_object *image; /* that had better be there already; NULL: none */
    /* Found. */
    struct store_id found_host, found_pool;
};
/* Errors: ENOSPC, and `why` (may be NULL) says so. */
int server_storage_place(const struct server *s, struct server_storage_place *p,
                         char why[static 256]);
/* The host has a link, and a pool. */
bool server_storage_host_up(const struct server *s, const struct store_id *host);
/* It is in the catalog. */
bool server_storage_host_exists(const struct server *s, const struct store_id *host);
/* It is not, or its lease has ended. */
bool server_storage_host_lost(const struct server *s, const struct store_id *host);
void server_storage_pool_fini(struct server_storage *st);
int server_storage_pool_create(struct server_call *c);
int server_storage_pool_get(struct server_call *c);
int server_storage_pool_list(struct server_call *c);
int server_storage_pool_patch(struct server_call *c);
int server_storage_pool_delete(struct server_call *c);

/* ---- objects on their way (server_storage_phase.c) ---- */

/* What the states of volumes, snapshots and images have in common. */
enum server_storage_phase {
    SERVER_STORAGE_WAITING, /* an upload */
    SERVER_STORAGE_MAKING,
    SERVER_STORAGE_READY,
    SERVER_STORAGE_CHANGING,
    SERVER_STORAGE_REMOVING,
    SERVER_STORAGE_BROKEN,
};
enum server_storage_phase server_storage_phase(const struct catalog_object *v);
/* Gives a version its state; one that has no status gets one. Errors: ENOMEM. */
int server_storage_set_phase(struct catalog_object *v, enum server_storage_phase phase);
struct api_text *server_storage_operation(const struct catalog_object *v);
struct api_text *server_storage_reason(const struct catalog_object *v);
int64_t server_storage_wish(const struct catalog_object *v);
void server_storage_wish_next(struct catalog_object *v);
bool server_storage_made(const struct catalog_object *v);
bool server_storage_host_is(const struct catalog_object *v, const struct store_id *host);
int server_storage_set_host(struct catalog_object *v, const struct store_id *host);
const char *server_storage_value(const struct api_text *text); /* NULL: absent */
bool server_storage_id(const struct api_text *text, struct store_id *id);
/* As server_call_ref(), but the field lives as long as the version, and an object that is being
 * written is waited for. */
int server_storage_ref(struct server_call *c, struct catalog_object *v, enum catalog_kind kind,
                       struct api_text *ref, const char *pointer, struct catalog_slot **slot);
/* The version is ready: its operation ends well, or with the reason. */
void server_storage_ready(struct server_txn *t, struct catalog_object *v);
void server_storage_broken(struct server_txn *t, struct catalog_object *v,
                           enum api_problem_code code, const char *why);
/* What was begun is given up, and all is as before. */
void server_storage_back(struct server_txn *t, struct catalog_object *v, const char *why);
/* Sets status.operation to a new operation of the transaction's call. */
int server_storage_begin(struct server_txn *t, struct catalog_object *v, bool cancellable);
/* Whether a new operation may begin: none is under way. Errors: resource.busy. */
int server_storage_idle(struct server_call *c, const struct catalog_object *v);
int server_storage_unprotected(struct server_call *c, const struct catalog_object *v);
/* The image or snapshot that a DELETE is of, into *slot: 0 when it may be written, is not being
 * deleted, and no volume needs it; otherwise a refusal, which ends in what else could be done. */
int server_storage_deletable(struct server_call *c, enum catalog_kind kind, const char *or_else,
                             struct catalog_slot **slot);
/* The deletion by a user: 202 and an operation, which ends when nothing is left. */
int server_storage_delete(struct server_call *c, struct catalog_slot *slot);
/* Shows a version that differs only in what is not stored; takes the reference. */
void server_storage_show(struct server *s, const struct catalog_slot *slot,
                         struct catalog_object *v);

/* ---- settling: what follows from wishes and facts (server_storage.c) ---- */

struct server_storage {
    struct server *s;
    struct web_timer *timer;
    bool armed;
    struct server_storage_fact **facts;
    size_t n_facts, n_buckets;
    struct server_storage_sum **sums;
    struct server_storage_host **host_buckets, *hosts;
    struct server_storage_making *making; /* pools that are being written */
};

/* Makes what follows so, unless a write of it is under way (then after that). */
void server_storage_settle(struct server *s, enum catalog_kind kind, const struct store_id *id);
/* Of all objects of a kind that lie on a host; NULL: all. */
void server_storage_settle_all(struct server *s, enum catalog_kind kind,
                               const struct store_id *host);
/* The transaction in which a settling function changes an object. NULL: later. */
struct server_txn *server_storage_change(struct server *s, struct server_storage_fact *f);
void server_storage_commit(struct server_txn *t, struct server_storage_fact *f);

/* By kind. */
void server_storage_settle_disk(struct server *s, struct catalog_slot *slot,
                                struct server_storage_fact *f);
void server_image_settle(struct server *s, struct catalog_slot *slot,
                         struct server_storage_fact *f);

/* ---- volumes and snapshots ---- */

int server_storage_volume_create(struct server_call *c);
int server_storage_volume_get(struct server_call *c);
int server_storage_volume_list(struct server_call *c);
int server_storage_volume_patch(struct server_call *c);
int server_storage_volume_delete(struct server_call *c);
int server_storage_volume_resize(struct server_call *c);
int server_storage_volume_restore(struct server_call *c);
int server_storage_snapshot_create(struct server_call *c);
int server_storage_snapshot_get(struct server_call *c);
int server_storage_snapshot_list(struct server_call *c);
int server_storage_snapshot_patch(struct server_call *c);
int server_storage_snapshot_delete(struct server_call *c);

/* A new volume, whose doc says what is wanted: looks at it, places it on p->host or wherever it
 * fits, counts it. `where`: before the members' names in messages ("" or "/volumes/3"). */
int server_storage_volume_init(struct server_call *c, struct server_txn *t,
                               struct catalog_object *v, struct server_storage_place *p,
                               const char *where);
/* No monitor uses the volume: the driver of today needs that. Errors: resource.wrong_state. */
int server_storage_unused(struct server_call *c, const struct catalog_object *volume,
                          const char *what);

/* ---- images ---- */

/* No image is being copied from that volume or snapshot. Errors: resource.in_use. */
int server_image_copied(struct server_call *c, const struct catalog_object *v);
/* The one that the path names, to be read: a public one by its id, too. NULL: refused (404). */
struct catalog_slot *server_image_visible(struct server_call *c);
/* Any host may import it, again and again. */
bool server_image_portable(const struct catalog_object *image);
/* The file of an upload or an import on this machine; "" if it is of another kind. */
void server_image_file(const struct server *s, const struct catalog_object *image, char path[512]);
int server_image_upload(struct server_call *c);
int server_image_download(struct server_call *c);
/* The spool: what had come before the server ended, and what belongs to no image. Blocks. */
int server_image_start(struct server *s, struct err *err);
/* The file of an upload that is no more. */
void server_image_unlink(struct server *s, const struct catalog_object *image);

#endif
