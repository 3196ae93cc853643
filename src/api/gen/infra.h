/* Made by tools/apigen from api/infra.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_INFRA_H
#define API_GEN_INFRA_H

#include "api/api_types.h"
#include "api/gen/enums.h"

/* Hosts that fail together, such as a room. */
struct api_zone {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* False: nothing new is placed there. */
    struct api_bool enabled;
    /* Where things go that ask for no zone. */
    struct api_bool default_;
    /* What is. */
    struct { enum api_is is; struct api_zone_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_zone;

/* What is true of a zone now. */
struct api_zone_status {
    /* Hosts in it. */
    struct api_int hosts;
    /* Those that answer. */
    struct api_int hosts_up;
};
extern const struct api_types_object api_types_zone_status;

/* How much more is promised than is there, for each resource. */
struct api_overcommit {
    /* vCPUs for each host CPU. */
    struct api_number vcpu_ratio;
    /* Memory promised for what is there. */
    struct api_number memory_ratio;
    /* Local disk promised for what is there. */
    struct api_number disk_ratio;
};
extern const struct api_types_object api_types_overcommit;

/* Hosts with something in common; a host may be in several. Where two have a ratio, the smaller
 * one counts. */
struct api_aggregate {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The zone of all its hosts. */
    struct api_text zone;
    /* Ratios of its hosts. */
    struct { enum api_is is; struct api_overcommit *v; } overcommit;
    /* What flavors can ask for. */
    struct api_texts traits;
    /* The only projects whose VMs are placed there; absent: all. */
    struct api_texts dedicated_to;
    /* Its hosts. */
    struct api_texts hosts;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_aggregate;

/* A host to add. */
struct api_aggregate_add_host {
    /* The host. */
    struct api_text host;
};
extern const struct api_types_object api_types_aggregate_add_host;

/* A machine that runs VMs. It comes into being when an agent joins. */
struct api_host {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Its zone; only while no VM is on it. */
    struct api_text zone;
    /* Its rack, for server groups. */
    struct api_text rack;
    /* What flavors can ask for. */
    struct api_texts traits;
    /* The only project whose VMs are placed there; absent: all. */
    struct api_text dedicated_to;
    /* Its own ratios; absent: its aggregates'. */
    struct { enum api_is is; struct api_overcommit *v; } overcommit;
    /* CPUs that VMs do not get. */
    struct api_int reserved_vcpus;
    /* Memory that VMs do not get. */
    struct api_int reserved_memory_mib;
    /* What is wanted of it; changed by drain, maintenance and activate. */
    struct { enum api_is is; enum api_host_mode v; } mode;
    /* What is. */
    struct { enum api_is is; struct api_host_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_host;

/* What is true of a host now. */
struct api_host_status {
    /* unreachable: its lease has ended; fenced: it is known to be off. */
    struct { enum api_is is; enum api_host_status_state v; } state;
    /* Why it is not up. */
    struct api_text reason;
    /* When it was last heard of. */
    struct api_text seen_at;
    /* Where it is. */
    struct api_text address;
    /* The version of its agent. */
    struct api_text agent_version;
    /* The version of its kernel. */
    struct api_text kernel_version;
    /* The CPU engines that it offers. */
    struct api_texts engines;
    /* Host CPUs. */
    struct api_int cpus;
    /* Memory. */
    struct api_int memory_mib;
    /* Local disk. */
    struct api_int disk_gib;
    /* vCPUs of what is placed there. */
    struct api_int claimed_vcpus;
    /* Memory of what is placed there. */
    struct api_int claimed_memory_mib;
    /* Local disk of what is placed there. */
    struct api_int claimed_disk_gib;
    /* Raised by every claim. */
    struct api_int claim_generation;
    /* VMs placed there. */
    struct api_int vms;
};
extern const struct api_types_object api_types_host_status;

/* How to empty a host. */
struct api_host_drain {
    /* Move running VMs while they run. */
    struct api_bool live;
    /* So many at once. */
    struct api_int parallel;
    /* Go on to maintenance once it is empty; otherwise it stays cordoned. */
    struct api_bool then_maintenance;
};
extern const struct api_types_object api_types_host_drain;

/* How to enter maintenance. */
struct api_host_maintenance {
    /* Stop the VMs that cannot be moved. */
    struct api_bool force;
};
extern const struct api_types_object api_types_host_maintenance;

/* That a host is off. */
struct api_host_fence {
    /* True: the caller has made sure that the host is off. Its VMs may then run elsewhere. */
    struct api_bool confirmed;
};
extern const struct api_types_object api_types_host_fence;

/* Lets hosts join. */
struct api_host_join_token {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The zone of those that join; absent: the default one. */
    struct api_text zone;
    /* So many hosts. */
    struct api_int max_uses;
    /* When it ends; absent: in an hour. */
    struct api_text expires_at;
    /* Hosts that have used it. */
    struct api_int uses;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_host_join_token;

/* A new join token. The secret is shown only here. */
struct api_host_join_token_created {
    /* The join token. */
    struct { enum api_is is; struct api_host_join_token *v; } host_join_token;
    /* What the agent shows: the token with the hash of the cloud's certificate. */
    struct api_text secret;
    /* What to run on the host. */
    struct api_text command;
};
extern const struct api_types_object api_types_host_join_token_created;

/* What an agent says when it joins. */
struct api_host_join {
    /* The join token's secret. */
    struct api_text secret;
    /* The host's name. */
    struct api_text name;
    /* A certificate request (PKCS #10, PEM); the key never leaves the host. */
    struct api_text csr;
    /* The version of the agent. */
    struct api_text agent_version;
};
extern const struct api_types_object api_types_host_join;

/* What an agent gets. */
struct api_host_joined {
    /* The host. */
    struct { enum api_is is; struct api_host *v; } host;
    /* Its certificate (PEM). */
    struct api_text certificate;
    /* The cloud's certificates (PEM). */
    struct api_text ca;
};
extern const struct api_types_object api_types_host_joined;

/* What can be changed: How much more is promised than is there, for each resource. */
struct api_overcommit_patch {
    /* vCPUs for each host CPU. */
    struct api_number vcpu_ratio;
    /* Memory promised for what is there. */
    struct api_number memory_ratio;
    /* Local disk promised for what is there. */
    struct api_number disk_ratio;
};
extern const struct api_types_object api_types_overcommit_patch;

/* What can be said when it is created: Hosts that fail together, such as a room. */
struct api_zone_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* False: nothing new is placed there. */
    struct api_bool enabled;
    /* Where things go that ask for no zone. */
    struct api_bool default_;
};
extern const struct api_types_object api_types_zone_create;

/* What can be changed: Hosts that fail together, such as a room. */
struct api_zone_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* False: nothing new is placed there. */
    struct api_bool enabled;
    /* Where things go that ask for no zone. */
    struct api_bool default_;
};
extern const struct api_types_object api_types_zone_patch;

/* A page of zones. */
struct api_zone_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_zone *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_zone_list;

/* What can be said when it is created: Hosts with something in common; a host may be in several.
 * Where two have a ratio, the smaller one counts. */
struct api_aggregate_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The zone of all its hosts. */
    struct api_text zone;
    /* Ratios of its hosts. */
    struct { enum api_is is; struct api_overcommit *v; } overcommit;
    /* What flavors can ask for. */
    struct api_texts traits;
    /* The only projects whose VMs are placed there; absent: all. */
    struct api_texts dedicated_to;
    /* Its hosts. */
    struct api_texts hosts;
};
extern const struct api_types_object api_types_aggregate_create;

/* What can be changed: Hosts with something in common; a host may be in several. Where two have
 * a ratio, the smaller one counts. */
struct api_aggregate_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Ratios of its hosts. */
    struct { enum api_is is; struct api_overcommit_patch *v; } overcommit;
    /* What flavors can ask for. */
    struct api_texts traits;
    /* The only projects whose VMs are placed there; absent: all. */
    struct api_texts dedicated_to;
    /* Its hosts. */
    struct api_texts hosts;
};
extern const struct api_types_object api_types_aggregate_patch;

/* A page of host aggregates. */
struct api_aggregate_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_aggregate *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_aggregate_list;

/* What can be changed: A machine that runs VMs. It comes into being when an agent joins. */
struct api_host_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Its zone; only while no VM is on it. */
    struct api_text zone;
    /* Its rack, for server groups. */
    struct api_text rack;
    /* What flavors can ask for. */
    struct api_texts traits;
    /* The only project whose VMs are placed there; absent: all. */
    struct api_text dedicated_to;
    /* Its own ratios; absent: its aggregates'. */
    struct { enum api_is is; struct api_overcommit_patch *v; } overcommit;
    /* CPUs that VMs do not get. */
    struct api_int reserved_vcpus;
    /* Memory that VMs do not get. */
    struct api_int reserved_memory_mib;
};
extern const struct api_types_object api_types_host_patch;

/* A page of hosts. */
struct api_host_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_host *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_host_list;

/* What can be said when it is created: Lets hosts join. */
struct api_host_join_token_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The zone of those that join; absent: the default one. */
    struct api_text zone;
    /* So many hosts. */
    struct api_int max_uses;
    /* When it ends; absent: in an hour. */
    struct api_text expires_at;
};
extern const struct api_types_object api_types_host_join_token_create;

/* A page of join tokens. */
struct api_host_join_token_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_host_join_token *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_host_join_token_list;

#endif
