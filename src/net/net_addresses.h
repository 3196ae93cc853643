/* Which addresses a guest uses, by what it says of itself to its neighbours: ARP, and the neighbour
 * discovery of IPv6. Every system says so before it can be reached, so nothing has to run in the
 * guest; and other frames need not be looked at: net_addresses_may_tell() is a load and a compare
 * for them.
 *
 * It is what a guest claims, and no more: it may claim what it likes. So the table is small, and
 * what was not seen for a while leaves it. Frames with a VLAN tag are not looked at: what they
 * tell of is another network than the NIC's.
 *
 * Spec: RFC 826, RFC 5227 (ARP probes and announcements), RFC 4861, RFC 4862. */
#ifndef NET_NET_ADDRESSES_H
#define NET_NET_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most so many of a NIC: another one takes the place of what was not seen for longest. */
#define NET_ADDRESSES_MAX 8
/* What was not seen for so long is not there any more. */
#define NET_ADDRESSES_KEPT_NS (INT64_C(30) * 60 * 1000000000)
/* As much of a frame as tells anything. */
#define NET_ADDRESSES_HEAD_BYTES 78
/* As much of it as net_addresses_may_tell() reads. */
#define NET_ADDRESSES_PEEK_BYTES 21

struct net_address {
    bool ipv6;
    uint8_t bytes[16]; /* of IPv4: the first four, the others are zero */
};

/* Those of one NIC, in the order in which they came. All zero is empty. */
struct net_addresses {
    unsigned n;
    struct net_address address[NET_ADDRESSES_MAX];
    int64_t seen_ns[NET_ADDRESSES_MAX];
};

/* Whether a frame is worth a look; `frame` has NET_ADDRESSES_PEEK_BYTES. It may change meanwhile:
 * nothing follows from the answer. */
static inline bool net_addresses_may_tell(const uint8_t *frame)
{
    if (frame[12] == 0x08)
        return frame[13] == 0x06;                                     /* ARP, and not IPv4 */
    return frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == 58; /* ICMP over IPv6 */
}

/* The addresses that the sender of a frame says to be its own; `frame` is its begin, and does not
 * change meanwhile. Returns how many (0: it says nothing of that, or is malformed). */
unsigned net_addresses_parse(const uint8_t *frame, size_t bytes, struct net_address found[2]);

/* Notes what a frame that the guest sent tells. Whether the table has other addresses than before.
 * Units: ns, of any clock that goes on. */
bool net_addresses_look(struct net_addresses *a, const uint8_t *frame, size_t bytes,
                        int64_t now_ns);

/* Forgets what is too old. Whether there was any. */
bool net_addresses_expire(struct net_addresses *a, int64_t now_ns);

/* "10.0.0.5" */
#define NET_ADDRESSES_TEXT_BYTES 46
void net_addresses_text(const struct net_address *address, char text[NET_ADDRESSES_TEXT_BYTES]);

#endif
