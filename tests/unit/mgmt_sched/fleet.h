/* Small fleets for the tests of the scheduler. */
#ifndef TESTS_UNIT_MGMT_SCHED_FLEET_H
#define TESTS_UNIT_MGMT_SCHED_FLEET_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mgmt/sched/sched.h"

/* 16 cores, 64 GiB, 100 GiB of disk, two NUMA nodes of half each; nothing overcommitted. */
static inline struct sched_host fleet_host(void)
{
    return (struct sched_host){.cores = 16,
                               .memory_mib = 65536,
                               .disk_gib = 100,
                               .cpu_ratio_percent = 100,
                               .memory_ratio_percent = 100,
                               .disk_ratio_percent = 100,
                               .n_nodes = 2,
                               .nodes = {{8, 32768, 0, 0}, {8, 32768, 0, 0}}};
}

static inline uint32_t fleet_add(struct sched *s, struct sched_host h)
{
    uint32_t host = UINT32_MAX;
    if (sched_add(s, &h, &host, NULL))
        abort();
    return host;
}

static inline struct sched *fleet_of(uint32_t hosts)
{
    struct sched *s = sched_create();
    for (uint32_t i = 0; i < hosts; i++)
        fleet_add(s, fleet_host());
    return s;
}

static inline struct sched_request fleet_request(uint32_t vcpus, uint32_t memory_mib)
{
    return (struct sched_request){.need = {.vcpus = vcpus, .memory_mib = memory_mib}};
}

/* Places and claims all; returns the first host, or -errno. */
static inline int64_t fleet_place(struct sched *s, const struct sched_request *r)
{
    struct sched_result got;
    int result = sched_place(s, r, 0, &got, NULL);
    for (uint32_t i = 0; !result && i < got.n_chosen; i++)
        result = sched_claim(s, &r->need, &got.chosen[i], NULL);
    return result ? result : (int64_t)got.chosen[0].host;
}

/* How many hosts the filter with this name turned away. */
static inline uint32_t fleet_refused(struct sched *s, const struct sched_request *r,
                                     const char *name)
{
    struct sched_refusals counts;
    if (sched_explain(s, r, &counts, NULL))
        abort();
    for (unsigned f = 0; sched_filter_name(f); f++)
        if (!strcmp(sched_filter_name(f), name))
            return counts.by_filter[f];
    abort();
}

#endif
