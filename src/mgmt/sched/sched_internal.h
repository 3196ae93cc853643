/* The snapshot's inside: tables of hosts, bitmaps of labels, groups; what the files of this module
 * share. */
#ifndef MGMT_SCHED_SCHED_INTERNAL_H
#define MGMT_SCHED_SCHED_INTERNAL_H

#include "mgmt/sched/sched.h"
#include "mgmt/sched/sched_index.h"

#define SCHED_SHARED_COST 100 /* hundredths of a vCPU */
#define SCHED_CLASSES     8

/* One bit a host, s->words words; NULL until some host has the label. */
struct sched_bitmap {
    uint64_t *words;
};

struct sched_node_free {
    int32_t cores, memory_mib, pages_2m, pages_1g;
};

/* What claims hold. 64 bits, since adopted claims have no limit. */
struct sched_used {
    uint64_t shared_vcpus, whole_vcpus, memory_mib, disk_gib;
    uint32_t claims;
};

struct sched_project {
    uint32_t project;
    struct sched_bitmap bits;
};

struct sched_member {
    uint32_t host, vms;
};

struct sched_group {
    bool known;
    enum sched_affinity affinity;
    enum sched_scope scope;
    uint32_t most; /* of those to be apart, so many may share a scope */
    struct sched_member *members;
    size_t n_members, cap_members;
};

/* The hosts with one overcommit ratio of processors: what a VM takes of them is the same for all.
 * The last class has whatever ratios are left. */
struct sched_class {
    uint32_t ratio_min, ratio_max; /* of all hosts that ever were in it */
    struct sched_index *index;
};

struct sched {
    uint32_t limit, cap; /* hosts: numbers given so far, room */
    size_t words;        /* of each bitmap, for `cap` */
    uint32_t *unused;    /* numbers to give again */
    uint32_t n_unused;

    /* By host number. `free` is what every decision reads; the rest is looked at for few. */
    struct sched_entry *free;
    uint32_t *ratio; /* of the processors, percent */
    uint8_t *class_of;
    struct sched_node_free (*nodes)[SCHED_NODES_MAX];
    struct sched_host *specs;
    struct sched_used *used;

    uint32_t *rack_next, *rack_first; /* lists of hosts by rack; UINT32_MAX ends one */
    uint32_t *rack_vms;               /* scratch: members of a group by rack, else 0 */

    struct sched_bitmap live, enabled, everybody; /* everybody: dedicated to no project */
    struct sched_bitmap zones[SCHED_ZONES_MAX];
    struct sched_bitmap traits[SCHED_LABELS_MAX], aggregates[SCHED_LABELS_MAX];
    struct sched_project *projects;
    size_t n_projects;

    struct sched_group *groups; /* by number */
    size_t n_groups;

    struct sched_weights weights;
    struct sched_class classes[SCHED_CLASSES];
    unsigned n_classes;

    struct sched_bitmap candidates, only, group_bits; /* scratch of one search */
};

static inline bool sched_bit(const uint64_t *words, uint32_t i)
{
    return words && words[i / 64] >> (i % 64) & 1;
}

static inline bool sched_exists(const struct sched *s, uint32_t host)
{
    return host < s->limit && sched_bit(s->live.words, host);
}

/* A request as the filters see it: checked, with what follows from it worked out once. */
struct sched_query {
    struct sched *s;
    const struct sched_request *r;
    int32_t need[SCHED_DIMS]; /* no host that fits has less; exact but for whole vCPUs */
    bool whole;               /* vCPUs cost the host's ratio each */
    bool placed;              /* on NUMA nodes */
    uint32_t checks;          /* filters that the index does not prove, bit = place in the table */
    unsigned n_nodes;
    struct sched_node per_node;
    const struct sched_project *project; /* that has had hosts of its own, or NULL */
    const struct sched_group *group;     /* or NULL */
};

/* sched_filter.c: the filters, in the order in which they are explained. Exactly one of mask and
 * check is set. To add one: a line in the table, its functions, SCHED_FILTERS. */
struct sched_filter {
    const char *name, *people; /* a stable word; "N ..." for people */
    bool (*applies)(const struct sched_query *q);
    /* Clears the bits of hosts that it turns away, in words first .. first + n - 1 (of the
     * snapshot's bitmaps; bits[0] is word `first`). */
    void (*mask)(const struct sched_query *q, uint64_t *bits, size_t first, size_t n);
    /* Whether one host passes; fills the numbers of *why when not. */
    bool (*check)(const struct sched_query *q, uint32_t host, struct sched_refusal *why);
    /* Whether it only compares q->need[dim], so that the index has done it; NULL: never. */
    bool (*indexed)(const struct sched_query *q);
    enum sched_dim dim;
};
extern const struct sched_filter sched_filters[SCHED_FILTERS];

int sched_query_init(struct sched_query *q, struct sched *s, const struct sched_request *r,
                     struct err *err);
/* The same after claims have moved the group's members. */
void sched_query_refresh(const struct sched_query *q);
/* Hosts that pass every mask, into s->candidates. */
void sched_query_candidates(const struct sched_query *q);
/* Whether a candidate that has q->need passes what the index does not know. */
bool sched_query_passes(const struct sched_query *q, uint32_t host);
void sched_query_count(const struct sched_query *q, struct sched_refusals *refusals);

/* sched_claim.c */
int sched_need_check(const struct sched *s, const struct sched_need *need, struct err *err);
/* The part of a need that each of its NUMA nodes bears; false if it floats. */
bool sched_need_nodes(const struct sched_need *need, unsigned *n_nodes, struct sched_node *each);
/* The NUMA nodes that hold it best (fewest cores left), as bits; 0: not so many do. *fitting
 * receives how many would. */
uint8_t sched_pick_nodes(const struct sched *s, uint32_t host, unsigned n,
                         const struct sched_node *each, unsigned *fitting);
/* Takes (sign 1) or gives back (-1) without a question. Errors: ENOMEM, only when taking. */
int sched_apply(struct sched *s, const struct sched_need *need, const struct sched_choice *choice,
                int sign);

/* sched_label.c: the bitmaps' size; what they and the racks' lists know of a host. */
int sched_bitmaps_grow(struct sched *s, size_t words);
void sched_bitmaps_free(struct sched *s);
int sched_label(struct sched *s, uint32_t host, const struct sched_host *h);
void sched_unlabel(struct sched *s, uint32_t host, const struct sched_host *h);

/* sched_host.c: recomputes what is free and moves the host in the index. */
int sched_refresh(struct sched *s, uint32_t host);

/* sched_group.c */
int sched_group_add(struct sched *s, uint32_t group, uint32_t host);
void sched_group_remove(struct sched *s, uint32_t group, uint32_t host);
void sched_group_fini(struct sched_group *g);
/* s->group_bits = hosts in whose scope (host, rack) at least `least` and at most `most` members
 * are. */
void sched_group_mask(struct sched *s, const struct sched_group *g, uint32_t least, uint32_t most);
/* The least number of members that some scope has of those above `than`, or (down) the most of
 * those below; 0 if there is none. */
uint32_t sched_group_next(struct sched *s, const struct sched_group *g, uint32_t than, bool down);

#endif
