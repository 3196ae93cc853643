#include "mgmt/auth/auth_table.h"

#include <errno.h>

#include "auth_fixture.h"

#define INVALID API_PROBLEM_CODE_AUTH_INVALID
#define EXPIRED API_PROBLEM_CODE_AUTH_EXPIRED

static void users_are_found_by_id_and_by_name(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1), nobody = USER(9);
    struct auth_user u = {.id = ada,
                          .name = "ada",
                          .password = "$argon2id$...",
                          .enabled = true,
                          .default_project = PROJECT(3),
                          .sessions_since_ms = 7};
    CHECK_EQ(auth_table_users(t), 0);
    CHECK_EQ(auth_table_put_user(t, &u), 0);
    CHECK_EQ(put_user(t, 2, "bob", false), 0);
    const struct auth_user *got = auth_table_user(t, &ada);
    REQUIRE(got);
    CHECK_STR(got->name, "ada");
    CHECK_STR(got->password, "$argon2id$...");
    CHECK(got->enabled && got->sessions_since_ms == 7);
    CHECK_EQ(got->default_project.bytes[15], 3);
    CHECK(auth_table_user_named(t, "ada") == got);
    CHECK(!auth_table_user_named(t, "bob")->enabled);
    CHECK(auth_table_user_named(t, "bob")->password == NULL);
    CHECK(!auth_table_user(t, &nobody) && !auth_table_user_named(t, "eve"));
    CHECK_EQ(auth_table_users(t), 2);
    auth_table_remove_user(t, &ada);
    auth_table_remove_user(t, &ada);
    CHECK(!auth_table_user(t, &ada) && !auth_table_user_named(t, "ada"));
    CHECK_EQ(auth_table_users(t), 1);
    auth_table_destroy(t);
}

static void a_user_is_renamed_and_may_be_put_from_its_own_record(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1);
    struct auth_user u = {.id = ada, .name = "ada", .password = "one", .enabled = true};
    CHECK_EQ(auth_table_put_user(t, &u), 0);
    CHECK_EQ(auth_table_put_user(t, auth_table_user(t, &ada)), 0);
    CHECK_STR(auth_table_user_named(t, "ada")->password, "one");
    u.name = "lovelace";
    u.password = "two";
    CHECK_EQ(auth_table_put_user(t, &u), 0);
    CHECK(!auth_table_user_named(t, "ada"));
    CHECK_STR(auth_table_user_named(t, "lovelace")->password, "two");
    CHECK_EQ(auth_table_users(t), 1);
    /* Another takes a name that is still there: the last one has it, then the first again. */
    CHECK_EQ(put_user(t, 2, "lovelace", true), 0);
    CHECK_EQ(auth_table_user_named(t, "lovelace")->id.bytes[15], 2);
    struct auth_id second = USER(2);
    auth_table_remove_user(t, &second);
    CHECK_EQ(auth_table_user_named(t, "lovelace")->id.bytes[15], 1);
    auth_table_destroy(t);
}

static void records_that_cannot_be_are_refused(void)
{
    struct auth_table *t = auth_table_create(NULL);
    char text[AUTH_TOKEN_BYTES], long_name[AUTH_RECORD_NAME_BYTES + 1];
    memset(long_name, 'x', sizeof(long_name));
    long_name[AUTH_RECORD_NAME_BYTES] = '\0';
    struct auth_user u = {.name = "ada"};
    CHECK_EQ(auth_table_put_user(t, &u), -EINVAL);
    CHECK_EQ(put_user(t, 1, "", true), -EINVAL);
    CHECK_EQ(put_user(t, 1, NULL, true), -EINVAL);
    CHECK_EQ(put_user(t, 1, long_name, true), -EINVAL);
    CHECK_EQ(put_user(t, 1, long_name + 1, true), 0);
    struct auth_role r = {.id = ROLE(1), .role = API_ROLE_NAME_ADMIN};
    CHECK_EQ(auth_table_put_role(t, &r), -EINVAL);
    r = (struct auth_role){.user = USER(1), .role = API_ROLE_NAME_ADMIN};
    CHECK_EQ(auth_table_put_role(t, &r), -EINVAL);
    CHECK_EQ(put_role(t, 1, 1, NOTHING, API_ROLE_NAME_N), -EINVAL);
    struct auth_api_token k = {.id = TOKEN(1), .owner = USER(1), .name = "ci"};
    CHECK_EQ(auth_table_put_token(t, &k), -EINVAL); /* no rate */
    k.rate_limit_per_min = 1;
    k.owner = NOTHING;
    CHECK_EQ(auth_table_put_token(t, &k), -EINVAL);
    k.owner = USER(1);
    CHECK_EQ(auth_table_put_token(t, &k), 0);
    k.id = TOKEN(2);
    CHECK_EQ(auth_table_put_token(t, &k), -EEXIST);
    struct auth_session s = {.created_ms = 1};
    CHECK_EQ(auth_table_put_session(t, &s), -EINVAL);
    s.user = USER(1); /* the hash is the token's */
    CHECK_EQ(auth_table_put_session(t, &s), -EINVAL);
    struct auth_id nobody = USER(77);
    CHECK_EQ(auth_table_open_session(t, &nobody, NOW, text, NULL, NULL), -ENOENT);
    auth_table_destroy(t);
}

static unsigned roles_seen;
static void see_role(const struct auth_role *role, void *ctx)
{
    roles_seen += 1u << role->id.bytes[15];
    CHECK(!memcmp(&role->user, ctx, sizeof(role->user)));
}

static void the_highest_role_counts(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1), a = PROJECT(1), b = PROJECT(2), role2 = ROLE(2), role3 = ROLE(3);
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_NONE);
    CHECK_EQ(put_role(t, 1, 1, a, API_ROLE_NAME_READER), 0);
    CHECK_EQ(put_role(t, 2, 1, a, API_ROLE_NAME_MEMBER), 0);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_MEMBER);
    CHECK_EQ(auth_table_role(t, &ada, &b), API_ROLE_NONE);
    CHECK_EQ(auth_table_role(t, &ada, NULL), API_ROLE_NONE);
    CHECK_EQ(put_role(t, 3, 1, NOTHING, API_ROLE_NAME_OPERATOR), 0);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_OPERATOR);
    CHECK_EQ(auth_table_role(t, &ada, &b), API_ROLE_OPERATOR);
    CHECK_EQ(auth_table_role(t, &ada, NULL), API_ROLE_OPERATOR);
    CHECK_EQ(auth_table_role(t, &ada, &NOTHING), API_ROLE_OPERATOR);
    roles_seen = 0;
    auth_table_each_role(t, &ada, see_role, &ada);
    CHECK_EQ(roles_seen, 0xe);
    auth_table_remove_role(t, &role3);
    auth_table_remove_role(t, &role3);
    auth_table_remove_role(t, &role2);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_READER);
    /* The assignment itself is changed, then moved. */
    CHECK_EQ(put_role(t, 1, 1, a, API_ROLE_NAME_ADMIN), 0);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_ADMIN);
    CHECK_EQ(put_role(t, 1, 1, b, API_ROLE_NAME_ADMIN), 0);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_NONE);
    CHECK_EQ(auth_table_role(t, &ada, &b), API_ROLE_ADMIN);
    auth_table_destroy(t);
}

static void things_may_come_in_any_order(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1), a = PROJECT(1);
    char text[AUTH_TOKEN_BYTES];
    struct auth_principal p;
    CHECK_EQ(put_role(t, 1, 1, a, API_ROLE_NAME_MEMBER), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(ALL_READ), NOTHING, text), 0);
    CHECK_EQ(auth_table_users(t), 0);
    CHECK(!auth_table_user(t, &ada));
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_NONE);
    CHECK_EQ(code_of(t, text, NOW, NULL), INVALID);
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_MEMBER);
    CHECK_EQ(code_of(t, text, NOW, &p), TAKEN);
    CHECK_STR(p.user_name, "ada");
    auth_table_destroy(t);
}

static void who_is_disabled_or_removed_is_nobody_at_once(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1), a = PROJECT(1);
    char token[AUTH_TOKEN_BYTES], session[AUTH_TOKEN_BYTES];
    struct auth_principal p;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(put_role(t, 1, 1, a, API_ROLE_NAME_MEMBER), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(ALL_READ), NOTHING, token), 0);
    CHECK_EQ(auth_table_open_session(t, &ada, NOW, session, NULL, NULL), 0);
    CHECK_EQ(code_of(t, session, NOW, NULL), TAKEN);
    CHECK_EQ(code_of(t, token, NOW, &p), TAKEN);
    CHECK(auth_still(t, &p, NOW));
    CHECK_EQ(put_user(t, 1, "ada", false), 0);
    CHECK(!auth_still(t, &p, NOW));
    CHECK_EQ(code_of(t, token, NOW, NULL), INVALID);
    CHECK_EQ(code_of(t, session, NOW, NULL), INVALID);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_NONE);
    CHECK_EQ(auth_table_open_session(t, &ada, NOW, session, NULL, NULL), -ENOENT);
    CHECK_EQ(put_user(t, 1, "ada", true), 0); /* tokens work again, sessions do not */
    CHECK_EQ(code_of(t, token, NOW, NULL), TAKEN);
    CHECK_EQ(code_of(t, session, NOW, NULL), INVALID);
    auth_table_remove_user(t, &ada);
    CHECK_EQ(code_of(t, token, NOW, NULL), INVALID);
    CHECK_EQ(auth_table_role(t, &ada, &a), API_ROLE_NONE);
    auth_table_destroy(t);
}

static void a_token_works_until_it_ends_or_is_removed(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id id = TOKEN(1);
    char text[AUTH_TOKEN_BYTES], other[AUTH_TOKEN_BYTES];
    struct auth_principal p;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(ALL_READ), NOTHING, text), 0);
    CHECK_EQ(code_of(t, text, NOW + DAY_MS - 1, &p), TAKEN);
    CHECK(auth_still(t, &p, NOW + DAY_MS - 1));
    CHECK(!auth_still(t, &p, NOW + DAY_MS));
    CHECK_EQ(code_of(t, text, NOW + DAY_MS, NULL), EXPIRED);
    CHECK_EQ(auth_table_sweep(t, NOW + DAY_MS), 0); /* tokens are the store's */
    /* Put again with another secret: the old one is nothing any more. */
    CHECK_EQ(put_token(t, 1, 1, SCOPE(ALL_READ), NOTHING, other), 0);
    CHECK_EQ(code_of(t, text, NOW, NULL), INVALID);
    CHECK_EQ(code_of(t, other, NOW, &p), TAKEN);
    auth_table_remove_token(t, &id);
    auth_table_remove_token(t, &id);
    CHECK_EQ(code_of(t, other, NOW, NULL), INVALID);
    CHECK(!auth_still(t, &p, NOW));
    auth_table_destroy(t);
}

static void each_use_moves_the_end_of_a_session(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1);
    char text[AUTH_TOKEN_BYTES];
    struct auth_session s;
    struct auth_principal p;
    const int64_t idle = AUTH_TABLE_SESSION_IDLE_MS, longest = AUTH_TABLE_SESSION_LONGEST_MS;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(auth_table_open_session(t, &ada, NOW, text, &s, NULL), 0);
    CHECK_EQ(s.expires_ms, NOW + idle);
    int64_t at = NOW;
    while (at + idle - 1 < NOW + longest) {
        at += idle - 1;
        CHECK_EQ(code_of(t, text, at, &p), TAKEN);
        CHECK(p.expires_ms <= NOW + longest && p.expires_ms > at);
    }
    CHECK_EQ(p.expires_ms, NOW + longest);
    CHECK_EQ(code_of(t, text, NOW + longest - 1, NULL), TAKEN);
    CHECK_EQ(code_of(t, text, NOW + longest, NULL), EXPIRED);
    CHECK_EQ(auth_table_open_session(t, &ada, NOW, text, &s, NULL), 0);
    CHECK_EQ(code_of(t, text, NOW + idle, NULL), EXPIRED);
    CHECK_EQ(auth_table_sweep(t, NOW + idle - 1), 0);
    CHECK_EQ(auth_table_sweep(t, NOW + longest), 2);
    CHECK_EQ(code_of(t, text, NOW, NULL), INVALID);
    auth_table_destroy(t);
}

static void a_new_password_ends_the_sessions_before_it(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_user u = {.id = USER(1), .name = "ada", .password = "a", .enabled = true};
    char before[AUTH_TOKEN_BYTES], after[AUTH_TOKEN_BYTES], token[AUTH_TOKEN_BYTES];
    struct auth_principal p;
    CHECK_EQ(auth_table_put_user(t, &u), 0);
    CHECK_EQ(put_token(t, 1, 1, SCOPE(ALL_READ), NOTHING, token), 0);
    CHECK_EQ(auth_table_open_session(t, &u.id, NOW, before, NULL, NULL), 0);
    CHECK_EQ(code_of(t, before, NOW, &p), TAKEN);
    u.password = "b";
    u.sessions_since_ms = NOW + 1;
    CHECK_EQ(auth_table_put_user(t, &u), 0);
    CHECK_EQ(auth_table_open_session(t, &u.id, NOW + 1, after, NULL, NULL), 0);
    CHECK_EQ(code_of(t, before, NOW + 1, NULL), EXPIRED);
    CHECK(!auth_still(t, &p, NOW + 1));
    CHECK_EQ(code_of(t, after, NOW + 1, &p), TAKEN);
    CHECK_EQ(code_of(t, token, NOW + 1, NULL), TAKEN);
    CHECK_EQ(auth_table_end_sessions(t, &u.id), 2);
    CHECK(!auth_still(t, &p, NOW + 1));
    CHECK_EQ(code_of(t, after, NOW + 1, NULL), INVALID);
    auth_table_destroy(t);
}

static void one_session_is_ended_alone(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1);
    char a[AUTH_TOKEN_BYTES], b[AUTH_TOKEN_BYTES];
    struct auth_principal p;
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    CHECK_EQ(auth_table_open_session(t, &ada, NOW, a, NULL, NULL), 0);
    CHECK_EQ(auth_table_open_session(t, &ada, NOW, b, NULL, NULL), 0);
    CHECK_EQ(code_of(t, a, NOW, &p), TAKEN);
    auth_table_end_session(t, &p.token);
    auth_table_end_session(t, &p.token);
    CHECK_EQ(code_of(t, a, NOW, NULL), INVALID);
    CHECK_EQ(code_of(t, b, NOW, NULL), TAKEN);
    auth_table_destroy(t);
}

static void the_session_unused_longest_makes_room(void)
{
    enum { N = AUTH_TABLE_SESSIONS_A_USER };
    static char texts[N + 1][AUTH_TOKEN_BYTES];
    struct auth_table *t = auth_table_create(NULL);
    struct auth_id ada = USER(1);
    CHECK_EQ(put_user(t, 1, "ada", true), 0);
    for (unsigned i = 0; i < N; i++)
        CHECK_EQ(auth_table_open_session(t, &ada, NOW, texts[i], NULL, NULL), 0);
    CHECK_EQ(code_of(t, texts[0], NOW, NULL), TAKEN);
    CHECK_EQ(auth_table_open_session(t, &ada, NOW, texts[N], NULL, NULL), 0);
    CHECK_EQ(code_of(t, texts[0], NOW, NULL), TAKEN);
    CHECK_EQ(code_of(t, texts[1], NOW, NULL), INVALID);
    CHECK_EQ(code_of(t, texts[2], NOW, NULL), TAKEN);
    CHECK_EQ(code_of(t, texts[N], NOW, NULL), TAKEN);
    auth_table_destroy(t);
}

static void a_session_of_another_server_works_here(void)
{
    struct auth_table *a = auth_table_create(NULL), *b = auth_table_create(NULL);
    struct auth_id ada = USER(1);
    char text[AUTH_TOKEN_BYTES];
    struct auth_session s;
    struct auth_principal pa, pb;
    CHECK_EQ(put_user(a, 1, "ada", true), 0);
    CHECK_EQ(auth_table_open_session(a, &ada, NOW, text, &s, NULL), 0);
    CHECK_EQ(auth_table_put_session(b, &s), 0);
    CHECK_EQ(code_of(b, text, NOW, NULL), INVALID);
    CHECK_EQ(put_user(b, 1, "ada", true), 0);
    CHECK_EQ(code_of(a, text, NOW, &pa), TAKEN);
    CHECK_EQ(code_of(b, text, NOW, &pb), TAKEN);
    CHECK(!memcmp(&pa.token, &pb.token, sizeof(pa.token)));
    /* It was used there meanwhile; a later message that is older moves nothing back. */
    s.expires_ms += 3 * AUTH_TABLE_SESSION_IDLE_MS;
    CHECK_EQ(auth_table_put_session(b, &s), 0);
    s.expires_ms = NOW;
    CHECK_EQ(auth_table_put_session(b, &s), 0);
    CHECK_EQ(code_of(b, text, NOW + 3 * AUTH_TABLE_SESSION_IDLE_MS, NULL), TAKEN);
    s.user = USER(2);
    CHECK_EQ(auth_table_put_session(b, &s), -EINVAL);
    auth_table_destroy(a);
    auth_table_destroy(b);
}

static void nothing_is_no_table(void)
{
    auth_table_destroy(NULL);
    struct auth_table *t = auth_table_create(NULL);
    CHECK(t != NULL);
    CHECK_EQ(auth_table_sweep(t, NOW), 0);
    CHECK_EQ(auth_table_end_sessions(t, &NOTHING), 0);
    auth_table_destroy(t);
}

int main(void)
{
    TAP_RUN(users_are_found_by_id_and_by_name);
    TAP_RUN(a_user_is_renamed_and_may_be_put_from_its_own_record);
    TAP_RUN(records_that_cannot_be_are_refused);
    TAP_RUN(the_highest_role_counts);
    TAP_RUN(things_may_come_in_any_order);
    TAP_RUN(who_is_disabled_or_removed_is_nobody_at_once);
    TAP_RUN(a_token_works_until_it_ends_or_is_removed);
    TAP_RUN(each_use_moves_the_end_of_a_session);
    TAP_RUN(a_new_password_ends_the_sessions_before_it);
    TAP_RUN(one_session_is_ended_alone);
    TAP_RUN(the_session_unused_longest_makes_room);
    TAP_RUN(a_session_of_another_server_works_here);
    TAP_RUN(nothing_is_no_table);
    return tap_done();
}
