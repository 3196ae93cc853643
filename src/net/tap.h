/* Network back end: a TAP interface, by descriptors of /dev/net/tun, one for each queue pair. */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "net/net.h"

/* Opens `n_fds` queues of the TAP interface `name`, creating it if there is none. More than one
 * needs an interface made with multi_queue, or none yet. Needs CAP_NET_ADMIN or the ownership of
 * the interface: for use outside the sandbox. fds[] are close-on-exec.
 * Errors: EINVAL (name, number; an interface of the wrong kind), EPERM, EBUSY (in use), ENOENT (no
 * /dev/net/tun). */
int tap_open(const char *name, unsigned n_fds, int *fds, struct err *err);

/* Makes a back end of queues that were opened as IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, which is
 * checked. Sets what it needs of them: non-blocking, 12-byte little-endian headers, no offloads,
 * first pair attached. Owns: the descriptors, from success on.
 * Errors: EINVAL (not a TAP, wrong flags: says which). */
struct net_backend *tap_create(const int *fds, unsigned n_fds, struct err *err);

#endif
