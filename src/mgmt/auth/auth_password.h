/* Passwords: argon2id, kept as the PHC text ("$argon2id$v=19$m=65536,t=3,p=1$SALT$HASH").
 *
 * A hash takes long (a tenth of a second and more) and 64 MiB on purpose: the server asks
 * mgmt/auth/auth_hasher.h, which calls these on threads of its own. Passwords are bytes (UTF-8 as
 * it was typed); what holds one is wiped by whoever made it. Source: RFC 9106, 4: the second
 * recommended option (t=3, 64 MiB), but one lane, since a hash here gets one thread: several logins
 * run beside each other. Spec of the text: PHC string format. */
#ifndef MGMT_AUTH_AUTH_PASSWORD_H
#define MGMT_AUTH_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AUTH_PASSWORD_MIN_BYTES  10   /* of a new one; api/identity.yaml says characters */
#define AUTH_PASSWORD_MAX_BYTES  1020 /* 255 characters of UTF-8 */
#define AUTH_PASSWORD_TEXT_BYTES 128  /* of a PHC text that is made here, with the final NUL */

struct auth_password_cost {
    uint32_t memory_kib, passes, lanes;
};
/* What new hashes are made with. */
extern const struct auth_password_cost auth_password_cost_default;

/* Hashes with a fresh salt. Errors: ERANGE (too short or too long), EINVAL (a cost that
 * argon2id cannot have), ENOMEM, EIO (no random bytes). Threads: any. Blocks. */
int auth_password_hash(const char *password, size_t bytes, const struct auth_password_cost *cost,
                       char text[AUTH_PASSWORD_TEXT_BYTES], struct err *err);

/* Whether it is the password that `text` was made from. `text` NULL (no such user, or one that has
 * no password) or unreadable: takes as long as `cost` and says no. One that is longer than any
 * password is refused at once, whoever's it is.
 * Errors: EACCES (it is not), ENOMEM. Threads: any. Blocks. */
int auth_password_verify(const char *password, size_t bytes, const char *text,
                         const struct auth_password_cost *cost);

/* Whether a text was made with another cost than this one (or cannot be read), so that the password
 * should be hashed anew the next time it is known. */
bool auth_password_is_stale(const char *text, const struct auth_password_cost *cost);

/* Overwrites what held a secret; the compiler does not leave it out. */
void auth_password_wipe(void *secret, size_t bytes);

/* A PHC text of argon2id, version 19, read strictly: no leading zeros, no unknown parts, costs
 * within bounds (memory up to 1 GiB, 64 passes, 16 lanes), so that no stored text can take the
 * machine. Errors: EINVAL. */
#define AUTH_PASSWORD_SALT_MAX_BYTES 48
#define AUTH_PASSWORD_HASH_MAX_BYTES 64
struct auth_password_parts {
    struct auth_password_cost cost;
    uint8_t salt[AUTH_PASSWORD_SALT_MAX_BYTES], hash[AUTH_PASSWORD_HASH_MAX_BYTES];
    size_t salt_bytes, hash_bytes; /* at least 8, at least 16 */
};
int auth_password_parse(const char *text, struct auth_password_parts *parts);
/* The other way. Returns the text's length, or -ERANGE. */
int auth_password_format(const struct auth_password_parts *parts, char *text, size_t bytes);

#endif
