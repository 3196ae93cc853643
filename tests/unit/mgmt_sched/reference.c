#include "mgmt_sched/reference.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static bool floats(const struct sched_need *n)
{
    return n->cpu != SCHED_DEDICATED && n->pages == SCHED_PAGES_4K && n->numa_nodes == 0;
}

void ref_free_of(const struct ref *ref, uint32_t host, struct ref_free *out)
{
    const struct sched_host *h = &ref->hosts[host];
    int64_t cores = (int64_t)h->cores - h->reserved_cores;
    int64_t memory = (int64_t)h->memory_mib - h->reserved_memory_mib;
    int64_t disk = (int64_t)h->disk_gib - h->reserved_disk_gib;
    *out = (struct ref_free){MAX(cores, 0) * h->cpu_ratio_percent,
                             MAX(memory, 0) * h->memory_ratio_percent / 100,
                             MAX(disk, 0) * h->disk_ratio_percent / 100};
    for (unsigned i = 0; i < h->n_nodes; i++) {
        out->cores[i] = h->nodes[i].cores;
        out->node_memory[i] = h->nodes[i].memory_mib;
        out->pages_2m[i] = h->nodes[i].pages_2m;
        out->pages_1g[i] = h->nodes[i].pages_1g;
    }
    for (unsigned c = 0; c < ref->n_claims; c++) {
        const struct sched_need *n = &ref->claims[c].need;
        if (ref->claims[c].where.host != host)
            continue;
        out->cpu -= (int64_t)n->vcpus * (n->cpu == SCHED_SHARED ? 100 : h->cpu_ratio_percent);
        if (n->pages == SCHED_PAGES_4K)
            out->memory -= n->memory_mib;
        out->disk -= n->disk_gib;
        unsigned split = MAX(n->numa_nodes, 1);
        for (unsigned i = 0; i < SCHED_NODES_MAX && !floats(n); i++) {
            if (!(ref->claims[c].where.nodes >> i & 1))
                continue;
            if (n->cpu == SCHED_DEDICATED)
                out->cores[i] -= n->vcpus / split;
            if (n->pages == SCHED_PAGES_4K)
                out->node_memory[i] -= n->memory_mib / split;
            if (n->pages == SCHED_PAGES_2M)
                out->pages_2m[i] -= n->memory_mib / split / 2;
            if (n->pages == SCHED_PAGES_1G)
                out->pages_1g[i] -= n->memory_mib / split / 1024;
        }
    }
}

static bool node_fits(const struct ref_free *f, unsigned i, const struct sched_need *n)
{
    int64_t memory = n->memory_mib / MAX(n->numa_nodes, 1);
    if (n->cpu == SCHED_DEDICATED && f->cores[i] < n->vcpus / MAX(n->numa_nodes, 1))
        return false;
    if (!memory)
        return true;
    if (n->pages == SCHED_PAGES_4K)
        return f->node_memory[i] >= memory;
    return n->pages == SCHED_PAGES_2M ? f->pages_2m[i] >= memory / 2
                                      : f->pages_1g[i] >= memory / 1024;
}

/* How many nodes fit; *bits receives the best so many. */
static unsigned pick(const struct ref *ref, uint32_t host, const struct ref_free *f,
                     const struct sched_need *n, uint8_t *bits)
{
    unsigned order[SCHED_NODES_MAX], count = 0;
    for (unsigned i = 0; i < ref->hosts[host].n_nodes; i++)
        if (node_fits(f, i, n))
            order[count++] = i;
    for (unsigned a = 0; a < count; a++)
        for (unsigned b = a + 1; b < count; b++) {
            unsigned x = order[a], y = order[b];
            bool later =
                f->cores[y] < f->cores[x] ||
                (f->cores[y] == f->cores[x] && f->node_memory[y] < f->node_memory[x]) ||
                (f->cores[y] == f->cores[x] && f->node_memory[y] == f->node_memory[x] && y < x);
            if (later) {
                order[a] = y;
                order[b] = x;
            }
        }
    *bits = 0;
    for (unsigned i = 0; i < MIN(count, MAX(n->numa_nodes, 1)); i++)
        *bits |= (uint8_t)(1U << order[i]);
    return count;
}

/* Members of the group where the host is, and of the whole group. */
static unsigned members(const struct ref *ref, uint32_t group, uint32_t host, unsigned *all)
{
    unsigned near = 0;
    *all = 0;
    for (unsigned c = 0; c < ref->n_claims; c++) {
        uint32_t at = ref->claims[c].where.host;
        if (ref->claims[c].need.group != group)
            continue;
        ++*all;
        uint32_t rack = ref->hosts[host].rack;
        near += at == host ||
                (ref->groups[group].scope == SCHED_BY_RACK && rack && ref->hosts[at].rack == rack);
    }
    return near;
}

static bool listed(const uint32_t *list, size_t n, uint32_t host)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == host)
            return true;
    return false;
}

static bool projects_own_hosts(const struct ref *ref, const struct sched_host *h,
                               const struct sched_request *r)
{
    return h->project && h->project != r->project;
}

/* The first filter that refuses, with its figures; SCHED_FILTERS: none. */
static void judge(const struct ref *ref, uint32_t host, const struct sched_request *r,
                  const struct ref_free *f, struct sched_refusal *why)
{
    const struct sched_host *h = &ref->hosts[host];
    const struct sched_need *n = &r->need;
    bool no_trait = false, outside = false, inside = false;
    for (unsigned i = 0; i < SCHED_LABELS_MAX; i++) {
        bool trait = h->traits[i / 64] >> (i % 64) & 1, in = h->aggregates[i / 64] >> (i % 64) & 1;
        no_trait |= (r->traits[i / 64] >> (i % 64) & 1) && !trait;
        outside |= (r->in_aggregates[i / 64] >> (i % 64) & 1) && !in;
        inside |= (r->not_in_aggregates[i / 64] >> (i % 64) & 1) && in;
    }
    unsigned all = 0, near = n->group ? members(ref, n->group, host, &all) : 0;
    enum sched_affinity rule = ref->groups[n->group].affinity;
    int64_t each = n->cpu == SCHED_SHARED ? 100 : h->cpu_ratio_percent;
    uint8_t bits;
    unsigned nodes = floats(n) ? 0 : pick(ref, host, f, n, &bits);
    int64_t memory = n->pages == SCHED_PAGES_4K ? n->memory_mib : 0;
    uint32_t most = MAX(ref->groups[n->group].most, 1);
    bool group = (rule == SCHED_TOGETHER && all && !near) || (rule == SCHED_APART && near >= most);
    const bool refused[SCHED_FILTERS] = {
        h->state != SCHED_ENABLED,
        r->n_only && !listed(r->only, r->n_only, host),
        listed(r->never, r->n_never, host),
        r->zone && h->zone != r->zone,
        projects_own_hosts(ref, h, r),
        no_trait,
        outside,
        inside,
        n->group && group,
        n->vcpus * each > f->cpu,
        memory && memory > f->memory,
        n->disk_gib && n->disk_gib > f->disk,
        !floats(n) && nodes < MAX(n->numa_nodes, 1),
    };
    const int64_t figures[SCHED_FILTERS][2] = {[9] = {n->vcpus, f->cpu / each},
                                               [10] = {memory, f->memory},
                                               [11] = {n->disk_gib, f->disk},
                                               [12] = {MAX(n->numa_nodes, 1), nodes}};
    *why = (struct sched_refusal){.filter = 0};
    while (why->filter < SCHED_FILTERS && !refused[why->filter])
        why->filter++;
    if (why->filter < SCHED_FILTERS) {
        why->need = figures[why->filter][0];
        why->free = figures[why->filter][1];
    }
}

static void score(const struct ref *ref, uint32_t host, const struct sched_request *r,
                  const struct ref_free *f, struct ref_candidate *out)
{
    const struct sched_need *n = &r->need;
    int64_t each = n->cpu == SCHED_SHARED ? 100 : ref->hosts[host].cpu_ratio_percent;
    int64_t cpu = ref->weight_cpu * f->cpu, memory = ref->weight_memory * f->memory;
    int64_t cpu_left = cpu - ref->weight_cpu * each * n->vcpus, memory_left = memory;
    if (n->pages == SCHED_PAGES_4K)
        memory_left -= ref->weight_memory * n->memory_mib;
    int sign = r->policy == SCHED_SPREAD ? -1 : 1;
    *out = (struct ref_candidate){
        .score = sign * (cpu_left + memory_left), .key = sign * (cpu + memory), .host = host};
    if (r->policy == SCHED_BALANCED)
        out->score += llabs(cpu_left - memory_left) - llabs(cpu - memory);
    unsigned all, near = n->group ? members(ref, n->group, host, &all) : 0;
    enum sched_affinity rule = ref->groups[n->group].affinity;
    if (n->group && rule == SCHED_APART_IF)
        out->level = near < MAX(ref->groups[n->group].most, 1) ? 0 : near;
    if (n->group && rule == SCHED_TOGETHER_IF)
        out->level = -(int64_t)near;
    if (!floats(n))
        pick(ref, host, f, n, &out->nodes);
}

static bool spread; /* of the sort that runs */

static int compare(const void *a, const void *b)
{
    const struct ref_candidate *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->host < y->host) == !spread ? -1 : 1;
}

void ref_place(const struct ref *ref, const struct sched_request *r, struct ref_answer *out)
{
    memset(&out->refusals, 0, sizeof(out->refusals));
    for (uint32_t h = 0; h < REF_HOSTS; h++) {
        struct ref_free f;
        if (!ref->live[h])
            continue;
        out->refusals.hosts++;
        ref_free_of(ref, h, &f);
        judge(ref, h, r, &f, &out->why[h]);
        if (out->why[h].filter < SCHED_FILTERS)
            out->refusals.by_filter[out->why[h].filter]++;
        else
            score(ref, h, r, &f, &out->fit[out->refusals.fit++]);
    }
    spread = r->policy == SCHED_SPREAD;
    qsort(out->fit, out->refusals.fit, sizeof(out->fit[0]), compare);
}
