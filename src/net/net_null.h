/* Network back end for tests: each pair is one end of a socket pair that keeps packets apart
 * (SOCK_SEQPACKET), so that readiness, backpressure and hang-up are the kernel's. */
#ifndef NET_NET_NULL_H
#define NET_NET_NULL_H

#include "net/net.h"

enum net_null_flags {
    NET_NULL_LOOP = 1 << 0, /* what a pair sends, it receives */
};

/* `offloads` is what it claims to be able to do: it does nothing to a packet. */
struct net_backend *net_null_create(unsigned n_pairs, uint32_t offloads, unsigned flags,
                                    struct err *err);
/* The other end of a pair: read(2) gives one packet that was sent, write(2) makes one arrive,
 * shutdown(2) hangs up. Non-blocking. Borrowed. */
int net_null_peer_fd(const struct net_backend *nb, unsigned pair);
/* What net_set_offloads() last said. */
uint32_t net_null_offloads(const struct net_backend *nb);

#endif
