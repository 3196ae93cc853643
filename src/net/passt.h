/* Network back end: passt, by the stream socket that it shares with its user. Each frame is
 * preceded by its length, 4 bytes, big-endian; there is no virtio-net header, so passt can be asked
 * for no offload. One queue pair. Starting passt is net/passt_spawn.h's business. */
#ifndef NET_PASST_H
#define NET_PASST_H

#include "net/net.h"

/* The longest frame that passt takes. */
#define PASST_FRAME_MAX_BYTES 65535

/* Makes a back end of a connected stream socket. What comes out of it is not trusted: a length that
 * no frame can have ends the connection. Owns: the descriptor, from success on.
 * Errors: EINVAL (not a stream socket), ENOMEM. */
struct net_backend *passt_create(int fd, struct err *err);

#endif
