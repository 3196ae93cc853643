/* The scanner against jansson: random documents, whole and damaged, are JSON for both or for
 * neither, and what the cursor makes of them is what jansson makes of them. */
#include "api/api_json_scan.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_json.h"
#include "base/util.h"
#include "tap.h"

#define TEXT_BYTES 4096

static uint64_t state = 0x9e3779b97f4a7c15;

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % n;
}

static char text[TEXT_BYTES];
static size_t bytes;

static void put(const char *s)
{
    size_t n = strlen(s);
    if (bytes + n < sizeof(text)) {
        memcpy(text + bytes, s, n + 1);
        bytes += n;
    }
}

static void put_spaces(void)
{
    static const char *const spaces[] = {"", "", "", " ", "\n", "\t", "\r\n  "};
    put(spaces[below(ARRAY_LEN(spaces))]);
}

static void put_text(void)
{
    static const char *const parts[] = {"a",
                                        "name",
                                        "\\n",
                                        "\\\"",
                                        "\\\\",
                                        "\\/",
                                        "\\u0041",
                                        "\\u00e9",
                                        "\\u20ac",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80",
                                        "\\ud83d\\ude00",
                                        " ",
                                        "{",
                                        "]",
                                        ",",
                                        "\\b\\f\\r\\t"};
    put("\"");
    for (unsigned n = below(6); n; n--)
        put(parts[below(ARRAY_LEN(parts))]);
    put("\"");
}

static void put_value(unsigned depth)
{
    static const char *const scalars[] = {"0",
                                          "-0",
                                          "1",
                                          "-17",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "1.5",
                                          "-2e3",
                                          "1E-7",
                                          "0.1e+2",
                                          "true",
                                          "false",
                                          "null",
                                          "12345678901234567"};
    unsigned what = below(depth ? 6 : 3);
    put_spaces();
    if (what < 2) {
        put(scalars[below(ARRAY_LEN(scalars))]);
    } else if (what == 2) {
        put_text();
    } else {
        bool object = what == 3;
        put(object ? "{" : "[");
        for (unsigned n = below(5), i = 0; i < n; i++) {
            put(i ? "," : "");
            put_spaces();
            if (object) {
                char key[16];
                snprintf(key, sizeof(key), "\"%u\"", i);
                put(key);
                put_spaces();
                put(":");
            }
            put_value(depth - 1);
        }
        put_spaces();
        put(object ? "}" : "]");
    }
    put_spaces();
}

static void make(void)
{
    bytes = 0;
    put_value(5);
}

static void damage(void)
{
    static const char likely[] = "{}[]:,\"\\u0019e.-+ \n\x01\xff\x80\xc3\xe2tfn";
    for (unsigned n = 1 + below(3); n && bytes; n--) {
        unsigned at = below((unsigned)bytes);
        switch (below(3)) {
        case 0:
            text[at] = likely[below(sizeof(likely) - 1)];
            break;
        case 1:
            memmove(text + at, text + at + 1, bytes - at - 1);
            bytes--;
            break;
        default:
            bytes = at;
        }
    }
}

/* In memory of its own, so that ASan sees a step beyond it. */
static bool is_json(json_t **json)
{
    struct api_refusal refusal;
    json_error_t e;
    char *exact = malloc(bytes ? bytes : 1);
    *json = NULL;
    CHECK(exact);
    if (!exact)
        return false;
    memcpy(exact, text, bytes);
    api_problem_init(&refusal);
    bool good = !api_json_scan(exact, bytes, &refusal);
    *json = json_loadb(exact, bytes, JSON_DECODE_ANY, &e);
    if (good != (*json != NULL))
        printf("# %.*s\n# %s; jansson: %s\n", (int)bytes, text, good ? "good" : refusal.detail,
               *json ? "good" : e.text);
    CHECK_EQ(good, *json != NULL);
    free(exact);
    return good;
}

static void check_value(struct api_json_cursor *c, const json_t *v);

static void check_children(struct api_json_cursor *c, const json_t *v)
{
    size_t n = json_is_object(v) ? json_object_size(v) : json_array_size(v), i = 0;
    CHECK_EQ(api_json_count(c), n);
    for (bool more = api_json_enter(c); more; more = api_json_more(c), i++) {
        const json_t *child = json_array_get(v, i);
        if (json_is_object(v)) {
            char key[64];
            api_json_take_key(c, key, sizeof(key));
            child = json_object_get(v, key);
        }
        check_value(c, child);
    }
    CHECK_EQ(i, n);
}

static void check_value(struct api_json_cursor *c, const json_t *v)
{
    char decoded[TEXT_BYTES];
    int64_t whole = 0;
    double real = 0;
    char ch = api_json_peek(c);
    CHECK(v != NULL);
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_STRING:
        CHECK(api_json_text_bytes(c) >= json_string_length(v));
        CHECK_EQ(api_json_take_text(c, decoded, sizeof(decoded)), json_string_length(v));
        CHECK_STR(decoded, json_string_value(v));
        break;
    case JSON_INTEGER:
        CHECK(api_json_take_number(c, &whole, &real));
        CHECK_EQ(whole, json_integer_value(v));
        break;
    case JSON_REAL:
        CHECK(!api_json_take_number(c, &whole, &real));
        CHECK(real == json_real_value(v));
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
        check_children(c, v);
        break;
    default:
        CHECK_EQ(ch, json_is_true(v) ? 't' : json_is_false(v) ? 'f' : 'n');
        api_json_skip(c);
    }
}

static void whole_documents_mean_what_jansson_says(void)
{
    json_t *json;
    for (int i = 0; i < 20000; i++) {
        make();
        if (!is_json(&json))
            continue;
        struct api_json_cursor c = {text, text + bytes};
        check_value(&c, json);
        char any[TEXT_BYTES];
        c.at = text;
        json_t *again = json_loadb(any, api_json_take_any(&c, any), JSON_DECODE_ANY, NULL);
        CHECK(json_equal(json, again));
        json_decref(again);
        json_decref(json);
    }
}

static void damaged_ones_are_refused_where_jansson_refuses_them(void)
{
    json_t *json;
    unsigned good = 0;
    for (int i = 0; i < 60000; i++) {
        make();
        damage();
        good += is_json(&json);
        json_decref(json);
    }
    CHECK(good > 1000 && good < 50000); /* or the damage shows nothing */
}

static void a_refusal_names_the_place(void)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"{\n  \"a\": 1,\n}", "line 3, column 1 is not JSON: a key"},
        {"[1 2]", "line 1, column 4 is not JSON: a comma or ]"},
        {"\"\\ud800x\"", "half a surrogate pair"},
        {"\"\\u0000\"", "\\u0000"},
        {"9223372036854775808", "beyond 64 bits"},
        {"{\"a\" 1}", "a colon"},
        {"", "line 1, column 1 is not JSON: a value is missing"},
        {"{} {}", "behind the document"},
    };
    struct api_refusal r;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        api_problem_init(&r);
        CHECK(api_json_scan(rows[i].text, strlen(rows[i].text), &r));
        CHECK(strstr(r.detail, rows[i].words) != NULL);
    }
}

static void what_does_not_fit_is_cut(void)
{
    static const char quoted[] = "\"abcdefgh\"";
    struct api_json_cursor c = {quoted, quoted + sizeof(quoted) - 1};
    char small[4];
    CHECK_EQ(api_json_take_text(&c, small, sizeof(small)), 3);
    CHECK_STR(small, "abc");
    CHECK(c.at == c.end);
}

int main(void)
{
    TAP_RUN(whole_documents_mean_what_jansson_says);
    TAP_RUN(damaged_ones_are_refused_where_jansson_refuses_them);
    TAP_RUN(a_refusal_names_the_place);
    TAP_RUN(what_does_not_fit_is_cut);
    return tap_done();
}
