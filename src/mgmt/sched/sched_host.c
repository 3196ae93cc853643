/* The snapshot: hosts come, change and go. */
#include <errno.h>

#include "base/err.h"
#include "base/util.h"
#include "mgmt/sched/sched_internal.h"

#define FREE_MIN (INT32_MIN / 2) /* of a host that holds far more than it has */
#define NODE_MAX                                                                                   \
    (INT32_MAX / 2) /* MiB or pages: what nodes have and what is claimed fit 31 bits               \
                     */

/* Until sched_weigh(): one vCPU weighs 4 GiB. */
static const struct sched_weights default_weights = {.cpu = 4096, .memory = 100};

struct sched *sched_create(void)
{
    struct sched *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->weights = default_weights;
    s->rack_first = malloc(SCHED_RACKS_MAX * sizeof(s->rack_first[0]));
    s->rack_vms = calloc(SCHED_RACKS_MAX, sizeof(s->rack_vms[0]));
    if (!s->rack_first || !s->rack_vms) {
        sched_destroy(s);
        return NULL;
    }
    memset(s->rack_first, 0xff, SCHED_RACKS_MAX * sizeof(s->rack_first[0]));
    return s;
}

void sched_destroy(struct sched *s)
{
    if (!s)
        return;
    sched_bitmaps_free(s);
    for (size_t i = 0; i < s->n_groups; i++)
        sched_group_fini(&s->groups[i]);
    for (unsigned i = 0; i < s->n_classes; i++)
        sched_index_destroy(s->classes[i].index);
    free(s->projects);
    free(s->groups);
    free(s->unused);
    free(s->free);
    free(s->ratio);
    free(s->class_of);
    free(s->nodes);
    free(s->specs);
    free(s->used);
    free(s->rack_next);
    free(s->rack_first);
    free(s->rack_vms);
    free(s);
}

static int grow_array(void *array, size_t each, size_t n)
{
    void *old, *new;
    memcpy(&old, array, sizeof(old));
    new = realloc(old, n * each);
    if (!new)
        return -ENOMEM;
    memcpy(array, &new, sizeof(new));
    return 0;
}

/* Room for one more host. What did grow when something else did not is only larger than needed. */
static int grow(struct sched *s)
{
    if (s->limit < s->cap)
        return 0;
    uint32_t cap = s->cap ? 2 * s->cap : 64;
    if (grow_array(&s->unused, sizeof(s->unused[0]), cap) ||
        grow_array(&s->free, sizeof(s->free[0]), cap) ||
        grow_array(&s->ratio, sizeof(s->ratio[0]), cap) ||
        grow_array(&s->class_of, sizeof(s->class_of[0]), cap) ||
        grow_array(&s->nodes, sizeof(s->nodes[0]), cap) ||
        grow_array(&s->specs, sizeof(s->specs[0]), cap) ||
        grow_array(&s->used, sizeof(s->used[0]), cap) ||
        grow_array(&s->rack_next, sizeof(s->rack_next[0]), cap) || sched_bitmaps_grow(s, cap / 64))
        return -ENOMEM;
    s->cap = cap;
    return 0;
}

/* ---- what is free ---- */

static int32_t clamp(int64_t v)
{
    return (int32_t)MIN(MAX(v, FREE_MIN), INT32_MAX);
}

/* (total - reserved) * ratio / divisor, or -1 beyond 31 bits. */
static int64_t capacity(uint32_t total, uint32_t reserved, uint32_t ratio, uint32_t divisor)
{
    uint64_t left = total > reserved ? total - reserved : 0;
    uint64_t v = left * ratio / divisor; /* 32 bits by 13 */
    return v <= INT32_MAX ? (int64_t)v : -1;
}

static int64_t cpu_capacity(const struct sched_host *h)
{
    return capacity(h->cores, h->reserved_cores, h->cpu_ratio_percent, 1);
}

static int64_t memory_capacity(const struct sched_host *h)
{
    return capacity(h->memory_mib, h->reserved_memory_mib, h->memory_ratio_percent, 100);
}

static int64_t disk_capacity(const struct sched_host *h)
{
    return capacity(h->disk_gib, h->reserved_disk_gib, h->disk_ratio_percent, 100);
}

static int64_t minus(int64_t v, uint64_t used)
{
    return v - (int64_t)MIN(used, (uint64_t)INT64_MAX / 2);
}

static struct sched_entry free_of(const struct sched *s, uint32_t host)
{
    const struct sched_host *h = &s->specs[host];
    const struct sched_used *u = &s->used[host];
    struct sched_entry e;
    uint64_t cpu = u->shared_vcpus * SCHED_SHARED_COST + u->whole_vcpus * h->cpu_ratio_percent;
    e.free[SCHED_DIM_CPU] = clamp(minus(cpu_capacity(h), cpu));
    e.free[SCHED_DIM_MEMORY] = clamp(minus(memory_capacity(h), u->memory_mib));
    e.free[SCHED_DIM_DISK] = clamp(minus(disk_capacity(h), u->disk_gib));
    int32_t cores = 0;
    int64_t huge_mib = 0;
    for (unsigned i = 0; i < h->n_nodes; i++) {
        const struct sched_node_free *f = &s->nodes[host][i];
        cores = MAX(cores, f->cores);
        huge_mib = MAX(huge_mib, MAX(f->pages_2m * INT64_C(2), f->pages_1g * INT64_C(1024)));
    }
    e.free[SCHED_DIM_NODE_CORES] = cores;
    e.free[SCHED_DIM_NODE_HUGE] = clamp(huge_mib);
    return e;
}

int sched_refresh(struct sched *s, uint32_t host)
{
    struct sched_entry now = free_of(s, host);
    if (!memcmp(&now, &s->free[host], sizeof(now)))
        return 0;
    struct sched_index *index = s->classes[s->class_of[host]].index;
    sched_index_erase(index, host, &s->free[host]);
    s->free[host] = now;
    return sched_index_insert(index, host, &now); /* cannot fail: so many there were */
}

static int check_spec(const struct sched_host *h, struct err *err)
{
    uint32_t ratios[] = {h->cpu_ratio_percent, h->memory_ratio_percent, h->disk_ratio_percent};
    for (size_t i = 0; i < ARRAY_LEN(ratios); i++)
        if (!ratios[i] || ratios[i] > SCHED_RATIO_MAX)
            return err_set(err, EINVAL, "an overcommit ratio of %u %% is not within 1 .. %u",
                           ratios[i], SCHED_RATIO_MAX);
    if (h->zone >= SCHED_ZONES_MAX)
        return err_set(err, EINVAL, "zone %u is not below %u", h->zone, SCHED_ZONES_MAX);
    if (h->rack >= SCHED_RACKS_MAX)
        return err_set(err, EINVAL, "rack %u is not below %u", h->rack, SCHED_RACKS_MAX);
    if (h->n_nodes > SCHED_NODES_MAX)
        return err_set(err, EINVAL, "%u NUMA nodes are more than %u", h->n_nodes, SCHED_NODES_MAX);
    if (h->cores > SCHED_CORES_MAX || memory_capacity(h) < 0 || disk_capacity(h) < 0)
        return err_set(err, ERANGE, "%u cores, %u MiB, %u GiB with these ratios do not fit 31 bits",
                       h->cores, h->memory_mib, h->disk_gib);
    for (unsigned i = 0; i < h->n_nodes; i++) {
        const struct sched_node *n = &h->nodes[i];
        if (n->cores > SCHED_CORES_MAX ||
            MAX(n->memory_mib, MAX(n->pages_2m, n->pages_1g)) > NODE_MAX)
            return err_set(err, ERANGE, "NUMA node %u does not fit 30 bits", i);
    }
    return 0;
}

/* ---- public ---- */

/* The class of hosts with the ratio; -ENOMEM. */
static int class_for(struct sched *s, uint32_t ratio)
{
    for (unsigned i = 0; i < s->n_classes; i++)
        if (s->classes[i].ratio_min == ratio && s->classes[i].ratio_max == ratio)
            return (int)i;
    if (s->n_classes == SCHED_CLASSES)
        return SCHED_CLASSES - 1;
    struct sched_index *index = sched_index_create(&s->weights);
    if (!index)
        return -ENOMEM;
    s->classes[s->n_classes] = (struct sched_class){ratio, ratio, index};
    return (int)s->n_classes++;
}

/* Puts a host whose free resources are known into the index of its ratio. */
static int index_host(struct sched *s, uint32_t host, uint32_t ratio)
{
    int c = class_for(s, ratio);
    if (c < 0 || sched_index_insert(s->classes[c].index, host, &s->free[host]))
        return -ENOMEM;
    s->classes[c].ratio_min = MIN(s->classes[c].ratio_min, ratio);
    s->classes[c].ratio_max = MAX(s->classes[c].ratio_max, ratio);
    s->class_of[host] = (uint8_t)c;
    s->ratio[host] = ratio;
    return 0;
}

/* The nodes' free parts for a new spec, what is in use unchanged; false if a node in use goes. */
static bool move_nodes(const struct sched_host *old, const struct sched_host *spec,
                       const struct sched_node_free *had, struct sched_node_free *now)
{
    static const struct sched_node none;
    memset(now, 0, SCHED_NODES_MAX * sizeof(*now));
    for (unsigned i = 0; i < SCHED_NODES_MAX; i++) {
        const struct sched_node *was = i < old->n_nodes ? &old->nodes[i] : &none;
        const struct sched_node *is = i < spec->n_nodes ? &spec->nodes[i] : &none;
        struct sched_node_free used = {
            (int32_t)was->cores - had[i].cores, (int32_t)was->memory_mib - had[i].memory_mib,
            (int32_t)was->pages_2m - had[i].pages_2m, (int32_t)was->pages_1g - had[i].pages_1g};
        if (i >= spec->n_nodes && (used.cores || used.memory_mib || used.pages_2m || used.pages_1g))
            return false;
        now[i] = (struct sched_node_free){
            (int32_t)is->cores - used.cores, (int32_t)is->memory_mib - used.memory_mib,
            (int32_t)is->pages_2m - used.pages_2m, (int32_t)is->pages_1g - used.pages_1g};
    }
    return true;
}

int sched_add(struct sched *s, const struct sched_host *spec, uint32_t *host, struct err *err)
{
    static const struct sched_host none;
    int r = check_spec(spec, err);
    if (r)
        return r;
    if (!s->n_unused && grow(s))
        return err_set(err, ENOMEM, "no memory for another host");
    uint32_t h = s->n_unused ? s->unused[s->n_unused - 1] : s->limit;
    struct sched_node_free unclaimed[SCHED_NODES_MAX] = {0};
    move_nodes(&none, spec, unclaimed, s->nodes[h]);
    s->specs[h] = *spec;
    s->used[h] = (struct sched_used){0};
    s->free[h] = free_of(s, h);
    if (sched_label(s, h, spec))
        return err_set(err, ENOMEM, "no memory for another host's labels");
    if (index_host(s, h, spec->cpu_ratio_percent)) {
        sched_unlabel(s, h, spec);
        return err_set(err, ENOMEM, "no memory for another host");
    }
    if (s->n_unused)
        s->n_unused--;
    else
        s->limit++;
    *host = h;
    return 0;
}

int sched_update(struct sched *s, uint32_t host, const struct sched_host *spec, struct err *err)
{
    if (!sched_exists(s, host))
        return err_set(err, ENOENT, "no host %u", host);
    int r = check_spec(spec, err);
    if (r)
        return r;
    struct sched_host old = s->specs[host];
    struct sched_node_free nodes[SCHED_NODES_MAX];
    if (!move_nodes(&old, spec, s->nodes[host], nodes))
        return err_set(err, EBUSY, "host %u: a NUMA node that goes away is in use", host);
    sched_unlabel(s, host, &old);
    if (sched_label(s, host, spec)) {
        sched_label(s, host, &old);
        return err_set(err, ENOMEM, "no memory for the labels of host %u", host);
    }
    if (spec->cpu_ratio_percent != old.cpu_ratio_percent) {
        struct sched_index *before = s->classes[s->class_of[host]].index;
        sched_index_erase(before, host, &s->free[host]);
        if (index_host(s, host, spec->cpu_ratio_percent)) {
            sched_index_insert(before, host, &s->free[host]);
            sched_unlabel(s, host, spec);
            sched_label(s, host, &old);
            return err_set(err, ENOMEM, "no memory for the new ratio of host %u", host);
        }
    }
    s->specs[host] = *spec;
    memcpy(s->nodes[host], nodes, sizeof(nodes));
    return sched_refresh(s, host);
}

int sched_remove(struct sched *s, uint32_t host, struct err *err)
{
    if (!sched_exists(s, host))
        return err_set(err, ENOENT, "no host %u", host);
    if (s->used[host].claims)
        return err_set(err, EBUSY, "host %u: %u VMs are on it; move them first", host,
                       s->used[host].claims);
    sched_index_erase(s->classes[s->class_of[host]].index, host, &s->free[host]);
    sched_unlabel(s, host, &s->specs[host]);
    s->unused[s->n_unused++] = host;
    return 0;
}

const struct sched_host *sched_host(const struct sched *s, uint32_t host)
{
    return sched_exists(s, host) ? &s->specs[host] : NULL;
}

uint32_t sched_limit(const struct sched *s)
{
    return s->limit;
}

int sched_free(const struct sched *s, uint32_t host, struct sched_free *left)
{
    if (!sched_exists(s, host))
        return -ENOENT;
    const int32_t *f = s->free[host].free;
    *left = (struct sched_free){f[SCHED_DIM_CPU], f[SCHED_DIM_MEMORY], f[SCHED_DIM_DISK],
                                .claims = s->used[host].claims};
    for (unsigned i = 0; i < SCHED_NODES_MAX; i++) {
        left->node_cores[i] = s->nodes[host][i].cores;
        left->node_memory_mib[i] = s->nodes[host][i].memory_mib;
        left->node_pages_2m[i] = s->nodes[host][i].pages_2m;
        left->node_pages_1g[i] = s->nodes[host][i].pages_1g;
    }
    return 0;
}

/* A weight that makes the fleet's total of one kind worth 2^36 a host. */
static int64_t weight_of(uint64_t total, uint32_t hosts)
{
    uint64_t mean = MAX(total / MAX(hosts, 1), 1);
    return (int64_t)MIN(MAX((UINT64_C(1) << 36) / mean, 1), (UINT64_C(1) << 30) - 1);
}

int sched_weigh(struct sched *s, struct err *err)
{
    uint64_t cpu = 0, memory = 0;
    uint32_t hosts = 0;
    for (uint32_t h = 0; h < s->limit; h++)
        if (sched_exists(s, h)) {
            cpu += (uint64_t)cpu_capacity(&s->specs[h]);
            memory += (uint64_t)memory_capacity(&s->specs[h]);
            hosts++;
        }
    struct sched_weights weights = {weight_of(cpu, hosts), weight_of(memory, hosts)};
    struct sched_index *made[SCHED_CLASSES] = {NULL};
    bool failed = false;
    for (unsigned c = 0; c < s->n_classes; c++) {
        made[c] = sched_index_create(&weights);
        failed |= !made[c];
    }
    for (uint32_t h = 0; h < s->limit && !failed; h++)
        if (sched_exists(s, h))
            failed = sched_index_insert(made[s->class_of[h]], h, &s->free[h]) != 0;
    for (unsigned c = 0; c < s->n_classes; c++) {
        sched_index_destroy(failed ? made[c] : s->classes[c].index);
        if (!failed)
            s->classes[c].index = made[c];
    }
    if (failed)
        return err_set(err, ENOMEM, "no memory to weigh the fleet");
    s->weights = weights;
    return 0;
}
