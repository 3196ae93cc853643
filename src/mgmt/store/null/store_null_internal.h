/* The null store's data: cells that are found by key, lines that only grow, and a list of what to
 * put back when a transaction or a group fails. */
#ifndef MGMT_STORE_NULL_STORE_NULL_INTERNAL_H
#define MGMT_STORE_NULL_STORE_NULL_INTERNAL_H

#include "mgmt/store/null/store_null.h"
#include "mgmt/store/store_provider.h"

#define STORE_NULL_KEY_MAX (2 * STORE_ID_BYTES + 2 + STORE_NAME_MAX)
#define STORE_NULL_TABLES  3

enum store_null_cell_type {
    CELL_OBJECT,
    CELL_NAME,
    CELL_CLAIM,
    CELL_COUNTER,
    CELL_KEY,
    CELL_SOURCE
};

/* What a cell holds; the fields that its type does not use are zero. */
struct store_null_value {
    bool there, deleted; /* deleted: a tombstone */
    uint64_t seq;
    struct store_id id, project; /* NAME: id is the object's */
    uint8_t kind;
    char *name, *body; /* owned */
    size_t name_bytes, body_bytes;
    int64_t number;  /* CLAIM, COUNTER, SOURCE (its last number) */
    int64_t epoch;   /* SOURCE */
    int64_t time_ms; /* KEY: expiry; a tombstone: deletion */
    uint8_t hash[STORE_HASH_BYTES];
};

struct store_null_cell {
    enum store_null_cell_type type;
    size_t key_bytes;
    uint8_t key[STORE_NULL_KEY_MAX];
    struct store_null_value value;
    struct store_null_cell *next;
};

struct store_null_line {
    struct store_row row; /* its name and body are owned */
    bool removed;
};

struct store_null_lines {
    struct store_null_line *lines;
    size_t n, room;
};

/* What to put back: a cell's old value, or the presence of a line. */
struct store_null_undo {
    struct store_null_cell *cell; /* NULL: a line */
    struct store_null_value old;
    enum store_table table;
    size_t line;
    bool appended; /* else: removed */
};

struct store_null {
    struct store store;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t held;
    struct store_null_cell **buckets;
    size_t n_buckets, n_cells;
    struct store_null_lines tables[STORE_NULL_TABLES];
    struct store_null_undo *undo;
    size_t n_undo, undo_room;
    uint64_t seq, tombstone_horizon, event_horizon;
    struct store_chain chain;
    struct store_link *links;
    size_t n_links, links_room;
    uint8_t *digests; /* of the group's audit rows so far */
    unsigned n_digests, digests_room;
    enum store_null_fault fault;
    unsigned fault_in, fault_times;
    bool hold;
};

/* The key of a cell: an id (may be NULL), a second one, a kind, text. */
struct store_null_cell_key {
    const struct store_id *id, *id2;
    uint8_t kind;
    struct store_text text;
};

/* Finds a cell, or makes one that is not there. NULL: no memory. */
struct store_null_cell *store_null_cell(struct store_null *n, enum store_null_cell_type type,
                                        const struct store_null_cell_key *key);
/* Gives a cell a new value, whose name and body become the cell's, and notes the old one. */
int store_null_set(struct store_null *n, struct store_null_cell *cell,
                   const struct store_null_value *value);
int store_null_append(struct store_null *n, enum store_table table, const struct store_row *row);
int store_null_remove(struct store_null *n, enum store_table table, size_t line);
/* Puts back what was noted after the first `keep`, newest first. */
void store_null_roll_back(struct store_null *n, size_t keep);
/* Forgets what was noted: it stays as it is. */
void store_null_keep(struct store_null *n);
void store_null_free_data(struct store_null *n);

/* A copy with a NUL after it; NULL: no memory. */
char *store_null_copy(struct store_text t);

/* Performs one operation. Returns 0, what store_refuse() returned, or -EAGAIN. */
int store_null_apply(struct store_null *n, struct store_txn *txn, unsigned index);

#endif
