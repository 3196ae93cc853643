/* Text that grows, and JSON's own spelling of texts and numbers. */
#include "api/api_buf.h"

#include "tap.h"

static void text(const char *in, const char *expected)
{
    struct api_buf b;
    api_buf_init(&b, 1000);
    api_buf_json_text(&b, in);
    CHECK(!b.failed);
    CHECK_STR(b.text, expected);
    api_buf_fini(&b);
}

static void escapes_what_json_does_not_take_as_it_is(void)
{
    text("plain", "\"plain\"");
    text("", "\"\"");
    text("a\"b\\c\n\r\t\b\f", "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\"");
    text("\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"");
}

static void keeps_utf8_and_replaces_what_is_none(void)
{
    text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    text("a\xff", "\"a\xef\xbf\xbd\"");
    text("\xc3", "\"\xef\xbf\xbd\"");
    text("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_EQ(api_buf_utf8("\xc0\x80", 2), 0);
    CHECK_EQ(api_buf_utf8("\xf4\x90\x80\x80", 4), 0);
    CHECK_EQ(api_buf_utf8("\xf4\x8f\xbf\xbf", 4), 4);
    CHECK_EQ(api_buf_utf8("\xe2\x82", 2), 0);
}

static void number(double v, const char *expected)
{
    struct api_buf b;
    api_buf_init(&b, 100);
    api_buf_json_number(&b, v);
    CHECK_STR(b.text, expected);
    CHECK(strtod(b.text, NULL) == v);
    api_buf_fini(&b);
}

static void writes_the_shortest_number_that_reads_back(void)
{
    number(4, "4");
    number(0.1, "0.1");
    number(1.0 / 3, "0.3333333333333333");
    number(1e18, "1e+18");
    number(0.1 + 0.2, "0.30000000000000004");
}

static void remembers_that_it_ran_over_its_limit(void)
{
    struct api_buf b;
    api_buf_init(&b, 8);
    api_buf_puts(&b, "12345678");
    CHECK(!b.failed);
    api_buf_putc(&b, '9');
    CHECK(b.failed);
    CHECK(!api_buf_steal(&b));
    api_buf_puts(&b, "again");
    char *t = api_buf_steal(&b);
    REQUIRE(t);
    CHECK_STR(t, "again");
    free(t);
    api_buf_fini(&b);
}

static void grows_without_losing_anything(void)
{
    struct api_buf b;
    api_buf_init(&b, 1 << 20);
    for (int i = 0; i < 10000; i++)
        api_buf_printf(&b, "%04d,", i);
    CHECK_EQ(b.bytes, 50000);
    CHECK(!strncmp(b.text + 5 * 1234, "1234,", 5));
    api_buf_reset(&b);
    CHECK_EQ(b.bytes, 0);
    char *t = api_buf_steal(&b);
    free(t);
    api_buf_fini(&b);
}

int main(void)
{
    TAP_RUN(escapes_what_json_does_not_take_as_it_is);
    TAP_RUN(keeps_utf8_and_replaces_what_is_none);
    TAP_RUN(writes_the_shortest_number_that_reads_back);
    TAP_RUN(remembers_that_it_ran_over_its_limit);
    TAP_RUN(grows_without_losing_anything);
    return tap_done();
}
