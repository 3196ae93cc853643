/* Made by tools/apigen from link/server.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef LINK_GEN_SERVER_H
#define LINK_GEN_SERVER_H

#include "api/api_types.h"
#include "link/gen/enums.h"

struct link_port_want;
struct link_vm_want;
struct link_volume_want;

/* The answer to hello. */
struct link_welcome {
    /* welcome. */
    struct { enum api_is is; enum link_type v; } type;
    /* The version that both will speak; not above that of hello. */
    struct api_int protocol;
    /* The server. */
    struct api_text server;
    /* How often the agent says that it lives. */
    struct api_int heartbeat_ms;
    /* How often it says what was used. */
    struct api_int usage_ms;
};
extern const struct api_types_object link_types_welcome;

/* The answer to hello where there will be no work; the server closes behind it. */
struct link_refuse {
    /* refuse. */
    struct { enum api_is is; enum link_type v; } type;
    /* protocol: no version that both speak; unknown_host: it must join; fenced: it was declared
     * off, and is not taken back yet; replaced: another connection of this host came; elsewhere:
     * another server has this host, see `address`; busy: later. */
    struct { enum api_is is; enum link_refuse_code v; } code;
    /* For people. */
    struct api_text reason;
    /* Of code elsewhere: HOST:PORT. */
    struct api_text address;
    /* Not before that; absent: as after a lost connection. */
    struct api_int retry_ms;
};
extern const struct api_types_object link_types_refuse;

/* What shall be, each object whole. What stands in no part of a full set is no longer managed,
 * reported so, and left alone. */
struct link_desired {
    /* desired. */
    struct { enum api_is is; enum link_type v; } type;
    /* Told back with what is seen. */
    struct api_int seq;
    /* Part of the whole. */
    struct api_bool full;
    /* Further parts of the whole follow. */
    struct api_bool more;
    /* VMs. */
    struct { enum api_is is; uint32_t n; struct link_vm_want *v; } vms;
    /* Volumes, snapshots, images. */
    struct { enum api_is is; uint32_t n; struct link_volume_want *v; } volumes;
    /* Ports. */
    struct { enum api_is is; uint32_t n; struct link_port_want *v; } ports;
};
extern const struct api_types_object link_types_desired;

/* Objects that the server has seen to be absent and forgotten; the agent forgets them too. One
 * that is not absent is left alone. */
struct link_gone {
    /* gone. */
    struct { enum api_is is; enum link_type v; } type;
    /* VMs. */
    struct api_texts vms;
    /* Volumes, snapshots, images. */
    struct api_texts volumes;
    /* Ports. */
    struct api_texts ports;
};
extern const struct api_types_object link_types_gone;

/* What was used is written down, up to this number. */
struct link_usage_ack {
    /* usage_ack. */
    struct { enum api_is is; enum link_type v; } type;
    /* What counted. */
    struct api_text source;
    /* Its epoch. */
    struct api_int epoch;
    /* The number. */
    struct api_int number;
};
extern const struct api_types_object link_types_usage_ack;

/* What is not a state. Done at most once for an id and an instance of the agent; again the same
 * id gets the same result. */
struct link_command {
    /* command. */
    struct { enum api_is is; enum link_type v; } type;
    /* The command. */
    struct api_text id;
    /* vm_reset: as its button would; vm_power_button: asks the guest to shut down;
     * vm_console_open: opens a stream; vm_console_log: the end of what the console said. */
    struct { enum api_is is; enum link_command_kind v; } kind;
    /* The VM. */
    struct api_text vm;
    /* Of vm_console_open: the number of the stream, chosen by the server. */
    struct api_int stream;
    /* Of vm_console_log: at most so much. */
    struct api_int max_bytes;
};
extern const struct api_types_object link_types_command;

/* The answer to renew. The old certificate stays good until it ends. */
struct link_certificate {
    /* certificate. */
    struct { enum api_is is; enum link_type v; } type;
    /* The host's certificate (PEM). */
    struct api_text certificate;
    /* The cloud's authorities (PEM): those by which the server is checked from now on. */
    struct api_text ca;
};
extern const struct api_types_object link_types_certificate;

#endif
