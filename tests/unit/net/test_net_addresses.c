#include "net/net_addresses.h"

#include "base/util.h"
#include "frames.h"
#include "tap.h"

#define SECOND INT64_C(1000000000)

/* What a frame tells, as text with a comma between two; "" for nothing. */
static const char *told(const uint8_t *frame, size_t bytes)
{
    static char text[2 * NET_ADDRESSES_TEXT_BYTES + 1];
    struct net_address found[2];
    /* A copy of just that size, so that the sanitizer sees a step too far. */
    uint8_t *exact = malloc(bytes + !bytes);
    memcpy(exact, frame, bytes);
    unsigned n = net_addresses_parse(exact, bytes, found);
    free(exact);
    text[0] = 0;
    for (unsigned i = 0; i < n; i++) {
        char one[NET_ADDRESSES_TEXT_BYTES];
        net_addresses_text(&found[i], one);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "", one);
    }
    return text;
}

static const char *arp(int op, const char *sender, const char *target)
{
    uint8_t f[FRAME_ARP_BYTES];
    frame_arp(f, op, sender, target);
    return told(f, sizeof(f));
}

static const char *nd(int type, const char *source, const char *target)
{
    uint8_t f[FRAME_ND_BYTES];
    frame_nd(f, type, source, target);
    return told(f, sizeof(f));
}

static void arp_tells_its_sender(void)
{
    CHECK_STR(arp(1, "10.0.0.5", "10.0.0.1"), "10.0.0.5");
    CHECK_STR(arp(2, "192.0.2.255", "10.0.0.1"), "192.0.2.255");
    CHECK_STR(arp(1, "169.254.3.4", "169.254.3.4"), "169.254.3.4"); /* an announcement */
    CHECK_STR(arp(3, "10.0.0.5", "10.0.0.1"), "");
}

static void a_probe_is_not_yet_an_address(void)
{
    CHECK_STR(arp(1, "0.0.0.0", "10.0.0.5"), "");
}

static void addresses_that_no_host_can_have_are_not_taken(void)
{
    static const char *const no[] = {"0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1",
                                     "255.255.255.255"};
    for (unsigned i = 0; i < ARRAY_LEN(no); i++)
        CHECK_STR(arp(1, no[i], "10.0.0.1"), "");
    static const char *const no6[] = {"::", "::1", "::ffff:10.0.0.1", "::10.0.0.1", "ff02::1"};
    for (unsigned i = 0; i < ARRAY_LEN(no6); i++)
        CHECK_STR(nd(136, no6[i], no6[i]), "");
}

static void arp_of_anything_else_than_ipv4_is_not_read(void)
{
    for (unsigned at = 14; at < 20; at++) { /* hardware, protocol, their lengths */
        uint8_t f[FRAME_ARP_BYTES];
        frame_arp(f, 1, "10.0.0.5", "10.0.0.1");
        f[at]++;
        CHECK_STR(told(f, sizeof(f)), "");
    }
}

static void a_solicitation_tells_its_source(void)
{
    CHECK_STR(nd(135, "2001:db8::5", "2001:db8::1"), "2001:db8::5");
    CHECK_STR(nd(133, "fe80::5", "::"), "fe80::5"); /* of routers */
    CHECK_STR(nd(134, "fe80::5", "::"), "fe80::5");
}

static void a_solicitation_from_nowhere_tells_its_target(void)
{
    CHECK_STR(nd(135, "::", "2001:db8::5"), "2001:db8::5");
    CHECK_STR(nd(133, "::", "2001:db8::5"), "");
    CHECK_STR(nd(135, "ff02::1", "2001:db8::1"), "");
}

static void an_advertisement_tells_source_and_target(void)
{
    CHECK_STR(nd(136, "fe80::5", "2001:db8::5"), "fe80::5,2001:db8::5");
    CHECK_STR(nd(136, "fe80::5", "fe80::5"), "fe80::5");
    CHECK_STR(nd(136, "::", "2001:db8::5"), "2001:db8::5");
    CHECK_STR(nd(137, "fe80::5", "2001:db8::5"), ""); /* a redirect is of somebody else */
    CHECK_STR(nd(128, "fe80::5", "2001:db8::5"), ""); /* an echo */
}

/* Offset and value that make a good advertisement one that nobody may believe. */
static void neighbour_discovery_has_to_be_as_the_rfc_says(void)
{
    static const struct {
        uint8_t at, value;
    } bad[] = {{14, 0x40}, {20, 6}, {20, 0}, {21, 254}, {55, 1}, {19, 23}, {19, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t f[FRAME_ND_BYTES];
        frame_nd(f, 136, "fe80::5", "2001:db8::5");
        f[bad[i].at] = bad[i].value;
        CHECK_STR(told(f, sizeof(f)), "");
    }
    uint8_t f[FRAME_ND_BYTES];
    frame_nd(f, 136, "fe80::5", "2001:db8::5");
    f[18] = 0xff; /* it says that more follows than did: what is there is read */
    CHECK_STR(told(f, sizeof(f)), "fe80::5,2001:db8::5");
}

static void frames_that_are_cut_short_tell_nothing(void)
{
    uint8_t f[FRAME_ND_BYTES];
    frame_arp(f, 1, "10.0.0.5", "10.0.0.1");
    for (size_t n = 0; n < FRAME_ARP_BYTES; n++)
        CHECK_STR(told(f, n), "");
    for (int type = 133; type <= 136; type++) {
        frame_nd(f, type, "fe80::5", "2001:db8::5");
        size_t needed = type < 135 ? 62 : FRAME_ND_BYTES;
        for (size_t n = 0; n < needed; n++)
            CHECK_STR(told(f, n), "");
        CHECK(*told(f, needed));
    }
}

static void other_frames_are_not_worth_a_look(void)
{
    uint8_t f[NET_ADDRESSES_PEEK_BYTES] = {0};
    static const struct {
        uint8_t high, low, next;
        bool look;
    } types[] = {{0x08, 0x06, 0, true},   {0x86, 0xdd, 58, true},  {0x08, 0x00, 58, false},
                 {0x86, 0xdd, 6, false},  {0x86, 0xdd, 17, false}, {0x81, 0x00, 58, false},
                 {0x80, 0x35, 58, false}, {0x86, 0x06, 58, false}, {0x08, 0xdd, 58, false}};
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        f[12] = types[i].high;
        f[13] = types[i].low;
        f[20] = types[i].next;
        CHECK_EQ(net_addresses_may_tell(f), types[i].look);
    }
}

/* ---- the table ---- */

static bool see(struct net_addresses *a, const char *ip, int64_t now_ns)
{
    uint8_t f[FRAME_ARP_BYTES];
    frame_arp(f, 1, ip, "10.0.0.1");
    return net_addresses_look(a, f, sizeof(f), now_ns);
}

static bool has(const struct net_addresses *a, const char *ip)
{
    char text[NET_ADDRESSES_TEXT_BYTES];
    for (unsigned i = 0; i < a->n; i++) {
        net_addresses_text(&a->address[i], text);
        if (!strcmp(text, ip))
            return true;
    }
    return false;
}

static void only_what_is_new_is_a_change(void)
{
    struct net_addresses a = {0};
    CHECK(see(&a, "10.0.0.5", SECOND));
    CHECK(!see(&a, "10.0.0.5", 2 * SECOND));
    CHECK(see(&a, "10.0.0.6", 3 * SECOND));
    CHECK(!see(&a, "10.0.0.5", 4 * SECOND));
    CHECK(!see(&a, "0.0.0.0", 5 * SECOND));
    CHECK_EQ(a.n, 2);
    CHECK(has(&a, "10.0.0.5") && has(&a, "10.0.0.6"));
    CHECK_EQ(a.seen_ns[0], 4 * SECOND);
}

static void an_address_of_ipv6_is_not_one_of_ipv4(void)
{
    struct net_addresses a = {0};
    uint8_t f[FRAME_ND_BYTES];
    frame_nd(f, 135, "a00:5::", "fe80::1"); /* the bytes of 10.0.0.5 */
    CHECK(see(&a, "10.0.0.5", 0));
    CHECK(net_addresses_look(&a, f, sizeof(f), 0));
    CHECK(has(&a, "10.0.0.5") && has(&a, "a00:5::"));
}

static void a_full_table_loses_what_was_not_seen_for_longest(void)
{
    struct net_addresses a = {0};
    char ip[16];
    for (int i = 0; i < NET_ADDRESSES_MAX; i++) {
        snprintf(ip, sizeof(ip), "10.0.0.%d", 10 + i);
        CHECK(see(&a, ip, i));
    }
    CHECK(!see(&a, "10.0.0.10", NET_ADDRESSES_MAX)); /* it is the newest now */
    CHECK(see(&a, "10.0.0.99", NET_ADDRESSES_MAX + 1));
    CHECK_EQ(a.n, NET_ADDRESSES_MAX);
    CHECK(has(&a, "10.0.0.10") && !has(&a, "10.0.0.11") && has(&a, "10.0.0.99"));
    /* One frame may bring two. */
    uint8_t f[FRAME_ND_BYTES];
    frame_nd(f, 136, "fe80::5", "2001:db8::5");
    CHECK(net_addresses_look(&a, f, sizeof(f), NET_ADDRESSES_MAX + 2));
    CHECK_EQ(a.n, NET_ADDRESSES_MAX);
    CHECK(has(&a, "fe80::5") && has(&a, "2001:db8::5") && has(&a, "10.0.0.10"));
    CHECK(!has(&a, "10.0.0.12") && !has(&a, "10.0.0.13"));
}

static void what_is_not_seen_for_long_goes(void)
{
    struct net_addresses a = {0};
    see(&a, "10.0.0.5", 0);
    see(&a, "10.0.0.6", SECOND);
    see(&a, "10.0.0.7", SECOND);
    see(&a, "10.0.0.6", NET_ADDRESSES_KEPT_NS);
    CHECK(!has(&a, "10.0.0.5") && has(&a, "10.0.0.6") && has(&a, "10.0.0.7"));
    CHECK(!net_addresses_expire(&a, NET_ADDRESSES_KEPT_NS));
    CHECK(net_addresses_expire(&a, NET_ADDRESSES_KEPT_NS + SECOND));
    CHECK(a.n == 1 && has(&a, "10.0.0.6"));
    /* A frame that tells nothing does not look after the others. */
    CHECK(!see(&a, "0.0.0.0", 3 * NET_ADDRESSES_KEPT_NS));
    CHECK(see(&a, "10.0.0.6", 3 * NET_ADDRESSES_KEPT_NS));
    CHECK_EQ(a.n, 1);
}

int main(void)
{
    TAP_RUN(arp_tells_its_sender);
    TAP_RUN(a_probe_is_not_yet_an_address);
    TAP_RUN(addresses_that_no_host_can_have_are_not_taken);
    TAP_RUN(arp_of_anything_else_than_ipv4_is_not_read);
    TAP_RUN(a_solicitation_tells_its_source);
    TAP_RUN(a_solicitation_from_nowhere_tells_its_target);
    TAP_RUN(an_advertisement_tells_source_and_target);
    TAP_RUN(neighbour_discovery_has_to_be_as_the_rfc_says);
    TAP_RUN(frames_that_are_cut_short_tell_nothing);
    TAP_RUN(other_frames_are_not_worth_a_look);
    TAP_RUN(only_what_is_new_is_a_change);
    TAP_RUN(an_address_of_ipv6_is_not_one_of_ipv4);
    TAP_RUN(a_full_table_loses_what_was_not_seen_for_longest);
    TAP_RUN(what_is_not_seen_for_long_goes);
    return tap_done();
}
