/* Threads that hash and verify passwords, so that the event loop never waits for one.
 *
 * The queue is bounded: what does not fit is refused at once (-EAGAIN, for a 503 or 429), so that
 * guessing passwords costs the attacker's time and not the server's memory. Completions are given
 * back as the store gives its own (mgmt/store/store.h): `wake` is called once from a thread of the
 * hasher, and the loop then calls auth_hasher_deliver(). */
#ifndef MGMT_AUTH_AUTH_HASHER_H
#define MGMT_AUTH_AUTH_HASHER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "mgmt/auth/auth_password.h"

struct auth_hasher;

struct auth_hasher_config {
    unsigned threads;               /* 1 to 16; 0: 2. Each takes cost.memory_kib while it works */
    unsigned queue_max;             /* jobs that may wait; 0: 64 */
    struct auth_password_cost cost; /* all zero: auth_password_cost_default */
    /* Called when completions begin to wait for auth_hasher_deliver(); not again before that has
     * been called. NULL: auth_hasher_deliver() has to be called without being asked for. */
    void (*wake)(void *wake_ctx);
    void *wake_ctx;
};

/* A job, in its submitter's memory, untouched from submit to `done`.
 *
 * result: 0; -EACCES: not the password; -ERANGE: a new password of a length that is not allowed;
 * -ENOMEM, -EIO: try again later; -ECANCELED: the hasher was destroyed first.
 * text: what to store, if not empty: of auth_hasher_hash() the hash; of auth_hasher_verify() a new
 * hash of the same password, where it was right and the old one had been made with other costs. */
struct auth_hasher_job {
    int result;
    char text[AUTH_PASSWORD_TEXT_BYTES];

    /* The hasher's, until done. */
    void (*done)(struct auth_hasher_job *job, void *ctx);
    void *ctx;
    bool verify, known;
    size_t password_bytes;
    char password[AUTH_PASSWORD_MAX_BYTES]; /* a copy, wiped before `done` */
    char stored[AUTH_PASSWORD_TEXT_BYTES];
    struct auth_hasher_job *next;
};

/* NULL: err says why (EINVAL, ENOMEM, EAGAIN: no threads). */
struct auth_hasher *auth_hasher_create(const struct auth_hasher_config *config, struct err *err);
/* Waits for what runs; calls `done` for all that was submitted (in this thread), with -ECANCELED
 * where it had not begun. NULL is allowed. Blocks: as long as a hash. */
void auth_hasher_destroy(struct auth_hasher *h);

/* Hashes a new password. Errors: -EAGAIN (the queue is full), -ERANGE (too short, too long); `done`
 * is not called then. Threads: any. */
int auth_hasher_hash(struct auth_hasher *h, struct auth_hasher_job *job, const char *password,
                     size_t bytes, void (*done)(struct auth_hasher_job *job, void *ctx), void *ctx);
/* Compares with a stored PHC text; NULL: nobody knows that user, which takes as long. Errors:
 * -EAGAIN, -ERANGE (too long for any password). Threads: any. */
int auth_hasher_verify(struct auth_hasher *h, struct auth_hasher_job *job, const char *password,
                       size_t bytes, const char *stored,
                       void (*done)(struct auth_hasher_job *job, void *ctx), void *ctx);

/* Calls `done` of everything completed so far; returns how many. A `done` may submit again.
 * Threads: one at a time. */
unsigned auth_hasher_deliver(struct auth_hasher *h);

#endif
