#include "mgmt/server/server_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V4_BASE   ((server_ipam_number)0xffff << 32)
#define SHOWN_MAX INT64_C(9007199254740991)

static server_ipam_number from_bytes(const uint8_t *bytes, unsigned n)
{
    server_ipam_number x = 0;
    for (unsigned i = 0; i < n; i++)
        x = x << 8 | bytes[i];
    return x;
}

int server_address_parse(const char *text, server_ipam_number *x)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, text, bytes) == 1) {
        *x = V4_BASE | from_bytes(bytes, 4);
        return 0;
    }
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return -EINVAL;
    server_ipam_number found = from_bytes(bytes, 16);
    if (!server_address_is_ipv6(found))
        return -EINVAL;
    *x = found;
    return 0;
}

bool server_address_is_ipv6(server_ipam_number x)
{
    return x >> 32 != 0xffff;
}

void server_address_format(server_ipam_number x, char text[SERVER_ADDRESS_BYTES])
{
    uint8_t bytes[16];
    for (unsigned i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(x >> (120 - 8 * i));
    if (server_address_is_ipv6(x))
        inet_ntop(AF_INET6, bytes, text, SERVER_ADDRESS_BYTES);
    else
        inet_ntop(AF_INET, bytes + 12, text, SERVER_ADDRESS_BYTES);
}

/* ---- subnets ---- */

/* Whether the prefix is of addresses that hosts may have. */
static bool is_for_hosts(const struct server_address_subnet *s)
{
    if (s->ipv6)
        return s->bits >= 16 && s->first >> 120 != 0xff && s->first >> 118 != 0xfe80 >> 6 &&
               s->first >> 120 != 0;
    unsigned top = (unsigned)(s->first >> 24 & 0xff);
    return s->bits >= 8 && top != 0 && top != 127 && top < 224;
}

static const char *read_cidr(const char *cidr, struct server_address_subnet *s)
{
    char host[SERVER_ADDRESS_BYTES];
    const char *slash = strchr(cidr, '/');
    size_t bytes = slash ? (size_t)(slash - cidr) : sizeof(host);
    if (bytes >= sizeof(host))
        return "it is no prefix: write one such as 10.0.0.0/24";
    memcpy(host, cidr, bytes);
    host[bytes] = '\0';
    if (server_address_parse(host, &s->first))
        return "an IPv4-mapped prefix is IPv4: write it as such";
    s->ipv6 = server_address_is_ipv6(s->first);
    s->bits = (unsigned)atoi(slash + 1);
    unsigned host_bits = (s->ipv6 ? 128 : 32) - s->bits;
    s->last =
        host_bits == 128 ? SERVER_IPAM_MAX : s->first + (((server_ipam_number)1 << host_bits) - 1);
    if (!is_for_hosts(s))
        return "its addresses are none that guests may have: use one such as 10.0.0.0/24 or "
               "fd00:1::/64";
    return NULL;
}

/* Those that no port and no gateway can have. */
static bool means_all(const struct server_address_subnet *s, server_ipam_number x)
{
    if (s->ipv6)
        return s->bits <= 126 && x == s->first;
    return s->bits <= 30 && (x == s->first || x == s->last);
}

static const char *read_gateway(const struct api_subnet *doc, struct server_address_subnet *s)
{
    if (doc->gateway.is == API_VALUE) {
        if (server_address_parse(doc->gateway.v, &s->gateway) || s->gateway < s->first ||
            s->gateway > s->last || means_all(s, s->gateway))
            return "the gateway is no host's address of the prefix: choose one that is";
        s->has_gateway = true;
        return NULL;
    }
    s->has_gateway = s->first < s->last;
    s->gateway = means_all(s, s->first) ? s->first + 1 : s->first;
    return NULL;
}

static void sort_ranges(struct server_address_subnet *s)
{
    for (unsigned i = 1; i < s->n_ranges; i++)
        for (unsigned k = i; k && s->ranges[k].first < s->ranges[k - 1].first; k--) {
            server_ipam_number first = s->ranges[k].first, last = s->ranges[k].last;
            s->ranges[k] = s->ranges[k - 1];
            s->ranges[k - 1].first = first;
            s->ranges[k - 1].last = last;
        }
}

static const char *read_ranges(const struct api_subnet *doc, struct server_address_subnet *s,
                               unsigned *index)
{
    s->n_ranges = 0;
    if (doc->ranges.is != API_VALUE) {
        s->ranges[s->n_ranges].first = s->first;
        s->ranges[s->n_ranges++].last = s->last;
        return NULL;
    }
    for (unsigned i = 0; i < doc->ranges.n && i < 16; i++) {
        server_ipam_number first, last;
        *index = i;
        if (server_address_parse(doc->ranges.v[i].first.v, &first) ||
            server_address_parse(doc->ranges.v[i].last.v, &last) || first > last ||
            first < s->first || last > s->last)
            return "the range does not lie in the prefix, first before last: choose one that does";
        for (unsigned k = 0; k < s->n_ranges; k++)
            if (first <= s->ranges[k].last && last >= s->ranges[k].first)
                return "the range overlaps another one: make them one";
        s->ranges[s->n_ranges].first = first;
        s->ranges[s->n_ranges++].last = last;
    }
    sort_ranges(s);
    return NULL;
}

const char *server_address_subnet(const struct api_subnet *doc, struct server_address_subnet *out,
                                  const char **field, unsigned *index)
{
    memset(out, 0, sizeof(*out));
    *index = 0;
    *field = "cidr";
    const char *wrong = read_cidr(doc->cidr.v, out);
    if (!wrong) {
        *field = "gateway";
        wrong = read_gateway(doc, out);
    }
    if (!wrong) {
        *field = "ranges";
        wrong = read_ranges(doc, out, index);
    }
    return wrong;
}

bool server_address_may(const struct server_address_subnet *s, server_ipam_number x)
{
    return x >= s->first && x <= s->last && !means_all(s, x) &&
           !(s->has_gateway && x == s->gateway);
}

bool server_address_next(const struct server_address_subnet *s, const struct server_ipam *ipam,
                         server_ipam_number *x)
{
    for (unsigned i = 0; i < s->n_ranges; i++) {
        server_ipam_number from = s->ranges[i].first, found;
        while (server_ipam_next(ipam, from, s->ranges[i].last, &found)) {
            if (server_address_may(s, found)) {
                *x = found;
                return true;
            }
            if (found == s->ranges[i].last)
                break;
            from = found + 1; /* at most three times: gateway, first, last */
        }
    }
    return false;
}

int64_t server_address_room(const struct server_address_subnet *s)
{
    const server_ipam_number candidates[] = {s->first, s->last, s->gateway};
    server_ipam_number never[3], room = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < 3; i++) {
        bool known = server_address_may(s, candidates[i]);
        for (unsigned k = 0; k < n; k++)
            known |= never[k] == candidates[i];
        if (!known)
            never[n++] = candidates[i];
    }
    for (unsigned i = 0; i < s->n_ranges; i++) {
        room += s->ranges[i].last - s->ranges[i].first + 1;
        for (unsigned k = 0; k < n; k++)
            room -= never[k] >= s->ranges[i].first && never[k] <= s->ranges[i].last;
    }
    return room > (server_ipam_number)SHOWN_MAX ? SHOWN_MAX : (int64_t)room;
}

/* ---- MACs ---- */

uint64_t server_address_mac_parse(const char *text)
{
    uint64_t mac = 0;
    for (unsigned i = 0; i < 6; i++)
        mac = mac << 8 | strtoul(text + 3 * (size_t)i, NULL, 16);
    return mac;
}

void server_address_mac_format(uint64_t mac, char text[SERVER_ADDRESS_MAC])
{
    snprintf(text, SERVER_ADDRESS_MAC, "%02x:%02x:%02x:%02x:%02x:%02x",
             (unsigned)(mac >> 40 & 0xff), (unsigned)(mac >> 32 & 0xff),
             (unsigned)(mac >> 24 & 0xff), (unsigned)(mac >> 16 & 0xff),
             (unsigned)(mac >> 8 & 0xff), (unsigned)(mac & 0xff));
}

uint64_t server_address_mac(const uint8_t id[16], unsigned attempt)
{
    uint8_t in[17], hash[SHA256_DIGEST_LENGTH];
    memcpy(in, id, 16);
    in[16] = (uint8_t)attempt;
    SHA256(in, sizeof(in), hash);
    uint64_t mac = (uint64_t)from_bytes(hash, 6);
    return (mac & ~(UINT64_C(3) << 40)) | UINT64_C(2) << 40;
}
