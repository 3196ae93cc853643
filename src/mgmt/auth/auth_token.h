/* Secrets that speak for a user, as text: API tokens, sessions, tickets.
 *
 *   virga_ KIND _ BODY     KIND: "api", "ses" or "tkt"
 *                          BODY: 58 characters of base32 (RFC 4648's alphabet in lower case, no
 *                          padding) of 32 random bytes and their checksum
 *
 * The prefix lets scanners of repositories find one that was leaked, the checksum (CRC-32C of KIND
 * and the random bytes, little-endian) tells a typo from a token that was revoked, without a
 * look-up; neither makes it a secret, the 256 random bits do. There is one text for each token.
 * What is kept is the SHA-256 of the whole text: 256 random bits need no slow hash. */
#ifndef MGMT_AUTH_AUTH_TOKEN_H
#define MGMT_AUTH_AUTH_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AUTH_TOKEN_BYTES      69 /* of the text, with the final NUL */
#define AUTH_TOKEN_HASH_BYTES 32

enum auth_token_kind {
    AUTH_TOKEN_API,
    AUTH_TOKEN_SESSION, /* from signing in; each use moves its end */
    AUTH_TOKEN_TICKET,  /* opens one WebSocket */
    AUTH_TOKEN_KINDS
};

/* A new one. Owns: `text` is the caller's to wipe once it was sent. Errors: EIO (no random bytes).
 */
int auth_token_make(enum auth_token_kind kind, char text[AUTH_TOKEN_BYTES],
                    uint8_t hash[AUTH_TOKEN_HASH_BYTES], struct err *err);

/* Reads a text of `bytes` bytes. The message says what is wrong with it and never repeats it.
 * Errors: EINVAL (no token of ours), EBADMSG (one with a mistake in it: the checksum). */
int auth_token_parse(const char *text, size_t bytes, enum auth_token_kind *kind, struct err *err);

/* What is kept of a text that auth_token_parse() has taken. Allocates nothing. Errors: EIO (OpenSSL
 * failed). */
int auth_token_hash(const char *text, size_t bytes, uint8_t hash[AUTH_TOKEN_HASH_BYTES]);

/* The token in the value of an Authorization header, "Bearer TOKEN" (RFC 6750, 2.1; the scheme in
 * any case). Borrowed from `header`. Errors: EINVAL: another scheme, or nothing behind it. */
int auth_token_bearer(const char *header, const char **text, size_t *bytes);

#endif
