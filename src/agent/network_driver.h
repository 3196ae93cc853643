/* The seam to what connects a VM's ports on this host: plug, unplug, count, and what a monitor is
 * told to use one. Implementations: agent/network_user.h (NAT by passt), agent/network_bridge.h (a
 * TAP on a Linux bridge), the switch later; agent/network_kinds.h, which asks the one that a port
 * needs; agent/network_null.h for tests.
 *
 * Plugging what is plugged and unplugging what is not succeed: the agent repeats what it does not
 * know to be done. All slots may block, and are called for one port at a time. */
#ifndef AGENT_NETWORK_DRIVER_H
#define AGENT_NETWORK_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vmmapi/vm_config.h"

struct network_port {
    uint8_t id[16];
    uint8_t mac[6];
    uint32_t mtu;                        /* 0: the network's own */
    uint32_t queues;                     /* pairs; 0 is 1 */
    char bridge[VM_CONFIG_IFNAME_BYTES]; /* for "bridge" */
    unsigned n_forwards;                 /* for "user": host ports that lead to the guest */
    struct vm_config_forward forwards[VM_CONFIG_FORWARDS_MAX];
};

/* Bytes and packets as the guest sees them: received by it, sent by it. */
struct network_counters {
    uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
};

struct network_driver {
    const struct network_driver_ops *ops;
};

struct network_driver_ops {
    const char *name; /* "bridge" */

    /* Makes what the port needs on the host. `nic` receives what goes into the VM's config: kind
     * and its names, MAC, MTU, queues; no id and no limits. Nothing in it is to be freed. Errors:
     * ENOENT (the bridge is not there), ENOTSUP, EPERM. */
    int (*plug)(struct network_driver *d, const struct network_port *port,
                struct vm_config_nic *nic, struct err *err);
    /* Takes it away again, also under a running VM: its cable is out then. */
    int (*unplug)(struct network_driver *d, const uint8_t id[16], struct err *err);
    /* Since the port was plugged. Errors: ENOENT; ENOTSUP: the monitor's own counters are the only
     * ones. */
    int (*counters)(struct network_driver *d, const uint8_t id[16], struct network_counters *c,
                    struct err *err);
    /* Every port that has something on this host, in no order; `each` returns whether to go on. It
     * must not plug or unplug. */
    int (*list)(struct network_driver *d, bool (*each)(void *opaque, const uint8_t id[16]),
                void *opaque, struct err *err);
    /* Frees the driver; ports stay. */
    void (*close)(struct network_driver *d);
};

#endif
