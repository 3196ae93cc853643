/* Random fleets, requests, claims and releases: the scheduler answers what the reference does. */
#include <errno.h>
#include <inttypes.h>

#include "base/err.h"
#include "base/util.h"
#include "mgmt/sched/sched_internal.h"
#include "mgmt_sched/reference.h"
#include "tap.h"

static uint64_t state;

static uint32_t roll(uint32_t below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)((state >> 33) % below);
}

static bool one_in(uint32_t n)
{
    return roll(n) == 0;
}

/* What a fleet is like: how varied, how large. */
struct fleet {
    bool same, labels, nodes;
    uint32_t hosts;
};

static struct ref ref, ref_sim;
static struct ref_answer answer;
static struct sched *s;

static struct sched_host random_host(const struct fleet *fleet)
{
    static const uint32_t ratios[] = {100, 150, 200, 400, 1600, 50, 75, 125, 300, 800, 250, 6400};
    struct sched_host h = {.cores = 64,
                           .memory_mib = 65536,
                           .disk_gib = 500,
                           .cpu_ratio_percent = 100,
                           .memory_ratio_percent = 100,
                           .disk_ratio_percent = 100};
    if (!fleet->same) {
        h.cores = 8 + roll(57);
        h.memory_mib = 4096 + roll(262144);
        h.disk_gib = 100 + roll(1000);
        h.reserved_cores = roll(4);
        h.reserved_memory_mib = roll(5000);
        h.reserved_disk_gib = roll(120);
        h.cpu_ratio_percent = ratios[roll(fleet->hosts == 150 ? 3 : 12)];
        h.memory_ratio_percent = one_in(3) ? 100 + roll(80) : 100;
        h.disk_ratio_percent = one_in(3) ? 120 : 100;
    }
    if (fleet->nodes) {
        h.n_nodes = roll(SCHED_NODES_MAX + 1);
        for (unsigned i = 0; i < h.n_nodes; i++)
            h.nodes[i] =
                (struct sched_node){roll(33), 1024 * roll(33), one_in(2) ? 512 * roll(40) : 0,
                                    one_in(3) ? roll(20) : 0};
    }
    if (fleet->labels) {
        h.zone = roll(4);
        h.rack = roll(9);
        h.project = one_in(6) ? 1 + roll(3) : 0;
        h.state = one_in(8) ? SCHED_DRAINING : one_in(9) ? SCHED_DOWN : SCHED_ENABLED;
        for (unsigned i = 0; i < 5; i++) {
            h.traits[roll(2)] |= (uint64_t)roll(2) << roll(4);
            h.aggregates[roll(4)] |= (uint64_t)roll(2) << roll(3);
        }
    }
    return h;
}

static struct sched_need random_need(const struct fleet *fleet)
{
    struct sched_need n = {.vcpus = 1 + roll(one_in(5) ? 32 : 8),
                           .memory_mib = 1024 * (1 + roll(one_in(5) ? 64 : 16)),
                           .disk_gib = one_in(2) ? roll(60) : 0};
    if (!fleet->same && one_in(3))
        n.memory_mib += 8 * roll(100);
    if (!fleet->same && one_in(4))
        n.cpu = SCHED_GUARANTEED;
    if (fleet->nodes && one_in(3)) {
        n.cpu = (enum sched_cpu)roll(3);
        n.pages = (enum sched_pages)roll(3);
        n.numa_nodes = one_in(2) ? 0 : 1 + roll(3);
        n.vcpus = MAX(n.numa_nodes, 1) * (1 + roll(8));
        n.memory_mib = MAX(n.numa_nodes, 1) * 1024 * roll(8);
    }
    n.group = one_in(3) ? 1 + roll(REF_GROUPS - 1) : 0;
    if (n.group && !ref.groups[n.group].known)
        n.group = 0;
    return n;
}

static uint32_t some_hosts[2][6];

static struct sched_request random_request(const struct fleet *fleet)
{
    struct sched_request r = {.need = random_need(fleet),
                              .policy = (enum sched_policy)roll(3),
                              .alternates = one_in(2) ? roll(SCHED_ALTERNATES_MAX + 1) : 0,
                              .among = one_in(3) ? roll(SCHED_AMONG_MAX + 1) : 0};
    for (unsigned i = 0; i < 12; i++)
        some_hosts[i / 6][i % 6] = roll(fleet->hosts + 2);
    r.only = some_hosts[0];
    r.never = some_hosts[1];
    r.n_only = one_in(8) ? roll(7) : 0;
    r.n_never = one_in(4) ? roll(7) : 0;
    r.project = roll(5);
    if (fleet->labels && one_in(2)) {
        r.zone = roll(5);
        r.traits[0] = one_in(2) ? roll(4) : 0;
        r.traits[1] = one_in(4) ? 1 : 0;
        r.in_aggregates[0] = one_in(3) ? roll(4) : 0;
        r.not_in_aggregates[roll(4)] = one_in(3) ? roll(8) : 0;
    }
    if (one_in(5)) {
        r.count = 1 + roll(one_in(4) ? SCHED_COUNT_MAX : 8);
        r.best_effort = one_in(2);
    }
    return r;
}

/* ---- the same done to both ---- */

static void add_host(const struct fleet *fleet)
{
    struct sched_host h = random_host(fleet);
    uint32_t host = UINT32_MAX;
    CHECK_EQ(sched_add(s, &h, &host, NULL), 0);
    REQUIRE(host < REF_HOSTS && !ref.live[host]);
    ref.live[host] = true;
    ref.hosts[host] = h;
}

static unsigned claims_on(uint32_t host)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ref.n_claims; i++)
        n += ref.claims[i].where.host == host;
    return n;
}

static void change_host(const struct fleet *fleet)
{
    uint32_t host = roll(fleet->hosts);
    struct sched_host h = random_host(fleet);
    if (!ref.live[host]) {
        CHECK_EQ(sched_update(s, host, &h, NULL), -ENOENT);
        return;
    }
    if (one_in(3)) {
        bool busy = claims_on(host) > 0;
        CHECK_EQ(sched_remove(s, host, NULL), busy ? -EBUSY : 0);
        ref.live[host] = busy;
        return;
    }
    h.generation = ref.hosts[host].generation;
    uint8_t gone = (uint8_t)(0xff << h.n_nodes), busy = 0;
    for (unsigned i = 0; i < ref.n_claims; i++)
        if (ref.claims[i].where.host == host && ref.claims[i].need.memory_mib)
            busy |= ref.claims[i].where.nodes & gone;
    for (unsigned i = 0; i < ref.n_claims; i++)
        if (ref.claims[i].where.host == host && ref.claims[i].need.cpu == SCHED_DEDICATED)
            busy |= ref.claims[i].where.nodes & gone;
    CHECK_EQ(sched_update(s, host, &h, NULL), busy ? -EBUSY : 0);
    if (!busy)
        ref.hosts[host] = h;
}

static void record(struct ref *into, const struct sched_need *need, const struct sched_choice *at)
{
    if (into->n_claims < REF_CLAIMS)
        into->claims[into->n_claims++] = (struct ref_claim){*need, *at};
    into->hosts[at->host].generation++;
}

static void release_one(void)
{
    if (!ref.n_claims)
        return;
    unsigned i = roll(ref.n_claims);
    struct ref_claim c = ref.claims[i];
    if (c.where.nodes >> ref.hosts[c.where.host].n_nodes) /* its node went, unused */
        return;
    CHECK_EQ(sched_release(s, &c.need, &c.where, NULL), 0);
    ref.claims[i] = ref.claims[--ref.n_claims];
}

/* ---- comparisons ---- */

static void compare_choice(const struct sched_choice *c, const struct ref_candidate *x,
                           const struct ref *with)
{
    CHECK_EQ(c->host, x->host);
    CHECK_EQ(c->nodes, x->nodes);
    CHECK_EQ(c->generation, with->hosts[x->host].generation);
}

static void compare_refusals(const struct sched_refusals *a, const struct sched_refusals *b)
{
    CHECK_EQ(a->hosts, b->hosts);
    CHECK_EQ(a->fit, b->fit);
    for (unsigned f = 0; f < SCHED_FILTERS; f++)
        CHECK_EQ(a->by_filter[f], b->by_filter[f]);
}

static void compare_hosts(const struct sched_request *r)
{
    struct sched_request copy = *r;
    struct sched_refusals counts;
    CHECK_EQ(sched_explain(s, &copy, &counts, NULL), 0);
    compare_refusals(&counts, &answer.refusals);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t host = roll(REF_HOSTS);
        struct sched_refusal why;
        if (!ref.live[host])
            continue;
        CHECK_EQ(sched_explain_host(s, r, host, &why, NULL), 0);
        CHECK_EQ(why.filter, answer.why[host].filter);
        CHECK_EQ(why.need, answer.why[host].need);
        CHECK_EQ(why.free, answer.why[host].free);
    }
}

/* The place among equally good hosts that was picked; the first if none of them was. */
static unsigned picked(const struct sched_request *r, uint32_t host)
{
    unsigned n = MIN(MAX(r->among, 1), answer.refusals.fit);
    for (unsigned i = 0; i < n; i++)
        if (answer.fit[i].host == host && answer.fit[i].score == answer.fit[0].score &&
            answer.fit[i].level == answer.fit[0].level)
            return i;
    return 0;
}

static void compare_alternates(const struct sched_request *r, const struct sched_result *got,
                               const struct ref *with)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < answer.refusals.fit && n < r->alternates; i++) {
        bool chosen = false;
        for (uint32_t c = 0; c < got->n_chosen; c++)
            chosen |= got->chosen[c].host == answer.fit[i].host;
        if (chosen)
            continue;
        if (n < got->n_alternates)
            compare_choice(&got->alternates[n], &answer.fit[i], with);
        n++;
    }
    CHECK_EQ(got->n_alternates, n);
}

/* Places in both; the VMs are recorded in `ref_sim` as the batch goes on. */
static int compare_place(const struct sched_request *r, struct sched_result *got)
{
    uint32_t count = MAX(r->count, 1), fitted = 0;
    struct err err;
    int result = sched_place(s, r, state, got, &err);
    ref_sim = ref;
    for (; fitted < count; fitted++) {
        ref_place(&ref_sim, r, &answer);
        if (!answer.refusals.fit)
            break;
        uint32_t host = fitted < got->n_chosen ? got->chosen[fitted].host : answer.fit[0].host;
        const struct ref_candidate *x = &answer.fit[picked(r, host)];
        struct sched_choice at = {.host = x->host, .nodes = x->nodes};
        if (fitted < got->n_chosen)
            compare_choice(&got->chosen[fitted], x, &ref_sim);
        else
            CHECK(fitted < count && !got->n_chosen && !r->best_effort);
        if (count > 1)
            record(&ref_sim, &r->need, &at);
    }
    CHECK_EQ(result, fitted == count || (fitted && r->best_effort) ? 0 : -ENOSPC);
    if (r->among <= 1 || count == 1 || !result)
        CHECK_EQ(got->fitted, fitted);
    if (!result && fitted == count) {
        if (count > 1)
            ref_place(&ref_sim, r, &answer);
        compare_alternates(r, got, &ref_sim);
    } else if (r->among <= 1 || count == 1 || !result) {
        compare_refusals(&got->refusals, &answer.refusals);
    }
    return result;
}

static void compare_free(void)
{
    for (uint32_t h = 0; h < REF_HOSTS; h++) {
        struct ref_free want;
        struct sched_free got;
        if (!ref.live[h])
            continue;
        ref_free_of(&ref, h, &want);
        CHECK_EQ(sched_free(s, h, &got), 0);
        CHECK_EQ(got.cpu_hundredths, want.cpu);
        CHECK_EQ(got.memory_mib, want.memory);
        CHECK_EQ(got.disk_gib, want.disk);
        CHECK_EQ(got.claims, claims_on(h));
        CHECK_EQ(sched_host(s, h)->generation, ref.hosts[h].generation);
        for (unsigned i = 0; i < ref.hosts[h].n_nodes; i++) {
            CHECK_EQ(got.node_cores[i], want.cores[i]);
            CHECK_EQ(got.node_memory_mib[i], want.node_memory[i]);
        }
    }
}

/* ---- runs ---- */

static void step(const struct fleet *fleet)
{
    struct sched_request r = random_request(fleet);
    struct sched_result got;
    if (!compare_place(&r, &got)) {
        ref_place(&ref, &r, &answer);
        compare_hosts(&r);
        for (uint32_t i = 0; i < got.n_chosen && !one_in(6); i++) {
            CHECK_EQ(sched_claim(s, &r.need, &got.chosen[i], NULL), 0);
            record(&ref, &r.need, &got.chosen[i]);
        }
    }
    if (one_in(30))
        change_host(fleet);
    for (unsigned n = roll(4); n && ref.n_claims > 3 * fleet->hosts; n--)
        release_one();
    while (ref.n_claims > 8 * fleet->hosts + 100)
        release_one();
    if (one_in(40)) {
        uint32_t group = 1 + roll(REF_GROUPS - 1);
        ref.groups[group] = (struct ref_group){true, (enum sched_affinity)roll(4),
                                               (enum sched_scope)roll(2), one_in(2) ? 1 : roll(5)};
        sched_group_set(s, group, ref.groups[group].affinity, ref.groups[group].scope,
                        ref.groups[group].most, NULL);
    }
    if (one_in(100)) {
        CHECK_EQ(sched_weigh(s, NULL), 0);
        ref.weight_cpu = s->weights.cpu;
        ref.weight_memory = s->weights.memory;
    }
}

static void run(const struct fleet *fleet, uint64_t seed, unsigned steps)
{
    state = seed;
    memset(&ref, 0, sizeof(ref));
    ref.weight_cpu = 4096;
    ref.weight_memory = 100;
    s = sched_create();
    REQUIRE(s);
    for (uint32_t h = 0; h < fleet->hosts; h++)
        add_host(fleet);
    for (unsigned i = 0; i < steps && !tap_case_failures; i++)
        step(fleet);
    if (tap_case_failures)
        printf("# hosts %u same %d labels %d nodes %d seed %" PRIu64 "\n", fleet->hosts,
               fleet->same, fleet->labels, fleet->nodes, seed);
    unsigned live = 0;
    for (uint32_t h = 0; h < REF_HOSTS; h++)
        live += ref.live[h];
    for (unsigned c = 0; c < s->n_classes; c++)
        live -= (unsigned)sched_index_verify(s->classes[c].index);
    CHECK_EQ(live, 0);
    compare_free();
    sched_destroy(s);
}

static void runs(bool same, bool labels, bool nodes)
{
    static const uint32_t sizes[] = {1, 3, 12, 60, 150, 400};
    for (unsigned i = 0; i < ARRAY_LEN(sizes) && !tap_case_failures; i++) {
        struct fleet fleet = {same, labels, nodes, sizes[i]};
        for (uint64_t seed = 1; seed <= 2 && !tap_case_failures; seed++)
            run(&fleet, seed * 1000 + i, 30 + 12000 / (40 + sizes[i]));
    }
}

static void equal_hosts_are_placed_as_the_reference_does(void)
{
    runs(true, false, false);
}

static void varied_hosts_are_placed_as_the_reference_does(void)
{
    runs(false, false, false);
}

static void labelled_hosts_are_placed_as_the_reference_does(void)
{
    runs(true, true, false);
    runs(false, true, false);
}

static void numa_nodes_are_placed_as_the_reference_does(void)
{
    runs(true, false, true);
    runs(false, true, true);
}

int main(void)
{
    TAP_RUN(equal_hosts_are_placed_as_the_reference_does);
    TAP_RUN(varied_hosts_are_placed_as_the_reference_does);
    TAP_RUN(labelled_hosts_are_placed_as_the_reference_does);
    TAP_RUN(numa_nodes_are_placed_as_the_reference_does);
    return tap_done();
}
