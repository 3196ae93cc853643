/* Made by tools/apigen from link/types.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef LINK_GEN_TYPES_H
#define LINK_GEN_TYPES_H

#include "api/api_types.h"
#include "link/gen/enums.h"

/* A disk of a VM. The volume is made when the VM is started, unless it is there. */
struct link_disk {
    /* The volume. */
    struct api_text volume;
    /* Where it lies; absent: in the host's first pool. */
    struct api_text pool;
    /* Its size; a multiple of 512. */
    struct api_int size_bytes;
    /* What it is a copy of; absent: of nothing. Not of a volume. */
    struct { enum api_is is; enum link_volume_kind v; } source_kind;
    /* Which one. */
    struct api_text source;
    /* The guest cannot write to it. */
    struct api_bool readonly;
    /* It outlives the VM. */
    struct api_bool keep;
    /* It has been there: where it is not, that is told, and no new one is made. */
    struct api_bool existing;
};
extern const struct api_types_object link_types_disk;

/* A port of the host that leads to the guest. */
struct link_forward {
    /* UDP instead of TCP. */
    struct api_bool udp;
    /* The host's port. */
    struct api_int host_port;
    /* The guest's port. */
    struct api_int guest_port;
};
extern const struct api_types_object link_types_forward;

/* A NIC of a VM. */
struct link_port {
    /* The port. */
    struct api_text id;
    /* user: NAT by passt; bridge: a TAP on a bridge of the host. */
    struct { enum api_is is; enum link_port_kind v; } kind;
    /* Its MAC. */
    struct api_text mac;
    /* The largest packet; absent: the network's own. */
    struct api_int mtu_bytes;
    /* Pairs of queues. */
    struct api_int queues;
    /* Of kind bridge: its name. */
    struct api_text bridge;
    /* Of kind user: ports that lead in. */
    struct { enum api_is is; uint32_t n; struct link_forward *v; } forwards;
};
extern const struct api_types_object link_types_port;

/* A file of the disk that cloud-init reads (NoCloud). */
struct link_seed_file {
    /* Its name. */
    struct { enum api_is is; enum link_seed_file_name v; } name;
    /* What it holds. */
    struct api_text text;
};
extern const struct api_types_object link_types_seed_file;

/* What a VM shall be; replaces what was wanted of it before. */
struct link_vm_want {
    /* The VM. */
    struct api_text id;
    /* Of this want. One that is lower than the last is ignored. */
    struct api_int generation;
    /* A run is started once for each; a higher one asks for another. */
    struct api_int epoch;
    /* absent: with all that it has here removed, but for the disks that are kept. */
    struct { enum api_is is; enum link_vm_want_power v; } power;
    /* For the guest to shut down before its plug is pulled. */
    struct api_int grace_ms;
    /* Its disks and ports are being changed: what its monitor has is told, as long as it runs. */
    struct api_bool devices;
    /* The monitor's config: CPUs, memory, name; no disks, NICs, sockets. */
    struct api_any config;
    /* Its disks, in order. One that runs by this epoch is given those that it lacks; others are
     * asked of its guest. */
    struct { enum api_is is; uint32_t n; struct link_disk *v; } disks;
    /* Its NICs, in order; as disks. */
    struct { enum api_is is; uint32_t n; struct link_port *v; } ports;
    /* A disk for cloud-init, behind the others; absent: none. */
    struct { enum api_is is; uint32_t n; struct link_seed_file *v; } seed;
};
extern const struct api_types_object link_types_vm_want;

/* Where an image's content comes from. */
struct link_image_origin {
    /* path: a file of the host; url: fetched; debian: built here; content: the server has it. */
    struct { enum api_is is; enum link_image_origin_kind v; } kind;
    /* Of kind path: its absolute path. Of kind content: where it lies on the server's own
     * machine; absent: not as a file. */
    struct api_text path;
    /* Of kind content: the path by which the server gives it on the port of its agents (GET,
     * with the host's certificate). */
    struct api_text content;
    /* Of kind url: where it is. */
    struct api_text url;
    /* Of kind debian: ImageDebian of api/image.yaml. */
    struct api_any recipe;
};
extern const struct api_types_object link_types_image_origin;

/* A volume, a snapshot or an image that shall be there, or be gone, whether a VM has it or not. */
struct link_volume_want {
    /* Which one. */
    struct api_text id;
    /* What it is. */
    struct { enum api_is is; enum link_volume_kind v; } kind;
    /* Of this want. One that is lower than the last is ignored. */
    struct api_int generation;
    /* False: it shall be removed. */
    struct api_bool present;
    /* Of a volume: it has been there; where it is not, that is told, and no new one is made. */
    struct api_bool existing;
    /* Where it lies; absent: in the host's first pool. */
    struct api_text pool;
    /* Of a volume: its size. A larger one than it has makes it grow, once no monitor uses it. */
    struct api_int size_bytes;
    /* Of a volume: what it is a copy of; absent: of nothing. */
    struct { enum api_is is; enum link_volume_kind v; } source_kind;
    /* Of a volume: which one. Of a snapshot: the volume. */
    struct api_text source;
    /* Of an image: where it comes from. */
    struct { enum api_is is; struct link_image_origin *v; } origin;
    /* Of an image: what its content must be. */
    struct { enum api_is is; enum link_image_format v; } format;
    /* Of an image: the checksum that the content must have; absent: any. */
    struct api_text sha256;
};
extern const struct api_types_object link_types_volume_want;

/* A port that no VM has any more. */
struct link_port_want {
    /* The port. */
    struct api_text id;
    /* Of this want. One that is lower than the last is ignored. */
    struct api_int generation;
    /* False: what it has on the host is removed. True: nothing is done. */
    struct api_bool present;
};
extern const struct api_types_object link_types_port_want;

/* An address that a guest has. */
struct link_address {
    /* The address. */
    struct api_text ip;
    /* Of the NIC that has it. */
    struct api_text mac;
    /* The port that has it. */
    struct api_text port;
};
extern const struct api_types_object link_types_address;

/* A disk or NIC that a VM that runs could not be given, or that its guest has not let go of. */
struct link_device_problem {
    /* The volume or port; the VM: any of them. */
    struct api_text id;
    /* Why. It is not tried again before another generation is wanted. */
    struct api_text reason;
};
extern const struct api_types_object link_types_device_problem;

/* What a VM is, whole. */
struct link_vm_seen {
    /* The VM. */
    struct api_text id;
    /* False: the server has not said what it shall be. Nothing is done to it. */
    struct api_bool managed;
    /* Of the last want that was taken up; 0: none. */
    struct api_int generation;
    /* Of the last start; 0: none. */
    struct api_int epoch;
    /* Its state. */
    struct { enum api_is is; enum link_vm_seen_state v; } state;
    /* Of the last process, as a shell gives it; -1: not known. */
    struct api_int exit_status;
    /* Why it is stopped or failed, or paused against what is wanted. */
    struct api_text reason;
    /* The addresses that the guest was seen with. */
    struct { enum api_is is; uint32_t n; struct link_address *v; } addresses;
    /* The volumes that its monitor has. Absent: not known, or not asked for (`devices`). */
    struct api_texts disks;
    /* The ports that its monitor has; as disks. */
    struct api_texts ports;
    /* What could not be plugged or unplugged for this generation. */
    struct { enum api_is is; uint32_t n; struct link_device_problem *v; } problems;
};
extern const struct api_types_object link_types_vm_seen;

/* What a volume, a snapshot or an image is, whole. */
struct link_volume_seen {
    /* Which one. */
    struct api_text id;
    /* What it is. */
    struct { enum api_is is; enum link_volume_kind v; } kind;
    /* False: the server has not said what it shall be. Nothing is done to it. */
    struct api_bool managed;
    /* Of the last want that was taken up; 0: none. */
    struct api_int generation;
    /* Its state; failed: as `reason` says. It is tried again when another generation is wanted,
     * and by itself after a while where that may help. */
    struct { enum api_is is; enum link_volume_seen_state v; } state;
    /* Where it lies. */
    struct api_text pool;
    /* As the guest sees it. */
    struct api_int size_bytes;
    /* Taken on the host. */
    struct api_int used_bytes;
    /* While it is worked on, where it is known. */
    struct api_int progress_percent;
    /* Of an image: how much of it has come. */
    struct api_int received_bytes;
    /* Of an image that is ready: what came, or what is kept where that is not known any more.
     * Not auto. */
    struct { enum api_is is; enum link_image_format v; } format;
    /* Of an image: of what came, as long as that is known; also where it is another than was
     * wanted. */
    struct api_text sha256;
    /* Why it failed. */
    struct api_text reason;
};
extern const struct api_types_object link_types_volume_seen;

/* What a port is, whole. */
struct link_port_seen {
    /* The port. */
    struct api_text id;
    /* False: the server has not said what it shall be. Nothing is done to it. */
    struct api_bool managed;
    /* Of the last want that was taken up; 0: none. */
    struct api_int generation;
    /* Its state. */
    struct { enum api_is is; enum link_port_seen_state v; } state;
    /* Why it failed. */
    struct api_text reason;
};
extern const struct api_types_object link_types_port_seen;

/* A stream is over; either side says so, once. */
struct link_stream_end {
    /* stream_end. */
    struct { enum api_is is; enum link_type v; } type;
    /* Which one. */
    struct api_int stream;
    /* Why. */
    struct api_text reason;
};
extern const struct api_types_object link_types_stream_end;

#endif
