/* IP addresses, prefixes and MACs as numbers, and which addresses of a subnet are given to guests.
 * An IPv4 address is the number of its IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2). */
#ifndef MGMT_SERVER_SERVER_ADDRESS_H
#define MGMT_SERVER_SERVER_ADDRESS_H

#include "api/gen/network.h"
#include "mgmt/server/server_ipam.h"

#define SERVER_ADDRESS_BYTES 46
#define SERVER_ADDRESS_MAC   18

/* Errors: EINVAL, also of an IPv4-mapped address written as IPv6. */
int server_address_parse(const char *text, server_ipam_number *x);
bool server_address_is_ipv6(server_ipam_number x);
/* As RFC 5952 has it. */
void server_address_format(server_ipam_number x, char text[SERVER_ADDRESS_BYTES]);

/* What a subnet says, as numbers. */
struct server_address_subnet {
    server_ipam_number first, last; /* of the prefix */
    unsigned bits;                  /* as written: 24 of 10.0.0.0/24 */
    bool ipv6;
    bool has_gateway;
    server_ipam_number gateway;
    unsigned n_ranges; /* what is given to those who name no address, ascending */
    struct {
        server_ipam_number first, last;
    } ranges[16];
};
/* Of the document, which is well-formed by the description. What makes no sense is told: *field
 * names the field ("cidr", "gateway", "ranges") and *index the range. Returns NULL, or what is
 * wrong and what would be right. */
const char *server_address_subnet(const struct api_subnet *doc, struct server_address_subnet *out,
                                  const char **field, unsigned *index);
/* Whether a port may have it at all: in the prefix, neither its gateway nor one that means all or
 * none (IPv4 of 30 bits and less: the first and the last; IPv6 of 126 bits and less: the first). */
bool server_address_may(const struct server_address_subnet *subnet, server_ipam_number x);
/* The lowest free one of the ranges. False: there is none. */
bool server_address_next(const struct server_address_subnet *subnet, const struct server_ipam *ipam,
                         server_ipam_number *x);
/* How many the ranges hold; at most 2^53 - 1. */
int64_t server_address_room(const struct server_address_subnet *subnet);

/* "52:54:00:12:34:56", which is well-formed. */
uint64_t server_address_mac_parse(const char *text);
void server_address_mac_format(uint64_t mac, char text[SERVER_ADDRESS_MAC]);
/* The attempt-th MAC of a port: unicast and locally administered, from a hash of its id. */
uint64_t server_address_mac(const uint8_t id[16], unsigned attempt);

#endif
