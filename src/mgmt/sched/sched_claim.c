/* What a VM takes of its host: checked, taken, given back. */
#include <errno.h>

#include "base/err.h"
#include "base/util.h"
#include "mgmt/sched/sched_internal.h"

bool sched_need_nodes(const struct sched_need *need, unsigned *n_nodes, struct sched_node *each)
{
    *each = (struct sched_node){0};
    *n_nodes = 0;
    if (need->cpu != SCHED_DEDICATED && need->pages == SCHED_PAGES_4K && !need->numa_nodes)
        return false;
    *n_nodes = MAX(need->numa_nodes, 1);
    uint32_t memory_mib = need->memory_mib / *n_nodes;
    if (need->cpu == SCHED_DEDICATED)
        each->cores = need->vcpus / *n_nodes;
    if (need->pages == SCHED_PAGES_4K)
        each->memory_mib = memory_mib;
    else if (need->pages == SCHED_PAGES_2M)
        each->pages_2m = memory_mib / 2;
    else
        each->pages_1g = memory_mib / 1024;
    return true;
}

int sched_need_check(const struct sched *s, const struct sched_need *need, struct err *err)
{
    static const uint32_t page_mib[] = {1, 2, 1024};
    unsigned nodes = MAX(need->numa_nodes, 1);
    if (!need->vcpus || need->vcpus > SCHED_VCPUS_MAX)
        return err_set(err, EINVAL, "%u vCPUs are not within 1 .. %u", need->vcpus,
                       SCHED_VCPUS_MAX);
    if (need->memory_mib > INT32_MAX || need->disk_gib > INT32_MAX)
        return err_set(err, EINVAL, "%u MiB of memory or %u GiB of disk do not fit 31 bits",
                       need->memory_mib, need->disk_gib);
    if ((unsigned)need->cpu > SCHED_DEDICATED || (unsigned)need->pages > SCHED_PAGES_1G)
        return err_set(err, EINVAL, "no such class of processors or pages");
    if (nodes > SCHED_NODES_MAX)
        return err_set(err, EINVAL, "%u NUMA nodes are more than %u", nodes, SCHED_NODES_MAX);
    if (need->cpu == SCHED_DEDICATED && need->vcpus % nodes)
        return err_set(err, EINVAL, "%u dedicated vCPUs do not divide over %u NUMA nodes",
                       need->vcpus, nodes);
    if (need->memory_mib % (nodes * page_mib[need->pages]))
        return err_set(err, EINVAL, "%u MiB do not divide over %u NUMA nodes in pages of %u MiB",
                       need->memory_mib, nodes, page_mib[need->pages]);
    if (need->group && (need->group >= s->n_groups || !s->groups[need->group].known))
        return err_set(err, EINVAL, "no group %u", need->group);
    return 0;
}

/* What is not asked for may be over-claimed. */
static bool enough(int32_t left, uint32_t need)
{
    return !need || left >= (int32_t)need;
}

static bool node_fits(const struct sched_node_free *f, const struct sched_node *each)
{
    return enough(f->cores, each->cores) && enough(f->memory_mib, each->memory_mib) &&
           enough(f->pages_2m, each->pages_2m) && enough(f->pages_1g, each->pages_1g);
}

uint8_t sched_pick_nodes(const struct sched *s, uint32_t host, unsigned n,
                         const struct sched_node *each, unsigned *fitting)
{
    const struct sched_node_free *nodes = s->nodes[host];
    unsigned fits = 0, picked = 0;
    for (unsigned i = 0; i < s->specs[host].n_nodes; i++)
        fits |= (unsigned)node_fits(&nodes[i], each) << i;
    *fitting = (unsigned)__builtin_popcount(fits);
    if (*fitting < n)
        return 0;
    for (; n; n--) {
        int best = -1;
        for (int i = 0; i < SCHED_NODES_MAX; i++)
            if (fits >> i & 1 && !(picked >> i & 1) &&
                (best < 0 || nodes[i].cores < nodes[best].cores ||
                 (nodes[i].cores == nodes[best].cores &&
                  nodes[i].memory_mib < nodes[best].memory_mib)))
                best = i;
        picked |= 1U << best;
    }
    return (uint8_t)picked;
}

int sched_apply(struct sched *s, const struct sched_need *need, const struct sched_choice *choice,
                int sign)
{
    uint32_t host = choice->host;
    struct sched_used *u = &s->used[host];
    struct sched_node each;
    unsigned n_nodes;
    uint64_t by = (uint64_t)(int64_t)sign; /* modulo 2^64: adds or subtracts */
    if (need->group && sign > 0 && sched_group_add(s, need->group, host))
        return -ENOMEM;
    if (need->group && sign < 0)
        sched_group_remove(s, need->group, host);
    *(need->cpu == SCHED_SHARED ? &u->shared_vcpus : &u->whole_vcpus) += by * need->vcpus;
    if (need->pages == SCHED_PAGES_4K)
        u->memory_mib += by * need->memory_mib;
    u->disk_gib += by * need->disk_gib;
    u->claims += (uint32_t)by;
    if (sched_need_nodes(need, &n_nodes, &each))
        for (unsigned i = 0; i < SCHED_NODES_MAX; i++)
            if (choice->nodes >> i & 1) {
                s->nodes[host][i].cores -= sign * (int32_t)each.cores;
                s->nodes[host][i].memory_mib -= sign * (int32_t)each.memory_mib;
                s->nodes[host][i].pages_2m -= sign * (int32_t)each.pages_2m;
                s->nodes[host][i].pages_1g -= sign * (int32_t)each.pages_1g;
            }
    return sched_refresh(s, host);
}

/* The choice names a host, and nodes as the need has them. */
static int check_choice(const struct sched *s, const struct sched_need *need,
                        const struct sched_choice *choice, struct err *err)
{
    struct sched_node each;
    unsigned n_nodes;
    int r = sched_need_check(s, need, err);
    if (r)
        return r;
    if (!sched_exists(s, choice->host))
        return err_set(err, ENOENT, "no host %u", choice->host);
    sched_need_nodes(need, &n_nodes, &each);
    if ((unsigned)__builtin_popcount(choice->nodes) != n_nodes ||
        choice->nodes >> s->specs[choice->host].n_nodes)
        return err_set(err, EINVAL, "NUMA nodes 0x%x of host %u are not the %u that the VM needs",
                       choice->nodes, choice->host, n_nodes);
    return 0;
}

static bool holds(const struct sched *s, const struct sched_need *need,
                  const struct sched_choice *choice)
{
    const int32_t *f = s->free[choice->host].free;
    struct sched_node each;
    unsigned n_nodes;
    uint32_t cost = need->cpu == SCHED_SHARED ? SCHED_SHARED_COST : s->ratio[choice->host];
    if (!enough(f[SCHED_DIM_CPU], need->vcpus * cost) ||
        !enough(f[SCHED_DIM_DISK], need->disk_gib) ||
        (need->pages == SCHED_PAGES_4K && !enough(f[SCHED_DIM_MEMORY], need->memory_mib)))
        return false;
    if (sched_need_nodes(need, &n_nodes, &each))
        for (unsigned i = 0; i < SCHED_NODES_MAX; i++)
            if (choice->nodes >> i & 1 && !node_fits(&s->nodes[choice->host][i], &each))
                return false;
    return true;
}

int sched_claim(struct sched *s, const struct sched_need *need, const struct sched_choice *choice,
                struct err *err)
{
    int r = check_choice(s, need, choice, err);
    if (r)
        return r;
    uint32_t *generation = &s->specs[choice->host].generation;
    if (*generation != choice->generation)
        return err_set(err, EAGAIN, "host %u has generation %u, not %u; place again", choice->host,
                       *generation, choice->generation);
    if (!holds(s, need, choice))
        return err_set(err, ENOSPC, "host %u does not hold the VM", choice->host);
    if (sched_apply(s, need, choice, 1))
        return err_set(err, ENOMEM, "no memory for a claim");
    ++*generation;
    return 0;
}

/* Whether the nodes' counters, which go below 0, can go further down. */
static bool nodes_count_on(const struct sched *s, const struct sched_need *need,
                           const struct sched_choice *choice)
{
    static const int32_t room = INT32_MIN / 4;
    struct sched_node each;
    unsigned n_nodes;
    if (!sched_need_nodes(need, &n_nodes, &each))
        return true;
    const struct sched_node_free *f = s->nodes[choice->host];
    for (unsigned i = 0; i < SCHED_NODES_MAX; i++)
        if (choice->nodes >> i & 1 && (f[i].cores - (int64_t)each.cores < room ||
                                       f[i].memory_mib - (int64_t)each.memory_mib < room ||
                                       f[i].pages_2m - (int64_t)each.pages_2m < room ||
                                       f[i].pages_1g - (int64_t)each.pages_1g < room))
            return false;
    return true;
}

int sched_adopt(struct sched *s, const struct sched_need *need, const struct sched_choice *choice,
                struct err *err)
{
    int r = check_choice(s, need, choice, err);
    if (r)
        return r;
    if (!nodes_count_on(s, need, choice))
        return err_set(err, ERANGE, "host %u: claims on its NUMA nodes do not fit 31 bits",
                       choice->host);
    if (sched_apply(s, need, choice, 1))
        return err_set(err, ENOMEM, "no memory for a claim");
    return 0;
}

int sched_release(struct sched *s, const struct sched_need *need, const struct sched_choice *choice,
                  struct err *err)
{
    int r = check_choice(s, need, choice, err);
    if (r)
        return r;
    const struct sched_used *u = &s->used[choice->host];
    uint64_t vcpus = need->cpu == SCHED_SHARED ? u->shared_vcpus : u->whole_vcpus;
    uint32_t memory_mib = need->pages == SCHED_PAGES_4K ? need->memory_mib : 0;
    if (!u->claims || vcpus < need->vcpus || u->memory_mib < memory_mib ||
        u->disk_gib < need->disk_gib ||
        (need->group && !sched_group_members(s, need->group, choice->host)))
        return err_set(err, ENOENT, "host %u holds no such claim", choice->host);
    return sched_apply(s, need, choice, -1);
}
