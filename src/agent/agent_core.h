/* The agent of a host, without its link: what the server wants is given in as messages, what is
 * seen comes out as messages. It owns the VMs, volumes and ports of the host.
 *
 * When it is made it takes over what runs. It does nothing to it until a server has said what is
 * wanted; and what a full set does not name it leaves alone, and says so. Everything is for the
 * loop's thread. */
#ifndef AGENT_AGENT_CORE_H
#define AGENT_AGENT_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/image_origin.h"
#include "agent/network_driver.h"
#include "agent/volume_driver.h"
#include "base/err.h"
#include "io/loop.h"
#include "link/link.h"

struct agent_core;

struct agent_core_ops {
    /* Sends a message. Errors: as agent_uplink_send(); what could not be sent is said again when
     * there is a link again. */
    int (*send)(void *opaque, enum link_type type, void *body);
    int (*stream)(void *opaque, uint32_t stream, const void *data, size_t bytes);
    /* A full set was taken up whole. */
    void (*took)(void *opaque, int64_t desired_seq);
};

struct agent_core_config {
    struct loop *loop;
    uint8_t host[16];
    const char *state_dir; /* "run/", "incoming/", "usage" are made in it */
    const char
        *run_root; /* run directories; NULL: state_dir/run. Short: see VM_PROCESS_PATH_BYTES */
    const char *vmm_path;
    struct volume_driver *volumes; /* of volume_pools_open(); borrowed, as the next */
    struct network_driver *networks;
    unsigned workers;
    struct image_origin_config images;
    const struct agent_core_ops *ops;
    void *opaque;
};

/* Borrows what `config` points to. Errors: those of the state directory and the drivers. Blocks. */
struct agent_core *agent_core_create(const struct agent_core_config *config, struct err *err);
/* Lets go of everything; VMs go on. NULL is allowed. Blocks until workers have ended. */
void agent_core_destroy(struct agent_core *c);

/* There is a link; what is here is said whole. `usage_ms`: how often what was used is. */
void agent_core_up(struct agent_core *c, const struct link_welcome *welcome);
void agent_core_down(struct agent_core *c);
/* Messages of the server but welcome, refuse and certificate. */
void agent_core_message(struct agent_core *c, const struct link_message *m);
void agent_core_stream(struct agent_core *c, uint32_t stream, const char *data, size_t bytes);

/* For heartbeats: monitors that live; and what is wrong, one after the other (NULL: no more). */
unsigned agent_core_running(const struct agent_core *c);
const char *agent_core_problem(const struct agent_core *c, unsigned i);

#endif
