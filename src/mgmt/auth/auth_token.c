/* OpenSSL 3.0's other interface to SHA-256 allocates for each digest, which is made for each
 * request. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "mgmt/auth/auth_token.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/crc32c.h"
#include "base/util.h"
#include "mgmt/auth/auth_random_internal.h"

#define PREFIX_BYTES   10 /* "virga_api_" */
#define SECRET_BYTES   32
#define RAW_BYTES      (SECRET_BYTES + 4)
#define BODY_BYTES     ((RAW_BYTES * 8 + 4) / 5)
#define LAST_ZERO_BITS (BODY_BYTES * 5 - RAW_BYTES * 8)

static_assert(AUTH_TOKEN_HASH_BYTES == SHA256_DIGEST_LENGTH, "the hash is a SHA-256");
static_assert(PREFIX_BYTES + BODY_BYTES + 1 == AUTH_TOKEN_BYTES, "the text's size");

static const char *const PREFIXES[AUTH_TOKEN_KINDS] = {
    [AUTH_TOKEN_API] = "virga_api_",
    [AUTH_TOKEN_SESSION] = "virga_ses_",
    [AUTH_TOKEN_TICKET] = "virga_tkt_",
};

static uint32_t checksum(enum auth_token_kind kind, const uint8_t secret[SECRET_BYTES])
{
    return crc32c(crc32c(0, PREFIXES[kind], PREFIX_BYTES), secret, SECRET_BYTES);
}

static void encode(const uint8_t raw[RAW_BYTES], char *text)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    for (unsigned i = 0; i < RAW_BYTES; i++) {
        bits = (bits << 8 | raw[i]) & 0xffff;
        for (n_bits += 8; n_bits >= 5; n_bits -= 5)
            *text++ = auth_random_digits[bits >> (n_bits - 5) & 31];
    }
    *text++ = auth_random_digits[bits << (5 - n_bits) & 31];
    *text = '\0';
}

static int digit_value(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

static bool decode(const char *text, uint8_t raw[RAW_BYTES])
{
    uint32_t bits = 0;
    unsigned n_bits = 0, n = 0;
    for (unsigned i = 0; i < BODY_BYTES; i++) {
        int v = digit_value(text[i]);
        if (v < 0)
            return false;
        bits = (bits << 5 | (uint32_t)v) & 0xfff;
        n_bits += 5;
        if (n_bits >= 8) {
            n_bits -= 8;
            raw[n++] = (uint8_t)(bits >> n_bits);
        }
    }
    return !(bits & ((1u << LAST_ZERO_BITS) - 1));
}

int auth_token_make(enum auth_token_kind kind, char text[AUTH_TOKEN_BYTES],
                    uint8_t hash[AUTH_TOKEN_HASH_BYTES], struct err *err)
{
    uint8_t raw[RAW_BYTES];
    char made[AUTH_TOKEN_BYTES];
    int r = auth_random_fill(raw, SECRET_BYTES, err);
    if (r)
        return r;
    le32_write(raw + SECRET_BYTES, checksum(kind, raw));
    memcpy(made, PREFIXES[kind], PREFIX_BYTES);
    encode(raw, made + PREFIX_BYTES);
    r = auth_token_hash(made, AUTH_TOKEN_BYTES - 1, hash);
    if (r)
        err_set(err, -r, "could not compute a SHA-256");
    else
        memcpy(text, made, sizeof(made));
    OPENSSL_cleanse(raw, sizeof(raw));
    OPENSSL_cleanse(made, sizeof(made));
    return r;
}

static int kind_of(const char *text, size_t bytes, enum auth_token_kind *kind)
{
    if (bytes < PREFIX_BYTES)
        return -EINVAL;
    for (unsigned k = 0; k < AUTH_TOKEN_KINDS; k++) {
        if (!memcmp(text, PREFIXES[k], PREFIX_BYTES)) {
            *kind = (enum auth_token_kind)k;
            return 0;
        }
    }
    return -EINVAL;
}

int auth_token_parse(const char *text, size_t bytes, enum auth_token_kind *kind, struct err *err)
{
    uint8_t raw[RAW_BYTES];
    enum auth_token_kind k;
    if (kind_of(text, bytes, &k))
        return err_set(err, EINVAL,
                       "this is no token of Virga: one begins with virga_api_, "
                       "virga_ses_ or virga_tkt_");
    if (bytes != AUTH_TOKEN_BYTES - 1)
        return err_set(err, EINVAL, "a token has %d characters, this one %zu: was it cut?",
                       AUTH_TOKEN_BYTES - 1, bytes);
    int r = 0;
    if (!decode(text + PREFIX_BYTES, raw))
        r = err_set(err, EINVAL, "the token holds a character that no token holds there");
    else if (le32_read(raw + SECRET_BYTES) != checksum(k, raw))
        r = err_set(err, EBADMSG, "the token has a mistake in it: its checksum is wrong");
    else
        *kind = k;
    OPENSSL_cleanse(raw, sizeof(raw));
    return r;
}

int auth_token_hash(const char *text, size_t bytes, uint8_t hash[AUTH_TOKEN_HASH_BYTES])
{
    SHA256_CTX ctx;
    bool done = SHA256_Init(&ctx) && SHA256_Update(&ctx, text, bytes) && SHA256_Final(hash, &ctx);
    OPENSSL_cleanse(&ctx, sizeof(ctx));
    return done ? 0 : -EIO;
}

int auth_token_bearer(const char *header, const char **text, size_t *bytes)
{
    if (strncasecmp(header, "bearer ", 7) != 0)
        return -EINVAL;
    const char *p = header + 7;
    p += strspn(p, " ");
    size_t n = strcspn(p, " \t");
    if (!n || p[n + strspn(p + n, " \t")])
        return -EINVAL;
    *text = p;
    *bytes = n;
    return 0;
}
