/* Ports as TAP interfaces on Linux bridges that are there.
 *
 * A port's interface is called "vp" and twelve digits of its id, and its alias is "virga-port ID",
 * by which list() knows it: so ports are found again, and what nobody wants is taken away. It is
 * made down, put on its bridge, and only then up: it never carries a packet anywhere else. One that
 * was not finished has no alias, and goes when the driver is opened. */
#ifndef AGENT_NETWORK_BRIDGE_H
#define AGENT_NETWORK_BRIDGE_H

#include "agent/network_driver.h"

/* Errors: EPERM, EACCES: it takes CAP_NET_ADMIN and /dev/net/tun. */
struct network_driver *network_bridge_open(struct err *err);

#endif
