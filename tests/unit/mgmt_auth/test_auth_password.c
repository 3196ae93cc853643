#include "mgmt/auth/auth_password.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

/* Cheap, so that tests do not take the machine. */
static const struct auth_password_cost CHEAP = {.memory_kib = 64, .passes = 1, .lanes = 1};
static const char GOOD[] = "correct horse";

static void the_default_cost_is_that_of_the_rfc(void)
{
    /* RFC 9106, 4: 64 MiB and 3 passes. */
    CHECK_EQ(auth_password_cost_default.memory_kib, 65536);
    CHECK_EQ(auth_password_cost_default.passes, 3);
    CHECK_EQ(auth_password_cost_default.lanes, 1);
    char text[AUTH_PASSWORD_TEXT_BYTES];
    REQUIRE(!auth_password_hash(GOOD, sizeof(GOOD) - 1, &auth_password_cost_default, text, NULL));
    CHECK(!strncmp(text, "$argon2id$v=19$m=65536,t=3,p=1$", 31));
    CHECK_EQ(auth_password_verify(GOOD, sizeof(GOOD) - 1, text, &auth_password_cost_default), 0);
}

static void a_published_hash_is_verified(void)
{
    /* Of the reference implementation's own tests: "password", "somesalt", t=2, m=256, p=1. */
    static const char TEXT[] = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$"
                               "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    CHECK_EQ(auth_password_verify("password", 8, TEXT, &CHEAP), 0);
    CHECK_EQ(auth_password_verify("passwore", 8, TEXT, &CHEAP), -EACCES);
    CHECK_EQ(auth_password_verify("password", 7, TEXT, &CHEAP), -EACCES);
    CHECK_EQ(auth_password_verify("password", 9, TEXT, &CHEAP), -EACCES); /* with the NUL */
}

static void a_password_is_verified_against_its_own_hash_only(void)
{
    char a[AUTH_PASSWORD_TEXT_BYTES], b[AUTH_PASSWORD_TEXT_BYTES];
    REQUIRE(!auth_password_hash(GOOD, sizeof(GOOD) - 1, &CHEAP, a, NULL));
    REQUIRE(!auth_password_hash("another one", 11, &CHEAP, b, NULL));
    CHECK_EQ(auth_password_verify(GOOD, sizeof(GOOD) - 1, a, &CHEAP), 0);
    CHECK_EQ(auth_password_verify(GOOD, sizeof(GOOD) - 1, b, &CHEAP), -EACCES);
    CHECK_EQ(auth_password_verify("", 0, a, &CHEAP), -EACCES);
    /* All of the hash counts, its last byte too. */
    memcpy(b, a, sizeof(b));
    char *near_end = &b[strlen(b) - 3];
    *near_end = *near_end == 'A' ? 'B' : 'A';
    CHECK_EQ(auth_password_verify(GOOD, sizeof(GOOD) - 1, b, &CHEAP), -EACCES);
    REQUIRE(!auth_password_hash("another one", 11, &CHEAP, b, NULL));
    /* Any byte may be in it. */
    REQUIRE(!auth_password_hash("0123456789\0x", 12, &CHEAP, b, NULL));
    CHECK_EQ(auth_password_verify("0123456789\0x", 12, b, &CHEAP), 0);
    CHECK_EQ(auth_password_verify("0123456789\0y", 12, b, &CHEAP), -EACCES);
}

static void equal_passwords_have_different_hashes(void)
{
    char a[AUTH_PASSWORD_TEXT_BYTES], b[AUTH_PASSWORD_TEXT_BYTES];
    REQUIRE(!auth_password_hash(GOOD, sizeof(GOOD) - 1, &CHEAP, a, NULL));
    REQUIRE(!auth_password_hash(GOOD, sizeof(GOOD) - 1, &CHEAP, b, NULL));
    CHECK(strcmp(a, b) != 0);
}

static void nobody_has_any_password(void)
{
    CHECK_EQ(auth_password_verify(GOOD, sizeof(GOOD) - 1, NULL, &CHEAP), -EACCES);
    CHECK_EQ(auth_password_verify("", 0, NULL, &CHEAP), -EACCES);
    CHECK_EQ(auth_password_verify(GOOD, sizeof(GOOD) - 1, "*", &CHEAP), -EACCES);
    CHECK_EQ(auth_password_verify("", 0, "", &CHEAP), -EACCES);
}

static void lengths_are_bounded_and_the_message_tells_no_secret(void)
{
    char long_one[AUTH_PASSWORD_MAX_BYTES + 1], text[AUTH_PASSWORD_TEXT_BYTES] = "untouched";
    struct err err;
    memset(long_one, 'x', sizeof(long_one));
    CHECK_EQ(auth_password_hash("hush12345", 9, &CHEAP, text, &err), -ERANGE);
    CHECK(!strstr(err.msg, "hush"));
    CHECK_EQ(auth_password_hash(long_one, sizeof(long_one), &CHEAP, text, &err), -ERANGE);
    CHECK(!strstr(err.msg, "xx"));
    CHECK_STR(text, "untouched");
    CHECK_EQ(auth_password_hash(long_one, sizeof(long_one) - 1, &CHEAP, text, NULL), 0);
    CHECK_EQ(auth_password_verify(long_one, sizeof(long_one) - 1, text, &CHEAP), 0);
    CHECK_EQ(auth_password_verify(long_one, sizeof(long_one), text, &CHEAP), -EACCES);
}

static void a_cost_that_cannot_be_is_refused(void)
{
    static const struct auth_password_cost BAD[] = {
        {.memory_kib = 7, .passes = 1, .lanes = 1},
        {.memory_kib = 64, .passes = 0, .lanes = 1},
        {.memory_kib = 64, .passes = 1, .lanes = 0},
        {.memory_kib = 64, .passes = 1, .lanes = 9},
        {.memory_kib = 2048 * 1024, .passes = 1, .lanes = 1},
    };
    char text[AUTH_PASSWORD_TEXT_BYTES];
    for (unsigned i = 0; i < ARRAY_LEN(BAD); i++)
        CHECK_EQ(auth_password_hash(GOOD, sizeof(GOOD) - 1, &BAD[i], text, NULL), -EINVAL);
}

static void another_cost_is_stale(void)
{
    char text[AUTH_PASSWORD_TEXT_BYTES];
    REQUIRE(!auth_password_hash(GOOD, sizeof(GOOD) - 1, &CHEAP, text, NULL));
    CHECK(!auth_password_is_stale(text, &CHEAP));
    struct auth_password_cost c = CHEAP;
    c.memory_kib *= 2;
    CHECK(auth_password_is_stale(text, &c));
    c = CHEAP;
    c.passes++;
    CHECK(auth_password_is_stale(text, &c));
    c = CHEAP;
    c.lanes++;
    CHECK(auth_password_is_stale(text, &c));
    CHECK(auth_password_is_stale("nonsense", &CHEAP));
    /* The same cost, but a short salt. */
    CHECK(auth_password_is_stale("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$"
                                 "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                                 &CHEAP));
}

static void a_text_is_read_strictly(void)
{
    static const char *const BAD[] = {
        "",
        "$argon2id$v=19$m=64,t=1,p=1",
        "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=064,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=1048577,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=18446744073709551617,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=65,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=640,t=1,p=17$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=1,p=1,data=x$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNh$nf65EOgLrQMR/uIPnA4rEg",    /* salt of 6 bytes */
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHR$nf65EOgLrQMR/uIPnA4rEg", /* bits that say nothing
                                                                           */
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ=$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4r",  /* hash of 15 bytes */
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rE", /* 6 bits too many */
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rA", /* though they are 0 */
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg$",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg\n",
    };
    struct auth_password_parts parts = {.salt_bytes = 99};
    for (unsigned i = 0; i < ARRAY_LEN(BAD); i++) {
        if (auth_password_parse(BAD[i], &parts) != -EINVAL)
            printf("# taken: %s\n", BAD[i]);
        CHECK_EQ(auth_password_parse(BAD[i], &parts), -EINVAL);
    }
    CHECK_EQ(parts.salt_bytes, 99);
    char text[300], again[300] = "$argon2id$v=19$m=64,t=1,p=1$";
    CHECK_EQ(auth_password_parse("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
                                 &parts),
             0);
    CHECK_EQ(parts.salt_bytes, 8);
    CHECK_EQ(parts.hash_bytes, 16);
    CHECK(!memcmp(parts.salt, "somesalt", 8));
    /* The longest of both fit, one more does not. */
    memset(again + strlen(again), 'A', 64);
    strcat(again, "$");
    memset(again + strlen(again), 'A', 86);
    CHECK_EQ(auth_password_parse(again, &parts), 0);
    CHECK_EQ(parts.salt_bytes, AUTH_PASSWORD_SALT_MAX_BYTES);
    CHECK_EQ(parts.hash_bytes, AUTH_PASSWORD_HASH_MAX_BYTES);
    CHECK_EQ(auth_password_format(&parts, text, sizeof(text)), strlen(again));
    CHECK_STR(text, again);
    CHECK_EQ(auth_password_format(&parts, text, strlen(again)), -ERANGE);
    strcat(again, "A");
    CHECK_EQ(auth_password_parse(again, &parts), -EINVAL);
}

static void wiping_leaves_nothing(void)
{
    char secret[] = "a secret";
    auth_password_wipe(secret, sizeof(secret));
    for (unsigned i = 0; i < sizeof(secret); i++)
        CHECK_EQ(secret[i], 0);
}

int main(void)
{
    TAP_RUN(the_default_cost_is_that_of_the_rfc);
    TAP_RUN(a_published_hash_is_verified);
    TAP_RUN(a_password_is_verified_against_its_own_hash_only);
    TAP_RUN(equal_passwords_have_different_hashes);
    TAP_RUN(nobody_has_any_password);
    TAP_RUN(lengths_are_bounded_and_the_message_tells_no_secret);
    TAP_RUN(a_cost_that_cannot_be_is_refused);
    TAP_RUN(another_cost_is_stale);
    TAP_RUN(a_text_is_read_strictly);
    TAP_RUN(wiping_leaves_nothing);
    return tap_done();
}
