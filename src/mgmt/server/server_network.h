/* What VMs want of networks: ports made, taken and given back with a VM's own transaction, and what
 * an agent is told of one. Networks themselves are served by server_network*.c.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_NETWORK_H
#define MGMT_SERVER_SERVER_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "api/gen/all.h"

struct catalog_object;
struct catalog_slot;
struct server;
struct server_call;
struct server_txn;

/* For a body that is one NIC: pointers of refusals begin at its fields. */
#define SERVER_NETWORK_NO_INDEX UINT32_MAX

/* What a VM gets that names no NICs: a NIC in the project's only network, or without one of its own
 * in the only one that is shared with it (nic->network is set, in the call's arena). *none: there
 * is no network at all, and nic is untouched. `ssh`: in a network of kind nat, where guests are
 * reached by forwards only, port 22 is forwarded. Errors: EINVAL (several: the refusal names them),
 * EAGAIN (no memory). */
int server_network_default_nic(struct server_call *c, bool ssh, struct api_vm_nic *nic, bool *none);

/* The port of a VM's NIC: a new one, or one that exists and is free (nic->port), with its VM set.
 * Its addresses, MAC and host ports are taken now, and given back if the transaction fails.
 * `vm` need not be published. *port is the version that the transaction writes; borrowed until the
 * transaction ends; its document says what was given (status). Returns 0; SERVER_WAIT (something
 * that it must look at or change is being written, nothing was done: the handler returns that); or
 * an error with the refusal set, pointers being /nics/INDEX/... */
int server_network_plug(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                        const struct api_vm_nic *nic, unsigned index, struct catalog_object **port);

/* When its VM ends or lets go of it: a port that was made for the VM is deleted, any other is free
 * again. Returns 0; SERVER_WAIT (the port is being written, nothing was done: with a call the
 * handler returns that, without one try again at server_written()); or an error: ENOMEM. */
int server_network_unplug(struct server_txn *t, struct catalog_slot *port);

/* Whether a driver of this cloud offers a kind of network. */
bool server_network_offered(enum api_network_kind kind);
/* What agents call the driver: "user", "bridge"; NULL: there is none. */
const char *server_network_driver(enum api_network_kind kind);

#define SERVER_NETWORK_IP_BYTES 46
#define SERVER_NETWORK_DNS_MAX  16

#define SERVER_NETWORK_FORWARDS_MAX 16

struct server_network_address {
    char ip[SERVER_NETWORK_IP_BYTES];
    char gateway[SERVER_NETWORK_IP_BYTES]; /* "": there is none */
    unsigned prefix_bits;
    bool ipv6;
    bool dhcp; /* the subnet's addresses are meant to be given by DHCP too */
};

/* What an agent must be told of a port; texts are borrowed from the catalog, until the loop's next
 * turn. */
struct server_network_wiring {
    enum api_network_kind kind;
    const char *driver;
    const char *bridge; /* of kind bridge; NULL */
    uint32_t vni;       /* of kind overlay; 0 */
    const char *mac;
    uint32_t mtu_bytes;
    bool enabled;  /* false: the cable is unplugged */
    bool spoofing; /* the guest may send from other addresses */
    unsigned n_addresses;
    struct server_network_address addresses[16]; /* in the order of the port */
    unsigned n_dns;
    const char *dns[SERVER_NETWORK_DNS_MAX]; /* addresses of name servers, each once */
    const char *dns_domain;                  /* NULL: none */
    unsigned n_forwards;
    struct {
        bool udp;
        uint16_t host_port, guest_port;
    } forwards[SERVER_NETWORK_FORWARDS_MAX];                    /* of kind nat */
    int64_t ingress_mib_per_s, egress_mib_per_s, packets_per_s; /* 0: no limit */
};

/* Errors: ENOENT: its network is gone, or `port` is no port. */
int server_network_wire(struct server *s, const struct catalog_object *port,
                        struct server_network_wiring *w);

#endif
