#include "mgmt/server/server_address.h"

#include <errno.h>

#include "tap.h"

static uint64_t state = 1;

static unsigned roll(unsigned below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)((state >> 33) % below);
}

static server_ipam_number number(const char *text)
{
    server_ipam_number x = 0;
    CHECK_EQ(server_address_parse(text, &x), 0);
    return x;
}

static void addresses_are_numbers_and_back(void)
{
    static const char *const texts[] = {"0.0.0.0", "10.0.0.1", "255.255.255.255",
                                        "::",      "fd00::1",  "2001:db8:0:1:2:3:4:5"};
    char text[SERVER_ADDRESS_BYTES];
    server_ipam_number x = 5;
    for (unsigned i = 0; i < 6; i++) {
        server_address_format(number(texts[i]), text);
        CHECK_STR(text, texts[i]);
        CHECK_EQ(server_address_is_ipv6(number(texts[i])), i >= 3);
    }
    server_address_format(number("FD00:0:0::01"), text);
    CHECK_STR(text, "fd00::1");
    CHECK(number("10.0.1.0") - number("10.0.0.255") == 1);
    CHECK_EQ(server_address_parse("::ffff:10.0.0.1", &x), -EINVAL);
    CHECK_EQ(server_address_parse("10.0.0.256", &x), -EINVAL);
    CHECK(x == 5);
}

static const char *read(const char *cidr, const char *gateway, struct server_address_subnet *s)
{
    struct api_subnet doc = {.cidr = {API_VALUE, cidr}};
    const char *field;
    unsigned index;
    if (gateway)
        doc.gateway = (struct api_text){API_VALUE, gateway};
    return server_address_subnet(&doc, s, &field, &index) ? field : NULL;
}

static void prefixes_of_hosts_are_taken_and_others_told(void)
{
    static const struct {
        const char *cidr, *gateway, *wrong, *is; /* the gateway that it has */
        int64_t room;
    } cases[] = {
        {"10.0.0.0/24", NULL, NULL, "10.0.0.1", 253},
        {"10.0.0.0/24", "10.0.0.254", NULL, "10.0.0.254", 253},
        {"10.0.0.0/30", NULL, NULL, "10.0.0.1", 1},
        {"10.0.0.0/31", NULL, NULL, "10.0.0.0", 1},
        {"10.0.0.7/32", NULL, NULL, NULL, 1},
        {"10.0.0.7/32", "10.0.0.7", NULL, "10.0.0.7", 0},
        {"10.0.0.0/8", NULL, NULL, "10.0.0.1", (1 << 24) - 3},
        {"fd00::/64", NULL, NULL, "fd00::1", INT64_C(9007199254740991)},
        {"fd00::/120", NULL, NULL, "fd00::1", 254},
        {"fd00::/127", NULL, NULL, "fd00::", 1},
        {"fd00::7/128", NULL, NULL, NULL, 1},
        {"2000::/16", NULL, NULL, "2000::1", INT64_C(9007199254740991)},
        {"10.0.0.0/24", "10.0.0.0", "gateway", NULL, 0},
        {"10.0.0.0/24", "10.0.0.255", "gateway", NULL, 0},
        {"10.0.0.0/24", "10.0.1.1", "gateway", NULL, 0},
        {"10.0.0.0/24", "fd00::1", "gateway", NULL, 0},
        {"fd00::/64", "fd00::", "gateway", NULL, 0},
        {"0.0.0.0/0", NULL, "cidr", NULL, 0},
        {"0.0.0.0/8", NULL, "cidr", NULL, 0},
        {"127.0.0.0/24", NULL, "cidr", NULL, 0},
        {"224.0.0.0/24", NULL, "cidr", NULL, 0},
        {"240.0.0.0/24", NULL, "cidr", NULL, 0},
        {"::/0", NULL, "cidr", NULL, 0},
        {"::/64", NULL, "cidr", NULL, 0},
        {"ff00::/64", NULL, "cidr", NULL, 0},
        {"fe80::/64", NULL, "cidr", NULL, 0},
        {"febf::/64", NULL, "cidr", NULL, 0},
        {"::ffff:10.0.0.0/120", NULL, "cidr", NULL, 0},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server_address_subnet s;
        const char *wrong = read(cases[i].cidr, cases[i].gateway, &s);
        printf("# %s %s\n", cases[i].cidr, cases[i].gateway ? cases[i].gateway : "");
        CHECK_STR(wrong ? wrong : "", cases[i].wrong ? cases[i].wrong : "");
        if (wrong || cases[i].wrong)
            continue;
        CHECK_EQ(s.has_gateway, cases[i].is != NULL);
        CHECK(!cases[i].is || s.gateway == number(cases[i].is));
        CHECK_EQ(server_address_room(&s), cases[i].room);
    }
}

/* A /26 with random ranges and gateway, some of it in use. */
struct small {
    struct api_subnet doc;
    struct api_subnet_range ranges[3];
    char texts[7][SERVER_ADDRESS_BYTES];
    struct server_address_subnet s;
    bool ranged[64];
};

static bool small_make(struct small *m)
{
    server_ipam_number base = number("10.0.0.64");
    const char *field;
    unsigned index, at = 0;
    memset(m, 0, sizeof(*m));
    m->doc.cidr = (struct api_text){API_VALUE, "10.0.0.64/26"};
    if (roll(2)) {
        server_address_format(base + 1 + roll(62), m->texts[6]);
        m->doc.gateway = (struct api_text){API_VALUE, m->texts[6]};
    }
    unsigned n = roll(4);
    for (unsigned i = 0; i < n; i++) {
        unsigned first = at + roll(15), last = first + roll(10);
        if (last > 63)
            return false;
        server_address_format(base + first, m->texts[2 * i]);
        server_address_format(base + last, m->texts[2 * i + 1]);
        m->ranges[n - 1 - i] = (struct api_subnet_range){{API_VALUE, m->texts[2 * i]},
                                                         {API_VALUE, m->texts[2 * i + 1]}};
        for (unsigned k = first; k <= last; k++)
            m->ranged[k] = true;
        at = last + 1;
    }
    for (unsigned k = 0; !n && k < 64; k++)
        m->ranged[k] = true;
    m->doc.ranges.is = n ? API_VALUE : API_ABSENT;
    m->doc.ranges.n = n;
    m->doc.ranges.v = m->ranges;
    CHECK(!server_address_subnet(&m->doc, &m->s, &field, &index));
    return true;
}

static void gives_the_lowest_that_is_free_and_allowed(void)
{
    for (unsigned round = 0; round < 5000; round++) {
        struct small m;
        struct server_ipam ipam;
        if (!small_make(&m))
            continue;
        unsigned expected = 64, room = 0, gateway = (unsigned)(m.s.gateway - m.s.first);
        server_ipam_number x = 3;
        server_ipam_init(&ipam.shown);
        server_ipam_init(&ipam.flight);
        for (unsigned i = 0; i < 64; i++) {
            unsigned use = roll(3);
            bool may = i && i != 63 && i != gateway;
            if (use)
                server_ipam_add(use == 1 ? &ipam.shown : &ipam.flight, m.s.first + i);
            CHECK_EQ(server_address_may(&m.s, m.s.first + i), may);
            room += may && m.ranged[i];
            if (may && m.ranged[i] && !use && expected == 64)
                expected = i;
        }
        CHECK_EQ(server_address_room(&m.s), room);
        CHECK_EQ(server_address_next(&m.s, &ipam, &x), expected < 64);
        CHECK(expected < 64 ? x == m.s.first + expected : x == 3);
        server_ipam_fini(&ipam.shown);
        server_ipam_fini(&ipam.flight);
    }
}

static void ranges_that_make_no_sense_are_told_by_their_index(void)
{
    static const struct {
        const char *a, *b, *c, *d;
        unsigned index;
    } cases[] = {
        {"10.0.0.9", "10.0.0.8", "10.0.0.20", "10.0.0.30", 0},
        {"10.0.0.8", "10.0.0.9", "10.0.0.20", "10.0.1.0", 1},
        {"10.0.0.8", "10.0.0.9", "10.0.0.9", "10.0.0.10", 1},
        {"10.0.0.8", "10.0.0.9", "10.0.0.1", "10.0.0.100", 1},
        {"10.0.0.8", "fd00::1", "10.0.0.1", "10.0.0.2", 0},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct api_subnet_range ranges[] = {{{API_VALUE, cases[i].a}, {API_VALUE, cases[i].b}},
                                            {{API_VALUE, cases[i].c}, {API_VALUE, cases[i].d}}};
        struct api_subnet doc = {.cidr = {API_VALUE, "10.0.0.0/24"}};
        struct server_address_subnet s;
        const char *field = "";
        unsigned index = 9;
        doc.ranges.is = API_VALUE;
        doc.ranges.n = 2;
        doc.ranges.v = ranges;
        CHECK(server_address_subnet(&doc, &s, &field, &index));
        CHECK_STR(field, "ranges");
        CHECK_EQ(index, cases[i].index);
    }
}

static void macs_are_local_unicast_and_differ(void)
{
    char text[SERVER_ADDRESS_MAC];
    uint8_t id[16] = {1, 2, 3};
    server_address_mac_format(server_address_mac_parse("52:54:00:12:34:ff"), text);
    CHECK_STR(text, "52:54:00:12:34:ff");
    uint64_t first = server_address_mac(id, 0);
    CHECK(first == server_address_mac(id, 0));
    CHECK(first != server_address_mac(id, 1));
    for (unsigned i = 0; i < 1000; i++) {
        id[15] = (uint8_t)i;
        id[14] = (uint8_t)(i >> 8);
        uint64_t mac = server_address_mac(id, 0);
        CHECK_EQ(mac >> 40 & 3, 2);
        CHECK_EQ(mac >> 48, 0);
        CHECK(!i || mac != first);
    }
}

int main(void)
{
    TAP_RUN(addresses_are_numbers_and_back);
    TAP_RUN(prefixes_of_hosts_are_taken_and_others_told);
    TAP_RUN(gives_the_lowest_that_is_free_and_allowed);
    TAP_RUN(ranges_that_make_no_sense_are_told_by_their_index);
    TAP_RUN(macs_are_local_unicast_and_differ);
    return tap_done();
}
