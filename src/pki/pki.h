/* The cloud's own certificates, by OpenSSL: an authority, and what it signs for servers and hosts.
 *
 * Keys are ECDSA P-256. What a certificate says of its owner (name, usage, how long) is what the
 * signer was told, never what the request asks for: a request is a proof that its sender holds the
 * key, and nothing more. Everything is PEM text.
 *
 * Source: RFC 5280 (profile), RFC 2986 (requests). */
#ifndef PKI_PKI_H
#define PKI_PKI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PKI_FINGERPRINT_BYTES 32 /* SHA-256 of the certificate's DER form */
#define PKI_NAME_MAX_BYTES    64 /* of a common name: RFC 5280's ub-common-name */
#define PKI_PEM_MAX_BYTES     16384

enum pki_usage { PKI_SERVER, PKI_CLIENT, PKI_BOTH };

/* A new key. Owns: free() after pki_wipe(). NULL: err says why. */
char *pki_key_create(struct err *err);
/* Overwrites a text that was a key. NULL is allowed. */
void pki_wipe(char *text);

/* A certificate authority's own certificate, signed by itself, which may sign others but no
 * authorities. Owns: free(). */
char *pki_authority_create(const char *key_pem, const char *name, unsigned days, struct err *err);

/* A request for a certificate of that key. Owns: free(). */
char *pki_request_create(const char *key_pem, struct err *err);

struct pki_subject {
    const char *name; /* the common name: what the other side is told */
    enum pki_usage usage;
    unsigned days;
    const char *const
        *dns_names; /* ended by NULL; may be NULL. "10.0.0.1" is taken as an address */
};

/* Signs. It begins an hour ago: clocks differ. Owns: free().
 * Errors: EINVAL (the request is none, or not signed by its own key; the name is empty or too
 * long; a key that is not EC P-256). */
char *pki_sign(const char *authority_key_pem, const char *authority_pem, const char *request_pem,
               const struct pki_subject *subject, struct err *err);

struct pki_info {
    char name[PKI_NAME_MAX_BYTES + 1];
    int64_t begins_s, ends_s; /* Unix time */
    uint8_t fingerprint[PKI_FINGERPRINT_BYTES];
    char serial[64]; /* hexadecimal */
};
/* Errors: EINVAL: not a certificate. */
int pki_read(const char *pem, struct pki_info *info, struct err *err);

/* Whether the certificate was signed by the authority, for this usage, and holds at that time (Unix
 * time). Errors: EACCES, with the reason; EINVAL. */
int pki_verify(const char *pem, const char *authority_pem, enum pki_usage usage, int64_t now_s,
               struct err *err);

#endif
