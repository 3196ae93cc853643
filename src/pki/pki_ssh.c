#include "pki/pki_ssh.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ED25519_BYTES     32
#define COMMENT_MAX_BYTES 255
#define LINE_CHARS        70 /* of the private form, as ssh-keygen breaks it */
#define BLOB_MAX_BYTES    (PKI_SSH_LINE_MAX_BYTES / 4 * 3 + 3)

/* ---- what is read ---- */

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

/* A string of RFC 4251, section 5: its length in four bytes, then it. */
static const uint8_t *read_string(struct reader *r, size_t *bytes)
{
    *bytes = 0;
    if (r->failed || r->left < 4)
        goto bad;
    size_t n = (size_t)r->at[0] << 24 | (size_t)r->at[1] << 16 | (size_t)r->at[2] << 8 | r->at[3];
    if (n > r->left - 4)
        goto bad;
    const uint8_t *p = r->at + 4;
    r->at += 4 + n;
    r->left -= 4 + n;
    *bytes = n;
    return p;
bad:
    r->failed = true;
    return NULL;
}

/* A positive number: returns its bits, 0 where it is none or is not written in the one way. */
static unsigned read_number(struct reader *r, const uint8_t **low)
{
    size_t n;
    const uint8_t *p = read_string(r, &n);
    if (!p || !n || p[0] & 0x80 || (p[0] == 0 && (n == 1 || !(p[1] & 0x80))))
        return 0;
    if (!p[0]) {
        p++;
        n--;
    }
    *low = p + n - 1;
    unsigned bits = (unsigned)(n - 1) * 8;
    for (unsigned top = p[0]; top; top >>= 1)
        bits++;
    return bits;
}

static int read_rsa(struct reader *r, unsigned *bits, struct err *err)
{
    const uint8_t *e = NULL, *n = NULL;
    unsigned e_bits = read_number(r, &e), n_bits = read_number(r, &n);
    if (e_bits < 2 || e_bits > 64 || !n_bits || !(*e & 1) || !(*n & 1))
        return err_set(err, EINVAL, "the numbers of its RSA key cannot be those of one");
    if (n_bits < PKI_SSH_RSA_MIN_BITS || n_bits > PKI_SSH_RSA_MAX_BITS)
        return err_set(err, EINVAL,
                       "its RSA key has %u bits, and %d to %d are allowed: make another, best of "
                       "type ed25519",
                       n_bits, PKI_SSH_RSA_MIN_BITS, PKI_SSH_RSA_MAX_BITS);
    *bits = n_bits;
    return 0;
}

static int read_ed25519(struct reader *r, unsigned *bits, struct err *err)
{
    size_t n;
    if (!read_string(r, &n) || n != ED25519_BYTES)
        return err_set(err, EINVAL, "its ed25519 key has %zu bytes, not %d", n, ED25519_BYTES);
    *bits = 8 * ED25519_BYTES;
    return 0;
}

static bool is_on_curve(const char *group, const uint8_t *point, size_t bytes)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point, bytes),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    bool ok = ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

static int read_ecdsa(struct reader *r, const char *curve, unsigned *bits, struct err *err)
{
    static const struct {
        const char *name, *group;
        unsigned bits;
    } curves[] = {
        {"nistp256", "P-256", 256}, {"nistp384", "P-384", 384}, {"nistp521", "P-521", 521}};
    size_t name_bytes, n;
    const uint8_t *name = read_string(r, &name_bytes), *point = read_string(r, &n);
    for (size_t i = 0; point && i < sizeof(curves) / sizeof(curves[0]); i++) {
        size_t coordinate = (curves[i].bits + 7) / 8;
        if (strcmp(curves[i].name, curve) != 0)
            continue;
        if (name_bytes != strlen(curve) || memcmp(name, curve, name_bytes) != 0 ||
            n != 1 + 2 * coordinate || point[0] != 4 || !is_on_curve(curves[i].group, point, n))
            break;
        *bits = curves[i].bits;
        return 0;
    }
    return err_set(err, EINVAL, "its key is no point of the curve %s", curve);
}

/* ---- base64 (RFC 4648, section 4), strict: one text for each blob ---- */

static int digit(char ch)
{
    return ch >= 'A' && ch <= 'Z'   ? ch - 'A'
           : ch >= 'a' && ch <= 'z' ? ch - 'a' + 26
           : ch >= '0' && ch <= '9' ? ch - '0' + 52
           : ch == '+'              ? 62
           : ch == '/'              ? 63
                                    : -1;
}

/* Returns how many bytes; 0: it is none, or empty. */
static size_t decode(const char *text, size_t chars, uint8_t *out)
{
    size_t n = 0, pads = 0;
    if (chars % 4 || !chars)
        return 0;
    while (pads < 2 && text[chars - 1 - pads] == '=')
        pads++;
    uint32_t group = 0;
    for (size_t i = 0; i < chars; i++) {
        int v = i < chars - pads ? digit(text[i]) : 0;
        if (v < 0)
            return 0;
        group = group << 6 | (uint32_t)v;
        if (i % 4 != 3)
            continue;
        bool last = i == chars - 1;
        if (last && pads && group & (pads == 1 ? 0xff : 0xffff))
            return 0; /* bits that no blob has */
        out[n++] = (uint8_t)(group >> 16);
        if (!last || pads < 2)
            out[n++] = (uint8_t)(group >> 8);
        if (!last || !pads)
            out[n++] = (uint8_t)group;
        group = 0;
    }
    return n;
}

static void fingerprint(const uint8_t *blob, size_t bytes, char text[PKI_SSH_FINGERPRINT_BYTES])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char encoded[SHA256_DIGEST_LENGTH / 3 * 4 + 8];
    SHA256(blob, bytes, hash);
    EVP_EncodeBlock((uint8_t *)encoded, hash, sizeof(hash));
    encoded[strcspn(encoded, "=")] = 0;
    snprintf(text, PKI_SSH_FINGERPRINT_BYTES, "SHA256:%.43s", encoded);
}

/* ---- a line ---- */

static const char *const types[] = {"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
                                    "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};

static const char *type_of(const char *text, size_t chars)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strlen(types[i]) == chars && !memcmp(types[i], text, chars))
            return types[i];
    return NULL;
}

static int read_blob(const char *type, const uint8_t *blob, size_t bytes, unsigned *bits,
                     struct err *err)
{
    struct reader r = {blob, bytes, false};
    size_t n;
    const uint8_t *inner = read_string(&r, &n);
    if (!inner || n != strlen(type) || memcmp(inner, type, n) != 0)
        return err_set(err, EINVAL, "its base64 part is no key of type %s", type);
    int e = type == types[0]   ? read_ed25519(&r, bits, err)
            : type == types[1] ? read_rsa(&r, bits, err)
                               : read_ecdsa(&r, type + strlen("ecdsa-sha2-"), bits, err);
    if (!e && r.left)
        e = err_set(err, EINVAL, "its base64 part holds more than a key");
    return e;
}

int pki_ssh_read(const char *line, struct pki_ssh_key *key, struct err *err)
{
    uint8_t blob[BLOB_MAX_BYTES];
    struct pki_ssh_key k = {0};
    line += strspn(line, " ");
    size_t bytes = strlen(line);
    while (bytes && strchr(" \r\n", line[bytes - 1]))
        bytes--;
    if (bytes > PKI_SSH_LINE_MAX_BYTES)
        return err_set(err, EINVAL, "it has %zu bytes, and %d are allowed", bytes,
                       PKI_SSH_LINE_MAX_BYTES);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            return err_set(err, EINVAL, "it is more than one line, or holds control characters");
    size_t chars = strcspn(line, " ");
    chars = chars < bytes ? chars : bytes;
    k.type = type_of(line, chars);
    if (!k.type)
        return err_set(err, EINVAL,
                       "it begins with none of ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256, -384, "
                       "-521: give the line of a .pub file");
    const char *text = line + chars;
    text += strspn(text, " ");
    size_t left = bytes - (size_t)(text - line);
    chars = strcspn(text, " ");
    size_t n = text < line + bytes ? decode(text, chars < left ? chars : left, blob) : 0;
    if (!n)
        return err_set(err, EINVAL, "what follows %s is not base64", k.type);
    int e = read_blob(k.type, blob, n, &k.bits, err);
    if (e)
        return e;
    fingerprint(blob, n, k.fingerprint);
    *key = k;
    return 0;
}

/* ---- a pair ---- */

struct writer {
    uint8_t bytes[1024];
    size_t n;
};

static void put_int(struct writer *w, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        w->bytes[w->n++] = (uint8_t)(v >> shift);
}

static void put_string(struct writer *w, const void *data, size_t bytes)
{
    put_int(w, (uint32_t)bytes);
    memcpy(w->bytes + w->n, data, bytes);
    w->n += bytes;
}

static void put_text(struct writer *w, const char *text)
{
    put_string(w, text, strlen(text));
}

static void put_public(struct writer *w, const uint8_t public[ED25519_BYTES])
{
    put_text(w, types[0]);
    put_string(w, public, ED25519_BYTES);
}

/* The part that a passphrase would hide: here it is in the clear. */
static void put_private(struct writer *w, const uint8_t public[ED25519_BYTES],
                        const uint8_t seed[ED25519_BYTES], uint32_t check, const char *comment)
{
    uint8_t both[2 * ED25519_BYTES];
    memcpy(both, seed, ED25519_BYTES);
    memcpy(both + ED25519_BYTES, public, ED25519_BYTES);
    put_int(w, check); /* twice: shows whether it was decrypted well */
    put_int(w, check);
    put_public(w, public);
    put_string(w, both, sizeof(both));
    put_text(w, comment);
    for (uint8_t pad = 1; w->n % 8; pad++)
        w->bytes[w->n++] = pad;
    OPENSSL_cleanse(both, sizeof(both));
}

static char *public_line_of(const uint8_t public[ED25519_BYTES], const char *comment)
{
    struct writer blob = {.n = 0};
    char encoded[128], *line;
    put_public(&blob, public);
    EVP_EncodeBlock((uint8_t *)encoded, blob.bytes, (int)blob.n);
    return asprintf(&line, "%s %s %s", types[0], encoded, comment) < 0 ? NULL : line;
}

static char *private_text_of(const struct writer *whole)
{
    static const char head[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
    static const char tail[] = "-----END OPENSSH PRIVATE KEY-----\n";
    char encoded[sizeof(whole->bytes) / 3 * 4 + 8], *text, *p;
    size_t chars = (size_t)EVP_EncodeBlock((uint8_t *)encoded, whole->bytes, (int)whole->n);
    text = p = malloc(sizeof(head) + sizeof(tail) + chars + chars / LINE_CHARS + 2);
    if (text) {
        p = stpcpy(p, head);
        for (size_t at = 0; at < chars; at += LINE_CHARS) {
            size_t n = chars - at < LINE_CHARS ? chars - at : LINE_CHARS;
            memcpy(p, encoded + at, n);
            p += n;
            *p++ = '\n';
        }
        strcpy(p, tail);
    }
    OPENSSL_cleanse(encoded, sizeof(encoded));
    return text;
}

static char *make_private(const uint8_t public[ED25519_BYTES], const uint8_t seed[ED25519_BYTES],
                          uint32_t check, const char *comment)
{
    struct writer inner = {.n = 0}, blob = {.n = 0}, whole = {.n = 0};
    put_private(&inner, public, seed, check, comment);
    put_public(&blob, public);
    memcpy(whole.bytes, "openssh-key-v1", 15); /* with its NUL */
    whole.n = 15;
    put_text(&whole, "none"); /* cipher */
    put_text(&whole, "none"); /* key derivation, and its options */
    put_text(&whole, "");
    put_int(&whole, 1);
    put_string(&whole, blob.bytes, blob.n);
    put_string(&whole, inner.bytes, inner.n);
    char *text = private_text_of(&whole);
    OPENSSL_cleanse(&inner, sizeof(inner));
    OPENSSL_cleanse(&whole, sizeof(whole));
    return text;
}

static int check_comment(const char *comment, struct err *err)
{
    size_t n = strlen(comment);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)comment[i] < ' ' || comment[i] == 0x7f)
            return err_set(err, EINVAL, "a key's comment holds no control characters");
    return n <= COMMENT_MAX_BYTES
               ? 0
               : err_set(err, EINVAL, "a key's comment has %d bytes at most", COMMENT_MAX_BYTES);
}

int pki_ssh_create(const char *comment, char **public_line, char **private_text, struct err *err)
{
    uint8_t seed[ED25519_BYTES], public[ED25519_BYTES];
    size_t seed_bytes = sizeof(seed), public_bytes = sizeof(public);
    uint32_t check;
    int e = check_comment(comment, err);
    if (e)
        return e;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!key || !EVP_PKEY_get_raw_private_key(key, seed, &seed_bytes) ||
        !EVP_PKEY_get_raw_public_key(key, public, &public_bytes) ||
        RAND_bytes((uint8_t *)&check, sizeof(check)) != 1) {
        EVP_PKEY_free(key);
        ERR_clear_error();
        return err_set(err, EIO, "could not make an ed25519 key: try again");
    }
    EVP_PKEY_free(key);
    char *line = public_line_of(public, comment);
    char *text = make_private(public, seed, check, comment);
    OPENSSL_cleanse(seed, sizeof(seed));
    if (!line || !text) {
        if (text)
            OPENSSL_cleanse(text, strlen(text));
        free(line);
        free(text);
        return err_set(err, ENOMEM, "no memory for a key");
    }
    *public_line = line;
    *private_text = text;
    return 0;
}
