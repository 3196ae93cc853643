/* A scheduler that is plainly right and slow: it keeps the list of claims, adds them up for each
 * question, and looks at every host in turn. The random test compares src/mgmt/sched with it. */
#ifndef TESTS_UNIT_MGMT_SCHED_REFERENCE_H
#define TESTS_UNIT_MGMT_SCHED_REFERENCE_H

#include "mgmt/sched/sched.h"

#define REF_HOSTS  500
#define REF_CLAIMS 5000
#define REF_GROUPS 8

struct ref_claim {
    struct sched_need need;
    struct sched_choice where;
};

struct ref_group {
    bool known;
    enum sched_affinity affinity;
    enum sched_scope scope;
    uint32_t most; /* 0 is 1 */
};

struct ref_free {
    int64_t cpu, memory, disk;
    int64_t cores[SCHED_NODES_MAX], node_memory[SCHED_NODES_MAX];
    int64_t pages_2m[SCHED_NODES_MAX], pages_1g[SCHED_NODES_MAX];
};

struct ref {
    bool live[REF_HOSTS];
    struct sched_host hosts[REF_HOSTS];
    struct ref_claim claims[REF_CLAIMS];
    unsigned n_claims;
    struct ref_group groups[REF_GROUPS];
    int64_t weight_cpu, weight_memory;
};

struct ref_candidate {
    int64_t level, score, key;
    uint32_t host;
    uint8_t nodes;
};

struct ref_answer {
    struct sched_refusals refusals;
    struct ref_candidate fit[REF_HOSTS]; /* best first */
    struct sched_refusal why[REF_HOSTS]; /* by host; the first filter only */
};

void ref_free_of(const struct ref *ref, uint32_t host, struct ref_free *out);
void ref_place(const struct ref *ref, const struct sched_request *r, struct ref_answer *out);

#endif
