/* The durable store of the management server: transactions of small operations with preconditions,
 * each done as a whole or not at all, and reads for a server that keeps everything in memory: load
 * once, then follow. Implementers: mgmt/store/store_provider.h. Design: docs/arch/16-store.md.
 *
 * One running number, the *seq*, counts every row written, in the order of the commits: an object's
 * seq is that of its last write, a row's position that of its insertion. Nothing with a lower seq
 * becomes visible after a higher one, so that "everything after N" is a complete answer.
 *
 * Transactions are committed in groups by one thread of the store's. A group is one durable commit;
 * a transaction whose precondition fails is undone alone. Reads see committed groups only.
 *
 * Time is an argument (ms since 1970, wall clock), so that tests turn it. */
#ifndef MGMT_STORE_STORE_H
#define MGMT_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STORE_ID_BYTES   16
#define STORE_HASH_BYTES 32
#define STORE_NAME_MAX   255           /* bytes of a name, at least 1 where one is needed */
#define STORE_BODY_MAX   (1024 * 1024) /* bytes of a document */
#define STORE_OPS_MAX    8192          /* operations in a transaction */

struct store;

struct store_id {
    uint8_t bytes[STORE_ID_BYTES];
};

/* Bytes that somebody else owns; text is UTF-8, but the store does not look inside. */
struct store_text {
    const char *data;
    size_t len_bytes;
};

/* What a transaction may do. Each operation sees what those before it in its transaction did. */
enum store_op_type {
    STORE_PUT,    /* write an object */
    STORE_DELETE, /* delete an object; a tombstone stays, so that followers see it */
    STORE_RAISE,  /* raise a host's claim generation by one, if it is the one expected */
    STORE_ADD,    /* add to a counter that may not pass its limit nor fall below zero */
    STORE_EVENT,  /* append a row to the events */
    STORE_AUDIT,  /* append a row to the audit trail */
    STORE_USAGE,  /* append a row to the usage, once per (source, epoch, number) */
    STORE_KEY,    /* remember the answer to a request that carried an Idempotency-Key */
    STORE_EXPIRE, /* remove what is old: keys, tombstones, events */
    STORE_OP_TYPES
};

/* What must be true of an object before it is written. */
enum store_when {
    STORE_ALWAYS,
    STORE_IF_ABSENT, /* no object, or a tombstone */
    STORE_IF_SEQ,    /* there, and last written with this seq */
};

/* PUT: the name is unique among the living of its kind and project. DELETE uses kind, id, when,
 * seq and at_ms only; what is absent cannot be deleted (-ENOENT). */
struct store_object {
    uint8_t kind;
    struct store_id id, project;
    struct store_text name, body;
    enum store_when when;
    uint64_t seq;  /* for STORE_IF_SEQ */
    int64_t at_ms; /* DELETE: when, for the tombstone's expiry */
};

struct store_raise {
    struct store_id host;
    uint64_t expected; /* a host that was never claimed has generation 0 */
};

struct store_add {
    struct store_id owner; /* with `name` the counter's key; one never written is 0 */
    struct store_text name;
    int64_t delta;
    int64_t limit; /* a positive delta may not bring the sum above; negative: no limit */
};

/* A row of the events, the audit trail or the usage: the same fields going in and coming out. */
struct store_row {
    int64_t at_ms;
    struct store_id project;
    struct store_id object; /* what it is about */
    struct store_id actor;  /* who did it; USAGE: the source that counted */
    uint8_t kind;
    struct store_text name; /* the event's type, the action, the meter */
    struct store_text body;
    uint64_t epoch, number; /* USAGE only: see STORE_USAGE's errors */
    /* Coming out only. */
    uint64_t position;      /* its seq */
    struct store_id server; /* AUDIT: whose chain it is in */
    uint64_t link;          /* AUDIT: and which link of it covers it */
};

struct store_key {
    struct store_id principal;
    struct store_text key;
    uint8_t hash[STORE_HASH_BYTES]; /* of the request's body */
    struct store_text answer;
    int64_t at_ms, expires_ms; /* a key that has expired at at_ms counts as absent */
};

enum store_expirable { STORE_OLD_KEYS, STORE_OLD_TOMBSTONES, STORE_OLD_EVENTS };

/* Removes at most max_rows whose time (expiry, deletion, at_ms) is before_ms or earlier, oldest
 * first; of events, from the first on up to one that is younger. The operation's `value` says how
 * many it was; as many as max_rows: ask again. */
struct store_expire {
    enum store_expirable what;
    int64_t before_ms;
    unsigned max_rows; /* 1 to 10,000 */
};

struct store_op {
    enum store_op_type type;
    union {
        struct store_object object;
        struct store_raise raise;
        struct store_add add;
        struct store_row row;
        struct store_key key;
        struct store_expire expire;
    };
    /* Results, when the transaction was done. */
    uint64_t seq;  /* the row's number; 0 for EXPIRE */
    int64_t value; /* RAISE: the new generation; ADD: the new sum; EXPIRE: rows removed */
};

/* A transaction, in its submitter's memory. It, its operations and all that they point to stay
 * untouched from store_submit() until `done`.
 *
 * result: 0: done, durably, as a whole. Otherwise nothing of it happened, because
 *   -EAGAIN    the store is full, slow or gone: the same transaction may succeed later
 *   -EEXIST    STORE_IF_ABSENT, but it is there (current: its seq); the key is known (current: seq)
 *   -ESTALE    STORE_IF_SEQ (current: the seq, 0: absent); RAISE (current: the generation)
 *   -ENOENT    DELETE of what is absent
 *   -ENOTUNIQ  the name is taken (current: the seq of the object that has it)
 *   -EDQUOT    ADD would pass the limit, or 63 bits (current: the sum as it is)
 *   -ERANGE    ADD would fall below zero (current: the sum as it is)
 *   -EALREADY  USAGE: the source's epoch is older than the last, or in it the number is not higher
 *              than the last: it was counted already (current: that last number)
 * or, only when the store was closed before it could find out (the connection broke during the
 * commit): -EINPROGRESS: it may have happened, as a whole or not at all. */
struct store_txn {
    struct store_op *ops;
    unsigned n_ops;

    int result;
    unsigned failed_op; /* which operation's precondition failed */
    int64_t current;    /* and what was there instead */

    /* The store's, until done. */
    void (*done)(struct store_txn *txn, void *ctx);
    void *ctx;
    bool direct;
    struct store_txn *next;
};

struct store_config {
    struct store_id server; /* names the audit chain; not all zero; its own for each server */
    unsigned queue_max;     /* transactions that may wait; 0: 4,096 */
    unsigned group_max;     /* transactions in a commit; 0: the provider's best */
    /* Called when completions begin to wait for store_deliver(), from the commit thread; not again
     * before that has been called. To give them to an event loop: post a function that calls
     * store_deliver(). NULL: the commit thread calls `done` itself. */
    void (*wake)(void *wake_ctx);
    void *wake_ctx;
};

/* Hands a transaction over. Errors: -EINVAL (a name, a document or a number of operations out of
 * bounds, an unknown type), -EAGAIN (the queue is full), -ESHUTDOWN (closing); `done` is not called
 * then. Threads: any. */
int store_submit(struct store *s, struct store_txn *txn,
                 void (*done)(struct store_txn *txn, void *ctx), void *ctx);

/* Calls `done` of everything completed so far, in the order of completion; returns how many. A
 * `done` may submit again (what it submits is committed from the end of the delivery on), but not
 * wait for the store. Threads: one at a time. */
unsigned store_deliver(struct store *s);

/* store_submit() and the wait for it, whatever `wake` is: for tools and tests. Returns what it
 * returned, or txn->result. Threads: any but the one that `done`s of this store run in. Blocks. */
int store_submit_wait(struct store *s, struct store_txn *txn);

/* Commits what was submitted, delivers it (in this thread, if there is a `wake`), closes, frees.
 * NULL is allowed. Blocks. */
void store_close(struct store *s);

enum store_record_type { STORE_OBJECT, STORE_TOMBSTONE, STORE_CLAIM, STORE_COUNTER };

struct store_record {
    enum store_record_type type;
    uint64_t seq;
    uint8_t kind;       /* OBJECT, TOMBSTONE */
    struct store_id id; /* the object, the host, the counter's owner */
    struct store_id project;
    struct store_text name; /* OBJECT, COUNTER */
    struct store_text body; /* OBJECT */
    int64_t value;          /* CLAIM: the generation; COUNTER: the sum */
};

/* Returns 0 to go on; anything else ends the read, which returns it. What it is given is borrowed
 * until it returns. It must not call the store. */
typedef int store_each_record(const struct store_record *r, void *ctx);
typedef int store_each_row(const struct store_row *row, void *ctx);

/* The reads. Threads: any. Block: on the disk or the network, and on each other; never called in
 * the event loop's thread once it serves. Errors: -EAGAIN (gone or slow: try again). */

/* Everything that lives, in the order of seq, as of one moment; *seq receives that moment's, which
 * is where store_follow() goes on. Tombstones are not shown. */
int store_load(struct store *s, uint64_t *seq, store_each_record *each, void *ctx, struct err *err);

/* Everything last written after *seq, tombstones too, in the order of seq; moves *seq on. What was
 * written twice is shown once, with the later seq. Errors: -ESTALE: tombstones after *seq have
 * expired: load again. */
int store_follow(struct store *s, uint64_t *seq, store_each_record *each, void *ctx,
                 struct err *err);

enum store_table { STORE_EVENTS, STORE_AUDIT_TRAIL, STORE_USAGE_ROWS };

/* At most `limit` rows after a position, in order. Errors: -ESTALE: events after `after` (not 0)
 * have expired. */
int store_rows(struct store *s, enum store_table table, uint64_t after, unsigned limit,
               store_each_row *each, void *ctx, struct err *err);

/* What is remembered under a principal's key, expired or not. Owns: *answer is the caller's to free
 * (NUL-terminated). Errors: -ENOENT. */
int store_key_get(struct store *s, const struct store_id *principal, struct store_text key,
                  uint8_t hash[STORE_HASH_BYTES], char **answer, size_t *answer_bytes,
                  int64_t *expires_ms, struct err *err);

/* Reads the whole audit trail and computes every chain anew. Errors: -EBADMSG: a row was altered,
 * removed, added or moved; the message names the server and the link. */
int store_audit_verify(struct store *s, struct err *err);

#define STORE_AUDIT_HEADS 256 /* of as many servers; others are verified and not reported */

/* What was verified: how many rows, and where each server's chain ends. */
struct store_audit_report {
    uint64_t rows;
    unsigned n_heads;
    struct store_audit_head {
        struct store_id server;
        uint64_t link;
        uint8_t hash[STORE_HASH_BYTES];
    } heads[STORE_AUDIT_HEADS];
};
/* The same, with a report, which is filled in as far as it came whatever is returned. */
int store_audit_inspect(struct store *s, struct store_audit_report *report, struct err *err);

/* Writes a consistent copy to a new file, durably, while commits go on. Errors: -EEXIST;
 * -EOPNOTSUPP: this store is backed up by its own tools, which the message names. */
int store_backup(struct store *s, const char *path, struct err *err);

/* Whether this server has the duty: at most one of those that share a store does. Asked again
 * and again by who wants it; it is lost with the connection. Not a fence: what a leader does must
 * still carry its preconditions. Blocks. */
bool store_lead(struct store *s, uint32_t duty);
void store_unlead(struct store *s, uint32_t duty);

struct store_status {
    unsigned queued;
    uint64_t groups, done, refused, failed; /* transactions by outcome; failed: -EAGAIN */
    uint64_t seq;                           /* the last one committed or seen */
    struct err last; /* why the last group failed; code 0 once one has succeeded */
    bool in_doubt;   /* what became of a group is being found out: all else is refused */
};
/* Threads: any. */
void store_status(struct store *s, struct store_status *status);

static inline struct store_text store_text_of(const char *s)
{
    return (struct store_text){s, __builtin_strlen(s)};
}

#endif
