/* The filters: why a host does not come into question. Those of labels work on bitmaps, 64 hosts at
 * a time; those of resources on one host. */
#include <errno.h>

#include "base/err.h"
#include "base/util.h"
#include "mgmt/sched/sched_internal.h"

/* ---- labels ---- */

/* bits &= map, or & ~map; a map that nobody has made has no bits. */
static void intersect(uint64_t *bits, const struct sched_bitmap *map, size_t first, size_t n)
{
    if (!map->words) {
        memset(bits, 0, n * sizeof(*bits));
        return;
    }
    for (size_t i = 0; i < n; i++)
        bits[i] &= map->words[first + i];
}

static void subtract(uint64_t *bits, const struct sched_bitmap *map, size_t first, size_t n)
{
    for (size_t i = 0; map->words && i < n; i++)
        bits[i] &= ~map->words[first + i];
}

static void each_label(const struct sched_bitmap *maps, const uint64_t *labels,
                       void (*op)(uint64_t *, const struct sched_bitmap *, size_t, size_t),
                       uint64_t *bits, size_t first, size_t n)
{
    for (unsigned w = 0; w < SCHED_LABEL_WORDS; w++)
        for (uint64_t left = labels[w]; left; left &= left - 1)
            op(bits, &maps[64 * w + (unsigned)__builtin_ctzll(left)], first, n);
}

static bool any_label(const uint64_t *labels)
{
    uint64_t any = 0;
    for (unsigned w = 0; w < SCHED_LABEL_WORDS; w++)
        any |= labels[w];
    return any;
}

static bool always(const struct sched_query *q)
{
    return true;
}

static void mask_state(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    intersect(bits, &q->s->enabled, first, n);
}

static bool has_only(const struct sched_query *q)
{
    return q->r->n_only;
}

static void mask_only(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    intersect(bits, &q->s->only, first, n);
}

static bool has_never(const struct sched_query *q)
{
    return q->r->n_never;
}

static void mask_never(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    for (size_t i = 0; i < q->r->n_never; i++) {
        size_t word = q->r->never[i] / 64;
        if (word >= first && word < first + n)
            bits[word - first] &= ~(UINT64_C(1) << (q->r->never[i] % 64));
    }
}

static bool has_zone(const struct sched_query *q)
{
    return q->r->zone;
}

static void mask_zone(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    intersect(bits, &q->s->zones[q->r->zone], first, n);
}

static bool has_projects(const struct sched_query *q)
{
    return q->s->n_projects;
}

static void mask_project(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    const uint64_t *everybody = q->s->everybody.words + first;
    const uint64_t *own = q->project ? q->project->bits.words + first : everybody;
    for (size_t i = 0; i < n; i++)
        bits[i] &= everybody[i] | own[i];
}

static bool has_traits(const struct sched_query *q)
{
    return any_label(q->r->traits);
}

static void mask_traits(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    each_label(q->s->traits, q->r->traits, intersect, bits, first, n);
}

static bool has_in(const struct sched_query *q)
{
    return any_label(q->r->in_aggregates);
}

static void mask_in(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    each_label(q->s->aggregates, q->r->in_aggregates, intersect, bits, first, n);
}

static bool has_not_in(const struct sched_query *q)
{
    return any_label(q->r->not_in_aggregates);
}

static void mask_not_in(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    each_label(q->s->aggregates, q->r->not_in_aggregates, subtract, bits, first, n);
}

/* A group that binds: apart from members that there are, or together with them. */
static bool has_group(const struct sched_query *q)
{
    return q->group && q->group->n_members &&
           (q->group->affinity == SCHED_TOGETHER || q->group->affinity == SCHED_APART);
}

static void mask_group(const struct sched_query *q, uint64_t *bits, size_t first, size_t n)
{
    intersect(bits, &q->s->group_bits, first, n);
}

/* ---- resources ---- */

static bool refuse(struct sched_refusal *why, int64_t need, int64_t left, const char *unit)
{
    why->need = need;
    why->free = left;
    why->unit = unit;
    return need <= left;
}

static bool check_vcpus(const struct sched_query *q, uint32_t host, struct sched_refusal *why)
{
    uint32_t cost = q->whole ? q->s->ratio[host] : SCHED_SHARED_COST;
    int32_t left = q->s->free[host].free[SCHED_DIM_CPU];
    refuse(why, q->r->need.vcpus, left / (int32_t)cost, q->whole ? "whole cores" : "vCPUs");
    return (int32_t)(q->r->need.vcpus * cost) <= left;
}

/* Of whole cores the index knows the least that any host might ask. */
static bool is_shared(const struct sched_query *q)
{
    return !q->whole;
}

static bool check_memory(const struct sched_query *q, uint32_t host, struct sched_refusal *why)
{
    return q->need[SCHED_DIM_MEMORY] == INT32_MIN ||
           refuse(why, q->need[SCHED_DIM_MEMORY], q->s->free[host].free[SCHED_DIM_MEMORY], "MiB");
}

static bool check_disk(const struct sched_query *q, uint32_t host, struct sched_refusal *why)
{
    return q->need[SCHED_DIM_DISK] == INT32_MIN ||
           refuse(why, q->need[SCHED_DIM_DISK], q->s->free[host].free[SCHED_DIM_DISK], "GiB");
}

static bool is_placed(const struct sched_query *q)
{
    return q->placed;
}

static bool check_numa(const struct sched_query *q, uint32_t host, struct sched_refusal *why)
{
    unsigned fitting;
    sched_pick_nodes(q->s, host, q->n_nodes, &q->per_node, &fitting);
    return refuse(why, q->n_nodes, fitting, "NUMA nodes with the cores and pages");
}

/* In the order of explanation: first what nobody can change at once, last what is merely full. */
const struct sched_filter sched_filters[SCHED_FILTERS] = {
    {"state", "not enabled", always, mask_state},
    {"only", "not among the hosts asked for", has_only, mask_only},
    {"never", "excluded by the request", has_never, mask_never},
    {"zone", "in other zones", has_zone, mask_zone},
    {"project", "dedicated to other projects", has_projects, mask_project},
    {"traits", "without a required trait", has_traits, mask_traits},
    {"aggregates", "outside a required aggregate", has_in, mask_in},
    {"not-aggregates", "in an unwanted aggregate", has_not_in, mask_not_in},
    {"group", "ruled out by the server group", has_group, mask_group},
    {"vcpus", "with too few vCPUs free", always, .check = check_vcpus, .indexed = is_shared,
     .dim = SCHED_DIM_CPU},
    {"memory", "with too little memory free", always, .check = check_memory, .indexed = always,
     .dim = SCHED_DIM_MEMORY},
    {"disk", "with too little disk free", always, .check = check_disk, .indexed = always,
     .dim = SCHED_DIM_DISK},
    {"numa", "without NUMA nodes that hold it", is_placed, .check = check_numa},
};

const char *sched_filter_name(unsigned filter)
{
    return filter < SCHED_FILTERS ? sched_filters[filter].name : NULL;
}
