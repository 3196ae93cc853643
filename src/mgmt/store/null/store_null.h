/* A store in memory, for tests: the semantics of the durable ones, nothing kept, and failures on
 * demand. */
#ifndef MGMT_STORE_NULL_STORE_NULL_H
#define MGMT_STORE_NULL_STORE_NULL_H

#include "mgmt/store/store.h"

/* Errors: ENOMEM, those of pthread_create(3). Owns: store_close() frees. */
struct store *store_null_create(const struct store_config *config, struct err *err);

enum store_null_fault {
    STORE_NULL_FAIL_OP,      /* at an operation: its whole group fails with -EAGAIN */
    STORE_NULL_FAIL_COMMIT,  /* at a commit: likewise */
    STORE_NULL_DOUBT_DONE,   /* the commit's outcome is unknown, then found to have happened */
    STORE_NULL_DOUBT_UNDONE, /* ... found not to have happened */
};

/* The n-th operation or commit from now on (1: the next) fails, and `times - 1` more after it; for
 * the doubts, `times` is how often resolve() does not know yet. Replaces what was set before; n 0:
 * nothing fails any more. Threads: any. */
void store_null_fail(struct store *s, enum store_null_fault fault, unsigned n, unsigned times);

/* Makes commits wait while it is on, so that a test can fill the queue. Threads: any. */
void store_null_hold(struct store *s, bool on);

/* Alters the body of an audit row, as somebody with access to the disk would: `index` from 0.
 * Threads: any. */
int store_null_tamper(struct store *s, unsigned index);

#endif
