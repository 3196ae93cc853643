/* Made by tools/apigen from link/agent.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef LINK_GEN_AGENT_H
#define LINK_GEN_AGENT_H

#include "api/api_types.h"
#include "link/gen/enums.h"

struct link_port_seen;
struct link_vm_seen;
struct link_volume_seen;

/* The first message. The host is the one that the certificate names, or the connection is
 * closed. */
struct link_hello {
    /* hello. */
    struct { enum api_is is; enum link_type v; } type;
    /* The highest version of the link that the agent speaks. */
    struct api_int protocol;
    /* The host. */
    struct api_text host;
    /* Another one each time that the host has booted. */
    struct api_text boot;
    /* Another one each time that the agent has started. */
    struct api_text instance;
    /* The agent's version. */
    struct api_text agent_version;
    /* `seq` of the last desired set that was taken up whole; 0: none. The server sends a full
     * one all the same, unless it knows that nothing was missed. */
    struct api_int desired_seq;
    /* No such host is there; its VMs are not either. */
    struct api_bool simulated;
};
extern const struct api_types_object link_types_hello;

/* A CPU engine. */
struct link_engine {
    /* Its name. */
    struct api_text name;
    /* Guests can run with it here. */
    struct api_bool usable;
    /* Why not. */
    struct api_text reason;
};
extern const struct api_types_object link_types_engine;

/* A NUMA node. */
struct link_numa_node {
    /* Its number. */
    struct api_int node;
    /* Its CPUs. */
    struct api_ints cpus;
    /* Its memory. */
    struct api_int memory_mib;
    /* Its huge pages of 2 MiB. */
    struct api_int hugepages_2m;
    /* Those that nobody uses. */
    struct api_int hugepages_2m_free;
    /* Its huge pages of 1 GiB. */
    struct api_int hugepages_1g;
    /* Those that nobody uses. */
    struct api_int hugepages_1g_free;
};
extern const struct api_types_object link_types_numa_node;

/* Where volumes lie on this host. */
struct link_pool_state {
    /* Its name. */
    struct api_text name;
    /* What keeps it: file. */
    struct api_text driver;
    /* Where it is. */
    struct api_text location;
    /* Whether it can be used. */
    struct { enum api_is is; enum link_pool_state_state v; } state;
    /* Why not. */
    struct api_text reason;
    /* What it holds. */
    struct api_int size_bytes;
    /* What is free of it. */
    struct api_int free_bytes;
};
extern const struct api_types_object link_types_pool_state;

/* A network interface of the host. */
struct link_nic {
    /* Its name. */
    struct api_text name;
    /* Its MAC. */
    struct api_text mac;
    /* Its MTU. */
    struct api_int mtu_bytes;
    /* Megabits a second; absent: not known. */
    struct api_int speed_mbit;
    /* It has a carrier. */
    struct api_bool up;
    /* It is a bridge. */
    struct api_bool bridge;
    /* Of a bridge: ports may be put on it. */
    struct api_bool offered;
};
extern const struct api_types_object link_types_nic;

/* What the host has; sent after hello, and again when it has changed. */
struct link_inventory {
    /* inventory. */
    struct { enum api_is is; enum link_type v; } type;
    /* The host's own name. */
    struct api_text name;
    /* CPUs that are online. */
    struct api_int cpus;
    /* Cores: CPUs that are threads of one core count once. */
    struct api_int cores;
    /* The CPUs' name. */
    struct api_text cpu_model;
    /* Their maker. */
    struct api_text cpu_vendor;
    /* What they can, as Linux names it. */
    struct api_texts cpu_flags;
    /* Its NUMA nodes. */
    struct { enum api_is is; uint32_t n; struct link_numa_node *v; } numa;
    /* Its memory. */
    struct api_int memory_mib;
    /* Huge pages of 2 MiB. */
    struct api_int hugepages_2m;
    /* Huge pages of 1 GiB. */
    struct api_int hugepages_1g;
    /* CPU engines; the best one first. */
    struct { enum api_is is; uint32_t n; struct link_engine *v; } engines;
    /* Its pools. */
    struct { enum api_is is; uint32_t n; struct link_pool_state *v; } pools;
    /* Its network interfaces. */
    struct { enum api_is is; uint32_t n; struct link_nic *v; } nics;
    /* What can keep volumes. */
    struct api_texts volume_drivers;
    /* What can connect ports. */
    struct api_texts network_drivers;
    /* From where it speaks to the server. */
    struct api_text address;
    /* The agent's version. */
    struct api_text agent_version;
    /* The monitor's version. */
    struct api_text vmm_version;
    /* The kernel's version. */
    struct api_text kernel_version;
};
extern const struct api_types_object link_types_inventory;

/* That the host lives, every so often as welcome said. */
struct link_heartbeat {
    /* heartbeat. */
    struct { enum api_is is; enum link_type v; } type;
    /* Counts them on this connection. */
    struct api_int number;
    /* degraded: it lives, but see `problems`. */
    struct { enum api_is is; enum link_heartbeat_health v; } health;
    /* What is wrong. */
    struct api_texts problems;
    /* The load average of a minute. */
    struct api_number load_1m;
    /* Memory that could be had. */
    struct api_int memory_free_mib;
    /* Its pools. */
    struct { enum api_is is; uint32_t n; struct link_pool_state *v; } pools;
    /* Monitors that live. */
    struct api_int vms_running;
};
extern const struct api_types_object link_types_heartbeat;

/* What objects are, each whole. */
struct link_seen {
    /* seen. */
    struct { enum api_is is; enum link_type v; } type;
    /* Part of the whole: what is named in none of its parts is not on this host. */
    struct api_bool full;
    /* Further parts of the whole follow. */
    struct api_bool more;
    /* `seq` of the last desired message that was taken up. */
    struct api_int desired_seq;
    /* VMs. */
    struct { enum api_is is; uint32_t n; struct link_vm_seen *v; } vms;
    /* Volumes, snapshots, images. */
    struct { enum api_is is; uint32_t n; struct link_volume_seen *v; } volumes;
    /* Ports. */
    struct { enum api_is is; uint32_t n; struct link_port_seen *v; } ports;
};
extern const struct api_types_object link_types_seen;

/* What a run of a VM has used of something: a counter, known by vm, run, object, kind and meter. */
struct link_usage_item {
    /* The VM. */
    struct api_text vm;
    /* The run's epoch. Of a VM a lower one comes before a higher one. */
    struct api_int run;
    /* What was used. */
    struct api_text object;
    /* What it is. */
    struct { enum api_is is; enum link_usage_item_kind v; } kind;
    /* What was counted; egress: from the guest. */
    struct { enum api_is is; enum link_usage_item_meter v; } meter;
    /* How much since the run began; never falls. */
    struct api_int value;
};
extern const struct api_types_object link_types_usage_item;

/* What was used. A message holds some counters, each whole; it is sent until one with its number
 * or a higher one is acknowledged. */
struct link_usage {
    /* usage. */
    struct { enum api_is is; enum link_type v; } type;
    /* What counted: the host. */
    struct api_text source;
    /* Higher each time that the numbers begin anew; the counters do not. */
    struct api_int epoch;
    /* Counts the messages of an epoch. */
    struct api_int number;
    /* When it was counted. */
    struct api_text at;
    /* Counters. */
    struct { enum api_is is; uint32_t n; struct link_usage_item *v; } items;
};
extern const struct api_types_object link_types_usage;

/* What became of a command. */
struct link_result {
    /* result. */
    struct { enum api_is is; enum link_type v; } type;
    /* The command. */
    struct api_text id;
    /* Whether it was done. */
    struct api_bool ok;
    /* Why not. */
    struct api_text reason;
    /* What was asked for; bytes that are no UTF-8 are replaced. */
    struct api_text text;
    /* There was more before it. */
    struct api_bool truncated;
};
extern const struct api_types_object link_types_result;

/* The agent ends; what runs goes on. */
struct link_bye {
    /* bye. */
    struct { enum api_is is; enum link_type v; } type;
    /* Why. */
    struct api_text reason;
};
extern const struct api_types_object link_types_bye;

/* A request for a new certificate of the same host, before the old one ends. */
struct link_renew {
    /* renew. */
    struct { enum api_is is; enum link_type v; } type;
    /* The request (PKCS #10, PEM); the key never leaves the host. */
    struct api_text csr;
};
extern const struct api_types_object link_types_renew;

#endif
