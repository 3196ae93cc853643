#include "mgmt/auth/auth_record.h"

#include <errno.h>

#include "api/api_route.h"
#include "auth_fixture.h"
#include "base/util.h"

#define ID1 "0190b8e4-7c3a-7def-8123-456789abcdef"
#define ID2 "0190b8e4-7c3a-7def-8123-456789abcdee"
#define ID0 "00000000-0000-0000-0000-000000000000"
#define TEXT(s)                                                                                    \
    {                                                                                              \
        API_VALUE, s                                                                               \
    }

static void a_user_is_read(void)
{
    struct api_user doc = {.id = TEXT(ID1), .name = TEXT("ada"), .default_project = TEXT(ID2)};
    struct auth_user u;
    REQUIRE(!auth_record_user(&doc, "hash", 5, &u, NULL));
    CHECK_EQ(u.id.bytes[15], 0xef);
    CHECK_EQ(u.default_project.bytes[15], 0xee);
    CHECK_STR(u.name, "ada");
    CHECK_STR(u.password, "hash");
    CHECK(u.enabled && u.sessions_since_ms == 5);
    doc.enabled = (struct api_bool){API_VALUE, false};
    doc.default_project.is = API_NULL;
    REQUIRE(!auth_record_user(&doc, NULL, 0, &u, NULL));
    CHECK(!u.enabled && !u.password && auth_record_id_is_zero(&u.default_project));
}

static void a_user_that_is_none_changes_nothing(void)
{
    struct auth_user u = {.sessions_since_ms = 42};
    struct err err;
    struct api_user docs[] = {
        {.name = TEXT("ada")},
        {.id = TEXT(ID0), .name = TEXT("ada")},
        {.id = TEXT("ada"), .name = TEXT("ada")},
        {.id = TEXT(ID1)},
        {.id = TEXT(ID1), .name = TEXT("-ada")},
        {.id = TEXT(ID1), .name = TEXT("")},
        {.id = TEXT(ID1), .name = TEXT("ada"), .default_project = TEXT("web")},
    };
    static const char *const FIELDS[] = {
        "id", "id", "id", "name", "name", "name", "default_project"};
    for (unsigned i = 0; i < ARRAY_LEN(docs); i++) {
        CHECK_EQ(auth_record_user(&docs[i], "s3cret", 1, &u, &err), -EINVAL);
        CHECK(!strncmp(err.msg, FIELDS[i], strlen(FIELDS[i])));
        CHECK(!strstr(err.msg, "s3cret"));
    }
    CHECK_EQ(u.sessions_since_ms, 42);
}

static void a_role_is_read(void)
{
    struct api_role doc = {.id = TEXT(ID1), .user = TEXT(ID2)};
    struct auth_role r;
    CHECK_EQ(auth_record_role(&doc, &r, NULL), -EINVAL);
    doc.role.is = API_VALUE;
    doc.role.v = API_ROLE_NAME_OPERATOR;
    REQUIRE(!auth_record_role(&doc, &r, NULL));
    CHECK_EQ(r.role, API_ROLE_NAME_OPERATOR);
    CHECK_EQ(r.user.bytes[15], 0xee);
    CHECK(auth_record_id_is_zero(&r.project));
    doc.on_project = (struct api_text)TEXT(ID1);
    REQUIRE(!auth_record_role(&doc, &r, NULL));
    CHECK_EQ(r.project.bytes[15], 0xef);
    doc.on_project = (struct api_text)TEXT("web"); /* a role in a project is never one in all */
    CHECK_EQ(auth_record_role(&doc, &r, NULL), -EINVAL);
    doc.on_project.is = API_ABSENT;
    doc.user.is = API_ABSENT;
    CHECK_EQ(auth_record_role(&doc, &r, NULL), -EINVAL);
}

static void a_token_is_read(void)
{
    enum api_token_scope scopes[] = {API_TOKEN_SCOPE_COMPUTE_READ, API_TOKEN_SCOPE_IMAGE_WRITE};
    struct api_token doc = {.id = TEXT(ID1),
                            .name = TEXT("ci"),
                            .owner = TEXT(ID2),
                            .expires_at = TEXT("2026-01-01T00:00:00Z"),
                            .scopes = {API_VALUE, 2, scopes}};
    uint8_t hash[AUTH_TOKEN_HASH_BYTES] = {1, 2, 3};
    struct auth_api_token k;
    REQUIRE(!auth_record_token(&doc, hash, &k, NULL));
    CHECK_EQ(k.expires_ms, INT64_C(1767225600000));
    CHECK_EQ(k.scopes, SCOPE(COMPUTE_READ) | SCOPE(IMAGE_WRITE));
    CHECK_EQ(k.rate_limit_per_min, 6000); /* api/identity.yaml: the default */
    CHECK_STR(k.name, "ci");
    CHECK(!memcmp(k.hash, hash, sizeof(hash)));
    CHECK(auth_record_id_is_zero(&k.project));
    doc.rate_limit_per_min = (struct api_int){API_VALUE, 7};
    doc.token_project = (struct api_text)TEXT(ID1);
    REQUIRE(!auth_record_token(&doc, hash, &k, NULL));
    CHECK_EQ(k.rate_limit_per_min, 7);
    CHECK_EQ(k.project.bytes[15], 0xef);
    struct api_token bad = doc;
    bad.token_project = (struct api_text)TEXT("web"); /* never read as "all projects" */
    CHECK_EQ(auth_record_token(&bad, hash, &k, NULL), -EINVAL);
    bad = doc;
    bad.expires_at.is = API_ABSENT;
    CHECK_EQ(auth_record_token(&bad, hash, &k, NULL), -EINVAL);
    bad = doc;
    bad.expires_at.v = "tomorrow";
    CHECK_EQ(auth_record_token(&bad, hash, &k, NULL), -EINVAL);
    bad = doc;
    bad.scopes.is = API_ABSENT;
    CHECK_EQ(auth_record_token(&bad, hash, &k, NULL), -EINVAL);
    bad = doc;
    bad.rate_limit_per_min.v = 0;
    CHECK_EQ(auth_record_token(&bad, hash, &k, NULL), -EINVAL);
    bad = doc;
    bad.owner.is = API_ABSENT;
    CHECK_EQ(auth_record_token(&bad, hash, &k, NULL), -EINVAL);
    CHECK_EQ(k.rate_limit_per_min, 7);
}

static void scopes_as_bits_are_as_scopes_in_a_list(void)
{
    for (unsigned a = 0; a < API_TOKEN_SCOPE_N; a++) {
        for (unsigned b = 0; b < API_TOKEN_SCOPE_N; b++) {
            enum api_token_scope list[] = {(enum api_token_scope)a, (enum api_token_scope)b};
            uint32_t bits = auth_record_scopes(list, 2);
            for (unsigned need = 0; need < API_TOKEN_SCOPE_N; need++) {
                struct api_route route = {.token_scope = (enum api_token_scope)need};
                CHECK_EQ(auth_record_in_scope(bits, route.token_scope),
                         api_route_in_scope(&route, list, 2));
            }
        }
    }
    CHECK(!auth_record_in_scope(0, API_TOKEN_SCOPE_ALL_READ));
}

int main(void)
{
    TAP_RUN(a_user_is_read);
    TAP_RUN(a_user_that_is_none_changes_nothing);
    TAP_RUN(a_role_is_read);
    TAP_RUN(a_token_is_read);
    TAP_RUN(scopes_as_bits_are_as_scopes_in_a_list);
    return tap_done();
}
