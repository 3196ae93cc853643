/* A request made ready for the filters, and the filters' table applied to hosts. */
#include <errno.h>

#include "base/err.h"
#include "base/util.h"
#include "mgmt/sched/sched_internal.h"

static int check_request(const struct sched *s, const struct sched_request *r, struct err *err)
{
    if (r->count > SCHED_COUNT_MAX)
        return err_set(err, EINVAL, "%u VMs are more than %u in one request", r->count,
                       SCHED_COUNT_MAX);
    if (r->alternates > SCHED_ALTERNATES_MAX)
        return err_set(err, EINVAL, "%u alternates are more than %u", r->alternates,
                       SCHED_ALTERNATES_MAX);
    if (r->among > SCHED_AMONG_MAX)
        return err_set(err, EINVAL, "a pick among %u hosts is one among more than %u", r->among,
                       SCHED_AMONG_MAX);
    if (r->zone >= SCHED_ZONES_MAX)
        return err_set(err, EINVAL, "no zone %u", r->zone);
    if ((unsigned)r->policy > SCHED_SPREAD)
        return err_set(err, EINVAL, "no such policy");
    return sched_need_check(s, &r->need, err);
}

/* What the index can compare: nothing that fits has less. */
static void set_needs(struct sched_query *q)
{
    const struct sched_need *need = &q->r->need;
    uint32_t cost = SCHED_RATIO_MAX;
    for (unsigned c = 0; c < q->s->n_classes; c++)
        cost = MIN(cost, q->s->classes[c].ratio_min);
    if (!q->whole)
        cost = SCHED_SHARED_COST;
    for (unsigned d = 0; d < SCHED_DIMS; d++)
        q->need[d] = INT32_MIN; /* not asked */
    q->need[SCHED_DIM_CPU] = (int32_t)(need->vcpus * cost);
    if (need->pages == SCHED_PAGES_4K && need->memory_mib)
        q->need[SCHED_DIM_MEMORY] = (int32_t)need->memory_mib;
    if (need->disk_gib)
        q->need[SCHED_DIM_DISK] = (int32_t)need->disk_gib;
    if (q->placed && q->per_node.cores)
        q->need[SCHED_DIM_NODE_CORES] = (int32_t)q->per_node.cores;
    if (q->placed && need->pages != SCHED_PAGES_4K)
        q->need[SCHED_DIM_NODE_HUGE] = (int32_t)(need->memory_mib / q->n_nodes);
}

static void set_only(const struct sched_query *q)
{
    struct sched *s = q->s;
    if (!q->r->n_only)
        return;
    memset(s->only.words, 0, s->words * sizeof(uint64_t));
    for (size_t i = 0; i < q->r->n_only; i++)
        if (q->r->only[i] < s->limit)
            s->only.words[q->r->only[i] / 64] |= UINT64_C(1) << (q->r->only[i] % 64);
}

int sched_query_init(struct sched_query *q, struct sched *s, const struct sched_request *r,
                     struct err *err)
{
    int bad = check_request(s, r, err);
    if (bad)
        return bad;
    *q = (struct sched_query){.s = s, .r = r, .whole = r->need.cpu != SCHED_SHARED};
    q->placed = sched_need_nodes(&r->need, &q->n_nodes, &q->per_node);
    q->group = r->need.group ? &s->groups[r->need.group] : NULL;
    for (size_t i = 0; i < s->n_projects; i++)
        if (r->project && s->projects[i].project == r->project && s->projects[i].bits.words)
            q->project = &s->projects[i];
    set_needs(q);
    for (unsigned f = 0; f < SCHED_FILTERS; f++) {
        const struct sched_filter *filter = &sched_filters[f];
        if (filter->check && filter->applies(q) && !(filter->indexed && filter->indexed(q)))
            q->checks |= 1U << f;
    }
    sched_query_refresh(q);
    return 0;
}

void sched_query_refresh(const struct sched_query *q)
{
    if (!q->s->limit)
        return;
    set_only(q);
    if (q->group && q->group->affinity == SCHED_TOGETHER)
        sched_group_mask(q->s, q->group, 1, UINT32_MAX);
    else if (q->group && q->group->affinity == SCHED_APART)
        sched_group_mask(q->s, q->group, 0, q->group->most - 1);
}

void sched_query_candidates(const struct sched_query *q)
{
    uint64_t *bits = q->s->candidates.words;
    size_t words = (q->s->limit + 63) / 64;
    if (!words)
        return;
    memcpy(bits, q->s->live.words, words * sizeof(*bits));
    for (unsigned f = 0; f < SCHED_FILTERS; f++)
        if (sched_filters[f].mask && sched_filters[f].applies(q))
            sched_filters[f].mask(q, bits, 0, words);
}

bool sched_query_passes(const struct sched_query *q, uint32_t host)
{
    struct sched_refusal ignored;
    for (uint32_t left = q->checks; left; left &= left - 1)
        if (!sched_filters[__builtin_ctz(left)].check(q, host, &ignored))
            return false;
    return true;
}

static uint32_t count_bits(const uint64_t *bits, size_t words)
{
    uint32_t n = 0;
    for (size_t i = 0; i < words; i++)
        n += (uint32_t)__builtin_popcountll(bits[i]);
    return n;
}

/* check_all() where the check compares one number: without a call a host takes half the time. */
static uint32_t compare_all(const struct sched_query *q, enum sched_dim dim, uint64_t *bits,
                            size_t words)
{
    const int32_t need = q->need[dim];
    uint32_t refused = 0;
    for (size_t w = 0; w < words; w++) {
        const struct sched_entry *e = &q->s->free[64 * w];
        uint64_t less = 0;
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctzll(left);
            less |= (uint64_t)(e[i].free[dim] < need) << i;
        }
        bits[w] &= ~less;
        refused += (uint32_t)__builtin_popcountll(less);
    }
    return refused;
}

/* Clears the bits of hosts that the check turns away; returns how many. */
static uint32_t check_all(const struct sched_query *q, const struct sched_filter *filter,
                          uint64_t *bits, size_t words)
{
    struct sched_refusal ignored;
    uint32_t refused = 0;
    for (size_t w = 0; w < words; w++)
        for (uint64_t left = bits[w]; left; left &= left - 1)
            if (!filter->check(q, (uint32_t)(64 * w) + (uint32_t)__builtin_ctzll(left), &ignored)) {
                bits[w] &= ~(left & -left);
                refused++;
            }
    return refused;
}

void sched_query_count(const struct sched_query *q, struct sched_refusals *refusals)
{
    uint64_t *bits = q->s->candidates.words;
    size_t words = (q->s->limit + 63) / 64;
    *refusals = (struct sched_refusals){0};
    if (!words)
        return;
    memcpy(bits, q->s->live.words, words * sizeof(*bits));
    uint32_t left = refusals->hosts = count_bits(bits, words);
    for (unsigned f = 0; f < SCHED_FILTERS; f++) {
        const struct sched_filter *filter = &sched_filters[f];
        if (!filter->applies(q))
            continue;
        uint32_t before = left;
        if (filter->mask) {
            filter->mask(q, bits, 0, words);
            left = count_bits(bits, words);
        } else if (filter->indexed && filter->indexed(q)) {
            left -= compare_all(q, filter->dim, bits, words);
        } else {
            left -= check_all(q, filter, bits, words);
        }
        refusals->by_filter[f] = before - left;
    }
    refusals->fit = left;
}
