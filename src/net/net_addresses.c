#include "net/net_addresses.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/util.h"

#define ETH_BYTES  14
#define ARP_BYTES  28 /* of IPv4 over Ethernet */
#define IPV6_BYTES 40

/* Types of ICMPv6 messages. RFC 4861, 4. */
enum {
    ROUTER_SOLICITATION = 133,
    ROUTER_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    NEIGHBOUR_ADVERTISEMENT
};

/* No host's: "this network", loopback, multicast and what is above it. */
static bool is_ipv4_host(const uint8_t *ip)
{
    return ip[0] != 0 && ip[0] != 127 && ip[0] < 224;
}

/* Nor multicast, nor ::/8: unspecified, loopback, IPv4 in IPv6. */
static bool is_ipv6_host(const uint8_t *ip)
{
    return ip[0] != 0 && ip[0] != 0xff;
}

/* The sender's, of requests and replies. In a probe it is zero: the guest does not have the address
 * yet, and announces it (as the sender) when it does. */
static unsigned parse_arp(const uint8_t *p, size_t bytes, struct net_address *found)
{
    static const uint8_t ipv4_over_ethernet[] = {0, 1, 0x08, 0, 6, 4, 0};
    if (bytes < ARP_BYTES || memcmp(p, ipv4_over_ethernet, sizeof(ipv4_over_ethernet)) != 0 ||
        (p[7] != 1 && p[7] != 2) || !is_ipv4_host(p + 14))
        return 0;
    *found = (struct net_address){.ipv6 = false};
    memcpy(found->bytes, p + 14, 4);
    return 1;
}

static unsigned add_ipv6(struct net_address *found, unsigned n, const uint8_t *ip)
{
    if (!is_ipv6_host(ip) || (n && memcmp(found[0].bytes, ip, 16) == 0))
        return n;
    found[n].ipv6 = true;
    memcpy(found[n].bytes, ip, 16);
    return n + 1;
}

/* The source; and the target where it is the sender's own: what an advertisement is about, and what
 * a solicitation from nowhere asks whether anybody else has (RFC 4862, 5.4.2). That of any other
 * solicitation is somebody else's. */
static unsigned parse_icmpv6(const uint8_t *ip, size_t bytes, struct net_address found[2])
{
    static const uint8_t nowhere[16];
    const uint8_t *source = ip + 8, *icmp = ip + IPV6_BYTES, *target = icmp + 8;
    if (bytes < IPV6_BYTES + 8 || ip[0] >> 4 != 6 || ip[6] != 58 || ip[7] != 255 || icmp[1] != 0)
        return 0;
    size_t payload_bytes = MIN(bytes - IPV6_BYTES, (size_t)(ip[4] << 8 | ip[5]));
    unsigned n = 0;
    switch (icmp[0]) {
    case ROUTER_SOLICITATION:
    case ROUTER_ADVERTISEMENT:
        return payload_bytes >= 8 ? add_ipv6(found, 0, source) : 0;
    case NEIGHBOUR_SOLICITATION:
    case NEIGHBOUR_ADVERTISEMENT:
        if (payload_bytes < 8 + 16)
            return 0;
        n = add_ipv6(found, 0, source);
        if (icmp[0] == NEIGHBOUR_ADVERTISEMENT || memcmp(source, nowhere, 16) == 0)
            n = add_ipv6(found, n, target);
        return n;
    default:
        return 0;
    }
}

unsigned net_addresses_parse(const uint8_t *frame, size_t bytes, struct net_address found[2])
{
    if (bytes < NET_ADDRESSES_PEEK_BYTES || !net_addresses_may_tell(frame))
        return 0;
    return frame[12] == 0x08 ? parse_arp(frame + ETH_BYTES, bytes - ETH_BYTES, found)
                             : parse_icmpv6(frame + ETH_BYTES, bytes - ETH_BYTES, found);
}

static void remove_at(struct net_addresses *a, unsigned i)
{
    unsigned behind = --a->n - i;
    memmove(&a->address[i], &a->address[i + 1], behind * sizeof(a->address[0]));
    memmove(&a->seen_ns[i], &a->seen_ns[i + 1], behind * sizeof(a->seen_ns[0]));
}

/* Whether it is new. */
static bool note(struct net_addresses *a, const struct net_address *address, int64_t now_ns)
{
    unsigned oldest = 0;
    for (unsigned i = 0; i < a->n; i++) {
        if (a->address[i].ipv6 == address->ipv6 &&
            memcmp(a->address[i].bytes, address->bytes, sizeof(address->bytes)) == 0) {
            a->seen_ns[i] = now_ns;
            return false;
        }
        if (a->seen_ns[i] < a->seen_ns[oldest])
            oldest = i;
    }
    if (a->n == NET_ADDRESSES_MAX)
        remove_at(a, oldest);
    a->address[a->n] = *address;
    a->seen_ns[a->n++] = now_ns;
    return true;
}

bool net_addresses_look(struct net_addresses *a, const uint8_t *frame, size_t bytes, int64_t now_ns)
{
    struct net_address found[2];
    unsigned n = net_addresses_parse(frame, bytes, found);
    bool changed = n && net_addresses_expire(a, now_ns);
    for (unsigned i = 0; i < n; i++)
        changed |= note(a, &found[i], now_ns);
    return changed;
}

bool net_addresses_expire(struct net_addresses *a, int64_t now_ns)
{
    unsigned before = a->n;
    for (unsigned i = a->n; i-- > 0;)
        if (now_ns - a->seen_ns[i] >= NET_ADDRESSES_KEPT_NS)
            remove_at(a, i);
    return a->n != before;
}

void net_addresses_text(const struct net_address *address, char text[NET_ADDRESSES_TEXT_BYTES])
{
    if (!inet_ntop(address->ipv6 ? AF_INET6 : AF_INET, address->bytes, text,
                   NET_ADDRESSES_TEXT_BYTES))
        text[0] = 0; /* cannot be: the text has room for any */
}
