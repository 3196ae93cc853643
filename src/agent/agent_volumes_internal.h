/* What the files of agent_volumes share. */
#ifndef AGENT_AGENT_VOLUMES_INTERNAL_H
#define AGENT_AGENT_VOLUMES_INTERNAL_H

#include "agent/agent_volumes.h"

/* A want, with texts of its own. */
struct agent_volumes_want {
    uint64_t generation;
    bool present;
    struct volume_spec spec; /* of a volume; a snapshot's `source` is its volume */
    enum volume_format format;
    char *path, *url, *sha256; /* of an image; NULL: not given */
    bool recipe;
};

struct agent_volumes_entry {
    struct agent_volumes *owner;
    uint8_t id[16];
    enum volume_kind kind;
    bool managed, named; /* named: within the full set that is coming in */
    bool dirty;
    enum link_volume_seen_state state;
    uint64_t generation; /* that was taken up */
    struct agent_volumes_want want;
    bool there; /* `info` is of what the driver has */
    struct volume_info info;
    char reason[ERR_MSG_BYTES];
    int64_t retry_ns; /* 0: not by itself */
    unsigned failures;

    /* The worker's, while it has the entry. */
    struct work work;
    bool working;
    struct agent_volumes_want job;
    struct err job_err;
    bool job_there;
    struct volume_info job_info;
    _Atomic unsigned percent;
    unsigned told_percent;
    _Atomic bool stop;
};

/* agent_volumes_job.c: one entry's want, on a worker; fills job_err, job_there, job_info. */
void agent_volumes_job(struct work *w);
int agent_volumes_want_copy(struct agent_volumes_want *to, const struct agent_volumes_want *from);
void agent_volumes_want_fini(struct agent_volumes_want *want);
const struct agent_volumes_config *agent_volumes_config_of(const struct agent_volumes *v);

#endif
