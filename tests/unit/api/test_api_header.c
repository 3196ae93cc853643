/* Headers that every operation takes. */
#include "api/api_header.h"

#include <errno.h>

#include "tap.h"

static struct api_refusal refusal;

static int if_match(const char *value)
{
    api_problem_init(&refusal);
    return api_header_if_match(value, 7, &refusal);
}

static void a_change_goes_on_only_over_the_generation_it_names(void)
{
    CHECK_EQ(if_match(NULL), 0);
    CHECK_EQ(if_match("*"), 0);
    CHECK_EQ(if_match("\"7\""), 0);
    CHECK_EQ(if_match(" \"6\" ,\t\"7\" "), 0);
    CHECK_EQ(if_match("\"6\""), -ESTALE);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_RESOURCE_GENERATION);
    CHECK(strstr(refusal.detail, "\"7\" and not \"6\"") != NULL);
    CHECK_EQ(if_match("\"77\""), -ESTALE);
    CHECK_EQ(if_match("\"\""), -ESTALE);
    CHECK_EQ(if_match("W/\"7\""), -ESTALE);
}

static void a_precondition_that_is_not_understood_does_not_pass(void)
{
    static const char *const values[] = {"",       "7",      "\"7",      "7\"",      "\"7\" \"8\"",
                                         "\"7\",", ",\"7\"", "*, \"7\"", "\"7\", *", "w/\"7\"",
                                         "* *"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (if_match(values[i]) != -EINVAL)
            printf("# %s\n", values[i]);
        CHECK_EQ(if_match(values[i]), -EINVAL);
        CHECK_EQ(refusal.code, API_PROBLEM_CODE_REQUEST_HEADER_INVALID);
        CHECK_STR(refusal.errors[0].pointer, "If-Match");
    }
}

static void a_client_that_has_it_already_is_told_so(void)
{
    CHECK(api_header_none_match("\"7\"", 7));
    CHECK(api_header_none_match("W/\"7\"", 7));
    CHECK(api_header_none_match("*", 7));
    CHECK(api_header_none_match("\"6\", \"7\"", 7));
    CHECK(!api_header_none_match("\"6\"", 7));
    CHECK(!api_header_none_match("7", 7));
    CHECK(!api_header_none_match(NULL, 7));
}

static void the_etag_is_the_generation_in_quotes(void)
{
    char text[API_HEADER_ETAG_BYTES];
    api_header_etag(18446744073709551615ull, text);
    CHECK_STR(text, "\"18446744073709551615\"");
    CHECK_EQ(api_header_if_match(text, 18446744073709551615ull, NULL), 0);
}

static void a_project_is_a_name_or_all_of_them_in_lists(void)
{
    bool all = true;
    CHECK_EQ(api_header_project("acme", false, &all, NULL), 0);
    CHECK(!all);
    CHECK_EQ(api_header_project("*", true, &all, NULL), 0);
    CHECK(all);
    CHECK_EQ(api_header_project("*", false, &all, NULL), -EINVAL);
    CHECK_EQ(api_header_project("", true, &all, NULL), -EINVAL);
    CHECK_EQ(api_header_project("a/b", true, &all, NULL), -EINVAL);
}

static void keys_and_ids_are_short_and_visible(void)
{
    char longer[200];
    memset(longer, 'k', sizeof(longer));
    longer[127] = '\0';
    CHECK_EQ(api_header_idempotency_key(longer, NULL), 0);
    longer[127] = 'k';
    longer[128] = '\0';
    CHECK_EQ(api_header_idempotency_key(longer, NULL), -EINVAL);
    CHECK_EQ(api_header_idempotency_key("", NULL), -EINVAL);
    CHECK_EQ(api_header_idempotency_key("a b", NULL), -EINVAL);
    CHECK_EQ(api_header_idempotency_key("a\x7f", NULL), -EINVAL);
    CHECK_EQ(api_header_idempotency_key("{0190b8e4}/\"x\"", NULL), 0);
    longer[63] = '\0';
    CHECK_EQ(api_header_request_id(longer, NULL), 0);
    longer[63] = 'k';
    longer[64] = '\0';
    CHECK_EQ(api_header_request_id(longer, NULL), -EINVAL);
    CHECK_EQ(api_header_request_id("a\r\nb", NULL), -EINVAL);
}

int main(void)
{
    TAP_RUN(a_change_goes_on_only_over_the_generation_it_names);
    TAP_RUN(a_precondition_that_is_not_understood_does_not_pass);
    TAP_RUN(a_client_that_has_it_already_is_told_so);
    TAP_RUN(the_etag_is_the_generation_in_quotes);
    TAP_RUN(a_project_is_a_name_or_all_of_them_in_lists);
    TAP_RUN(keys_and_ids_are_short_and_visible);
    return tap_done();
}
