/* For implementers of stores: embed struct store as the first member, call store_init() and, when
 * ready to commit, store_start(). The queue, the groups, the completions and the checks of what is
 * submitted are common (store.c, store_group.c). */
#ifndef MGMT_STORE_STORE_PROVIDER_H
#define MGMT_STORE_STORE_PROVIDER_H

#include <pthread.h>

#include "mgmt/store/store.h"

/* A link of an audit chain: covers all audit rows of one group of one server. */
struct store_link {
    struct store_id server;
    uint64_t number; /* 1, 2, 3 ... per server */
    uint8_t hash[STORE_HASH_BYTES];
};
typedef int store_each_link(const struct store_link *link, void *ctx);

struct store_ops {
    /* Commits a group of 1 to group_max transactions durably. Sets each one's result, failed_op and
     * current, and each operation's seq and value. Returns
     *   0             what the results say is so
     *   -EAGAIN       nothing of the group happened, nor ever will: err says why
     *   -EINPROGRESS  unknown: resolve() will tell. */
    int (*commit)(struct store *s, struct store_txn **txns, unsigned n, struct err *err);
    /* After -EINPROGRESS: 0, -EAGAIN or (still not known; asked again soon) -EINPROGRESS. Optional
     * where commit never says that. */
    int (*resolve)(struct store *s, struct store_txn **txns, unsigned n, struct err *err);

    /* These may be called from any thread, while commit runs, and at the same time. */
    /* everything: load, tombstones left out; else follow. *seq: in: after what; out: as of what. */
    int (*read)(struct store *s, bool everything, uint64_t *seq, store_each_record *each, void *ctx,
                struct err *err);
    int (*rows)(struct store *s, enum store_table table, uint64_t after, unsigned limit,
                store_each_row *each, void *ctx, struct err *err);
    int (*key_get)(struct store *s, const struct store_id *principal, struct store_text key,
                   uint8_t hash[STORE_HASH_BYTES], char **answer, size_t *answer_bytes,
                   int64_t *expires_ms, struct err *err);
    /* All links, by server and number. */
    int (*links)(struct store *s, store_each_link *each, void *ctx, struct err *err);
    int (*backup)(struct store *s, const char *path, struct err *err); /* the file does not exist */
    /* Optional: a store of one server leads always. */
    bool (*lead)(struct store *s, uint32_t duty);
    void (*unlead)(struct store *s, uint32_t duty);

    /* Frees everything; the commit thread has ended. Also of half-built stores. */
    void (*close)(struct store *s);
};

struct store {
    const struct store_ops *ops;
    struct store_config config;
    _Atomic uint64_t seq; /* kept by the provider, for store_status() */

    /* The group commit's. */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* a leaf: all below */
    pthread_cond_t work;
    bool closing, in_doubt, woken, delivering;
    unsigned queued;
    struct store_txn *queue, **queue_tail;
    struct store_txn *completed, **completed_tail;
    struct store_status counts;
};

/* Fills in what is common; group_best is for a group_max of 0. */
void store_init(struct store *s, const struct store_ops *ops, const struct store_config *config,
                unsigned group_best);
/* Starts the commit thread. Errors: of pthread_create(3). */
int store_start(struct store *s, struct err *err);

/* For commit: notes that an operation's precondition failed; returns `result`. */
int store_refuse(struct store_txn *txn, unsigned op, int result, int64_t current);

/* The digest of an audit row: over its contents, not its position. */
void store_audit_digest(const struct store_row *row, uint8_t digest[STORE_HASH_BYTES]);

/* A link as it grows: hash(previous hash, server, number, digest, digest ...). */
struct store_chain {
    uint64_t number;
    uint8_t hash[STORE_HASH_BYTES];
};
/* The next link of a chain (number 0 and zeroes: the first), over `n` digests that lie one after
 * the other. PostgreSQL computes the same in SQL: see store_pgsql_schema.c. */
void store_audit_extend(struct store_chain *chain, const struct store_id *server,
                        const uint8_t *digests, unsigned n);

#endif
