/* Made by tools/apigen from api/network.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_NETWORK_H
#define API_GEN_NETWORK_H

#include "api/api_types.h"
#include "api/gen/enums.h"

/* What ports are plugged into. */
struct api_network {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* The project that owns it. */
    struct api_text project;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* isolated: within a host; nat: each guest has a way out, and is reached by forwards;
     * bridge: a host's own; overlay: over all hosts. */
    struct { enum api_is is; enum api_network_kind v; } kind;
    /* Of an overlay; absent: the next free one. */
    struct api_int vni;
    /* Of kind bridge: its name on the hosts. */
    struct api_text bridge;
    /* Of kind bridge: the VLAN; absent: untagged. */
    struct api_int vlan;
    /* The largest packet. */
    struct api_int mtu_bytes;
    /* Every project may use it. */
    struct api_bool shared;
    /* What new ports get. */
    struct api_texts security_groups;
    /* It leads outside; floating addresses come from it. */
    struct api_bool external;
    /* The domain of its guests. */
    struct api_text dns_domain;
    /* What is. */
    struct { enum api_is is; struct api_network_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_network;

/* What is true of a network now. */
struct api_network_status {
    /* Its state. */
    struct { enum api_is is; enum api_network_status_state v; } state;
    /* Why it failed. */
    struct api_text reason;
    /* The overlay's number. */
    struct api_int vni;
    /* Ports in it. */
    struct api_int ports;
};
extern const struct api_types_object api_types_network_status;

/* A range of addresses. */
struct api_subnet_range {
    /* The first address. */
    struct api_text first;
    /* The last address. */
    struct api_text last;
};
extern const struct api_types_object api_types_subnet_range;

/* The addresses of a network. */
struct api_subnet {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* The project that owns it. */
    struct api_text project;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Of which network. */
    struct api_text network;
    /* The prefix. */
    struct api_text cidr;
    /* The way out; absent: the first address. */
    struct api_text gateway;
    /* Addresses are given by DHCP too where the network's driver can; a guest's seed disk has
     * them in any case. */
    struct api_bool dhcp;
    /* What is given out to those who name no address; absent: all but the gateway. */
    struct { enum api_is is; uint32_t n; struct api_subnet_range *v; } ranges;
    /* What guests ask for names. */
    struct api_texts dns_servers;
    /* What is. */
    struct { enum api_is is; struct api_subnet_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_subnet;

/* What is true of a subnet now. */
struct api_subnet_status {
    /* Addresses that it can give out. */
    struct api_int addresses;
    /* Addresses that are given out. */
    struct api_int used;
};
extern const struct api_types_object api_types_subnet_status;

/* An address of a port. */
struct api_port_address {
    /* Of which subnet; absent: any. */
    struct api_text subnet;
    /* Which one; absent: the next free one. */
    struct api_text ip;
};
extern const struct api_types_object api_types_port_address;

/* Where a NIC is plugged in; it keeps its addresses without a VM. */
struct api_port {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* The project that owns it. */
    struct api_text project;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* In which network. */
    struct api_text network;
    /* Its addresses; absent: one. */
    struct { enum api_is is; uint32_t n; struct api_port_address *v; } addresses;
    /* Its MAC; absent: derived from its id. */
    struct api_text mac;
    /* Its security groups; absent: the network's; none: everything is let through. */
    struct api_texts security_groups;
    /* Let the guest send from other addresses; false: they are dropped where the network's
     * driver looks at packets. */
    struct api_bool spoofing;
    /* False: the cable is unplugged. */
    struct api_bool enabled;
    /* Its limits. */
    struct { enum api_is is; struct api_port_qos *v; } qos;
    /* In a network of kind nat: ports of its host that lead to the guest. */
    struct { enum api_is is; uint32_t n; struct api_port_forward *v; } forwards;
    /* What is. */
    struct { enum api_is is; struct api_port_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_port;

/* A port of the host that a VM runs on, which leads to a port of the guest. */
struct api_port_forward {
    /* Which protocol. */
    struct { enum api_is is; enum api_port_forward_protocol v; } protocol;
    /* The guest's port. */
    struct api_int guest_port;
    /* The host's port, used once in the cloud so that any host will do; absent: the next free
     * one of 20000 to 32767. */
    struct api_int host_port;
};
extern const struct api_types_object api_types_port_forward;

/* Limits of a port; absent is none. */
struct api_port_qos {
    /* MiB a second to the guest. */
    struct api_int ingress_mib_per_s;
    /* MiB a second from the guest. */
    struct api_int egress_mib_per_s;
    /* Packets a second either way. */
    struct api_int packets_per_s;
};
extern const struct api_types_object api_types_port_qos;

/* What is true of a port now. */
struct api_port_status {
    /* Its state. */
    struct { enum api_is is; enum api_port_status_state v; } state;
    /* Why it failed. */
    struct api_text reason;
    /* The VM that it belongs to. */
    struct api_text vm;
    /* The host that it is on. */
    struct api_text host;
    /* The addresses that it was given. */
    struct api_texts addresses;
    /* The MAC that it was given. */
    struct api_text mac;
    /* The floating address that leads to it. */
    struct api_text floating_ip;
    /* Its forwards, with the host's ports. */
    struct { enum api_is is; uint32_t n; struct api_port_forward *v; } forwards;
};
extern const struct api_types_object api_types_port_status;

/* A rule that lets something through; what no rule lets through is dropped. */
struct api_security_rule {
    /* To the guest, or from it. */
    struct { enum api_is is; enum api_security_rule_direction v; } direction;
    /* Which addresses. */
    struct { enum api_is is; enum api_security_rule_family v; } family;
    /* Which protocol. */
    struct { enum api_is is; enum api_security_rule_protocol v; } protocol;
    /* The first port, or the ICMP type; absent: any. */
    struct api_int port_first;
    /* The last port, or the ICMP code; absent: port_first. */
    struct api_int port_last;
    /* With whom; absent with remote_group: with anybody. */
    struct api_text remote_cidr;
    /* With members of this group. */
    struct api_text remote_group;
    /* What for. */
    struct api_text description;
};
extern const struct api_types_object api_types_security_rule;

/* Rules that ports share. Answers to what was let through are let through. */
struct api_security_group {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* The project that owns it. */
    struct api_text project;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The rules, replaced as a whole. */
    struct { enum api_is is; uint32_t n; struct api_security_rule *v; } rules;
    /* What is. */
    struct { enum api_is is; struct api_security_group_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_security_group;

/* What is true of a security group now. */
struct api_security_group_status {
    /* Ports that have it. */
    struct api_int ports;
};
extern const struct api_types_object api_types_security_group_status;

/* An address outside that leads to a port. */
struct api_floating_ip {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* The project that owns it. */
    struct api_text project;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The network that they come from; an external one. */
    struct api_text network;
    /* This address; absent: the next free one. */
    struct api_text ip;
    /* Where it leads; absent: nowhere yet. */
    struct api_text port;
    /* What is. */
    struct { enum api_is is; struct api_floating_ip_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_floating_ip;

/* What is true of a floating address now. */
struct api_floating_ip_status {
    /* Its state. */
    struct { enum api_is is; enum api_floating_ip_status_state v; } state;
    /* Why it failed. */
    struct api_text reason;
    /* The address. */
    struct api_text ip;
};
extern const struct api_types_object api_types_floating_ip_status;

/* What can be said when it is created: What ports are plugged into. */
struct api_network_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* isolated: within a host; nat: each guest has a way out, and is reached by forwards;
     * bridge: a host's own; overlay: over all hosts. */
    struct { enum api_is is; enum api_network_kind v; } kind;
    /* Of an overlay; absent: the next free one. */
    struct api_int vni;
    /* Of kind bridge: its name on the hosts. */
    struct api_text bridge;
    /* Of kind bridge: the VLAN; absent: untagged. */
    struct api_int vlan;
    /* The largest packet. */
    struct api_int mtu_bytes;
    /* Every project may use it. */
    struct api_bool shared;
    /* What new ports get. */
    struct api_texts security_groups;
    /* It leads outside; floating addresses come from it. */
    struct api_bool external;
    /* The domain of its guests. */
    struct api_text dns_domain;
};
extern const struct api_types_object api_types_network_create;

/* What can be changed: What ports are plugged into. */
struct api_network_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The largest packet. */
    struct api_int mtu_bytes;
    /* Every project may use it. */
    struct api_bool shared;
    /* What new ports get. */
    struct api_texts security_groups;
    /* The domain of its guests. */
    struct api_text dns_domain;
};
extern const struct api_types_object api_types_network_patch;

/* A page of networks. */
struct api_network_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_network *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_network_list;

/* What can be said when it is created: The addresses of a network. */
struct api_subnet_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Of which network. */
    struct api_text network;
    /* The prefix. */
    struct api_text cidr;
    /* The way out; absent: the first address. */
    struct api_text gateway;
    /* Addresses are given by DHCP too where the network's driver can; a guest's seed disk has
     * them in any case. */
    struct api_bool dhcp;
    /* What is given out to those who name no address; absent: all but the gateway. */
    struct { enum api_is is; uint32_t n; struct api_subnet_range *v; } ranges;
    /* What guests ask for names. */
    struct api_texts dns_servers;
};
extern const struct api_types_object api_types_subnet_create;

/* What can be changed: The addresses of a network. */
struct api_subnet_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The way out; absent: the first address. */
    struct api_text gateway;
    /* Addresses are given by DHCP too where the network's driver can; a guest's seed disk has
     * them in any case. */
    struct api_bool dhcp;
    /* What is given out to those who name no address; absent: all but the gateway. */
    struct { enum api_is is; uint32_t n; struct api_subnet_range *v; } ranges;
    /* What guests ask for names. */
    struct api_texts dns_servers;
};
extern const struct api_types_object api_types_subnet_patch;

/* A page of subnets. */
struct api_subnet_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_subnet *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_subnet_list;

/* What can be said when it is created: Where a NIC is plugged in; it keeps its addresses without
 * a VM. */
struct api_port_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* In which network. */
    struct api_text network;
    /* Its addresses; absent: one. */
    struct { enum api_is is; uint32_t n; struct api_port_address *v; } addresses;
    /* Its MAC; absent: derived from its id. */
    struct api_text mac;
    /* Its security groups; absent: the network's; none: everything is let through. */
    struct api_texts security_groups;
    /* Let the guest send from other addresses; false: they are dropped where the network's
     * driver looks at packets. */
    struct api_bool spoofing;
    /* False: the cable is unplugged. */
    struct api_bool enabled;
    /* Its limits. */
    struct { enum api_is is; struct api_port_qos *v; } qos;
    /* In a network of kind nat: ports of its host that lead to the guest. */
    struct { enum api_is is; uint32_t n; struct api_port_forward *v; } forwards;
};
extern const struct api_types_object api_types_port_create;

/* What can be changed: Limits of a port; absent is none. */
struct api_port_qos_patch {
    /* MiB a second to the guest. */
    struct api_int ingress_mib_per_s;
    /* MiB a second from the guest. */
    struct api_int egress_mib_per_s;
    /* Packets a second either way. */
    struct api_int packets_per_s;
};
extern const struct api_types_object api_types_port_qos_patch;

/* What can be changed: Where a NIC is plugged in; it keeps its addresses without a VM. */
struct api_port_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Its addresses; absent: one. */
    struct { enum api_is is; uint32_t n; struct api_port_address *v; } addresses;
    /* Its security groups; absent: the network's; none: everything is let through. */
    struct api_texts security_groups;
    /* Let the guest send from other addresses; false: they are dropped where the network's
     * driver looks at packets. */
    struct api_bool spoofing;
    /* False: the cable is unplugged. */
    struct api_bool enabled;
    /* Its limits. */
    struct { enum api_is is; struct api_port_qos_patch *v; } qos;
    /* In a network of kind nat: ports of its host that lead to the guest. */
    struct { enum api_is is; uint32_t n; struct api_port_forward *v; } forwards;
};
extern const struct api_types_object api_types_port_patch;

/* A page of ports. */
struct api_port_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_port *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_port_list;

/* What can be said when it is created: Rules that ports share. Answers to what was let through
 * are let through. */
struct api_security_group_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The rules, replaced as a whole. */
    struct { enum api_is is; uint32_t n; struct api_security_rule *v; } rules;
};
extern const struct api_types_object api_types_security_group_create;

/* What can be changed: Rules that ports share. Answers to what was let through are let through. */
struct api_security_group_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The rules, replaced as a whole. */
    struct { enum api_is is; uint32_t n; struct api_security_rule *v; } rules;
};
extern const struct api_types_object api_types_security_group_patch;

/* A page of security groups. */
struct api_security_group_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_security_group *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_security_group_list;

/* What can be said when it is created: An address outside that leads to a port. */
struct api_floating_ip_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The network that they come from; an external one. */
    struct api_text network;
    /* This address; absent: the next free one. */
    struct api_text ip;
    /* Where it leads; absent: nowhere yet. */
    struct api_text port;
};
extern const struct api_types_object api_types_floating_ip_create;

/* What can be changed: An address outside that leads to a port. */
struct api_floating_ip_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Where it leads; absent: nowhere yet. */
    struct api_text port;
};
extern const struct api_types_object api_types_floating_ip_patch;

/* A page of floating addresses. */
struct api_floating_ip_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_floating_ip *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_floating_ip_list;

#endif
