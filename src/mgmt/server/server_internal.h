/* What the files of the server share. */
#ifndef MGMT_SERVER_SERVER_INTERNAL_H
#define MGMT_SERVER_SERVER_INTERNAL_H

#include "api/api_header.h"
#include "api/api_request.h"
#include "mgmt/auth/auth.h"
#include "mgmt/auth/auth_hasher.h"
#include "mgmt/auth/auth_rate.h"
#include "mgmt/catalog/catalog.h"
#include "mgmt/sched/sched.h"
#include "mgmt/server/server.h"
#include "mgmt/server/server_numbers.h"
#include "web/web_server.h"

#define SERVER_BODY_MAX_BYTES API_JSON_MAX_BYTES
#define SERVER_RETRIES        128 /* of a call whose decision was overtaken by another server's */

/* What a handler returns when another change of the same object is on its way to the store: it is
 * called again, from its start, when that has come to an end. See server_call_wait(). */
#define SERVER_WAIT 1

struct server_call;
struct server_txn;

typedef int server_handler(struct server_call *c);
/* What serves which operation: one table a noun of the API, ended by a NULL. */
struct server_route {
    enum api_op op;
    server_handler *handle;
};
extern const struct server_route server_backup_routes[];
extern const struct server_route server_compute_routes[];
extern const struct server_route server_identity_routes[];
extern const struct server_route server_image_routes[];
extern const struct server_route server_infra_routes[];
extern const struct server_route server_network_routes[];
extern const struct server_route server_placement_routes[];
extern const struct server_route server_reservation_routes[];
extern const struct server_route server_storage_routes[];
extern const struct server_route server_system_routes[];
extern const struct server_route server_vm_routes[];

/* See server_link_want.c. */
#define SERVER_WANT_TURNS 32

struct server_want {
    struct store_id host;
    enum catalog_kind kind;
    struct store_id id;
    uint64_t seq;
    size_t number; /* in the order in which they came */
};

struct server_want_list {
    struct server_want *some;
    size_t n, room;
};

struct server_wants {
    bool gathering;
    struct server_want_list now;
    struct server_want_list patient[SERVER_WANT_TURNS]; /* by hosts */
    size_t n_patient;                                   /* in all of them */
    unsigned turn;
    struct web_timer *turns;
};

struct server {
    struct server_config config;
    server_handler *handlers[API_OPS]; /* NULL: not built yet (501) */
    struct web_loop *loop;
    struct web_server *web, *agents_web;
    struct web_timer *tick;
    struct sched *sched;
    struct server_hosts *hosts;
    struct server_vm *pending_vms;   /* see server_vm.h */
    struct server_command *commands; /* see server_command.h */
    struct server_console *consoles; /* see server_console.h */
    uint32_t last_stream;
    bool ending;                  /* nothing is sent to agents any more */
    struct server_numbers groups; /* server groups, for the scheduler */
    struct store *store;
    struct catalog *catalog;
    struct web_post deliver;     /* the store has answers */
    struct server_call *waiting; /* for an object that is being written, oldest first */
    struct server_waiter *operation_waiters;
    struct server_workers *workers;
    struct server_events *events;
    struct server_quotas *quotas;
    struct server_usage *usage;
    struct server_keys *keys;
    struct server_networks *networks;
    struct server_storage *storage;
    struct server_socket *sockets; /* WebSockets that are open */
    struct server_follow *follow;  /* NULL: nobody else writes to the store */
    struct server_peers *peers;    /* see server_peer.h */
    struct auth_table *auth;
    struct auth_hasher *hasher;
    struct auth_rate *token_rate, *login_rate;
    struct web_post hashed; /* the hasher has answers */
    uint64_t seq;           /* of the last commit that the catalog shows */
    struct server_sweep *sweep;
    struct server_audit *audit;
    bool leads;        /* see server_sweep_leads() */
    char *description; /* api/openapi.json, once it was asked for */
    size_t description_bytes;
    uint64_t n_requests, n_refused, n_errors;
    char *first_password;
    struct server_ref *refs;          /* of transactions under way (server_ref.c) */
    struct server_wants wants;        /* that go out when this turn ends (server_link_want.c) */
    struct web_timer *session_sweeps; /* server_session.c */
};

int64_t server_now_ms(void);

/* ---- a call: one request, from its route to its answer (server_call.c) ---- */

struct server_call {
    struct server *s;
    struct web_request *web;
    struct api_request request;
    struct api_request_wire wire;
    struct api_arena arena;
    struct api_refusal refusal;
    const char *explanation;   /* further members of the problem document; NULL: none */
    struct auth_principal who; /* `user` zero: nobody is signed in */
    struct store_id project;   /* zero: none, or all */
    enum api_types_role role;  /* the caller's in the project, or in the cloud */
    char request_id[API_HEADER_REF_MAX + 1];
    const char *location; /* of the answer; NULL: none */
    unsigned tries;
    struct server_key *key; /* server_key.h; NULL: none was sent */
    /* While it waits: for this object. */
    enum catalog_kind wait_kind;
    struct store_id wait_id;
    struct server_call *next;
    void *kept; /* the handler's own, from one run to the next; in the arena */
};

/* The object that the path names by its param-th parameter, in the call's project where the kind
 * has one. NULL: the refusal is set (404). */
struct catalog_slot *server_call_object(struct server_call *c, enum catalog_kind kind,
                                        unsigned param);
/* 0, or SERVER_WAIT: return that. Before anything is decided by what the object says. */
int server_call_wait(struct server_call *c, const struct catalog_slot *slot);
/* Resolves a reference of the body: *slot receives the object, and the field its id. An absent one
 * is fine: *slot NULL. Errors: ENOENT (reference.not_found, naming `pointer`), ENOMEM. */
int server_call_ref(struct server_call *c, enum catalog_kind kind, struct api_text *ref,
                    const char *pointer, struct catalog_slot **slot);
/* If-Match against the object's generation. Errors: ESTALE. */
int server_call_match(struct server_call *c, const struct catalog_object *v);

/* The answer, once; the call is freed. */
void server_call_reply(struct server_call *c, int status, const char *text, size_t bytes);
/* An object as GET shows it, with its ETag. */
void server_call_reply_object(struct server_call *c, int status, const struct catalog_object *v);
void server_call_reply_struct(struct server_call *c, int status,
                              const struct api_types_object *type, const void *object);
/* The refusal as a problem document. */
void server_call_refuse(struct server_call *c);
/* The call begins: route, caller, body, handler. */
void server_call_go_on(struct server_call *c);
/* Runs the handler (again). */
void server_call_run(struct server_call *c);
/* An object's write has ended, well or not: what follows from its state is done (server.c). */
void server_written(struct server *s, enum catalog_kind kind, const struct store_id *id);
/* For a WebSocket: a call with route, caller, project and query, whose refusal is set where it may
 * not; it is never replied to. NULL: no memory. */
struct server_call *server_call_socket(struct server *s, const struct web_request *web);
void server_call_socket_free(struct server_call *c);
/* Runs again those that waited for an object. */
void server_call_wake(struct server *s, enum catalog_kind kind, const struct store_id *id);

/* Between the two kinds of ids. */
struct auth_id server_auth_id(const struct store_id *id);
struct store_id server_store_id(const struct auth_id *id);

/* ---- a transaction: versions, events, counters, holds (server_txn.c) ---- */

/* What was taken in memory before the commit: given back when it fails. */
struct server_hold {
    void (*end)(struct server *s, struct server_hold *h, bool done);
    struct server_hold *next;
};

/* After the commit: everything is published, or nothing happened and the call (if there is one) has
 * been refused or run again already: then `done` is called with the error, to free what it has. */
typedef void server_txn_done(struct server_txn *t, int result);

struct server_txn {
    struct server *s;
    struct server_call *call; /* NULL: the server's own change */
    struct api_arena arena;   /* of texts and holds */
    struct store_txn store;
    struct store_op *ops; /* grow with n_ops, so pointers into them do not last */
    struct server_change {
        struct catalog_object *v; /* NULL: no object's operation */
        enum catalog_kind kind;
        struct store_id id;
        bool removal, quiet;
    } * changes; /* beside ops */
    unsigned n_room;
    struct server_hold *holds;
    server_txn_done *done;
    void *ctx;
    struct catalog_object *answer; /* what the call is answered with; borrowed */
    struct catalog_object *about;  /* what the audit trail names; NULL: see there; borrowed */
    int status;                    /* and how; 0: the handler's business */
    struct store_text key_answer;  /* what an Idempotency-Key remembers */
    int failed;                    /* the first error of the calls below */
    struct server_txn *next_free;
    bool quiet; /* puts and removals add no events, and are not what the audit line is about */
};

/* NULL: no memory, and the call's refusal says so. The calls below remember their errors, and
 * server_txn_commit() returns the first. `call` may be NULL. */
struct server_txn *server_txn_begin(struct server *s, struct server_call *call);
/* Writes a version: the first of a new object (slot NULL), or the next. Takes the reference. Adds
 * the event that says so: "virga.KIND.created", ".changed" (by_user) or ".status". */
void server_txn_put(struct server_txn *t, struct catalog_slot *slot, struct catalog_object *v,
                    bool by_user);
void server_txn_remove(struct server_txn *t, struct catalog_slot *slot);
/* Any other operation; what it points to lives as long as t->arena. */
void server_txn_op(struct server_txn *t, const struct store_op *op);
/* An event beside those of put and remove; `shown`: with what it is about as its data. */
void server_txn_event(struct server_txn *t, const char *type, const struct catalog_object *about,
                      bool shown);
void server_txn_hold(struct server_txn *t, struct server_hold *h);
/* Submits. The audit line and the idempotency key of the call are added here. From then on the call
 * is answered by the transaction: with t->answer and t->status, or by `done`. Returns what the
 * handler shall: 0, or an error (then all is undone and the refusal is set). */
int server_txn_commit(struct server_txn *t, server_txn_done *done, void *ctx);
/* Gives up before the commit. NULL is allowed. */
void server_txn_abandon(struct server_txn *t);
/* Where a transaction is now, and back to there: what was added since is given up. Errors that it
 * remembers stay. */
struct server_txn_mark {
    unsigned n_ops;
    struct server_hold *holds;
};
struct server_txn_mark server_txn_here(const struct server_txn *t);
void server_txn_back(struct server_txn *t, struct server_txn_mark mark);

/* ---- what every object has (server_meta.c) ---- */

#define SERVER_TIME_BYTES 25
void server_meta_time(int64_t ms, char text[SERVER_TIME_BYTES]);
/* Errors: EINVAL. */
int server_meta_parse_time(const char *text, int64_t *ms);
/* id, project, generation 1, created_at and updated_at of a first version. Errors: ENOMEM. */
int server_meta_init(struct catalog_object *v, int64_t now_ms);
/* updated_at, and one generation more where a user writes. Errors: ENOMEM. */
int server_meta_touch(struct catalog_object *v, int64_t now_ms, bool by_user);
uint64_t server_meta_generation(const struct catalog_object *v);
/* Sets a text of a doc to a copy in the version's arena. Errors: ENOMEM. */
int server_meta_text(struct catalog_object *v, struct api_text *field, const char *text);

/* ---- operations: work that outlives its request (server_operation.c) ---- */

/* Makes the operation that the transaction's call has begun, about an object; the call is answered
 * with it (202). Returns its id as text, in the transaction's arena, for the object's
 * status.operation; NULL: no memory (t->failed is set). */
const char *server_operation_begin(struct server_txn *t, const struct catalog_object *about,
                                   bool cancellable);
/* The same of one that ends with the transaction in which it begins. */
void server_operation_done(struct server_txn *t, const struct catalog_object *about);
/* How far it has come, which is shown and not stored. `step` may be NULL. An operation that has
 * ended, or is gone, is left. */
void server_operation_step(struct server *s, const char *id, int percent, const char *step);
/* Its end: done (problem NULL), or failed with the reason. */
void server_operation_end(struct server_txn *t, const char *id, const struct api_refusal *problem);
void server_operation_cancelled(struct server_txn *t, const char *id);
/* Told of every change of one: those who wait for its end are answered. */
void server_operation_changed(struct server *s, const struct catalog_object *after);
/* Before the loop is destroyed. */
void server_operation_answer_all(struct server *s);
extern const struct server_route server_operation_routes[];

/* ---- events (server_event.c) ---- */

struct server_events *server_events_create(struct server *s);
void server_events_destroy(struct server_events *e);
/* What goes into the store: a CloudEvent without its id, in the transaction's arena. NULL: no
 * memory. */
/* Long polls are answered with what they have: before the loop is destroyed. */
void server_events_end(struct server *s);
const char *server_event_text(struct server_txn *t, const char *type,
                              const struct catalog_object *about, bool shown);
/* Those up to that position were before this server. */
void server_events_begin(struct server *s, uint64_t position);
/* Shows a committed one to those who listen; rows come in order, one that was shown is left. */
void server_event_publish(struct server *s, const struct store_row *row);

/* ---- work that blocks (server_worker.c) ---- */

struct server_job {
    void (*work)(struct server_job *j); /* in a worker */
    void (*done)(struct server_job *j); /* in the loop */
    struct server_job *next;
};
struct server_workers *server_workers_create(struct server *s, unsigned n, struct err *err);
/* Waits for what is being worked on; jobs that had not begun get `done` too. */
void server_workers_destroy(struct server_workers *w);
/* Errors: EAGAIN: too many wait, or `w` is NULL: the server ends. */
int server_workers_submit(struct server_workers *w, struct server_job *j);

/* ---- resources by rule (server_resource.c, server_list.c) ---- */

/* What is particular of a kind. All may be NULL; they return as handlers do. */
struct server_resource {
    enum catalog_kind kind;
    /* Looks at and completes a new version, whose doc has what the user gave. */
    int (*create)(struct server_call *c, struct server_txn *t, struct catalog_object *v);
    /* The same of a changed one. */
    int (*patch)(struct server_call *c, struct server_txn *t, const struct catalog_object *before,
                 struct catalog_object *v);
    int (*remove)(struct server_call *c, struct server_txn *t, const struct catalog_object *v);
    const char *quota; /* the counter that each one takes 1 of; NULL: none */
    /* Answers a create in place of the object: called once it is done, with the version as `ctx`;
     * also when it failed: the refusal is on its way then. */
    server_txn_done *created;
};
int server_resource_create(struct server_call *c, const struct server_resource *r);
int server_resource_get(struct server_call *c, const struct server_resource *r);
int server_resource_list(struct server_call *c, const struct server_resource *r);
int server_resource_patch(struct server_call *c, const struct server_resource *r);
/* Of an object that the path does not name. */
int server_resource_patch_slot(struct server_call *c, const struct server_resource *r,
                               struct catalog_slot *slot);
int server_resource_delete(struct server_call *c, const struct server_resource *r);

/* A page of the list that the call asks for. `shown` (may be NULL) says whether the caller may see
 * one. */
int server_list_reply(struct server_call *c, const struct catalog_list *list,
                      bool (*shown)(struct server_call *c, const struct catalog_object *v));

/* ---- quota (server_quota.c) ---- */

struct server_quotas *server_quotas_create(void);
void server_quotas_destroy(struct server_quotas *q);
void server_quotas_load(struct server_quotas *q, const struct store_id *project,
                        struct store_text name, int64_t value, uint64_t seq);
/* Takes (delta > 0) or gives back, with the commit. Errors: EDQUOT, the refusal is set. */
int server_quota_add(struct server_txn *t, const struct store_id *project, const char *name,
                     int64_t delta);
int64_t server_quota_used(struct server *s, const struct store_id *project, const char *name);
/* The limit of a project, or of all that have none of their own (the quota of id zero); -1: none.
 */
int64_t server_quota_limit(struct server *s, const struct store_id *project, const char *name);

/* ---- networks: what is in use (server_network_state.c); see server_network.h ---- */

struct server_networks *server_networks_create(void);
void server_networks_destroy(struct server_networks *n);
/* When everything is loaded. */
void server_networks_loaded(struct server *s);
/* Told of every change. */
void server_network_changed(struct server *s, const struct catalog_object *before,
                            const struct catalog_object *after);
/* Whether an operation failed with -EEXIST because another server was faster to take an address;
 * this server knows it then, and will choose another. */
bool server_network_clash(struct server *s, const struct store_op *op);

#endif
