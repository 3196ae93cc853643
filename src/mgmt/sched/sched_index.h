/* Hosts in the order of their weighted rest, in leaves of at most 64 with the maximum of every
 * dimension beside each, so that a search passes over 64 hosts that cannot fit in one comparison.
 * A part of mgmt/sched; it knows hosts as numbers with free resources only.
 *
 * Theory of operation: leaves lie in one directory, in order; 100,000 hosts make some 2,000. A
 * binary search finds the leaf of a key, and a walk over the directory is linear but cheap (a cache
 * line a leaf). A change is a memmove within a leaf; a leaf that overflows is halved, two that
 * together fill three quarters of one are merged. Invariants: (key, host) ascends through all
 * entries; a leaf's maxima are those of its entries; no leaf is empty; neighbours hold more than
 * half a leaf together, so that leaves kept for entries / 16 + 2 are enough, and an entry that
 * moves needs no memory. */
#ifndef MGMT_SCHED_SCHED_INDEX_H
#define MGMT_SCHED_SCHED_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHED_LEAF 64

/* What the index compares. Nodes: the largest of the host's NUMA nodes. */
enum sched_dim {
    SCHED_DIM_CPU, /* hundredths of a vCPU */
    SCHED_DIM_MEMORY,
    SCHED_DIM_DISK,
    SCHED_DIM_NODE_CORES,
    SCHED_DIM_NODE_HUGE, /* MiB of huge pages */
    SCHED_DIMS,
};

struct sched_entry {
    int32_t free[SCHED_DIMS];
};

struct sched_weights {
    int64_t cpu, memory; /* a hundredth of a vCPU, a MiB; below 2^30 */
};

struct sched_leaf {
    int32_t free[SCHED_DIMS][SCHED_LEAF];
    uint32_t host[SCHED_LEAF];
};

struct sched_leaf_ref {
    int64_t key; /* of the first entry */
    uint32_t host;
    uint32_t n;
    int32_t most[SCHED_DIMS];
    struct sched_leaf *leaf;
};

struct sched_index {
    struct sched_weights weights;
    struct sched_leaf_ref *refs;
    size_t n, cap, entries;
    struct sched_leaf **idle; /* leaves that wait to be used */
    size_t n_idle;
};

static inline int64_t sched_index_key(const struct sched_weights *w, int32_t cpu, int32_t memory)
{
    return w->cpu * cpu + w->memory * memory;
}

struct sched_index *sched_index_create(const struct sched_weights *weights);
void sched_index_destroy(struct sched_index *index);
/* Errors: ENOMEM, only when there were never so many entries. */
int sched_index_insert(struct sched_index *index, uint32_t host, const struct sched_entry *entry);
/* `entry` as it was inserted. */
void sched_index_erase(struct sched_index *index, uint32_t host, const struct sched_entry *entry);

/* The first leaf that may hold a key of at least `key`. */
size_t sched_index_seek(const struct sched_index *index, int64_t key);
/* Whether some entry of the leaf may have all of `need`. */
static inline bool sched_index_may_fit(const struct sched_leaf_ref *ref, const int32_t *need)
{
    bool fits = true;
    for (unsigned d = 0; d < SCHED_DIMS; d++)
        fits &= ref->most[d] >= need[d];
    return fits;
}
/* The entries that have all of `need`, bit = place in the leaf. */
uint64_t sched_index_fits(const struct sched_leaf_ref *ref, const int32_t *need);
/* Aborts if an invariant does not hold; for tests. Returns the number of entries. */
size_t sched_index_verify(const struct sched_index *index);

#endif
