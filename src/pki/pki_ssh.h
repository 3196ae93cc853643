/* Keys for SSH: public ones in OpenSSH's one-line form are read and checked, and pairs are made.
 *
 * What is read comes from users and goes into guests' authorized_keys: one line, one key, no
 * options, and nothing in it that is not a key of its type.
 *
 * Spec: RFC 4253, 6.6 (ssh-rsa); RFC 5656, 3.1 (ecdsa); RFC 8709, 4 (ssh-ed25519); OpenSSH's
 * PROTOCOL.key (the private form). Threads: everything here may run at once. */
#ifndef PKI_PKI_SSH_H
#define PKI_PKI_SSH_H

#include <stddef.h>

#include "base/err.h"

#define PKI_SSH_LINE_MAX_BYTES    8191
#define PKI_SSH_FINGERPRINT_BYTES 51 /* "SHA256:", 43 characters, NUL */
#define PKI_SSH_RSA_MIN_BITS      2048
#define PKI_SSH_RSA_MAX_BITS      16384

struct pki_ssh_key {
    const char *type; /* "ssh-ed25519" */
    unsigned bits;
    char fingerprint[PKI_SSH_FINGERPRINT_BYTES]; /* as ssh-keygen -l shows it */
};

/* Reads "TYPE BASE64 [COMMENT]"; blanks around it are allowed. Types: ssh-ed25519, ssh-rsa of
 * PKI_SSH_RSA_MIN_BITS or more, ecdsa-sha2-nistp256, -384 and -521.
 * Errors: EINVAL; the message says what is wrong with which part. */
int pki_ssh_read(const char *line, struct pki_ssh_key *key, struct err *err);

/* A new ed25519 pair. Owns: *public_line (no newline) and *private_text are the caller's to free,
 * the latter after pki_wipe(). `comment` (no control characters, at most 255 bytes) is in both.
 * Errors: EINVAL, ENOMEM, EIO (no random bytes). */
int pki_ssh_create(const char *comment, char **public_line, char **private_text, struct err *err);

#endif
