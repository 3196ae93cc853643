/* What the table does when there is no memory: each allocation of each change fails once. The
 * linker puts the functions here in the place of calloc() and strdup(). */
#include <errno.h>

#include "auth_fixture.h"
#include "base/util.h"

static unsigned until_failure; /* 0: none fails */

static bool fails(void)
{
    return until_failure && --until_failure == 0;
}

void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes)
{
    return fails() ? NULL : __real_calloc(n, bytes);
}
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static struct auth_table *t;
static struct auth_principal ada;

static int new_user(unsigned n)
{
    struct auth_user u = {.id = USER(100 + n), .name = "new", .password = "x", .enabled = true};
    return auth_table_put_user(t, &u);
}
static int same_user(unsigned n)
{
    struct auth_user u = {.id = USER(1), .name = "ada", .password = "new", .enabled = true};
    return auth_table_put_user(t, &u);
}
static int new_role(unsigned n)
{
    return put_role(t, 100 + n, 200 + n, PROJECT(n), API_ROLE_NAME_ADMIN);
}
static int moved_role(unsigned n)
{
    return put_role(t, 1, 300 + n, PROJECT(50 + n), API_ROLE_NAME_ADMIN);
}
static int new_token(unsigned n)
{
    char text[AUTH_TOKEN_BYTES];
    return put_token(t, 100 + n, 400 + n, SCOPE(ALL_READ), NOTHING, text);
}
static int new_session(unsigned n)
{
    char text[AUTH_TOKEN_BYTES];
    return auth_table_open_session(t, &ada.user, NOW, text, NULL, NULL);
}
static int new_ticket(unsigned n)
{
    char text[AUTH_TOKEN_BYTES];
    int64_t ends;
    return auth_table_open_ticket(t, &ada, NOW, text, &ends, NULL);
}

static void a_change_without_memory_is_none(void)
{
    static int (*const CHANGES[])(unsigned n) = {new_user,  same_user,   new_role,  moved_role,
                                                 new_token, new_session, new_ticket};
    char text[AUTH_TOKEN_BYTES];
    struct auth_id id = USER(1), project = PROJECT(1);
    unsigned failed = 0;
    for (unsigned c = 0; c < ARRAY_LEN(CHANGES); c++) {
        t = auth_table_create(NULL);
        REQUIRE(t);
        CHECK_EQ(put_user(t, 1, "ada", true), 0);
        CHECK_EQ(put_role(t, 1, 1, project, API_ROLE_NAME_MEMBER), 0);
        CHECK_EQ(put_token(t, 1, 1, SCOPE(ALL_READ), NOTHING, text), 0);
        CHECK_EQ(code_of(t, text, NOW, &ada), TAKEN);
        /* As often as makes each map grow. */
        for (unsigned n = 0; n < 40; n++) {
            int r = -ENOMEM;
            for (unsigned nth = 1; r == -ENOMEM; nth++) {
                size_t users = auth_table_users(t);
                until_failure = nth;
                r = CHANGES[c](n);
                until_failure = 0;
                if (r != -ENOMEM)
                    break;
                failed++;
                CHECK_EQ(auth_table_users(t), users);
                CHECK_STR(auth_table_user(t, &id)->name, "ada");
                CHECK_EQ(code_of(t, text, NOW, NULL), TAKEN);
                if (c != 3 || !n)
                    CHECK_EQ(auth_table_role(t, &id, &project), API_ROLE_MEMBER);
            }
            CHECK_EQ(r, 0);
        }
        auth_table_destroy(t);
    }
    CHECK(failed > 7 * 40);
}

static void a_table_without_memory_is_none(void)
{
    struct auth_table *made = NULL;
    unsigned failed = 0;
    for (unsigned nth = 1; !made; nth++) {
        struct err err = {.code = 0};
        until_failure = nth;
        made = auth_table_create(&err);
        until_failure = 0;
        failed += !made;
        CHECK_EQ(err.code, made ? 0 : ENOMEM);
    }
    CHECK_EQ(failed, 7);
    auth_table_destroy(made);
}

int main(void)
{
    TAP_RUN(a_change_without_memory_is_none);
    TAP_RUN(a_table_without_memory_is_none);
    return tap_done();
}
