#include "mgmt/auth/auth_bootstrap.h"

#include <errno.h>

#include "auth_fixture.h"

static const struct auth_password_cost CHEAP = {.memory_kib = 64, .passes = 1, .lanes = 1};

static void the_first_admin_can_sign_in_and_do_all(void)
{
    struct auth_table *t = auth_table_create(NULL);
    struct auth_bootstrap b, other;
    struct auth_id user = USER(1), role = ROLE(1), project = PROJECT(5);
    char text[AUTH_TOKEN_BYTES];
    struct auth_principal p;
    CHECK(auth_bootstrap_is_needed(t));
    REQUIRE(!auth_bootstrap_make("admin", &user, &role, NOW, &CHEAP, &b, NULL));
    REQUIRE(!auth_bootstrap_make("admin", &user, &role, NOW, &CHEAP, &other, NULL));
    CHECK(strcmp(b.password, other.password) != 0);
    CHECK_EQ(strlen(b.password), 29);
    CHECK_EQ(auth_table_put_user(t, &b.user), 0);
    CHECK_EQ(auth_table_put_role(t, &b.role), 0);
    CHECK(!auth_bootstrap_is_needed(t));
    const struct auth_user *u = auth_table_user_named(t, "admin");
    REQUIRE(u);
    CHECK_EQ(auth_password_verify(b.password, strlen(b.password), u->password, &CHEAP), 0);
    CHECK_EQ(auth_password_verify(other.password, strlen(b.password), u->password, &CHEAP),
             -EACCES);
    CHECK_EQ(auth_table_open_session(t, &user, NOW, text, NULL, NULL), 0);
    CHECK_EQ(code_of(t, text, NOW, &p), TAKEN);
    CHECK_EQ(p.cloud_role, API_ROLE_ADMIN);
    CHECK_EQ(auth_role_in(t, &p, &project), API_ROLE_ADMIN);
    for (unsigned op = 0; op < API_OPS; op++) {
        struct auth_where where = {.project_text = "web", .project = &project};
        CHECK_EQ(auth_may(t, &p, &api_route_table[op], &where, NULL), 0);
    }
    auth_bootstrap_fini(&b);
    auth_bootstrap_fini(&other);
    for (unsigned i = 0; i < sizeof(b.password); i++)
        CHECK_EQ(b.password[i], 0);
    auth_table_destroy(t);
}

static void a_disabled_user_is_a_user(void)
{
    struct auth_table *t = auth_table_create(NULL);
    CHECK_EQ(put_role(t, 1, 1, NOTHING, API_ROLE_NAME_ADMIN), 0);
    CHECK(auth_bootstrap_is_needed(t)); /* a role alone is none */
    CHECK_EQ(put_user(t, 1, "ada", false), 0);
    CHECK(!auth_bootstrap_is_needed(t));
    auth_table_destroy(t);
}

static void a_name_that_is_none_is_refused(void)
{
    struct auth_bootstrap b;
    struct auth_id user = USER(1), role = ROLE(1);
    struct err err;
    char long_name[AUTH_RECORD_NAME_BYTES + 1];
    memset(long_name, 'x', sizeof(long_name));
    long_name[AUTH_RECORD_NAME_BYTES] = '\0';
    CHECK_EQ(auth_bootstrap_make("", &user, &role, NOW, &CHEAP, &b, &err), -EINVAL);
    CHECK_EQ(auth_bootstrap_make("a b", &user, &role, NOW, &CHEAP, &b, &err), -EINVAL);
    CHECK(strstr(err.msg, "\"a b\"") != NULL);
    CHECK_EQ(auth_bootstrap_make(long_name, &user, &role, NOW, &CHEAP, &b, &err), -EINVAL);
    CHECK_EQ(auth_bootstrap_make(long_name + 1, &user, &role, NOW, &CHEAP, &b, &err), 0);
    auth_bootstrap_fini(&b);
}

int main(void)
{
    TAP_RUN(the_first_admin_can_sign_in_and_do_all);
    TAP_RUN(a_disabled_user_is_a_user);
    TAP_RUN(a_name_that_is_none_is_refused);
    return tap_done();
}
