/* Framing, escapes, sums, hexadecimal. */
#include "gdb/gdb_packet.h"

#include "../tap.h"

static struct gdb_framer framer;

/* Feeds text to a new framer; what the last byte brought. */
static enum gdb_input feed(const char *text, size_t n)
{
    enum gdb_input what = GDB_NOTHING;
    memset(&framer, 0, sizeof(framer));
    for (size_t i = 0; i < n; i++)
        what = gdb_framer_feed(&framer, (uint8_t)text[i]);
    return what;
}
#define FEED(text) feed(text, sizeof(text) - 1)

static void packets_come_whole_with_their_sum(void)
{
    CHECK_EQ(FEED("$g#67"), GDB_PACKET);
    CHECK_STR(framer.data, "g");
    CHECK_EQ(FEED("noise$m0,4#fd"), GDB_PACKET);
    CHECK_STR(framer.data, "m0,4");
    CHECK_EQ(FEED("$#00"), GDB_PACKET);
    CHECK_EQ(framer.len, 0);
    CHECK_EQ(FEED("$g#66"), GDB_BAD);
    CHECK_EQ(FEED("$g#6x"), GDB_BAD);
    CHECK_EQ(FEED("$g#x7"), GDB_BAD);
    CHECK_EQ(FEED("$cut off$g#67"), GDB_PACKET);
    CHECK_STR(framer.data, "g");
    CHECK_EQ(FEED("+"), GDB_ACK);
    CHECK_EQ(FEED("-"), GDB_NAK);
    CHECK_EQ(FEED("\3"), GDB_INTERRUPT);
    CHECK_EQ(FEED("$a\3"), GDB_NOTHING);
}

static void escapes_go_both_ways(void)
{
    static const char bytes[] = {'a', '#', '$', '}', '*', 0, 'z'};
    char out[64];
    size_t n = gdb_packet_encode(out, bytes, sizeof(bytes));
    CHECK_EQ(feed(out, n), GDB_PACKET);
    CHECK_EQ(framer.len, sizeof(bytes));
    CHECK(memcmp(framer.data, bytes, sizeof(bytes)) == 0);
}

static void a_packet_that_is_too_long_is_refused_and_the_next_is_not(void)
{
    memset(&framer, 0, sizeof(framer));
    uint8_t sum = 0;
    gdb_framer_feed(&framer, '$');
    for (unsigned i = 0; i < 3 * GDB_PACKET_MAX; i++) {
        gdb_framer_feed(&framer, 'a');
        sum = (uint8_t)(sum + 'a');
    }
    char tail[4];
    snprintf(tail, sizeof(tail), "#%02x", sum);
    gdb_framer_feed(&framer, (uint8_t)tail[0]);
    gdb_framer_feed(&framer, (uint8_t)tail[1]);
    CHECK_EQ(gdb_framer_feed(&framer, (uint8_t)tail[2]), GDB_BAD);
    const char *good = "$g#67";
    enum gdb_input what = GDB_NOTHING;
    while (*good)
        what = gdb_framer_feed(&framer, (uint8_t)*good++);
    CHECK_EQ(what, GDB_PACKET);
}

static void hexadecimal_is_read_and_written(void)
{
    char text[16];
    uint8_t bytes[4];
    uint64_t v;
    CHECK(gdb_hex_put(text, "\xde\xad\0\x0f", 4) == text + 8);
    CHECK_STR(text, "dead000f");
    CHECK(gdb_hex_get("DEad000f", bytes, 4) && memcmp(bytes, "\xde\xad\0\x0f", 4) == 0);
    CHECK(!gdb_hex_get("dead000", bytes, 4));
    CHECK(!gdb_hex_get("dead00g0", bytes, 4));
    const char *p = "ffffffffffffffff,x";
    CHECK(gdb_hex_number(&p, &v) && v == UINT64_MAX && *p == ',');
    p = "10000000000000000";
    CHECK(!gdb_hex_number(&p, &v));
    p = ",1";
    CHECK(!gdb_hex_number(&p, &v));
}

int main(void)
{
    TAP_RUN(packets_come_whole_with_their_sum);
    TAP_RUN(escapes_go_both_ways);
    TAP_RUN(a_packet_that_is_too_long_is_refused_and_the_next_is_not);
    TAP_RUN(hexadecimal_is_read_and_written);
    return tap_done();
}
