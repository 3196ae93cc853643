#include "mgmt/auth/auth_token.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

#define LEN (AUTH_TOKEN_BYTES - 1)

static void what_is_made_can_be_read(void)
{
    static const char *const PREFIXES[] = {"virga_api_", "virga_ses_", "virga_tkt_"};
    for (unsigned k = 0; k < AUTH_TOKEN_KINDS; k++) {
        char text[AUTH_TOKEN_BYTES];
        uint8_t hash[AUTH_TOKEN_HASH_BYTES], again[AUTH_TOKEN_HASH_BYTES];
        enum auth_token_kind kind = AUTH_TOKEN_KINDS;
        REQUIRE(!auth_token_make((enum auth_token_kind)k, text, hash, NULL));
        CHECK_EQ(strlen(text), LEN);
        CHECK(!strncmp(text, PREFIXES[k], 10));
        CHECK_EQ(auth_token_parse(text, LEN, &kind, NULL), 0);
        CHECK_EQ(kind, k);
        CHECK_EQ(auth_token_hash(text, LEN, again), 0);
        CHECK(!memcmp(hash, again, sizeof(hash)));
    }
}

static void the_form_is_as_described(void)
{
    /* The bytes 00 to 1f, written by another program. */
    static const char TEXT[] = "virga_api_aaaqeayeaudaocajbifqydio"
                               "b4ibceqtcqkrmfyydenbwha5dypyga55v4";
    enum auth_token_kind kind = AUTH_TOKEN_KINDS;
    CHECK_EQ(auth_token_parse(TEXT, sizeof(TEXT) - 1, &kind, NULL), 0);
    CHECK_EQ(kind, AUTH_TOKEN_API);
}

static void the_hash_is_sha256_of_the_text(void)
{
    /* FIPS 180-2, B.1: "abc". */
    static const uint8_t ABC[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    CHECK_EQ(auth_token_hash("abc", 3, hash), 0);
    CHECK(!memcmp(hash, ABC, sizeof(hash)));
}

static void no_two_are_equal(void)
{
    enum { N = 200 };
    static char texts[N][AUTH_TOKEN_BYTES];
    unsigned seen[256] = {0}, kinds = 0;
    for (unsigned i = 0; i < N; i++) {
        uint8_t hash[AUTH_TOKEN_HASH_BYTES];
        REQUIRE(!auth_token_make(AUTH_TOKEN_API, texts[i], hash, NULL));
        for (unsigned j = 0; j < i; j++)
            CHECK(strcmp(texts[i], texts[j]) != 0);
        for (unsigned c = 10; c < LEN; c++)
            seen[(uint8_t)texts[i][c]]++;
    }
    for (unsigned c = 0; c < 256; c++)
        kinds += seen[c] != 0;
    CHECK_EQ(kinds, 32);
}

/* Every single wrong character is noticed, and every swap of two neighbours. */
static void a_typo_is_told_from_a_token_nobody_knows(void)
{
    static const char OTHERS[] = "abcdefghijklmnopqrstuvwxyz234567";
    char text[AUTH_TOKEN_BYTES];
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    enum auth_token_kind kind = AUTH_TOKEN_KINDS;
    struct err err;
    REQUIRE(!auth_token_make(AUTH_TOKEN_API, text, hash, NULL));
    unsigned wrong_sums = 0;
    for (unsigned i = 10; i < LEN; i++) {
        char was = text[i];
        for (const char *c = OTHERS; *c; c++) {
            if (*c == was)
                continue;
            text[i] = *c;
            int r = auth_token_parse(text, LEN, &kind, &err);
            CHECK(r == -EBADMSG || (r == -EINVAL && i == LEN - 1));
            wrong_sums += r == -EBADMSG;
            CHECK(!strstr(err.msg, text + 10));
        }
        text[i] = was;
        if (i + 1 < LEN && text[i + 1] != was) {
            text[i] = text[i + 1];
            text[i + 1] = was;
            CHECK(auth_token_parse(text, LEN, &kind, NULL) < 0);
            text[i + 1] = text[i];
            text[i] = was;
        }
    }
    CHECK(wrong_sums > 57 * 31);
    CHECK_EQ(kind, AUTH_TOKEN_KINDS);
    CHECK_EQ(auth_token_parse(text, LEN, &kind, NULL), 0);
}

static void the_kind_cannot_be_changed(void)
{
    char text[AUTH_TOKEN_BYTES];
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    enum auth_token_kind kind;
    REQUIRE(!auth_token_make(AUTH_TOKEN_TICKET, text, hash, NULL));
    memcpy(text, "virga_api_", 10);
    CHECK_EQ(auth_token_parse(text, LEN, &kind, NULL), -EBADMSG);
}

static void what_is_no_token_is_refused_without_repeating_it(void)
{
    char text[AUTH_TOKEN_BYTES + 1];
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    enum auth_token_kind kind = AUTH_TOKEN_KINDS;
    struct err err;
    CHECK_EQ(auth_token_parse("", 0, &kind, &err), -EINVAL);
    CHECK_EQ(auth_token_parse("hunter2hunter2", 14, &kind, &err), -EINVAL);
    CHECK(!strstr(err.msg, "hunter2"));
    CHECK_EQ(auth_token_parse("virga_api_", 10, &kind, &err), -EINVAL);
    CHECK_EQ(auth_token_parse("virga_xyz_aaaa", 14, &kind, &err), -EINVAL);
    REQUIRE(!auth_token_make(AUTH_TOKEN_API, text, hash, NULL));
    CHECK_EQ(auth_token_parse(text, LEN - 1, &kind, &err), -EINVAL);
    CHECK(strstr(err.msg, "67") != NULL);
    text[LEN] = 'a';
    CHECK_EQ(auth_token_parse(text, LEN + 1, &kind, &err), -EINVAL);
    static const char BAD[] = {'A', '0', '1', '8', '9', '=', ' ', '\n', '\0', '`', '{', '\x80'};
    for (unsigned i = 0; i < ARRAY_LEN(BAD); i++) {
        char was = text[30];
        text[30] = BAD[i];
        CHECK_EQ(auth_token_parse(text, LEN, &kind, &err), -EINVAL);
        CHECK(!strstr(err.msg, "_api_a"));
        text[30] = was;
    }
    CHECK_EQ(kind, AUTH_TOKEN_KINDS);
}

static void a_bearer_is_found_in_its_header(void)
{
    const char *text = NULL;
    size_t bytes = 0;
    CHECK_EQ(auth_token_bearer("Bearer abc", &text, &bytes), 0);
    CHECK(bytes == 3 && !strncmp(text, "abc", 3));
    CHECK_EQ(auth_token_bearer("bEARER   xyz \t", &text, &bytes), 0);
    CHECK(bytes == 3 && !strncmp(text, "xyz", 3));
    static const char *const BAD[] = {"",          "Bearer",     "Bearer ",      "Bearer    ",
                                      "Basic abc", "abc",        "Bearer abc d", "Bearerabc",
                                      " Bearer a", "Bearer\tabc"};
    for (unsigned i = 0; i < ARRAY_LEN(BAD); i++)
        CHECK_EQ(auth_token_bearer(BAD[i], &text, &bytes), -EINVAL);
    CHECK(bytes == 3 && !strncmp(text, "xyz", 3));
}

int main(void)
{
    TAP_RUN(what_is_made_can_be_read);
    TAP_RUN(the_form_is_as_described);
    TAP_RUN(the_hash_is_sha256_of_the_text);
    TAP_RUN(no_two_are_equal);
    TAP_RUN(a_typo_is_told_from_a_token_nobody_knows);
    TAP_RUN(the_kind_cannot_be_changed);
    TAP_RUN(what_is_no_token_is_refused_without_repeating_it);
    TAP_RUN(a_bearer_is_found_in_its_header);
    return tap_done();
}
