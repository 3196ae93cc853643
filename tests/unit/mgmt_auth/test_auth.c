#include "mgmt/auth/auth.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth_fixture.h"
#include "base/util.h"

#define ROUTE(op) (&api_route_table[API_OP_##op])

static void a_principal_says_all_of_a_token(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_user u = {
        .id = USER(1), .name = "ada", .enabled = true, .default_project = PROJECT(7)};
    char text[AUTH_TOKEN_BYTES];
    struct auth_principal p;
    CHECK_EQ(auth_table_put_user(t, &u), 0);
    CHECK_EQ(put_role(t, 1, 1, NOTHING, API_ROLE_NAME_OPERATOR), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(COMPUTE_READ), NOTHING, text), 0);
    CHECK_EQ(code_of(t, text, NOW, &p), TAKEN);
    CHECK_EQ(p.kind, AUTH_TOKEN_API);
    CHECK(auth_record_id_equal(&p.user, &u.id));
    CHECK_EQ(p.token.bytes[0], 4);
    CHECK_STR(p.user_name, "ada");
    CHECK_STR(p.token_name, "ci");
    CHECK_EQ(p.cloud_role, API_ROLE_OPERATOR);
    CHECK_EQ(p.scopes, SCOPE(COMPUTE_READ));
    CHECK(auth_record_id_is_zero(&p.project));
    CHECK_EQ(auth_default_project(&p).bytes[15], 7);
    CHECK_EQ(p.expires_ms, NOW + DAY_MS);
    CHECK_EQ(p.rate_limit_per_min, 60);
    CHECK_EQ(put_token(t, 2, 1, SCOPE(ALL_WRITE), PROJECT(9), text), 0);
    CHECK_EQ(code_of(t, text, NOW, &p), TAKEN);
    CHECK_EQ(p.cloud_role, API_ROLE_ANY); /* by this token */
    CHECK_EQ(auth_default_project(&p).bytes[15], 9);
    auth_table_destroy(t);
}

static void the_first_use_in_a_minute_is_told(void)
{
    struct auth_table *t = auth_table_create(NULL);
    const int64_t minute = NOW - NOW % 60000;
    char text[AUTH_TOKEN_BYTES];
    struct auth_principal p;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(ALL_READ), NOTHING, text), 0);
    CHECK_EQ(code_of(t, text, minute, &p), TAKEN);
    CHECK(p.first_in_minute);
    CHECK_EQ(code_of(t, text, minute + 59999, &p), TAKEN);
    CHECK(!p.first_in_minute);
    CHECK_EQ(code_of(t, text, minute + 60000, &p), TAKEN);
    CHECK(p.first_in_minute);
    /* A token that is put again, such as with its new last_used_at, was still used. */
    struct auth_api_token k = {
        .id = TOKEN(1), .owner = USER(1), .name = "ci", .expires_ms = NOW + DAY_MS};
    k.rate_limit_per_min = 1;
    CHECK_EQ(auth_token_hash(text, strlen(text), k.hash), 0);
    CHECK_EQ(auth_table_put_token(t, &k), 0);
    CHECK_EQ(code_of(t, text, minute + 60001, &p), TAKEN);
    CHECK(!p.first_in_minute);
    auth_table_destroy(t);
}

static void each_mistake_has_its_own_answer(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct api_refusal refusal;
    struct auth_principal p = {.rate_limit_per_min = 99};
    char text[AUTH_TOKEN_BYTES], ticket[AUTH_TOKEN_BYTES];
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    CHECK_EQ(code_of(t, NULL, NOW, &p), API_PROBLEM_CODE_AUTH_REQUIRED);
    CHECK_EQ(code_of(t, "", NOW, &p), API_PROBLEM_CODE_AUTH_REQUIRED);
    CHECK_EQ(code_of(t, "swordfish", NOW, &p), API_PROBLEM_CODE_AUTH_INVALID);
    REQUIRE(!auth_token_make(AUTH_TOKEN_API, text, hash, NULL));
    CHECK_EQ(code_of(t, text, NOW, &p), API_PROBLEM_CODE_AUTH_INVALID);
    text[20] = text[20] == 'a' ? 'b' : 'a';
    api_problem_init(&refusal);
    CHECK_EQ(auth_check(t, text, strlen(text), NOW, &p, &refusal),
             api_problem_errno(API_PROBLEM_CODE_AUTH_INVALID));
    CHECK(strstr(refusal.detail, "checksum") != NULL);
    REQUIRE(!auth_token_make(AUTH_TOKEN_TICKET, ticket, hash, NULL));
    CHECK_EQ(code_of(t, ticket, NOW, &p), API_PROBLEM_CODE_AUTH_INVALID);
    text[20] = text[20] == 'a' ? 'b' : 'a';
    CHECK(auth_check_ticket(t, text, strlen(text), NOW, &p, NULL) < 0);
    CHECK(auth_check_ticket(t, ticket, strlen(ticket), NOW, &p, NULL) < 0);
    CHECK(auth_check_ticket(t, NULL, 0, NOW, &p, NULL) < 0);
    CHECK_EQ(p.rate_limit_per_min, 99);
    auth_table_destroy(t);
}

static void a_ticket_speaks_once_for_what_made_it(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id id = TOKEN(1);
    char token[AUTH_TOKEN_BYTES], ticket[AUTH_TOKEN_BYTES];
    int64_t ends;
    struct auth_principal p, q;
    const size_t len = AUTH_TOKEN_BYTES - 1;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(COMPUTE_WRITE), PROJECT(3), token), 0);
    CHECK_EQ(code_of(t, token, NOW, &p), TAKEN);
    CHECK_EQ(auth_table_open_ticket(t, &p, NOW, ticket, &ends, NULL), 0);
    CHECK_EQ(ends, NOW + 30000);
    CHECK_EQ(auth_check_ticket(t, ticket, len, ends - 1, &q, NULL), 0);
    CHECK_EQ(q.kind, AUTH_TOKEN_API);
    CHECK_EQ(q.scopes, SCOPE(COMPUTE_WRITE));
    CHECK_EQ(q.project.bytes[15], 3);
    CHECK(auth_record_id_equal(&q.token, &id));
    CHECK(auth_check_ticket(t, ticket, len, NOW, &q, NULL) < 0);
    /* Too late; it is used up by that too. */
    CHECK_EQ(auth_table_open_ticket(t, &p, NOW, ticket, &ends, NULL), 0);
    struct api_refusal refusal;
    api_problem_init(&refusal);
    CHECK(auth_check_ticket(t, ticket, len, ends, &q, &refusal) < 0);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_AUTH_EXPIRED);
    CHECK(auth_check_ticket(t, ticket, len, NOW, &q, &refusal) < 0);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_AUTH_INVALID);
    /* What made it is gone. */
    CHECK_EQ(auth_table_open_ticket(t, &p, NOW, ticket, &ends, NULL), 0);
    auth_table_remove_token(t, &id);
    CHECK(auth_check_ticket(t, ticket, len, NOW, &q, &refusal) < 0);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_AUTH_INVALID);
    auth_table_destroy(t);
}

static void tickets_and_tokens_do_not_stand_for_each_other(void)
{
    struct auth_table *t = auth_table_create(NULL);
    char token[AUTH_TOKEN_BYTES], ticket[AUTH_TOKEN_BYTES];
    int64_t ends;
    struct auth_principal p;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(COMPUTE_WRITE), NOTHING, token), 0);
    CHECK_EQ(code_of(t, token, NOW, &p), TAKEN);
    CHECK_EQ(auth_table_open_ticket(t, &p, NOW, ticket, &ends, NULL), 0);
    CHECK_EQ(code_of(t, ticket, NOW, NULL), API_PROBLEM_CODE_AUTH_INVALID);
    CHECK(auth_check_ticket(t, token, strlen(token), NOW, &p, NULL) < 0);
    CHECK_EQ(code_of(t, token, NOW, NULL), TAKEN); /* neither was used up */
    CHECK_EQ(auth_check_ticket(t, ticket, strlen(ticket), NOW, &p, NULL), 0);
    auth_table_destroy(t);
}

static void a_token_that_was_given_to_another_speaks_for_nobody_before(void)
{
    struct auth_table *t = auth_table_create(NULL);
    char token[AUTH_TOKEN_BYTES], ticket[AUTH_TOKEN_BYTES];
    int64_t ends;
    struct auth_principal p, q;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(put_user(t, 2, "bob", true), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(COMPUTE_WRITE), NOTHING, token), 0);
    CHECK_EQ(code_of(t, token, NOW, &p), TAKEN);
    CHECK_EQ(auth_table_open_ticket(t, &p, NOW, ticket, &ends, NULL), 0);
    CHECK_EQ(put_token(t, 1, 2, SCOPE(COMPUTE_WRITE), NOTHING, token), 0);
    CHECK(!auth_still(t, &p, NOW));
    CHECK(auth_check_ticket(t, ticket, strlen(ticket), NOW, &q, NULL) < 0);
    auth_table_destroy(t);
}

static void tickets_end_with_their_session(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1);
    char session[AUTH_TOKEN_BYTES], ticket[AUTH_TOKEN_BYTES];
    int64_t ends;
    struct auth_principal p, q;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(auth_table_open_session(t, &ada, NOW, session, NULL, NULL), 0);
    CHECK_EQ(code_of(t, session, NOW, &p), TAKEN);
    CHECK_EQ(p.kind, AUTH_TOKEN_SESSION);
    CHECK_EQ(p.scopes, SCOPE(ALL_WRITE));
    CHECK_STR(p.token_name, "");
    CHECK_EQ(auth_table_open_ticket(t, &p, NOW, ticket, &ends, NULL), 0);
    auth_table_end_session(t, &p.token);
    CHECK(auth_check_ticket(t, ticket, strlen(ticket), NOW, &q, NULL) < 0);
    auth_table_destroy(t);
}

static void tickets_are_bounded(void)
{
    struct auth_table *t = auth_table_create(NULL);
    char token[AUTH_TOKEN_BYTES], first[AUTH_TOKEN_BYTES], last[AUTH_TOKEN_BYTES];
    int64_t ends;
    struct auth_principal p = {.rate_limit_per_min = 0}, q;
    CHECK_EQ(put_user(t, 0, "ada", true), 0);
    CHECK_EQ(put_token(t, 1, 0, SCOPE(ALL_READ), NOTHING, token), 0);
    CHECK_EQ(code_of(t, token, NOW, &p), TAKEN);
    CHECK_EQ(auth_table_open_ticket(t, &p, NOW, first, &ends, NULL), 0);
    for (unsigned i = 0; i < AUTH_TABLE_TICKETS_A_USER; i++)
        CHECK_EQ(auth_table_open_ticket(t, &p, NOW, last, &ends, NULL), 0);
    CHECK(auth_check_ticket(t, first, strlen(first), NOW, &q, NULL) < 0);
    CHECK_EQ(auth_check_ticket(t, last, strlen(last), NOW, &q, NULL), 0);
    /* All users together. */
    unsigned opened = 0;
    struct auth_principal other = p;
    int r = 0;
    while (!r && opened <= AUTH_TABLE_TICKETS_MAX) {
        other.user = USER(1 + opened / AUTH_TABLE_TICKETS_A_USER);
        r = auth_table_open_ticket(t, &other, NOW, last, &ends, NULL);
        opened += !r;
    }
    CHECK_EQ(r, -EAGAIN);
    CHECK_EQ(opened, AUTH_TABLE_TICKETS_MAX - AUTH_TABLE_TICKETS_A_USER + 1);
    CHECK_EQ(auth_table_open_ticket(t, &p, NOW + AUTH_TABLE_TICKET_MS, last, &ends, NULL), 0);
    CHECK_EQ(auth_table_sweep(t, NOW + AUTH_TABLE_TICKET_MS), 0);
    CHECK_EQ(auth_table_sweep(t, NOW + 2 * AUTH_TABLE_TICKET_MS), 1);
    auth_table_destroy(t);
}

/* A caller with a role in project 1 and perhaps one in the cloud. */
static struct auth_table *table_of(int role, int cloud, uint32_t scopes, struct auth_id only,
                                   struct auth_principal *p)
{
    struct auth_table *t = auth_table_create(NULL);
    char text[AUTH_TOKEN_BYTES];
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    if (role >= 0)
        CHECK_EQ(put_role(t, 1, 1, PROJECT(1), (enum api_role_name)role), 0);
    if (cloud >= 0)
        CHECK_EQ(put_role(t, 2, 1, NOTHING, (enum api_role_name)cloud), 0);
    CHECK_EQ(put_token(t, 1, 1, scopes, only, text), 0);
    CHECK_EQ(code_of(t, text, NOW, p), TAKEN);
    return t;
}

static int may(const struct auth_table *t, const struct auth_principal *p,
               const struct api_route *route, const char *text, const struct auth_id *project,
               struct api_refusal *refusal)
{
    struct auth_where where = {.project_text = text, .project = project};
    api_problem_init(refusal);
    int r = auth_may(t, p, route, &where, refusal);
    CHECK_EQ(r, refusal->set ? api_problem_errno(refusal->code) : 0);
    return r ? (int)refusal->code : TAKEN;
}

static void a_role_allows_its_routes_and_no_more(void)
{
    static const struct api_route *const ROUTES[] = {ROUTE(VM_GET), ROUTE(VM_CREATE),
                                                     ROUTE(VM_MIGRATE)};
    struct auth_id a = PROJECT(1);
    struct api_refusal refusal;
    /* reader, member, operator: what each of them may; admin may all. */
    for (int role = API_ROLE_NAME_READER; role < API_ROLE_NAME_N; role++) {
        for (int in_cloud = 0; in_cloud < 2; in_cloud++) {
            struct auth_principal p;
            struct auth_table *t =
                table_of(in_cloud ? -1 : role, in_cloud ? role : -1, SCOPE(ALL_WRITE), NOTHING, &p);
            for (int i = 0; i < 3; i++) {
                int code = may(t, &p, ROUTES[i], "web", &a, &refusal);
                CHECK_EQ(code, i <= role ? TAKEN : API_PROBLEM_CODE_AUTH_FORBIDDEN);
            }
            auth_table_destroy(t);
        }
    }
}

static void a_refusal_says_which_role_it_takes(void)
{
    struct auth_id a = PROJECT(1);
    struct auth_principal p;
    struct api_refusal refusal;
    struct auth_table *t = table_of(API_ROLE_NAME_READER, -1, SCOPE(ALL_WRITE), NOTHING, &p);
    CHECK_EQ(may(t, &p, ROUTE(VM_CREATE), "web", &a, &refusal), API_PROBLEM_CODE_AUTH_FORBIDDEN);
    CHECK_STR(refusal.detail, "this takes the role member in project web, where ada is reader");
    CHECK_EQ(may(t, &p, ROUTE(USER_CREATE), NULL, NULL, &refusal), API_PROBLEM_CODE_AUTH_FORBIDDEN);
    CHECK_STR(refusal.detail, "this takes the role admin in the cloud, where ada has no role");
    CHECK_EQ(may(t, &p, ROUTE(FLAVOR_LIST), NULL, NULL, &refusal), TAKEN);
    auth_table_destroy(t);
    t = table_of(-1, API_ROLE_NAME_READER, SCOPE(ALL_WRITE), NOTHING, &p);
    CHECK_EQ(may(t, &p, ROUTE(USER_CREATE), NULL, NULL, &refusal), API_PROBLEM_CODE_AUTH_FORBIDDEN);
    CHECK_STR(refusal.detail, "this takes the role admin in the cloud, where ada is reader");
    auth_table_destroy(t);
}

static void another_project_does_not_exist(void)
{
    struct auth_id a = PROJECT(1), b = PROJECT(2);
    struct auth_principal p;
    struct api_refusal there, nowhere;
    /* By role, and by a token that is restricted, whatever its owner is. */
    for (int restricted = 0; restricted < 2; restricted++) {
        struct auth_table *t = table_of(API_ROLE_NAME_ADMIN, restricted ? API_ROLE_NAME_ADMIN : -1,
                                        SCOPE(ALL_WRITE), restricted ? a : NOTHING, &p);
        CHECK_EQ(may(t, &p, ROUTE(VM_GET), "mine", &a, &there), TAKEN);
        CHECK_EQ(may(t, &p, ROUTE(VM_GET), "other", &b, &there),
                 API_PROBLEM_CODE_RESOURCE_NOT_FOUND);
        CHECK_EQ(may(t, &p, ROUTE(VM_GET), "other", NULL, &nowhere),
                 API_PROBLEM_CODE_RESOURCE_NOT_FOUND);
        CHECK_STR(there.detail, nowhere.detail);
        CHECK_EQ(auth_role_in(t, &p, &b), API_ROLE_NONE);
        CHECK_EQ(auth_role_in(t, &p, &NOTHING), API_ROLE_NONE);
        CHECK_EQ(auth_role_in(t, &p, &a), API_ROLE_ADMIN);
        auth_table_destroy(t);
    }
}

static void a_scope_that_is_missing_is_named(void)
{
    struct auth_id a = PROJECT(1), b = PROJECT(2);
    struct auth_principal p;
    struct api_refusal refusal;
    struct auth_table *t =
        table_of(API_ROLE_NAME_ADMIN, -1, SCOPE(COMPUTE_READ) | SCOPE(IMAGE_WRITE), NOTHING, &p);
    CHECK_EQ(may(t, &p, ROUTE(VM_GET), "web", &a, &refusal), TAKEN);
    CHECK_EQ(may(t, &p, ROUTE(VM_CREATE), "web", &a, &refusal), API_PROBLEM_CODE_AUTH_SCOPE);
    CHECK_STR(refusal.detail, "this takes the scope compute:write; the token ci has compute:read, "
                              "image:write");
    CHECK_EQ(may(t, &p, ROUTE(VM_CREATE), "web", &b, &refusal), API_PROBLEM_CODE_AUTH_SCOPE);
    auth_table_destroy(t);
}

static void nobody_may_what_takes_somebody(void)
{
    struct auth_id a = PROJECT(1);
    struct api_refusal refusal;
    struct auth_table *t = auth_table_create(NULL);
    CHECK_EQ(may(t, NULL, ROUTE(SESSION_CREATE), NULL, NULL, &refusal), TAKEN);
    CHECK_EQ(may(t, NULL, ROUTE(HOST_JOIN), NULL, NULL, &refusal), TAKEN);
    CHECK_EQ(may(t, NULL, ROUTE(WHOAMI_GET), NULL, NULL, &refusal), API_PROBLEM_CODE_AUTH_REQUIRED);
    CHECK_EQ(may(t, NULL, ROUTE(VM_GET), "web", &a, &refusal), API_PROBLEM_CODE_AUTH_REQUIRED);
    auth_table_destroy(t);
}

static void a_project_has_to_be_named(void)
{
    struct auth_principal p;
    struct api_refusal refusal;
    struct auth_where all = {.all_projects = true};
    struct auth_table *t = table_of(API_ROLE_NAME_READER, -1, SCOPE(COMPUTE_READ), NOTHING, &p);
    CHECK_EQ(may(t, &p, ROUTE(VM_LIST), NULL, NULL, &refusal), API_PROBLEM_CODE_PROJECT_REQUIRED);
    CHECK_EQ(auth_may(t, &p, ROUTE(VM_LIST), &all, NULL), 0);
    CHECK(auth_may(t, &p, ROUTE(IMAGE_LIST), &all, NULL) < 0);
    auth_table_destroy(t);
}

static void a_restricted_token_only_reads_in_the_cloud(void)
{
    struct auth_principal p;
    struct api_refusal refusal;
    struct auth_table *t =
        table_of(API_ROLE_NAME_ADMIN, API_ROLE_NAME_ADMIN, SCOPE(ALL_WRITE), PROJECT(1), &p);
    CHECK_EQ(may(t, &p, ROUTE(WHOAMI_GET), NULL, NULL, &refusal), TAKEN);
    CHECK_EQ(may(t, &p, ROUTE(FLAVOR_LIST), NULL, NULL, &refusal), TAKEN);
    CHECK_EQ(may(t, &p, ROUTE(TICKET_CREATE), NULL, NULL, &refusal), TAKEN);
    CHECK_EQ(may(t, &p, ROUTE(TOKEN_CREATE), NULL, NULL, &refusal), API_PROBLEM_CODE_AUTH_SCOPE);
    CHECK_EQ(may(t, &p, ROUTE(USER_SET_PASSWORD), NULL, NULL, &refusal),
             API_PROBLEM_CODE_AUTH_SCOPE);
    CHECK_EQ(may(t, &p, ROUTE(USER_LIST), NULL, NULL, &refusal), API_PROBLEM_CODE_AUTH_SCOPE);
    auth_table_destroy(t);
}

/* By the rules of auth.h's head, said once more and more slowly. */
static void every_route_is_as_the_rules_say(void)
{
    struct auth_id a = PROJECT(1);
    struct api_refusal refusal;
    unsigned allowed = 0, refused = 0;
    for (int role = -1; role < API_ROLE_NAME_N; role++) {
        for (int cloud = -1; cloud < API_ROLE_NAME_N; cloud++) {
            for (unsigned scope = 0; scope < API_TOKEN_SCOPE_N; scope++) {
                struct auth_principal p;
                enum api_token_scope s = (enum api_token_scope)scope;
                struct auth_table *t = table_of(role, cloud, UINT32_C(1) << scope, NOTHING, &p);
                for (unsigned op = 0; op < API_OPS; op++) {
                    const struct api_route *route = &api_route_table[op];
                    int has = route->flags & API_ROUTE_PROJECT ? MAX(role, cloud) : cloud;
                    int need = (int)route->role - API_ROLE_READER;
                    int want = TAKEN;
                    if (route->role == API_ROLE_NONE)
                        want = TAKEN;
                    else if (!api_route_in_scope(route, &s, 1))
                        want = API_PROBLEM_CODE_AUTH_SCOPE;
                    else if (route->flags & API_ROUTE_PROJECT && has < 0)
                        want = API_PROBLEM_CODE_RESOURCE_NOT_FOUND;
                    else if (has < need)
                        want = API_PROBLEM_CODE_AUTH_FORBIDDEN;
                    int got = may(t, &p, route, "web", &a, &refusal);
                    if (got != want)
                        printf("# %s role %d cloud %d scope %u\n", route->id, role, cloud, scope);
                    CHECK_EQ(got, want);
                    *(want == TAKEN ? &allowed : &refused) += 1;
                }
                auth_table_destroy(t);
            }
        }
    }
    CHECK(allowed > 1000 && refused > 1000);
}

static void a_token_makes_no_token_that_may_more(void)
{
    struct auth_principal p;
    struct auth_table *t =
        table_of(-1, -1, SCOPE(IDENTITY_WRITE) | SCOPE(COMPUTE_READ), NOTHING, &p);
    struct auth_api_token k = {
        .owner = USER(1), .scopes = SCOPE(COMPUTE_READ), .expires_ms = p.expires_ms};
    CHECK_EQ(auth_may_make_token(&p, &k, NULL), 0);
    k.scopes = SCOPE(IDENTITY_READ);
    CHECK_EQ(auth_may_make_token(&p, &k, NULL), 0);
    k.scopes = SCOPE(COMPUTE_READ) | SCOPE(COMPUTE_WRITE);
    CHECK(auth_may_make_token(&p, &k, NULL) < 0);
    k.scopes = SCOPE(ALL_READ);
    CHECK(auth_may_make_token(&p, &k, NULL) < 0);
    k.scopes = SCOPE(COMPUTE_READ);
    k.expires_ms++;
    CHECK(auth_may_make_token(&p, &k, NULL) < 0);
    k.expires_ms--;
    k.owner = USER(2);
    CHECK(auth_may_make_token(&p, &k, NULL) < 0);
    k.owner = USER(1);
    p.project = PROJECT(1);
    CHECK(auth_may_make_token(&p, &k, NULL) < 0);
    k.project = PROJECT(2);
    CHECK(auth_may_make_token(&p, &k, NULL) < 0);
    k.project = PROJECT(1);
    CHECK_EQ(auth_may_make_token(&p, &k, NULL), 0);
    p.project = NOTHING;
    p.kind = AUTH_TOKEN_SESSION;
    k.scopes = SCOPE(ALL_WRITE);
    k.expires_ms += 90 * DAY_MS;
    CHECK_EQ(auth_may_make_token(&p, &k, NULL), 0);
    auth_table_destroy(t);
}

static unsigned openssl_allocations;
static void *count_malloc(size_t bytes, const char *file, int line)
{
    openssl_allocations++;
    return malloc(bytes);
}
static void *count_realloc(void *p, size_t bytes, const char *file, int line)
{
    openssl_allocations++;
    return realloc(p, bytes);
}
static void count_free(void *p, const char *file, int line)
{
    free(p);
}

static void checking_allocates_nothing(void)
{
    struct auth_principal p;
    struct api_refusal refusal;
    struct auth_id a = PROJECT(1);
    struct auth_table *t = table_of(API_ROLE_NAME_READER, -1, SCOPE(ALL_WRITE), NOTHING, &p);
    char text[AUTH_TOKEN_BYTES];
    CHECK_EQ(put_token(t, 2, 1, SCOPE(ALL_READ), NOTHING, text), 0);
    EVP_MD_CTX_free(EVP_MD_CTX_new());
    CHECK(openssl_allocations > 0); /* they are counted */
    CHECK_EQ(code_of(t, text, NOW, &p), TAKEN);
    unsigned before = openssl_allocations;
    size_t heap = mallinfo2().uordblks; /* 0 where a sanitizer has the heap */
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(auth_check(t, text, strlen(text), NOW + i, &p, &refusal), 0);
        CHECK_EQ(may(t, &p, ROUTE(VM_GET), "web", &a, &refusal), TAKEN);
    }
    CHECK_EQ(mallinfo2().uordblks, heap);
    CHECK_EQ(openssl_allocations, before);
    auth_table_destroy(t);
}

int main(void)
{
    CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
    TAP_RUN(a_principal_says_all_of_a_token);
    TAP_RUN(the_first_use_in_a_minute_is_told);
    TAP_RUN(each_mistake_has_its_own_answer);
    TAP_RUN(a_ticket_speaks_once_for_what_made_it);
    TAP_RUN(tickets_and_tokens_do_not_stand_for_each_other);
    TAP_RUN(a_token_that_was_given_to_another_speaks_for_nobody_before);
    TAP_RUN(tickets_end_with_their_session);
    TAP_RUN(tickets_are_bounded);
    TAP_RUN(a_role_allows_its_routes_and_no_more);
    TAP_RUN(a_refusal_says_which_role_it_takes);
    TAP_RUN(another_project_does_not_exist);
    TAP_RUN(a_scope_that_is_missing_is_named);
    TAP_RUN(nobody_may_what_takes_somebody);
    TAP_RUN(a_project_has_to_be_named);
    TAP_RUN(a_restricted_token_only_reads_in_the_cloud);
    TAP_RUN(every_route_is_as_the_rules_say);
    TAP_RUN(a_token_makes_no_token_that_may_more);
    TAP_RUN(checking_allocates_nothing);
    return tap_done();
}
