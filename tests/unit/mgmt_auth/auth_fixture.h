/* Ids and records for tests of the table. */
#ifndef TESTS_UNIT_MGMT_AUTH_AUTH_FIXTURE_H
#define TESTS_UNIT_MGMT_AUTH_AUTH_FIXTURE_H

#include "mgmt/auth/auth.h"
#include "tap.h"

#define NOW      INT64_C(1800000000000)
#define DAY_MS   INT64_C(86400000)
#define SCOPE(s) (UINT32_C(1) << API_TOKEN_SCOPE_##s)

static inline struct auth_id id_of(unsigned kind, unsigned n)
{
    struct auth_id id = {{(uint8_t)kind}};
    id.bytes[14] = (uint8_t)(n >> 8);
    id.bytes[15] = (uint8_t)n;
    return id;
}
#define USER(n)    id_of(1, n)
#define PROJECT(n) id_of(2, n)
#define ROLE(n)    id_of(3, n)
#define TOKEN(n)   id_of(4, n)
static const struct auth_id NOTHING;

static inline int put_user(struct auth_table *t, unsigned n, const char *name, bool enabled)
{
    struct auth_user u = {.id = USER(n), .name = name, .enabled = enabled};
    return auth_table_put_user(t, &u);
}

static inline int put_role(struct auth_table *t, unsigned n, unsigned user, struct auth_id project,
                           enum api_role_name role)
{
    struct auth_role r = {.id = ROLE(n), .user = USER(user), .project = project, .role = role};
    return auth_table_put_role(t, &r);
}

/* A token that ends in a day; its text goes to `text`. */
static inline int put_token(struct auth_table *t, unsigned n, unsigned user, uint32_t scopes,
                            struct auth_id project, char text[AUTH_TOKEN_BYTES])
{
    struct auth_api_token k = {
        .id = TOKEN(n),
        .owner = USER(user),
        .name = "ci",
        .scopes = scopes,
        .project = project,
        .expires_ms = NOW + DAY_MS,
        .rate_limit_per_min = 60,
    };
    int r = auth_token_make(AUTH_TOKEN_API, text, k.hash, NULL);
    return r ? r : auth_table_put_token(t, &k);
}

/* auth_check() for its code: -1: it is taken. */
static inline int code_of(struct auth_table *t, const char *text, int64_t now_ms,
                          struct auth_principal *p)
{
    struct api_refusal refusal;
    struct auth_principal mine;
    api_problem_init(&refusal);
    size_t bytes = text ? strlen(text) : 0;
    int r = auth_check(t, text, bytes, now_ms, p ? p : &mine, &refusal);
    if (r && bytes)
        CHECK(!strstr(refusal.detail, text + (bytes > 20 ? 10 : 0)));
    return r ? (int)refusal.code : -1;
}
#define TAKEN (-1)

#endif
