/* A host joins a cloud: it makes a key, shows the secret of a join token, and gets a certificate
 * (POST /v1/host-joins of the API). The key never leaves the host.
 *
 * The secret is TOKEN_FINGERPRINT: the fingerprint (SHA-256 of the DER form, in hexadecimal) of the
 * cloud's authority, by which the server is known before anything is said to it. The server must
 * show the authority's certificate behind its own. */
#ifndef AGENT_HOST_JOIN_H
#define AGENT_HOST_JOIN_H

#include <stdint.h>

#include "base/err.h"

struct host_join_request {
    const char *server; /* HOST:PORT */
    const char *secret;
    const char *name; /* of the host */
    /* PEM: what the server is checked by instead of the fingerprint; NULL: by that. */
    const char *authority_path;
    const char *state_dir; /* where the identity is kept */
};

/* *id receives the host's. Errors: EINVAL (the secret has no fingerprint, or the answer is none),
 * ECONNREFUSED (not reached, or not the server that the secret is of), EACCES (refused: err has the
 * server's words). Blocks. */
int host_join(const struct host_join_request *request, uint8_t id[16], struct err *err);

/* "https://HOST:PORT/#SECRET" in two; both are within `text`, which is cut. Errors: EINVAL. */
int host_join_split(char *text, const char **server, const char **secret);

#endif
