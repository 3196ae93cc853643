/* The first admin of a new cloud: without one nobody could make any. */
#ifndef MGMT_AUTH_AUTH_BOOTSTRAP_H
#define MGMT_AUTH_AUTH_BOOTSTRAP_H

#include "mgmt/auth/auth_password.h"
#include "mgmt/auth/auth_table.h"

#define AUTH_BOOTSTRAP_PASSWORD_BYTES 32 /* with the final NUL */

/* The records to store, and the password, which is shown once and wiped (auth_bootstrap_fini()).
 */
struct auth_bootstrap {
    struct auth_user user; /* its texts are those here */
    struct auth_role role; /* admin of the cloud */
    char name[AUTH_RECORD_NAME_BYTES];
    char password_text[AUTH_PASSWORD_TEXT_BYTES];
    char password[AUTH_BOOTSTRAP_PASSWORD_BYTES];
};

/* Whether there is no user at all. Asked once everything was loaded. */
bool auth_bootstrap_is_needed(const struct auth_table *t);
/* Makes a user and its role; the ids are the server's. The server stores both in one transaction,
 * with the name as the precondition, so that of two servers that start on one store only one
 * succeeds, and shows the password only when that was done. Errors: EINVAL (the name), ENOMEM, EIO.
 * Blocks: for one hash. */
int auth_bootstrap_make(const char *name, const struct auth_id *user, const struct auth_id *role,
                        int64_t now_ms, const struct auth_password_cost *cost,
                        struct auth_bootstrap *b, struct err *err);
void auth_bootstrap_fini(struct auth_bootstrap *b);

#endif
