/* References: by name or id in what users write, by id in what is stored. What a transaction refers
 * to is kept from being deleted until that has ended: a delete waits (server_ref_wait()), and then
 * sees who refers to it. Of another server's transactions that share the store this knows nothing:
 * those are seen as soon as they are followed. */
#ifndef MGMT_SERVER_SERVER_REF_H
#define MGMT_SERVER_SERVER_REF_H

#include "mgmt/server/server_internal.h"

/* Resolves a reference of a new version: the field receives the id, in the version's memory, and
 * *slot (may be NULL) the object. An absent one is fine: *slot NULL. Objects of a project are
 * looked for in the version's. Returns as handlers do: reference.not_found, naming `pointer`. */
int server_ref_one(struct server_txn *t, struct catalog_object *v, enum catalog_kind kind,
                   struct api_text *ref, const char *pointer, struct catalog_slot **slot);
/* Each of a list; the same object twice is kept once. */
int server_ref_list(struct server_txn *t, struct catalog_object *v, enum catalog_kind kind,
                    struct api_texts *refs, const char *pointer);
/* Keeps an object until the transaction has ended; waits if it is being removed. Returns as
 * handlers do. */
int server_ref_keep(struct server_txn *t, const struct catalog_slot *slot);
/* The project of the transaction's call. */
int server_ref_keep_project(struct server_txn *t);
/* Before it is decided that nothing refers to an object: 0, or SERVER_WAIT. */
int server_ref_wait(struct server_call *c, const struct catalog_slot *slot);
/* Refuses (resource.in_use), naming it, if an object of the kind `by` refers to v by a field of
 * that name: a text, or a list of them. Costs a walk over all of that kind. */
int server_ref_unused(struct server_call *c, const struct catalog_object *v, enum catalog_kind by,
                      const char *field);
/* Whether a field refers to an object, or a list has it. */
bool server_ref_is(const struct api_text *ref, const struct catalog_object *v);
bool server_ref_has(const struct api_texts *refs, const struct catalog_object *v);

#endif
