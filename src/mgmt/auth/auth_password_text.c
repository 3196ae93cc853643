/* The PHC text of a hash: read and written. It comes from the store, so that reading bounds what
 * hashing by it may cost. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/auth/auth_password.h"

#define MEMORY_MAX_KIB (1024u * 1024)
#define PASSES_MAX     64
#define LANES_MAX      16
#define SALT_MIN_BYTES 8
#define HASH_MIN_BYTES 16

static const char PREFIX[] = "$argon2id$v=19$";
static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_value(char c)
{
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

/* Takes `word` from the front of *p. */
static bool take_word(const char **p, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*p, word, n) != 0)
        return false;
    *p += n;
    return true;
}

/* Takes a decimal number, 1 to max, without leading zeros. */
static bool take_number(const char **p, uint32_t max, uint32_t *value)
{
    uint64_t v = 0;
    const char *s = *p;
    if (*s == '0')
        return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        v = v * 10 + (unsigned)(*s - '0');
        if (v > max)
            return false;
    }
    if (s == *p)
        return false;
    *p = s;
    *value = (uint32_t)v;
    return true;
}

/* Takes base64 without padding, up to the next '$' or the end. Bits beyond the last byte are zero,
 * so that there is one text for each value. */
static bool take_base64(const char **p, size_t min, size_t max, uint8_t *bytes, size_t *n_bytes)
{
    const char *s = *p;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;
    for (; *s && *s != '$'; s++) {
        int v = digit_value(*s);
        if (v < 0)
            return false;
        bits = (bits << 6 | (uint32_t)v) & 0xfff;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        if (n == max)
            return false;
        n_bits -= 8;
        bytes[n++] = (uint8_t)(bits >> n_bits);
    }
    if (n < min || n_bits >= 6 || bits & ((1u << n_bits) - 1))
        return false;
    *p = s;
    *n_bytes = n;
    return true;
}

int auth_password_parse(const char *text, struct auth_password_parts *parts)
{
    struct auth_password_parts v = {.salt_bytes = 0};
    const char *p = text;
    bool good = take_word(&p, PREFIX) && take_word(&p, "m=") &&
                take_number(&p, MEMORY_MAX_KIB, &v.cost.memory_kib) && take_word(&p, ",t=") &&
                take_number(&p, PASSES_MAX, &v.cost.passes) && take_word(&p, ",p=") &&
                take_number(&p, LANES_MAX, &v.cost.lanes) && take_word(&p, "$") &&
                take_base64(&p, SALT_MIN_BYTES, sizeof(v.salt), v.salt, &v.salt_bytes) &&
                take_word(&p, "$") &&
                take_base64(&p, HASH_MIN_BYTES, sizeof(v.hash), v.hash, &v.hash_bytes) && !*p;
    if (!good || v.cost.memory_kib < 8 * v.cost.lanes)
        return -EINVAL;
    *parts = v;
    return 0;
}

static size_t put_base64(char *out, const uint8_t *bytes, size_t n_bytes)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        bits = (bits << 8 | bytes[i]) & 0xffff;
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            out[n++] = DIGITS[bits >> (n_bits - 6) & 63];
    }
    if (n_bits)
        out[n++] = DIGITS[bits << (6 - n_bits) & 63];
    out[n] = '\0';
    return n;
}

int auth_password_format(const struct auth_password_parts *parts, char *text, size_t bytes)
{
    char salt[AUTH_PASSWORD_SALT_MAX_BYTES * 4 / 3 + 2],
        hash[AUTH_PASSWORD_HASH_MAX_BYTES * 4 / 3 + 2];
    if (parts->salt_bytes > AUTH_PASSWORD_SALT_MAX_BYTES ||
        parts->hash_bytes > AUTH_PASSWORD_HASH_MAX_BYTES)
        return -ERANGE;
    put_base64(salt, parts->salt, parts->salt_bytes);
    put_base64(hash, parts->hash, parts->hash_bytes);
    int n = snprintf(text, bytes, "%sm=%u,t=%u,p=%u$%s$%s", PREFIX, parts->cost.memory_kib,
                     parts->cost.passes, parts->cost.lanes, salt, hash);
    return n < 0 || (size_t)n >= bytes ? -ERANGE : n;
}
