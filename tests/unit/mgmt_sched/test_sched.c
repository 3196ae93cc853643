#include "mgmt/sched/sched.h"

#include "mgmt_sched/fleet.h"
#include "tap.h"

/* ---- filters ---- */

static void each_label_filter_turns_away_what_it_should(void)
{
    struct sched *s = sched_create();
    struct sched_host h = fleet_host();
    struct sched_request r = fleet_request(1, 1024);
    h.zone = 1;
    h.traits[3] = UINT64_C(1) << 63;
    h.aggregates[0] = 3;
    uint32_t full = fleet_add(s, h);
    h.aggregates[0] = 1;
    h.project = 9;
    uint32_t own = fleet_add(s, h);
    CHECK_EQ(fleet_refused(s, &r, "project"), 1);
    r.project = 9;
    CHECK_EQ(fleet_refused(s, &r, "project"), 0);
    r.zone = 2;
    CHECK_EQ(fleet_refused(s, &r, "zone"), 2);
    r.zone = 1;
    CHECK_EQ(fleet_refused(s, &r, "zone"), 0);
    r.traits[3] = UINT64_C(1) << 63;
    CHECK_EQ(fleet_refused(s, &r, "traits"), 0);
    r.traits[0] = 1;
    CHECK_EQ(fleet_refused(s, &r, "traits"), 2);
    r.traits[0] = 0;
    r.in_aggregates[0] = 2;
    CHECK_EQ(fleet_refused(s, &r, "aggregates"), 1);
    r.in_aggregates[0] = 0;
    r.not_in_aggregates[0] = 2;
    CHECK_EQ(fleet_refused(s, &r, "not-aggregates"), 1);
    CHECK_EQ(fleet_place(s, &r), own);
    r.not_in_aggregates[0] = 0;
    r.only = &full;
    r.n_only = 1;
    CHECK_EQ(fleet_refused(s, &r, "only"), 1);
    CHECK_EQ(fleet_place(s, &r), full);
    r.never = &full;
    r.n_never = 1;
    CHECK_EQ(fleet_refused(s, &r, "never"), 1);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    sched_destroy(s);
}

static void only_enabled_hosts_take_vms(void)
{
    struct sched *s = fleet_of(3);
    struct sched_host h = fleet_host();
    struct sched_request r = fleet_request(1, 1024);
    h.state = SCHED_DRAINING;
    CHECK_EQ(sched_update(s, 0, &h, NULL), 0);
    h.state = SCHED_DOWN;
    CHECK_EQ(sched_update(s, 1, &h, NULL), 0);
    CHECK_EQ(fleet_refused(s, &r, "state"), 2);
    CHECK_EQ(fleet_place(s, &r), 2);
    h.state = SCHED_ENABLED;
    CHECK_EQ(sched_update(s, 0, &h, NULL), 0);
    CHECK_EQ(fleet_refused(s, &r, "state"), 1);
    sched_destroy(s);
}

static void resources_are_taken_to_the_last_unit(void)
{
    struct sched *s = fleet_of(1);
    struct sched_request r = fleet_request(16, 65536);
    r.need.disk_gib = 101;
    CHECK_EQ(fleet_refused(s, &r, "disk"), 1);
    r.need.disk_gib = 100;
    r.need.memory_mib = 65537;
    CHECK_EQ(fleet_refused(s, &r, "memory"), 1);
    r.need.memory_mib = 65536;
    r.need.vcpus = 17;
    CHECK_EQ(fleet_refused(s, &r, "vcpus"), 1);
    r.need.vcpus = 16;
    CHECK_EQ(fleet_place(s, &r), 0);
    r = fleet_request(1, 0);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    sched_destroy(s);
}

/* ---- processors, memory, nodes ---- */

static void a_dedicated_core_takes_its_share_of_the_overcommitted_pool(void)
{
    struct sched *s = sched_create();
    struct sched_host h = fleet_host();
    struct sched_free left;
    h.cpu_ratio_percent = 150;
    h.reserved_cores = 2;
    fleet_add(s, h); /* 14 cores: 21 vCPUs */
    struct sched_request shared = fleet_request(1, 0), whole = fleet_request(8, 0);
    whole.need.cpu = SCHED_DEDICATED;
    CHECK_EQ(fleet_place(s, &whole), 0); /* 12 of 21 */
    sched_free(s, 0, &left);
    CHECK_EQ(left.cpu_hundredths, 900);
    whole.need.vcpus = 7;
    whole.need.cpu = SCHED_GUARANTEED;
    CHECK_EQ(fleet_place(s, &whole), -ENOSPC); /* 10.5 of 9 */
    for (unsigned i = 0; i < 9; i++)
        CHECK_EQ(fleet_place(s, &shared), 0);
    CHECK_EQ(fleet_place(s, &shared), -ENOSPC);
    sched_destroy(s);
}

static void dedicated_cores_are_of_one_node_or_evenly_of_several(void)
{
    struct sched *s = fleet_of(1);
    struct sched_request r = fleet_request(10, 4096);
    struct sched_result got;
    r.need.cpu = SCHED_DEDICATED;
    CHECK_EQ(fleet_refused(s, &r, "numa"), 1);
    r.need.numa_nodes = 2;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.chosen[0].nodes, 3);
    CHECK_EQ(sched_claim(s, &r.need, &got.chosen[0], NULL), 0);
    struct sched_free left;
    sched_free(s, 0, &left);
    CHECK_EQ(left.node_cores[0], 3);
    CHECK_EQ(left.node_cores[1], 3);
    CHECK_EQ(left.node_memory_mib[1], 32768 - 2048);
    r.need.vcpus = 9;
    CHECK_EQ(fleet_place(s, &r), -EINVAL);
    CHECK_EQ(sched_release(s, &r.need, &got.chosen[0], NULL), -EINVAL);
    r.need.vcpus = 10;
    CHECK_EQ(sched_release(s, &r.need, &got.chosen[0], NULL), 0);
    sched_free(s, 0, &left);
    CHECK_EQ(left.node_cores[1], 8);
    sched_destroy(s);
}

static void the_fuller_node_is_taken_first(void)
{
    struct sched *s = fleet_of(1);
    struct sched_request r = fleet_request(2, 1024);
    struct sched_choice second = {.host = 0, .nodes = 2};
    struct sched_result got;
    r.need.cpu = SCHED_DEDICATED;
    CHECK_EQ(sched_claim(s, &r.need, &second, NULL), 0);
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.chosen[0].nodes, 2);
    r.need.vcpus = 7;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.chosen[0].nodes, 1);
    sched_destroy(s);
}

static void huge_pages_are_a_pool_of_their_own(void)
{
    struct sched *s = sched_create();
    struct sched_host h = fleet_host();
    struct sched_request r = fleet_request(1, 4096);
    struct sched_free left;
    h.nodes[1].pages_2m = 2048;
    h.nodes[0].pages_1g = 3;
    fleet_add(s, h);
    r.need.pages = SCHED_PAGES_1G;
    CHECK_EQ(fleet_refused(s, &r, "numa"), 1);
    r.need.pages = SCHED_PAGES_2M;
    CHECK_EQ(fleet_place(s, &r), 0);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    r.need.pages = SCHED_PAGES_1G;
    r.need.memory_mib = 3072;
    CHECK_EQ(fleet_place(s, &r), 0);
    sched_free(s, 0, &left);
    CHECK_EQ(left.memory_mib, 65536);
    CHECK_EQ(left.node_pages_2m[1], 0);
    CHECK_EQ(left.node_pages_1g[0], 0);
    r.need.memory_mib = 3000;
    CHECK_EQ(fleet_place(s, &r), -EINVAL);
    sched_destroy(s);
}

static void capacities_do_not_overflow(void)
{
    struct sched *s = sched_create();
    struct sched_host h = fleet_host();
    struct sched_free left;
    uint32_t host;
    h.memory_mib = UINT32_MAX;
    CHECK_EQ(sched_add(s, &h, &host, NULL), -ERANGE);
    h.memory_mib = INT32_MAX;
    h.memory_ratio_percent = 101;
    CHECK_EQ(sched_add(s, &h, &host, NULL), -ERANGE);
    h.memory_ratio_percent = 100;
    h.cores = SCHED_CORES_MAX;
    h.cpu_ratio_percent = SCHED_RATIO_MAX;
    h.disk_gib = 1;
    h.reserved_disk_gib = UINT32_MAX; /* more than there is: nothing left */
    CHECK_EQ(sched_add(s, &h, &host, NULL), 0);
    sched_free(s, host, &left);
    CHECK_EQ(left.cpu_hundredths, SCHED_CORES_MAX * SCHED_RATIO_MAX);
    CHECK_EQ(left.memory_mib, INT32_MAX);
    CHECK_EQ(left.disk_gib, 0);
    struct sched_need need = {.vcpus = SCHED_VCPUS_MAX,
                              .memory_mib = INT32_MAX,
                              .disk_gib = INT32_MAX,
                              .cpu = SCHED_GUARANTEED};
    struct sched_choice at = {.host = host};
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(sched_adopt(s, &need, &at, NULL), 0);
    sched_free(s, host, &left);
    CHECK(left.memory_mib < 0 && left.disk_gib < 0 && left.cpu_hundredths < 0);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(sched_release(s, &need, &at, NULL), 0);
    sched_free(s, host, &left);
    CHECK_EQ(left.memory_mib, INT32_MAX);
    need.numa_nodes = 1;
    at.nodes = 1;
    CHECK_EQ(sched_adopt(s, &need, &at, NULL), -ERANGE);
    h.cpu_ratio_percent = SCHED_RATIO_MAX + 1;
    CHECK_EQ(sched_add(s, &h, &host, NULL), -EINVAL);
    sched_destroy(s);
}

/* ---- the snapshot ---- */

static void a_host_that_shrinks_keeps_its_vms_and_takes_no_more(void)
{
    struct sched *s = fleet_of(1);
    struct sched_request r = fleet_request(8, 32768);
    struct sched_host h = fleet_host();
    struct sched_free left;
    CHECK_EQ(fleet_place(s, &r), 0);
    h.cores = 4;
    h.memory_mib = 16384;
    CHECK_EQ(sched_update(s, 0, &h, NULL), 0);
    sched_free(s, 0, &left);
    CHECK_EQ(left.cpu_hundredths, -400);
    CHECK_EQ(left.memory_mib, -16384);
    r = fleet_request(1, 0);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    h = fleet_host();
    h.cpu_ratio_percent = 200;
    CHECK_EQ(sched_update(s, 0, &h, NULL), 0);
    sched_free(s, 0, &left);
    CHECK_EQ(left.cpu_hundredths, 2400);
    CHECK_EQ(left.memory_mib, 32768);
    sched_destroy(s);
}

static void numbers_of_removed_hosts_are_given_again(void)
{
    struct sched *s = fleet_of(70);
    struct sched_request r = fleet_request(1, 1024);
    struct sched_choice at = {.host = 5};
    CHECK_EQ(sched_claim(s, &r.need, &at, NULL), 0);
    CHECK_EQ(sched_remove(s, 5, NULL), -EBUSY);
    CHECK_EQ(sched_release(s, &r.need, &at, NULL), 0);
    CHECK_EQ(sched_remove(s, 5, NULL), 0);
    CHECK_EQ(sched_remove(s, 5, NULL), -ENOENT);
    CHECK(!sched_host(s, 5));
    CHECK_EQ(sched_claim(s, &r.need, &at, NULL), -ENOENT);
    r.only = &at.host;
    r.n_only = 1;
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    CHECK_EQ(fleet_add(s, fleet_host()), 5);
    CHECK_EQ(fleet_place(s, &r), 5);
    CHECK_EQ(sched_limit(s), 70);
    sched_destroy(s);
}

static void claims_are_guarded_by_generation_and_room(void)
{
    struct sched *s = fleet_of(1);
    struct sched_request r = fleet_request(10, 1024);
    struct sched_result got;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(sched_claim(s, &r.need, &got.chosen[0], NULL), 0);
    CHECK_EQ(sched_host(s, 0)->generation, 1);
    CHECK_EQ(sched_claim(s, &r.need, &got.chosen[0], NULL), -EAGAIN);
    got.chosen[0].generation = 1;
    CHECK_EQ(sched_claim(s, &r.need, &got.chosen[0], NULL), -ENOSPC);
    got.chosen[0].nodes = 1;
    CHECK_EQ(sched_claim(s, &r.need, &got.chosen[0], NULL), -EINVAL);
    got.chosen[0].nodes = 0;
    CHECK_EQ(sched_release(s, &r.need, &got.chosen[0], NULL), 0);
    CHECK_EQ(sched_release(s, &r.need, &got.chosen[0], NULL), -ENOENT);
    CHECK_EQ(sched_host(s, 0)->generation, 1);
    sched_destroy(s);
}

static void an_empty_fleet_has_no_room(void)
{
    struct sched *s = sched_create();
    struct sched_request r = fleet_request(1, 1024);
    struct sched_result got;
    struct err err;
    CHECK_EQ(sched_place(s, &r, 0, &got, &err), -ENOSPC);
    CHECK_STR(err.msg, "no host fits: of 0 hosts");
    CHECK_EQ(sched_weigh(s, NULL), 0);
    r.need.vcpus = 0;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), -EINVAL);
    sched_destroy(s);
    sched_destroy(NULL);
}

/* ---- scores and seeds ---- */

/* Hosts with so many vCPUs and GiB left. */
static struct sched *with_left(const uint32_t (*left)[2], unsigned n)
{
    struct sched *s = sched_create();
    for (unsigned i = 0; i < n; i++) {
        struct sched_host h = fleet_host();
        h.cores = left[i][0];
        h.memory_mib = 1024 * left[i][1];
        fleet_add(s, h);
    }
    return s;
}

static void best_fit_leaves_least_and_spread_most(void)
{
    static const uint32_t left[][2] = {{8, 32}, {4, 16}, {3, 64}, {16, 64}};
    struct sched *s = with_left(left, 4);
    struct sched_request r = fleet_request(4, 8192);
    CHECK_EQ(fleet_place(s, &r), 1);
    r.policy = SCHED_SPREAD;
    CHECK_EQ(fleet_place(s, &r), 3);
    sched_destroy(s);
}

static void balanced_prefers_the_host_whose_rest_stays_in_proportion(void)
{
    static const uint32_t left[][2] = {{6, 16}, {4, 28}};
    struct sched *s = with_left(left, 2);
    struct sched_request r = fleet_request(2, 16384); /* 8 GiB a vCPU */
    CHECK_EQ(fleet_place(s, &r), 0);                  /* 4 vCPUs left without memory: less in sum */
    sched_destroy(s);
    s = with_left(left, 2);
    r.policy = SCHED_BALANCED;
    CHECK_EQ(fleet_place(s, &r), 1);
    sched_destroy(s);
}

static void equal_hosts_of_two_ratios_are_taken_in_order(void)
{
    struct sched *s = sched_create();
    struct sched_request r = fleet_request(2, 1024);
    struct sched_result got;
    for (uint32_t i = 0; i < 200; i++) { /* more than are looked at one by one */
        struct sched_host h = fleet_host();
        h.cores = i % 3 ? 16 : 8; /* as much free, in different indexes */
        h.cpu_ratio_percent = i % 3 ? 100 : 200;
        fleet_add(s, h);
    }
    r.alternates = 7;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.chosen[0].host, 0);
    for (uint32_t i = 0; i < 7; i++)
        CHECK_EQ(got.alternates[i].host, i + 1);
    r.policy = SCHED_SPREAD;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.chosen[0].host, 199);
    for (uint32_t i = 0; i < 7; i++)
        CHECK_EQ(got.alternates[i].host, 198 - i);
    sched_destroy(s);
}

static void the_seed_picks_among_equals_and_nothing_else_does(void)
{
    struct sched *s = fleet_of(8);
    struct sched_request r = fleet_request(1, 1024);
    struct sched_result got, again;
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        r.among = 5;
        CHECK_EQ(sched_place(s, &r, seed, &got, NULL), 0);
        CHECK_EQ(sched_place(s, &r, seed, &again, NULL), 0);
        CHECK(!memcmp(&got, &again, sizeof(got)));
        CHECK(got.chosen[0].host < 5);
        seen |= 1U << got.chosen[0].host;
        r.among = 0;
        CHECK_EQ(sched_place(s, &r, seed, &got, NULL), 0);
        CHECK_EQ(got.chosen[0].host, 0);
    }
    CHECK_EQ(seen, 31);
    CHECK_EQ(fleet_place(s, &r), 0); /* now host 0 is the one best fit: no equals */
    r.among = 5;
    for (uint64_t seed = 0; seed < 20; seed++) {
        CHECK_EQ(sched_place(s, &r, seed, &got, NULL), 0);
        CHECK_EQ(got.chosen[0].host, 0);
    }
    sched_destroy(s);
}

/* ---- words ---- */

static void an_explanation_reads_well(void)
{
    struct sched *s = fleet_of(3);
    struct sched_host h = fleet_host();
    struct sched_request r = fleet_request(2, 70000);
    struct sched_refusal why;
    struct sched_refusals counts;
    char text[200];
    h.state = SCHED_DOWN;
    sched_update(s, 1, &h, NULL);
    CHECK_EQ(sched_explain(s, &r, &counts, NULL), 0);
    sched_refusals_text(&counts, text, sizeof(text));
    CHECK_STR(text, "3 hosts: 1 not enabled (state), 2 with too little memory free (memory)");
    CHECK_EQ(sched_refusals_text(&counts, text, 10), 70);
    CHECK_STR(text, "3 hosts: ");
    CHECK_EQ(sched_explain_host(s, &r, 0, &why, NULL), 0);
    sched_refusal_text(&why, text, sizeof(text));
    CHECK_STR(text, "memory: needs 70000 MiB, 65536 free");
    CHECK_EQ(sched_explain_host(s, &r, 1, &why, NULL), 0);
    sched_refusal_text(&why, text, sizeof(text));
    CHECK_STR(text, "state: not enabled");
    r.need.memory_mib = 1;
    CHECK_EQ(sched_explain_host(s, &r, 0, &why, NULL), 0);
    sched_refusal_text(&why, text, sizeof(text));
    CHECK_STR(text, "fits");
    CHECK_EQ(sched_explain_host(s, &r, 3, &why, NULL), -ENOENT);
    sched_explain(s, &r, &counts, NULL);
    sched_refusals_text(&counts, text, sizeof(text));
    CHECK_STR(text, "3 hosts: 1 not enabled (state), 2 fit");
    CHECK(!sched_filter_name(SCHED_FILTERS));
    sched_destroy(s);
}

int main(void)
{
    TAP_RUN(each_label_filter_turns_away_what_it_should);
    TAP_RUN(only_enabled_hosts_take_vms);
    TAP_RUN(resources_are_taken_to_the_last_unit);
    TAP_RUN(a_dedicated_core_takes_its_share_of_the_overcommitted_pool);
    TAP_RUN(dedicated_cores_are_of_one_node_or_evenly_of_several);
    TAP_RUN(the_fuller_node_is_taken_first);
    TAP_RUN(huge_pages_are_a_pool_of_their_own);
    TAP_RUN(capacities_do_not_overflow);
    TAP_RUN(a_host_that_shrinks_keeps_its_vms_and_takes_no_more);
    TAP_RUN(numbers_of_removed_hosts_are_given_again);
    TAP_RUN(claims_are_guarded_by_generation_and_room);
    TAP_RUN(an_empty_fleet_has_no_room);
    TAP_RUN(best_fit_leaves_least_and_spread_most);
    TAP_RUN(balanced_prefers_the_host_whose_rest_stays_in_proportion);
    TAP_RUN(equal_hosts_of_two_ratios_are_taken_in_order);
    TAP_RUN(the_seed_picks_among_equals_and_nothing_else_does);
    TAP_RUN(an_explanation_reads_well);
    return tap_done();
}
