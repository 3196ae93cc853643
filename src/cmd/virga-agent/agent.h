/* What the files of virga-agent share. */
#ifndef CMD_VIRGA_AGENT_AGENT_H
#define CMD_VIRGA_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

#define AGENT_LIST_MAX 32

struct agent_options {
    const char *state_dir, *run_dir, *vmm;
    const char *image_builder; /* NULL: the one that belongs to this program, if there is one */
    bool private_urls;
    char server[280]; /* HOST:PORT; "": as the host has joined */
    const char *authority, *cert, *key;
    const char *id; /* of a host without certificates; NULL: by the certificate */
    unsigned n_pools;
    struct {
        char name[64];
        const char *dir;
    } pools[AGENT_LIST_MAX];
    const char *bridges[AGENT_LIST_MAX + 1], *imports[AGENT_LIST_MAX + 1]; /* ended by NULL */
    unsigned n_bridges, n_imports;
    unsigned workers;
    enum log_level log;

    bool joins;   /* `virga-agent join` */
    char *secret; /* of a join token; wiped from the command line */
    const char *name;

    unsigned simulate; /* hosts; 0: be one */
    unsigned sim_cpus, sim_numa_nodes;
    uint64_t sim_memory_mib, sim_pool_bytes;
};

/* Returns 0; 1: all is said (--help); or -EINVAL with err. */
int agent_options_parse(struct agent_options *o, int argc, char **argv, struct err *err);
void agent_usage(void);

/* Each runs until SIGTERM or SIGINT, or does what it is for. 0 or -errno. */
int agent_service(const struct agent_options *o, struct err *err);
int agent_simulate(const struct agent_options *o, struct err *err);
int agent_join(const struct agent_options *o, struct err *err);

/* "HOST:PORT" or "[ADDRESS]:PORT" in two. Errors: EINVAL. */
int agent_split_server(const char *text, char host[256], uint16_t *port, struct err *err);

#endif
