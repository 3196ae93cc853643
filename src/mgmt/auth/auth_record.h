/* What the table keeps of users, role assignments and API tokens: plain structs, and how to fill
 * them in from the API's documents. Texts are borrowed until the call that takes the record ends.
 */
#ifndef MGMT_AUTH_AUTH_RECORD_H
#define MGMT_AUTH_AUTH_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "api/gen/identity.h"
#include "base/err.h"
#include "mgmt/auth/auth_token.h"

#define AUTH_RECORD_NAME_BYTES 64 /* with the final NUL; api/common.yaml: Name */

/* A UUID; all zero: none. */
struct auth_id {
    uint8_t bytes[16];
};

struct auth_user {
    struct auth_id id;
    const char *name;
    const char *password; /* the PHC text; NULL: cannot sign in by password */
    bool enabled;
    struct auth_id default_project; /* zero: none */
    /* Sessions that began earlier have ended: when the password was last set. Units: ms since 1970.
     */
    int64_t sessions_since_ms;
};

struct auth_role {
    struct auth_id id;
    struct auth_id user;
    struct auth_id project; /* zero: in the whole cloud */
    enum api_role_name role;
};

struct auth_api_token {
    struct auth_id id;
    struct auth_id owner;
    const char *name;
    uint8_t hash[AUTH_TOKEN_HASH_BYTES]; /* of its text */
    uint32_t scopes;                     /* a bit for each enum api_token_scope */
    struct auth_id project;              /* the only one that it works in; zero: all */
    int64_t expires_ms;                  /* since 1970 */
    uint32_t rate_limit_per_min;
};

/* From stored documents, where references are ids. What the document does not hold (password, hash,
 * sessions_since_ms) is an argument. Errors: EINVAL: the document lacks something or holds what the
 * API would not take; the message names the field. `record` is untouched then. */
int auth_record_user(const struct api_user *doc, const char *password, int64_t sessions_since_ms,
                     struct auth_user *record, struct err *err);
int auth_record_role(const struct api_role *doc, struct auth_role *record, struct err *err);
int auth_record_token(const struct api_token *doc, const uint8_t hash[AUTH_TOKEN_HASH_BYTES],
                      struct auth_api_token *record, struct err *err);

bool auth_record_id_is_zero(const struct auth_id *id);
bool auth_record_id_equal(const struct auth_id *a, const struct auth_id *b);

/* A list of scopes as bits. */
uint32_t auth_record_scopes(const enum api_token_scope *scopes, unsigned n);
/* Whether a token with these scopes may do what needs that one. As api_route_in_scope(). */
bool auth_record_in_scope(uint32_t scopes, enum api_token_scope needed);

#endif
