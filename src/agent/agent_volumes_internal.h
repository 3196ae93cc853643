/* What the files of agent_volumes share. */
#ifndef AGENT_AGENT_VOLUMES_INTERNAL_H
#define AGENT_AGENT_VOLUMES_INTERNAL_H

#include "agent/agent_volumes.h"

/* A want, with texts of its own. */
struct agent_volumes_want {
    uint64_t generation;
    bool present;
    struct volume_spec spec; /* of a volume; a snapshot's `source` is its volume */
    /* Of an image: as in struct image_origin. */
    enum image_origin_kind origin;
    char *source, *file, *sha256;
    bool expects;
    enum image_probe_format format;
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
    bool came; /* of an image, since this agent runs: `result` is of what came */
    struct image_import_result result;
    int64_t retry_ns; /* 0: not by itself */
    unsigned failures;

    /* The worker's, while it has the entry. */
    struct work work;
    bool working;
    struct agent_volumes_want job;
    struct err job_err;
    bool job_there;
    struct volume_info job_info;
    bool job_came;
    struct image_import_result job_result;
    _Atomic unsigned percent;
    _Atomic uint64_t received_bytes;
    unsigned told_percent;
    uint64_t told_bytes;
    _Atomic bool stop;
};

/* agent_volumes_job.c: one entry's want, on a worker; fills job_err, job_there, job_info. */
void agent_volumes_job(struct work *w);
int agent_volumes_want_copy(struct agent_volumes_want *to, const struct agent_volumes_want *from);
void agent_volumes_want_fini(struct agent_volumes_want *want);
/* agent_volumes_image.c. The want's part of an image, its texts borrowed; errors: EINVAL. Making
 * it, on a worker. What is told of it; false: no memory. */
int agent_volumes_image_read(const struct link_volume_want *want, struct agent_volumes_want *w,
                             struct err *err);
int agent_volumes_image_make(struct agent_volumes_entry *e, struct volume_driver *pools);
bool agent_volumes_image_describe(const struct agent_volumes_entry *e, struct api_arena *arena,
                                  struct link_volume_seen *out);
const struct agent_volumes_config *agent_volumes_config_of(const struct agent_volumes *v);

#endif
