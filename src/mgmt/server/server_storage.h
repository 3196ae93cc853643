/* Volumes, snapshots and pools, as VMs and the agents' link need them.
 *
 * A volume lies on one host, in one pool of it; so does a snapshot, beside its volume. The server
 * keeps what is wanted (server_storage_want()), the host's agent reports what is
 * (server_storage_seen()), and where the two agree an operation ends. Reports are facts: they may
 * come late, twice, or not at all. Design: docs/arch/23-storage-server.md.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_STORAGE_H
#define MGMT_SERVER_SERVER_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mgmt/catalog/catalog.h"

struct server;
struct server_call;
struct server_txn;
struct server_storage;

/* ---- for VMs: each returns as handlers do (0, SERVER_WAIT, or an error and the refusal is set);
 * what they have done so far goes with the transaction, kept or not ---- */

/* Makes the first volume of a VM that is being made (vm->id is set) on the host where it is placed;
 * the VM's flavor, disk_gib and pool are the caller's to look at: `size_gib` 0 is the image's own
 * size, `pool` (id or name) NULL is the host's roomiest. It belongs to the VM: release it with the
 * VM. *volume is borrowed from the transaction. Errors: image.not_ready, request.invalid (smaller
 * than the image needs; no such pool), quota.exceeded, placement.no_host (no room). */
int server_storage_boot(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                        const struct catalog_object *image, int64_t size_gib, const char *pool,
                        const struct store_id *host, struct catalog_object **volume);
/* Gives a VM a further volume: one that exists, is free and lies on that host, or a new one.
 * `index`: of spec in the request's `volumes`, for messages. *volume is the version that is
 * written. Errors: besides those of boot, resource.in_use, resource.wrong_state,
 * reference.not_found. */
int server_storage_attach(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                          const struct api_vm_volume *spec, unsigned index,
                          const struct store_id *host, struct catalog_object **volume);
/* Takes a volume from its VM: it is free, or, with `remove`, deleted as soon as its host has done
 * so. SERVER_WAIT: it is being written (t->call, if there is one, waits for it). */
int server_storage_release(struct server_txn *t, struct catalog_slot *volume, bool remove);
/* Where a volume forces its VM to be placed: `host` filled in, or NULL: anywhere. */
const struct store_id *server_storage_host_of(const struct catalog_object *volume,
                                              struct store_id *host);

/* ---- for the agents' link ---- */

enum server_storage_wish {
    SERVER_STORAGE_MAKE,   /* it may have to be made */
    SERVER_STORAGE_KEEP,   /* it has been there: never made anew, only grown */
    SERVER_STORAGE_REMOVE, /* it shall not be there */
};

/* What a host is told of a volume, snapshot or image. Pointers live as long as the version. */
struct server_storage_want {
    enum catalog_kind kind; /* CATALOG_VOLUME, CATALOG_SNAPSHOT */
    struct store_id id, host;
    enum server_storage_wish wish;
    int64_t generation; /* of the wish: comes back with what is reported */
    const char *pool;   /* its name; borrowed from the catalog */
    uint64_t size_bytes;
    /* What it is made of: CATALOG_NONE (nothing: it is empty), CATALOG_IMAGE or CATALOG_SNAPSHOT;
     * of a snapshot CATALOG_VOLUME. */
    enum catalog_kind source_kind;
    struct store_id source;
};
/* False: no host has anything to do with it. Those of a host are
 * catalog_under(CATALOG_VOLUME or _SNAPSHOT, host); what it has beside them is to be removed. */
bool server_storage_want(const struct server *s, const struct catalog_object *v,
                         struct server_storage_want *want);

enum server_storage_state {
    SERVER_STORAGE_ABSENT,
    SERVER_STORAGE_WORKING, /* on its way to what is wanted */
    SERVER_STORAGE_PRESENT,
    SERVER_STORAGE_FAILED, /* what is wanted cannot be had: `reason` */
};

/* What an agent says of one: always the whole state. */
struct server_storage_seen {
    enum catalog_kind kind;
    struct store_id id;
    int64_t generation; /* of the wish that it knew */
    enum server_storage_state state;
    int percent;         /* WORKING: how far; 0: it does not know */
    uint64_t size_bytes; /* PRESENT: as a guest sees it */
    uint64_t used_bytes; /* PRESENT */
    const char *reason;  /* FAILED; may be NULL; borrowed */
};
/* Reports of another host than the one where it lies, and of what is not there, are left. */
void server_storage_seen(struct server *s, const struct store_id *host,
                         const struct server_storage_seen *seen);

/* A pool of a host. */
struct server_storage_pool {
    const char *name;     /* of one name are parts of one pool; borrowed */
    const char *location; /* a path; borrowed */
    enum api_pool_kind kind;
    uint64_t size_bytes, free_bytes;
    const char *reason; /* why nothing can be put there; NULL: it is well */
};
#define SERVER_STORAGE_POOLS 16 /* of a host */
/* All pools of a host, which is up; n 0: its link has ended, or it has none. */
void server_storage_pools_seen(struct server *s, const struct store_id *host,
                               const struct server_storage_pool *pools, size_t n);
/* As they were seen last, in whole GiB; returns how many. Borrowed until the next are seen. */
size_t server_storage_pools_of(const struct server *s, const struct store_id *host,
                               struct server_storage_pool out[SERVER_STORAGE_POOLS]);

/* ---- for the server ---- */

struct server_storage *server_storage_create(struct server *s);
void server_storage_destroy(struct server_storage *storage);
/* After the load: what uploads had brought so far. Blocks. */
int server_storage_start(struct server *s, struct err *err);
/* From catalog_changed; images too. */
void server_storage_changed(struct server *s, const struct catalog_object *before,
                            const struct catalog_object *after);
/* From server_written(). */
void server_storage_written(struct server *s, enum catalog_kind kind, const struct store_id *id);

#endif
