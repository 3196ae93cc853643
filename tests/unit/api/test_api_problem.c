/* Refusals and the documents that tell them. */
#include "api/api_problem.h"

#include <errno.h>
#include <jansson.h>

#include "tap.h"

static void every_code_has_the_name_that_the_enum_gives_it(void)
{
    for (int i = 0; i < API_PROBLEM_CODE_N; i++) {
        enum api_problem_code back;
        CHECK_STR(api_problem_kinds[i].code, api_types_problem_code.names[i]);
        CHECK(api_problem_kinds[i].status >= 400 && api_problem_kinds[i].status <= 599);
        CHECK_EQ(api_problem_find(api_problem_kinds[i].code, &back), 0);
        CHECK_EQ(back, i);
    }
    enum api_problem_code code;
    CHECK_EQ(api_problem_find("no.such", &code), -ENOENT);
}

static json_t *document(const struct api_refusal *r, const char *extra)
{
    struct api_buf b;
    api_buf_init(&b, 1 << 20);
    api_problem_write(r, "/v1/vms", "req-1", extra, &b);
    json_t *json = b.failed ? NULL : json_loads(b.text, JSON_REJECT_DUPLICATES, NULL);
    api_buf_fini(&b);
    return json;
}

static const char *text(const json_t *json, const char *key)
{
    const char *t = json_string_value(json_object_get(json, key));
    return t ? t : "";
}

static void the_document_has_the_members_of_rfc_9457(void)
{
    struct api_refusal r;
    api_problem_init(&r);
    CHECK_EQ(api_problem_set(&r, API_PROBLEM_CODE_QUOTA_EXCEEDED, "%d vCPUs are over", 3), -EBUSY);
    json_t *json = document(&r, ",\"extra\":1");
    REQUIRE(json);
    CHECK_STR(text(json, "type"), "urn:virga:problem:quota.exceeded");
    CHECK_STR(text(json, "code"), "quota.exceeded");
    CHECK_STR(text(json, "detail"), "3 vCPUs are over");
    CHECK_STR(text(json, "instance"), "/v1/vms");
    CHECK_STR(text(json, "request_id"), "req-1");
    CHECK(strlen(text(json, "title")) > 0);
    CHECK_EQ(json_integer_value(json_object_get(json, "status")), 409);
    CHECK_EQ(json_integer_value(json_object_get(json, "extra")), 1);
    json_decref(json);
}

static void tells_each_place_and_keeps_no_more_than_fit(void)
{
    struct api_refusal r;
    api_problem_init(&r);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(api_problem_add(&r, API_PROBLEM_CODE_REQUEST_INVALID, "/name", "wrong %d", i),
                 -EINVAL);
    CHECK_EQ(r.n_errors, 100);
    json_t *json = document(&r, NULL);
    REQUIRE(json);
    const json_t *errors = json_object_get(json, "errors");
    CHECK_EQ(json_array_size(errors), API_PROBLEM_ERRORS_MAX);
    CHECK_STR(text(json_array_get(errors, 15), "detail"), "wrong 15");
    CHECK_STR(text(json_array_get(errors, 15), "pointer"), "/name");
    json_decref(json);
}

static void a_long_text_is_cut_between_characters(void)
{
    char longer[2000];
    struct api_refusal r;
    api_problem_init(&r);
    for (size_t i = 0; i + 3 < sizeof(longer); i += 3)
        memcpy(longer + i, "\xe2\x82\xac", 4);
    api_problem_set(&r, API_PROBLEM_CODE_REQUEST_INVALID, "x%s", longer);
    CHECK_EQ(strlen(r.detail) % 3, 1);
    json_t *json = document(&r, NULL);
    CHECK(json != NULL);
    json_decref(json);
}

static void without_a_refusal_to_fill_in_only_the_number_comes_back(void)
{
    CHECK_EQ(api_problem_set(NULL, API_PROBLEM_CODE_RESOURCE_NOT_FOUND, "x"), -ENOENT);
    CHECK_EQ(api_problem_add(NULL, API_PROBLEM_CODE_SERVER_INTERNAL, "/x", "x"), -EIO);
    CHECK_EQ(api_problem_status((enum api_problem_code)9999), 500);
}

static void a_refusal_that_nobody_set_is_our_own_fault(void)
{
    struct api_refusal r;
    api_problem_init(&r);
    json_t *json = document(&r, NULL);
    REQUIRE(json);
    CHECK_STR(text(json, "code"), "server.internal");
    json_decref(json);
}

int main(void)
{
    TAP_RUN(every_code_has_the_name_that_the_enum_gives_it);
    TAP_RUN(the_document_has_the_members_of_rfc_9457);
    TAP_RUN(tells_each_place_and_keeps_no_more_than_fit);
    TAP_RUN(a_long_text_is_cut_between_characters);
    TAP_RUN(without_a_refusal_to_fill_in_only_the_number_comes_back);
    TAP_RUN(a_refusal_that_nobody_set_is_our_own_fault);
    return tap_done();
}
