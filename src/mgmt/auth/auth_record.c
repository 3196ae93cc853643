#include "mgmt/auth/auth_record.h"

#include <errno.h>
#include <string.h>

#include "api/api_format.h"
#include "base/uuid.h"

bool auth_record_id_is_zero(const struct auth_id *id)
{
    static const struct auth_id zero;
    return !memcmp(id, &zero, sizeof(zero));
}

bool auth_record_id_equal(const struct auth_id *a, const struct auth_id *b)
{
    return !memcmp(a, b, sizeof(*a));
}

/* An id that has to be there, or may be absent (zero then). */
static int read_id(const struct api_text *text, const char *what, bool required, struct auth_id *id,
                   struct err *err)
{
    *id = (struct auth_id){{0}};
    if (text->is != API_VALUE)
        return required ? err_set(err, EINVAL, "%s is missing", what) : 0;
    if (uuid_parse(text->v, id->bytes) || auth_record_id_is_zero(id))
        return err_set(err, EINVAL, "%s is no id of anything: \"%.63s\"", what, text->v);
    return 0;
}

static int read_name(const struct api_text *text, const char **name, struct err *err)
{
    if (text->is != API_VALUE || !api_format_holds(API_FORMAT_NAME, text->v, strlen(text->v)) ||
        strlen(text->v) >= AUTH_RECORD_NAME_BYTES)
        return err_set(err, EINVAL, "name is missing or is none");
    *name = text->v;
    return 0;
}

int auth_record_user(const struct api_user *doc, const char *password, int64_t sessions_since_ms,
                     struct auth_user *record, struct err *err)
{
    struct auth_user v = {
        .password = password,
        .enabled = doc->enabled.is != API_VALUE || doc->enabled.v, /* the default: true */
        .sessions_since_ms = sessions_since_ms,
    };
    int r = read_id(&doc->id, "id", true, &v.id, err);
    if (!r)
        r = read_name(&doc->name, &v.name, err);
    if (!r)
        r = read_id(&doc->default_project, "default_project", false, &v.default_project, err);
    if (!r)
        *record = v;
    return r;
}

int auth_record_role(const struct api_role *doc, struct auth_role *record, struct err *err)
{
    struct auth_role v = {.role = doc->role.v};
    int r = read_id(&doc->id, "id", true, &v.id, err);
    if (!r)
        r = read_id(&doc->user, "user", true, &v.user, err);
    if (!r)
        r = read_id(&doc->on_project, "on_project", false, &v.project, err);
    if (!r && (doc->role.is != API_VALUE || doc->role.v < 0 || doc->role.v >= API_ROLE_NAME_N))
        r = err_set(err, EINVAL, "role is missing");
    if (!r)
        *record = v;
    return r;
}

int auth_record_token(const struct api_token *doc, const uint8_t hash[AUTH_TOKEN_HASH_BYTES],
                      struct auth_api_token *record, struct err *err)
{
    struct auth_api_token v = {.rate_limit_per_min = 6000};
    memcpy(v.hash, hash, sizeof(v.hash));
    int r = read_id(&doc->id, "id", true, &v.id, err);
    if (!r)
        r = read_id(&doc->owner, "owner", true, &v.owner, err);
    if (!r)
        r = read_id(&doc->token_project, "token_project", false, &v.project, err);
    if (!r)
        r = read_name(&doc->name, &v.name, err);
    if (!r &&
        (doc->expires_at.is != API_VALUE || api_format_time(doc->expires_at.v, &v.expires_ms) != 0))
        r = err_set(err, EINVAL, "expires_at is missing or is no time");
    if (!r && doc->scopes.is != API_VALUE)
        r = err_set(err, EINVAL, "scopes are missing");
    if (!r && doc->rate_limit_per_min.is == API_VALUE) {
        if (doc->rate_limit_per_min.v < 1 || doc->rate_limit_per_min.v > 1000000)
            r = err_set(err, EINVAL, "rate_limit_per_min is %lld, not 1 to 1000000",
                        (long long)doc->rate_limit_per_min.v);
        else
            v.rate_limit_per_min = (uint32_t)doc->rate_limit_per_min.v;
    }
    if (r)
        return r;
    v.scopes = auth_record_scopes(doc->scopes.v, doc->scopes.n);
    *record = v;
    return 0;
}

uint32_t auth_record_scopes(const enum api_token_scope *scopes, unsigned n)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < n; i++)
        if (scopes[i] < API_TOKEN_SCOPE_N)
            bits |= UINT32_C(1) << scopes[i];
    return bits;
}

bool auth_record_in_scope(uint32_t scopes, enum api_token_scope needed)
{
    /* Scopes come in pairs, read and write; the first pair is that of everything. */
    uint32_t write = UINT32_C(1) << (needed | 1) | UINT32_C(1) << API_TOKEN_SCOPE_ALL_WRITE;
    uint32_t read = UINT32_C(1) << needed | UINT32_C(1) << API_TOKEN_SCOPE_ALL_READ;
    return scopes & (needed & 1 ? write : write | read);
}
