/* Made by tools/apigen from api/compute.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_COMPUTE_H
#define API_GEN_COMPUTE_H

#include "api/api_types.h"
#include "api/gen/enums.h"

struct api_port_forward;
struct api_problem;

/* A size of VM. Its numbers never change; VMs keep them when the flavor is deleted. */
struct api_flavor {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Virtual CPUs. */
    struct api_int vcpus;
    /* Memory. */
    struct api_int memory_mib;
    /* Size of the first disk; 0: the image's own. */
    struct api_int disk_gib;
    /* dedicated: each vCPU has a host CPU of its own. */
    struct { enum api_is is; enum api_flavor_cpu_policy v; } cpu_policy;
    /* Memory in huge pages. */
    struct api_bool hugepages;
    /* What a host must have. */
    struct api_texts traits;
    /* Who may use it; absent: everybody. */
    struct api_texts projects;
    /* False: no new VMs of it. */
    struct api_bool enabled;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_flavor;

/* A public key for SSH, which cloud-init puts into a guest. */
struct api_keypair {
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
    /* In OpenSSH's one-line form; absent: a pair is made. */
    struct api_text public_key;
    /* SHA256 and the hash as ssh-keygen -l shows it. */
    struct api_text fingerprint;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_keypair;

/* A new key pair. The private key is shown only here and kept nowhere. */
struct api_keypair_created {
    /* The key pair. */
    struct { enum api_is is; struct api_keypair *v; } keypair;
    /* In OpenSSH's form; absent where the public key was given. */
    struct api_text private_key;
};
extern const struct api_types_object api_types_keypair_created;

/* A virtual machine. */
struct api_vm {
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
    /* Its size; another one by resize. */
    struct api_text flavor;
    /* What its first disk is made from; absent where boot_volume is given. */
    struct api_text image;
    /* A volume to boot from instead of an image. */
    struct api_text boot_volume;
    /* Size of the first disk; absent: the flavor's, or the image's. */
    struct api_int disk_gib;
    /* Where its first disk lies; absent: the cloud decides. */
    struct api_text pool;
    /* A key to put into the guest. */
    struct api_text keypair;
    /* For cloud-init; up to 64 KiB. */
    struct api_text user_data;
    /* The guest's name; absent: the VM's. */
    struct api_text hostname;
    /* Its NICs, in order; absent: one in the project's only network. */
    struct { enum api_is is; uint32_t n; struct api_vm_nic *v; } nics;
    /* Further volumes. */
    struct { enum api_is is; uint32_t n; struct api_vm_volume *v; } volumes;
    /* The zone; absent: any. */
    struct api_text zone;
    /* This host and no other. */
    struct api_text host;
    /* The group whose rule it follows. */
    struct api_text server_group;
    /* The reservation that it uses up. */
    struct api_text reservation;
    /* Start it once it is built. */
    struct api_bool start;
    /* Start it again when its host comes back. */
    struct api_bool autostart;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
    /* restart: elsewhere, once its host is fenced; stay: wait for its host. */
    struct { enum api_is is; enum api_vm_on_host_failure v; } on_host_failure;
    /* False: a drain stops it and starts it elsewhere. */
    struct api_bool live_migration;
    /* What is. */
    struct { enum api_is is; struct api_vm_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_vm;

/* A NIC: in a network, or by a port that exists. */
struct api_vm_nic {
    /* The network; a port is made in it. */
    struct api_text network;
    /* The subnet; absent: any of the network. */
    struct api_text subnet;
    /* A port that exists; then nothing else is given. */
    struct api_text port;
    /* This address; absent: the next free one. */
    struct api_text ip;
    /* This MAC; absent: derived. */
    struct api_text mac;
    /* Its security groups; absent: the network's. */
    struct api_texts security_groups;
    /* In a network of kind nat: ports of its host that lead to the guest. */
    struct { enum api_is is; uint32_t n; struct api_port_forward *v; } forwards;
};
extern const struct api_types_object api_types_vm_nic;

/* A further volume: one that exists, or a new one. */
struct api_vm_volume {
    /* A volume that exists; then nothing else but readonly is given. */
    struct api_text volume;
    /* The size of a new one. */
    struct api_int size_gib;
    /* What a new one is made from. */
    struct api_text snapshot;
    /* Where a new one lies. */
    struct api_text pool;
    /* The guest cannot write to it. */
    struct api_bool readonly;
    /* Delete it with the VM. */
    struct api_bool delete_with_vm;
};
extern const struct api_types_object api_types_vm_volume;

/* An address of a guest. */
struct api_vm_address {
    /* The address. */
    struct api_text ip;
    /* Of the NIC that has it. */
    struct api_text mac;
    /* The port; absent where the guest gave itself the address. */
    struct api_text port;
    /* assigned by us; guest: the guest has it by itself, and was seen to use it; floating. */
    struct { enum api_is is; enum api_vm_address_source v; } source;
    /* The guest was seen to use it within the last 30 minutes, by its ARP and IPv6 neighbour
     * discovery. It is what the guest claims. Absent: not seen, or not yet. */
    struct api_bool seen;
};
extern const struct api_types_object api_types_vm_address;

/* What is true of a VM now; only the server writes it. */
struct api_vm_status {
    /* Its state. */
    struct { enum api_is is; enum api_vm_state v; } state;
    /* Why it is in this state where that is not plain. */
    struct api_text reason;
    /* The operation that is under way. */
    struct api_text operation;
    /* The host that it is placed on. */
    struct api_text host;
    /* Counts its starts and moves; no two hosts run the same. */
    struct api_int run_epoch;
    /* Virtual CPUs that it holds. */
    struct api_int vcpus;
    /* Memory that it holds. */
    struct api_int memory_mib;
    /* Its addresses: those that it was given, and those that its guest is seen to use, as long
     * as its host answers to the server that is asked. */
    struct { enum api_is is; uint32_t n; struct api_vm_address *v; } addresses;
    /* What the guest calls itself. */
    struct api_text guest_hostname;
    /* The volume of its first disk. */
    struct api_text boot_volume;
    /* When it was last started. */
    struct api_text started_at;
    /* When it was deleted. */
    struct api_text deleted_at;
    /* Until when a deleted one can be had back. */
    struct api_text purge_at;
};
extern const struct api_types_object api_types_vm_status;

/* Several VMs in one request. */
struct api_vm_batch_create {
    /* The VMs. */
    struct { enum api_is is; uint32_t n; struct api_vm_create *v; } vms;
    /* all_or_nothing: one that cannot be placed, none is made; best_effort: those that can be
     * are. */
    struct { enum api_is is; enum api_vm_batch_create_mode v; } mode;
};
extern const struct api_types_object api_types_vm_batch_create;

/* What became of one VM of a batch. */
struct api_vm_batch_item {
    /* The name that was asked for. */
    struct api_text name;
    /* The VM; absent where it was not made. */
    struct api_text vm;
    /* Its operation. */
    struct api_text operation;
    /* Why it was not made. */
    struct { enum api_is is; struct api_problem *v; } problem;
};
extern const struct api_types_object api_types_vm_batch_item;

/* What became of a batch, in the request's order. */
struct api_vm_batch {
    /* Each VM. */
    struct { enum api_is is; uint32_t n; struct api_vm_batch_item *v; } vms;
};
extern const struct api_types_object api_types_vm_batch;

/* How to stop. */
struct api_vm_stop {
    /* Cut its power at once. */
    struct api_bool force;
    /* How long the guest may take before its power is cut. */
    struct api_int timeout_s;
};
extern const struct api_types_object api_types_vm_stop;

/* How to reboot. */
struct api_vm_reboot {
    /* Reset it; otherwise the guest is asked to. */
    struct api_bool force;
    /* How long the guest may take before it is reset. */
    struct api_int timeout_s;
};
extern const struct api_types_object api_types_vm_reboot;

/* Another size. */
struct api_vm_resize {
    /* The new flavor. */
    struct api_text flavor;
    /* It may go to another host where its own has no room. */
    struct api_bool allow_move;
};
extern const struct api_types_object api_types_vm_resize;

/* A new first disk. Addresses, volumes and the id stay. */
struct api_vm_rebuild {
    /* What the first disk is made from. */
    struct api_text image;
    /* New user data; absent: as before. */
    struct api_text user_data;
    /* Another key; absent: as before. */
    struct api_text keypair;
};
extern const struct api_types_object api_types_vm_rebuild;

/* Boots from another disk, with its own as the second. */
struct api_vm_rescue {
    /* What to boot; absent: the image that it was made from. */
    struct api_text image;
};
extern const struct api_types_object api_types_vm_rescue;

/* Moves it to another host. */
struct api_vm_migrate {
    /* Where to; absent: the scheduler decides. */
    struct api_text host;
    /* live: while it runs; cold: it is stopped and started; auto: live if it can. */
    struct { enum api_is is; enum api_vm_migrate_mode v; } mode;
    /* At most so fast; absent: as the cloud allows. */
    struct api_int bandwidth_mib_per_s;
};
extern const struct api_types_object api_types_vm_migrate;

/* How to shelve. */
struct api_vm_shelve {
    /* Cut its power rather than ask the guest. */
    struct api_bool force;
};
extern const struct api_types_object api_types_vm_shelve;

/* A golden image from a VM's first disk. */
struct api_vm_create_image {
    /* The image's name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Ask the guest to write its file systems first; a VM without an agent is paused instead. */
    struct api_bool quiesce;
};
extern const struct api_types_object api_types_vm_create_image;

/* A volume to attach. */
struct api_vm_attach_volume {
    /* The volume. */
    struct api_text volume;
    /* The guest cannot write to it. */
    struct api_bool readonly;
    /* Delete it with the VM. */
    struct api_bool delete_with_vm;
};
extern const struct api_types_object api_types_vm_attach_volume;

/* The end of a VM's serial console. */
struct api_vm_console_log {
    /* The text; bytes that are no UTF-8 are replaced. */
    struct api_text text;
    /* There was more before it. */
    struct api_bool truncated;
};
extern const struct api_types_object api_types_vm_console_log;

/* What can be said when it is created: A size of VM. Its numbers never change; VMs keep them
 * when the flavor is deleted. */
struct api_flavor_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Virtual CPUs. */
    struct api_int vcpus;
    /* Memory. */
    struct api_int memory_mib;
    /* Size of the first disk; 0: the image's own. */
    struct api_int disk_gib;
    /* dedicated: each vCPU has a host CPU of its own. */
    struct { enum api_is is; enum api_flavor_cpu_policy v; } cpu_policy;
    /* Memory in huge pages. */
    struct api_bool hugepages;
    /* What a host must have. */
    struct api_texts traits;
    /* Who may use it; absent: everybody. */
    struct api_texts projects;
    /* False: no new VMs of it. */
    struct api_bool enabled;
};
extern const struct api_types_object api_types_flavor_create;

/* What can be changed: A size of VM. Its numbers never change; VMs keep them when the flavor is
 * deleted. */
struct api_flavor_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Who may use it; absent: everybody. */
    struct api_texts projects;
    /* False: no new VMs of it. */
    struct api_bool enabled;
};
extern const struct api_types_object api_types_flavor_patch;

/* A page of flavors. */
struct api_flavor_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_flavor *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_flavor_list;

/* What can be said when it is created: A public key for SSH, which cloud-init puts into a guest. */
struct api_keypair_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* In OpenSSH's one-line form; absent: a pair is made. */
    struct api_text public_key;
};
extern const struct api_types_object api_types_keypair_create;

/* What can be changed: A public key for SSH, which cloud-init puts into a guest. */
struct api_keypair_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
};
extern const struct api_types_object api_types_keypair_patch;

/* A page of key pairs. */
struct api_keypair_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_keypair *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_keypair_list;

/* What can be said when it is created: A virtual machine. */
struct api_vm_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Its size; another one by resize. */
    struct api_text flavor;
    /* What its first disk is made from; absent where boot_volume is given. */
    struct api_text image;
    /* A volume to boot from instead of an image. */
    struct api_text boot_volume;
    /* Size of the first disk; absent: the flavor's, or the image's. */
    struct api_int disk_gib;
    /* Where its first disk lies; absent: the cloud decides. */
    struct api_text pool;
    /* A key to put into the guest. */
    struct api_text keypair;
    /* For cloud-init; up to 64 KiB. */
    struct api_text user_data;
    /* The guest's name; absent: the VM's. */
    struct api_text hostname;
    /* Its NICs, in order; absent: one in the project's only network. */
    struct { enum api_is is; uint32_t n; struct api_vm_nic *v; } nics;
    /* Further volumes. */
    struct { enum api_is is; uint32_t n; struct api_vm_volume *v; } volumes;
    /* The zone; absent: any. */
    struct api_text zone;
    /* This host and no other. */
    struct api_text host;
    /* The group whose rule it follows. */
    struct api_text server_group;
    /* The reservation that it uses up. */
    struct api_text reservation;
    /* Start it once it is built. */
    struct api_bool start;
    /* Start it again when its host comes back. */
    struct api_bool autostart;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
    /* restart: elsewhere, once its host is fenced; stay: wait for its host. */
    struct { enum api_is is; enum api_vm_on_host_failure v; } on_host_failure;
    /* False: a drain stops it and starts it elsewhere. */
    struct api_bool live_migration;
};
extern const struct api_types_object api_types_vm_create;

/* What can be changed: A virtual machine. */
struct api_vm_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Start it again when its host comes back. */
    struct api_bool autostart;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
    /* restart: elsewhere, once its host is fenced; stay: wait for its host. */
    struct { enum api_is is; enum api_vm_on_host_failure v; } on_host_failure;
    /* False: a drain stops it and starts it elsewhere. */
    struct api_bool live_migration;
};
extern const struct api_types_object api_types_vm_patch;

/* A page of VMs. */
struct api_vm_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_vm *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_vm_list;

/* The query of vm_create. */
struct api_vm_create_query {
    /* Decide and answer only: where it would go, or what stands against it. */
    struct api_bool dry_run;
    /* With dry_run: say for each host what was decided. */
    struct api_bool explain;
};
extern const struct api_types_object api_types_vm_create_query;

/* The query of vm_delete. */
struct api_vm_delete_query {
    /* Remove it now; it cannot be had back. */
    struct api_bool purge;
    /* Delete its volumes too, whatever their delete_with_vm says. */
    struct api_bool delete_volumes;
};
extern const struct api_types_object api_types_vm_delete_query;

/* The query of vm_batch_create. */
struct api_vm_batch_create_query {
    /* Decide and answer only: where it would go, or what stands against it. */
    struct api_bool dry_run;
    /* With dry_run: say for each host what was decided. */
    struct api_bool explain;
};
extern const struct api_types_object api_types_vm_batch_create_query;

/* The query of vm_resize. */
struct api_vm_resize_query {
    /* Decide and answer only: where it would go, or what stands against it. */
    struct api_bool dry_run;
    /* With dry_run: say for each host what was decided. */
    struct api_bool explain;
};
extern const struct api_types_object api_types_vm_resize_query;

/* The query of vm_unshelve. */
struct api_vm_unshelve_query {
    /* Decide and answer only: where it would go, or what stands against it. */
    struct api_bool dry_run;
    /* With dry_run: say for each host what was decided. */
    struct api_bool explain;
};
extern const struct api_types_object api_types_vm_unshelve_query;

/* The query of vm_migrate. */
struct api_vm_migrate_query {
    /* Decide and answer only: where it would go, or what stands against it. */
    struct api_bool dry_run;
    /* With dry_run: say for each host what was decided. */
    struct api_bool explain;
};
extern const struct api_types_object api_types_vm_migrate_query;

/* The query of vm_console. */
struct api_vm_console_query {
    /* serial: text; graphics: RFB, where a driver offers it. */
    struct { enum api_is is; enum api_vm_console_query_kind v; } kind;
    /* Of POST /v1/tickets, instead of a header. */
    struct api_text ticket;
};
extern const struct api_types_object api_types_vm_console_query;

/* The query of vm_console_log. */
struct api_vm_console_log_query {
    /* At most so much. */
    struct api_int max_kib;
};
extern const struct api_types_object api_types_vm_console_log_query;

#endif
