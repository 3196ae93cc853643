/* What values look like in YAML. That YAML's own reader gives them back is in
 * tests/func/test_seed.py. */
#include "seed/seed_yaml.h"

#include "tap.h"

static void says(const char *value, const char *expected)
{
    struct seed_yaml y = {0};
    seed_yaml_value(&y, value);
    CHECK(!y.failed);
    CHECK_STR(y.text, expected);
    CHECK_EQ(y.bytes, strlen(expected));
    free(y.text);
}

static void quotes_and_escapes_all_that_is_not_printable_ascii(void)
{
    says("", "\"\"");
    says("plain: no, #really", "\"plain: no, #really\"");
    says("a\"b\\c", "\"a\\\"b\\\\c\"");
    says("a\nb\r\t\x01\x7f", "\"a\\x0ab\\x0d\\x09\\x01\\x7f\"");
    says("\u00e9\u20ac\U0001f600", "\"\\xe9\\u20ac\\U0001f600\"");
    says("\u2028\xc2\x85", "\"\\u2028\\x85\"");
}

static void what_is_not_utf8_becomes_the_replacement_character(void)
{
    says("\x80", "\"\\ufffd\"");                       /* continues nothing */
    says("\xc3", "\"\\ufffd\"");                       /* ends too early */
    says("\xe2\x82", "\"\\ufffd\\ufffd\"");            /* the same */
    says("\xc3\"", "\"\\ufffd\\\"\"");                 /* swallows no quote */
    says("\xc0\xaf", "\"\\ufffd\\ufffd\"");            /* longer than need be */
    says("\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""); /* the same */
    says("\xf0\x80\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    says("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");            /* a surrogate */
    says("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* beyond U+10FFFF */
    says("\xff\xfe", "\"\\ufffd\\ufffd\"");
}

static void lists_are_in_one_line(void)
{
    struct seed_yaml y = {0};
    const char *const two[] = {"a, b", "]", NULL};
    seed_yaml_list(&y, NULL);
    seed_yaml_raw(&y, "%d", 7);
    seed_yaml_list(&y, two);
    CHECK_STR(y.text, "[]7[\"a, b\", \"]\"]");
    free(y.text);
}

static void a_structure_that_does_not_fit_is_told(void)
{
    struct seed_yaml y = {0};
    char text[400];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    seed_yaml_raw(&y, "%s", text);
    CHECK(y.failed);
    free(y.text);
}

int main(void)
{
    TAP_RUN(quotes_and_escapes_all_that_is_not_printable_ascii);
    TAP_RUN(what_is_not_utf8_becomes_the_replacement_character);
    TAP_RUN(lists_are_in_one_line);
    TAP_RUN(a_structure_that_does_not_fit_is_told);
    return tap_done();
}
