#include "mgmt/auth/auth_password.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "mgmt/auth/auth_random_internal.h"

#define SALT_BYTES 16 /* RFC 9106, 3.1 */
#define HASH_BYTES 32

const struct auth_password_cost auth_password_cost_default = {
    .memory_kib = 64 * 1024,
    .passes = 3,
    .lanes = 1,
};

void auth_password_wipe(void *secret, size_t bytes)
{
    OPENSSL_cleanse(secret, bytes);
}

static int run(const char *password, size_t bytes, const struct auth_password_parts *parts,
               uint8_t *hash)
{
    int r =
        argon2id_hash_raw(parts->cost.passes, parts->cost.memory_kib, parts->cost.lanes, password,
                          bytes, parts->salt, parts->salt_bytes, hash, parts->hash_bytes);
    return r == ARGON2_OK ? 0 : -ENOMEM; /* all else was checked before */
}

static bool cost_is_valid(const struct auth_password_cost *cost)
{
    struct auth_password_parts parts = {
        .cost = *cost, .salt_bytes = SALT_BYTES, .hash_bytes = HASH_BYTES};
    char text[AUTH_PASSWORD_TEXT_BYTES];
    return auth_password_format(&parts, text, sizeof(text)) > 0 &&
           !auth_password_parse(text, &parts);
}

int auth_password_hash(const char *password, size_t bytes, const struct auth_password_cost *cost,
                       char text[AUTH_PASSWORD_TEXT_BYTES], struct err *err)
{
    struct auth_password_parts parts = {
        .cost = *cost, .salt_bytes = SALT_BYTES, .hash_bytes = HASH_BYTES};
    if (bytes < AUTH_PASSWORD_MIN_BYTES || bytes > AUTH_PASSWORD_MAX_BYTES)
        return err_set(err, ERANGE, "a password has %d to %d bytes, this one %zu",
                       AUTH_PASSWORD_MIN_BYTES, AUTH_PASSWORD_MAX_BYTES, bytes);
    if (!cost_is_valid(cost))
        return err_set(err, EINVAL, "argon2id cannot use %u KiB, %u passes and %u lanes",
                       cost->memory_kib, cost->passes, cost->lanes);
    int r = auth_random_fill(parts.salt, SALT_BYTES, err);
    if (r)
        return r;
    r = run(password, bytes, &parts, parts.hash);
    if (r)
        err_set(err, ENOMEM, "could not get %u KiB to hash a password; try again later",
                cost->memory_kib);
    else
        auth_password_format(&parts, text, AUTH_PASSWORD_TEXT_BYTES);
    auth_password_wipe(&parts, sizeof(parts));
    return r;
}

int auth_password_verify(const char *password, size_t bytes, const char *text,
                         const struct auth_password_cost *cost)
{
    struct auth_password_parts parts;
    uint8_t hash[AUTH_PASSWORD_HASH_MAX_BYTES];
    bool known = text && !auth_password_parse(text, &parts);
    if (!known)
        parts = (struct auth_password_parts){
            .cost = *cost, .salt_bytes = SALT_BYTES, .hash_bytes = HASH_BYTES};
    if (bytes > AUTH_PASSWORD_MAX_BYTES)
        return -EACCES; /* nobody has such a password: that much says nothing of a user */
    int r = run(password, bytes, &parts, hash);
    if (!r && (CRYPTO_memcmp(hash, parts.hash, parts.hash_bytes) != 0 || !known))
        r = -EACCES;
    auth_password_wipe(hash, sizeof(hash));
    auth_password_wipe(&parts, sizeof(parts));
    return r;
}

bool auth_password_is_stale(const char *text, const struct auth_password_cost *cost)
{
    struct auth_password_parts parts;
    if (auth_password_parse(text, &parts))
        return true;
    bool stale = parts.cost.memory_kib != cost->memory_kib || parts.cost.passes != cost->passes ||
                 parts.cost.lanes != cost->lanes || parts.salt_bytes != SALT_BYTES ||
                 parts.hash_bytes != HASH_BYTES;
    auth_password_wipe(&parts, sizeof(parts));
    return stale;
}
