/* The escape key at a guest's console. */
#include "cli/cli_escape.h"

#include "tap.h"

#define A "\x01"

static enum cli_escape_wish feed(struct cli_escape *e, const char *in, const char *expected)
{
    char out[64];
    size_t used, n;
    enum cli_escape_wish wish = cli_escape_feed(e, in, strlen(in), &used, out, &n);
    CHECK_EQ(n, strlen(expected));
    CHECK(!memcmp(out, expected, n));
    if (wish == CLI_ESCAPE_NOTHING)
        CHECK_EQ(used, strlen(in));
    return wish;
}

static void what_is_typed_is_the_guests(void)
{
    struct cli_escape e = {0};
    CHECK_EQ(feed(&e, "ls\r\x03\x1b[A\x04", "ls\r\x03\x1b[A\x04"), CLI_ESCAPE_NOTHING);
}

static void the_key_and_x_ends_the_vm(void)
{
    struct cli_escape e = {0};
    CHECK_EQ(feed(&e, "ab" A "xcd", "ab"), CLI_ESCAPE_QUIT);
    CHECK_EQ(feed(&e, "x", "x"), CLI_ESCAPE_NOTHING);
}

static void the_key_may_come_apart_from_what_follows(void)
{
    struct cli_escape e = {0};
    CHECK_EQ(feed(&e, A, ""), CLI_ESCAPE_NOTHING);
    CHECK_EQ(feed(&e, "h", ""), CLI_ESCAPE_HELP);
}

static void the_key_twice_is_the_key(void)
{
    struct cli_escape e = {0};
    CHECK_EQ(feed(&e, A A "x" A A, A "x" A), CLI_ESCAPE_NOTHING);
}

static void the_key_and_anything_else_is_dropped(void)
{
    struct cli_escape e = {0};
    CHECK_EQ(feed(&e, A "qw", "w"), CLI_ESCAPE_NOTHING);
}

int main(void)
{
    TAP_RUN(what_is_typed_is_the_guests);
    TAP_RUN(the_key_and_x_ends_the_vm);
    TAP_RUN(the_key_may_come_apart_from_what_follows);
    TAP_RUN(the_key_twice_is_the_key);
    TAP_RUN(the_key_and_anything_else_is_dropped);
    return tap_done();
}
