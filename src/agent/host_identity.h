/* Who a host is: its certificate with its key (one file, so that they change together), the
 * authority that its server is checked by, and where the server is. In the state directory:
 * identity.pem, authority.pem, server. */
#ifndef AGENT_HOST_IDENTITY_H
#define AGENT_HOST_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define HOST_IDENTITY_PATH_BYTES   512
#define HOST_IDENTITY_SERVER_BYTES 280

struct host_identity {
    uint8_t id[16];           /* the certificate's common name */
    int64_t begins_s, ends_s; /* Unix time */
    char cert_path[HOST_IDENTITY_PATH_BYTES], authority_path[HOST_IDENTITY_PATH_BYTES];
    char server[HOST_IDENTITY_SERVER_BYTES]; /* HOST:PORT; "": not known */
};

/* Errors: ENOENT: the host has not joined; EINVAL: the certificate is no host's. */
int host_identity_load(const char *state_dir, struct host_identity *out, struct err *err);
/* What a join gave; the directory is made when it is not there. */
int host_identity_store(const char *state_dir, const char *key_pem, const char *cert_pem,
                        const char *authority_pem, const char *server, struct err *err);
/* A new certificate for the same host: checked, and then the one there is replaced. Errors: EACCES
 * (not of this authority, or another host's). */
int host_identity_renew(const char *state_dir, const uint8_t id[16], const char *key_pem,
                        const char *cert_pem, const char *authority_pem, struct err *err);
/* Whether two thirds of its time are over. */
bool host_identity_is_old(const struct host_identity *h, int64_t now_s);

#endif
