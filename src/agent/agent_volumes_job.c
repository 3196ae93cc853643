/* What making and removing a volume, a snapshot or an image takes, on a worker. Each step may have
 * been done before. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_volumes_internal.h"
#include "base/fault.h"
#include "base/util.h"

void agent_volumes_want_fini(struct agent_volumes_want *want)
{
    free(want->source);
    free(want->file);
    free(want->sha256);
    want->source = want->file = want->sha256 = NULL;
}

static char *copy(const char *text, bool *whole)
{
    char *made = text ? strdup(text) : NULL;
    *whole = *whole && (made || !text);
    return made;
}

int agent_volumes_want_copy(struct agent_volumes_want *to, const struct agent_volumes_want *from)
{
    struct agent_volumes_want made = *from;
    bool whole = true;
    made.source = copy(from->source, &whole);
    made.file = copy(from->file, &whole);
    made.sha256 = copy(from->sha256, &whole);
    if (!whole) {
        agent_volumes_want_fini(&made);
        return -ENOMEM;
    }
    agent_volumes_want_fini(to);
    *to = made;
    return 0;
}

static int make_volume(struct agent_volumes_entry *e, struct volume_driver *pools)
{
    struct volume_info info;
    int ret = pools->ops->info(pools, VOLUME_VOLUME, e->id, &info, NULL);
    if (ret == -ENOENT)
        return pools->ops->create(pools, &e->job.spec, &e->job_err);
    if (!ret && info.size_bytes < e->job.spec.size_bytes)
        return pools->ops->grow(pools, e->id, e->job.spec.size_bytes, &e->job_err);
    return ret ? err_set(&e->job_err, -ret, "could not look at the volume") : 0;
}

static int make(struct agent_volumes_entry *e, struct volume_driver *pools)
{
    switch (e->kind) {
    case VOLUME_VOLUME:
        return make_volume(e, pools);
    case VOLUME_SNAPSHOT:
        return pools->ops->snapshot(pools, e->job.spec.source, e->id, &e->job_err);
    case VOLUME_IMAGE:
        break;
    }
    return agent_volumes_image_make(e, pools);
}

void agent_volumes_job(struct work *w)
{
    struct agent_volumes_entry *e = container_of(w, struct agent_volumes_entry, work);
    struct volume_driver *pools = agent_volumes_config_of(e->owner)->pools;
    e->job_err = (struct err){0};
    e->job_came = false;
    int ret =
        e->job.present ? make(e, pools) : pools->ops->remove(pools, e->kind, e->id, &e->job_err);
    if (!ret)
        ret = fault_point("agent_volumes.job.done");
    if (ret && !e->job_err.code)
        err_set(&e->job_err, -ret, "could not do what is wanted of it");
    e->job_there = !pools->ops->info(pools, e->kind, e->id, &e->job_info, NULL);
}
