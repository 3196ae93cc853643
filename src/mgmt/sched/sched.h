/* Placement: which host takes a VM. A snapshot of the hosts in integers, a request, a seed; out
 * comes a host, or for every filter how many hosts it turned away. No I/O, no clock, no globals.
 *
 * Names are numbers here: the caller maps zones, racks, projects, aggregates and traits to small
 * ids, and hosts are the numbers that sched_add() gave. docs/arch/14-placement.md has the design.
 *
 * A host's processors are one pool in hundredths of a vCPU: cores times the overcommit ratio. A
 * shared vCPU takes 100 of it, a guaranteed or dedicated one a whole core's worth (the ratio), so
 * that both kinds live on one host without rounding. Dedicated cores, huge pages and anything with
 * `numa_nodes` are taken from NUMA nodes besides; all other VMs float over the nodes.
 *
 * Threads: a snapshot belongs to one thread, reads too (they use its scratch memory). */
#ifndef MGMT_SCHED_SCHED_H
#define MGMT_SCHED_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct sched;

#define SCHED_NODES_MAX      8
#define SCHED_ZONES_MAX      256
#define SCHED_RACKS_MAX      65536
#define SCHED_GROUPS_MAX     (1 << 24)
#define SCHED_LABELS_MAX     256 /* traits, and as many aggregates */
#define SCHED_LABEL_WORDS    (SCHED_LABELS_MAX / 64)
#define SCHED_COUNT_MAX      100 /* VMs a request */
#define SCHED_ALTERNATES_MAX 16
#define SCHED_AMONG_MAX      16
#define SCHED_FILTERS        13
#define SCHED_VCPUS_MAX      4096
#define SCHED_CORES_MAX      65536
#define SCHED_RATIO_MAX      6400 /* percent */

/* ---- hosts ---- */

enum sched_state {
    SCHED_ENABLED,
    SCHED_DRAINING, /* keeps its VMs, takes no more */
    SCHED_DOWN,
};

struct sched_node {
    uint32_t cores, memory_mib, pages_2m, pages_1g; /* what VMs may have of it */
};

struct sched_host {
    uint32_t cores, memory_mib, disk_gib; /* memory without what huge pages hold */
    uint32_t reserved_cores, reserved_memory_mib, reserved_disk_gib;
    uint32_t cpu_ratio_percent, memory_ratio_percent, disk_ratio_percent; /* 100: no overcommit */
    uint32_t zone;                                                        /* 1 ..; 0: in none */
    uint32_t rack;       /* 1 ..; 0: known of none, alone in its own */
    uint32_t project;    /* only this project's VMs; 0: everybody's */
    uint32_t generation; /* claims so far, as the store has it */
    enum sched_state state;
    unsigned n_nodes;
    struct sched_node nodes[SCHED_NODES_MAX];
    uint64_t traits[SCHED_LABEL_WORDS], aggregates[SCHED_LABEL_WORDS]; /* bit = id */
};

struct sched *sched_create(void);
void sched_destroy(struct sched *s);

/* Adds a host; *host receives its number, which is below sched_limit(). A number is used again
 * after sched_remove(). Errors: EINVAL, ERANGE (a capacity beyond 31 bits), ENOMEM. */
int sched_add(struct sched *s, const struct sched_host *spec, uint32_t *host, struct err *err);
/* Replaces what is known of a host; its claims stay, even if it no longer holds them (then it takes
 * no more). Errors: as sched_add(); EBUSY if a NUMA node that goes away is in use. */
int sched_update(struct sched *s, uint32_t host, const struct sched_host *spec, struct err *err);
/* Errors: EBUSY while there are claims on it. */
int sched_remove(struct sched *s, uint32_t host, struct err *err);

/* What was given, with the current generation; NULL if there is no such host. */
const struct sched_host *sched_host(const struct sched *s, uint32_t host);
uint32_t sched_limit(const struct sched *s);

struct sched_free {
    int32_t cpu_hundredths, memory_mib, disk_gib; /* below 0: more claimed than there is now */
    int32_t node_cores[SCHED_NODES_MAX], node_memory_mib[SCHED_NODES_MAX];
    int32_t node_pages_2m[SCHED_NODES_MAX], node_pages_1g[SCHED_NODES_MAX];
    uint32_t claims;
};
/* What a host has left. Errors: ENOENT. */
int sched_free(const struct sched *s, uint32_t host, struct sched_free *left);

/* Has the fleet's processors and its memory weigh the same in every score. Until then one vCPU
 * weighs 4 GiB. Call it when the fleet is loaded or has changed much: O(n log n).
 * Errors: ENOMEM; the weights are as before then. */
int sched_weigh(struct sched *s, struct err *err);

/* ---- server groups ---- */

enum sched_affinity {
    SCHED_TOGETHER,    /* affinity: where the members are */
    SCHED_APART,       /* anti-affinity: where none is, or fewer than the rule allows */
    SCHED_TOGETHER_IF, /* soft: where most members are, of the hosts that fit */
    SCHED_APART_IF,    /* soft: the same, else where the fewest are */
};

enum sched_scope { SCHED_BY_HOST, SCHED_BY_RACK };

/* Makes group `group` (a number of the caller's, 1 ..; small, it indexes an array), or changes its
 * rule. `most`: of members that are to be apart so many may share a host or rack; 0 is 1.
 * Errors: EINVAL, ENOMEM. */
int sched_group_set(struct sched *s, uint32_t group, enum sched_affinity affinity,
                    enum sched_scope scope, uint32_t most, struct err *err);
/* Whether its rule keeps members apart. */
bool sched_group_is_apart(const struct sched *s, uint32_t group);
/* How many members of the group are on the host. */
uint32_t sched_group_members(const struct sched *s, uint32_t group, uint32_t host);

/* ---- claims ---- */

enum sched_cpu {
    SCHED_SHARED,     /* overcommitted by the host's ratio */
    SCHED_GUARANTEED, /* a core's worth each, floating */
    SCHED_DEDICATED,  /* a core each, of as few NUMA nodes as numa_nodes says */
};

enum sched_pages { SCHED_PAGES_4K, SCHED_PAGES_2M, SCHED_PAGES_1G };

/* What one VM takes of its host. */
struct sched_need {
    uint32_t vcpus, memory_mib, disk_gib;
    enum sched_cpu cpu;
    enum sched_pages pages;
    unsigned numa_nodes; /* spread evenly over so many; 0: floats, or one where it must have one */
    uint32_t group;      /* 0: none */
};

struct sched_choice {
    uint32_t host;
    uint32_t generation; /* to claim with */
    uint8_t nodes;       /* NUMA nodes, bit = number; 0: floats */
};

/* Claims what sched_place() chose, and raises the host's generation.
 * Errors: ENOENT, EAGAIN (the generation is another one: place again), ENOSPC, EINVAL. */
int sched_claim(struct sched *s, const struct sched_need *need, const struct sched_choice *choice,
                struct err *err);
/* Records a claim that is already true, as when the fleet is loaded: no capacity is asked for, no
 * generation compared or raised. Errors: ENOENT, EINVAL, ERANGE, ENOMEM. */
int sched_adopt(struct sched *s, const struct sched_need *need, const struct sched_choice *choice,
                struct err *err);
/* Gives a claim back; need and choice as they were claimed. Errors: ENOENT (no such host, or fewer
 * claims on it than that). */
int sched_release(struct sched *s, const struct sched_need *need, const struct sched_choice *choice,
                  struct err *err);

/* ---- placement ---- */

enum sched_policy {
    SCHED_BEST_FIT, /* the least weighted processors and memory left over */
    SCHED_BALANCED, /* best fit, plus how much more lopsided what is left becomes */
    SCHED_SPREAD,   /* the most left over */
};

struct sched_request {
    struct sched_need need; /* of each VM */
    uint32_t count;         /* VMs; 0 is 1 */
    bool best_effort;       /* place as many as fit, not all or none */
    uint32_t project;
    uint32_t zone;                                 /* 0: any */
    uint64_t traits[SCHED_LABEL_WORDS];            /* the host has all of them */
    uint64_t in_aggregates[SCHED_LABEL_WORDS];     /* the host is in all of them */
    uint64_t not_in_aggregates[SCHED_LABEL_WORDS]; /* and in none of them */
    const uint32_t *only, *never;                  /* hosts: one of those, none of these */
    size_t n_only, n_never;
    enum sched_policy policy;
    uint32_t alternates; /* further hosts to name, best first */
    uint32_t among;      /* the seed picks among at most so many equally good hosts; 0 is 1 */
};

/* How many hosts each filter turned away, in the order of sched_filter_name(). */
struct sched_refusals {
    uint32_t hosts, by_filter[SCHED_FILTERS];
    uint32_t fit; /* turned away by none */
};

struct sched_result {
    uint32_t n_chosen, n_alternates;
    struct sched_choice chosen[SCHED_COUNT_MAX];
    struct sched_choice alternates[SCHED_ALTERNATES_MAX]; /* if all fit; none of them chosen */
    uint32_t fitted;                                      /* VMs that fitted before one did not */
    struct sched_refusals refusals;                       /* of the VM that did not fit */
};

/* Places a request. Nothing is claimed: what was chosen is claimed with sched_claim(), in order (a
 * host that was chosen twice has successive generations). Equal scores go to the lower (spread: the
 * higher) weighted rest, then the lower (higher) host number; the same snapshot, request and seed
 * give the same answer.
 * Errors: EINVAL; ENOSPC (fewer than `count` fit; with best_effort none does): result->refusals
 * says why. */
int sched_place(struct sched *s, const struct sched_request *request, uint64_t seed,
                struct sched_result *result, struct err *err);

/* ---- explanations ---- */

/* Counts for a request as if it asked for one VM. */
int sched_explain(struct sched *s, const struct sched_request *request,
                  struct sched_refusals *refusals, struct err *err);

struct sched_refusal {
    unsigned filter; /* the first that refused; SCHED_FILTERS: none did */
    int64_t need, free;
    const char *unit; /* of both, NULL: the filter is a yes or no */
};
/* Errors: ENOENT, EINVAL. */
int sched_explain_host(struct sched *s, const struct sched_request *request, uint32_t host,
                       struct sched_refusal *why, struct err *err);

/* NULL beyond SCHED_FILTERS. A stable word: "state", "memory". */
const char *sched_filter_name(unsigned filter);

/* For people, as snprintf(3): "12 hosts: 3 are not enabled (state), 9 have too little memory free
 * (memory)" and "memory: needs 4096 MiB, 2048 free". */
int sched_refusals_text(const struct sched_refusals *refusals, char *text, size_t size);
int sched_refusal_text(const struct sched_refusal *why, char *text, size_t size);

#endif
