/* Server groups and requests of several VMs. */
#include "mgmt_sched/fleet.h"
#include "tap.h"

/* Three hosts, the first two in rack 1, the third in rack 2, and group 1. */
static struct sched *racks(enum sched_affinity affinity, enum sched_scope scope)
{
    struct sched *s = sched_create();
    static const uint32_t rack[] = {1, 1, 2};
    for (unsigned i = 0; i < 3; i++) {
        struct sched_host h = fleet_host();
        h.rack = rack[i];
        fleet_add(s, h);
    }
    sched_group_set(s, 1, affinity, scope, 1, NULL);
    return s;
}

static struct sched_request member(uint32_t vcpus)
{
    struct sched_request r = fleet_request(vcpus, 1024);
    r.need.group = 1;
    return r;
}

static void members_apart_are_on_hosts_of_their_own(void)
{
    struct sched *s = racks(SCHED_APART, SCHED_BY_HOST);
    struct sched_request r = member(2);
    CHECK_EQ(fleet_place(s, &r), 0);
    CHECK_EQ(fleet_place(s, &r), 1);
    CHECK_EQ(fleet_place(s, &r), 2);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    CHECK_EQ(fleet_refused(s, &r, "group"), 3);
    sched_destroy(s);
}

static void members_apart_by_rack_leave_the_rack_to_others(void)
{
    struct sched *s = racks(SCHED_APART, SCHED_BY_RACK);
    struct sched_request r = member(2);
    CHECK_EQ(fleet_place(s, &r), 0);
    CHECK_EQ(fleet_place(s, &r), 2);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    CHECK_EQ(sched_group_members(s, 1, 0), 1);
    CHECK_EQ(sched_group_members(s, 1, 1), 0);
    sched_destroy(s);
}

static void a_host_without_a_rack_is_a_rack_of_its_own(void)
{
    struct sched *s = fleet_of(2);
    sched_group_set(s, 1, SCHED_APART, SCHED_BY_RACK, 1, NULL);
    struct sched_request r = member(2);
    CHECK_EQ(fleet_place(s, &r), 0);
    CHECK_EQ(fleet_place(s, &r), 1);
    sched_destroy(s);
}

static void members_together_stay_where_the_first_is(void)
{
    struct sched *s = racks(SCHED_TOGETHER, SCHED_BY_HOST);
    struct sched_request r = member(8), other = fleet_request(4, 1024);
    uint32_t third = 2;
    r.only = &third;
    r.n_only = 1;
    CHECK_EQ(fleet_place(s, &r), 2);
    r.n_only = 0;
    CHECK_EQ(fleet_place(s, &other), 2);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    CHECK_EQ(fleet_refused(s, &r, "group"), 2);
    CHECK_EQ(fleet_refused(s, &r, "vcpus"), 1);
    sched_destroy(s);
}

static void members_together_by_rack_use_all_of_the_rack(void)
{
    struct sched *s = racks(SCHED_TOGETHER, SCHED_BY_RACK);
    struct sched_request r = member(16);
    CHECK_EQ(fleet_place(s, &r), 0);
    CHECK_EQ(fleet_place(s, &r), 1);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    sched_destroy(s);
}

static void soft_rules_yield_when_nothing_else_fits(void)
{
    struct sched *s = racks(SCHED_APART_IF, SCHED_BY_HOST);
    struct sched_request r = member(4);
    int on[3] = {0};
    for (unsigned i = 0; i < 6; i++)
        on[fleet_place(s, &r)]++;
    CHECK(on[0] == 2 && on[1] == 2 && on[2] == 2); /* evenly, not all on the best fit */
    sched_destroy(s);
    s = racks(SCHED_TOGETHER_IF, SCHED_BY_HOST);
    r = member(8);
    CHECK_EQ(fleet_place(s, &r), 0);
    CHECK_EQ(fleet_place(s, &r), 0);
    CHECK_EQ(fleet_place(s, &r), 1);
    CHECK_EQ(fleet_place(s, &r), 1);
    sched_destroy(s);
}

static void so_many_apart_may_share_a_host(void)
{
    struct sched *s = fleet_of(2);
    sched_group_set(s, 1, SCHED_APART, SCHED_BY_HOST, 3, NULL);
    struct sched_request r = member(1);
    int on[2] = {0};
    for (unsigned i = 0; i < 6; i++) {
        int host = fleet_place(s, &r);
        CHECK(host >= 0 && host < 2);
        on[host > 0]++;
    }
    CHECK(on[0] == 3 && on[1] == 3);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    CHECK_EQ(fleet_refused(s, &r, "group"), 2);
    sched_group_set(s, 1, SCHED_APART, SCHED_BY_HOST, 4, NULL); /* one more each */
    CHECK(fleet_place(s, &r) >= 0);
    CHECK(fleet_place(s, &r) >= 0);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    sched_destroy(s);
}

static void so_many_apart_may_share_a_rack(void)
{
    struct sched *s = racks(SCHED_APART, SCHED_BY_RACK);
    sched_group_set(s, 1, SCHED_APART, SCHED_BY_RACK, 2, NULL);
    struct sched_request r = member(2);
    int in[2] = {0};
    for (unsigned i = 0; i < 4; i++)
        in[fleet_place(s, &r) == 2]++;
    CHECK(in[0] == 2 && in[1] == 2);
    CHECK_EQ(fleet_place(s, &r), -ENOSPC);
    sched_destroy(s);
}

/* Up to so many as well packed as any; beyond, evenly. */
static void softly_so_many_share_before_others_do(void)
{
    struct sched *s = racks(SCHED_APART_IF, SCHED_BY_HOST);
    sched_group_set(s, 1, SCHED_APART_IF, SCHED_BY_HOST, 2, NULL);
    struct sched_request r = member(1);
    static const int first[] = {0, 0, 1, 1, 2, 2};
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(fleet_place(s, &r), first[i]);
    int on[3] = {0};
    for (unsigned i = 0; i < 6; i++)
        on[fleet_place(s, &r)]++;
    CHECK(on[0] == 2 && on[1] == 2 && on[2] == 2);
    sched_destroy(s);
}

static void a_member_that_goes_frees_its_host(void)
{
    struct sched *s = racks(SCHED_APART, SCHED_BY_HOST);
    struct sched_request r = member(2);
    struct sched_choice first = {.host = 0};
    for (unsigned i = 0; i < 3; i++)
        fleet_place(s, &r);
    CHECK_EQ(sched_release(s, &r.need, &first, NULL), 0);
    CHECK_EQ(fleet_place(s, &r), 0);
    sched_destroy(s);
}

static void an_unknown_group_is_refused(void)
{
    struct sched *s = fleet_of(1);
    struct sched_request r = member(1);
    CHECK_EQ(fleet_place(s, &r), -EINVAL);
    CHECK_EQ(sched_group_set(s, 0, SCHED_APART, SCHED_BY_HOST, 1, NULL), -EINVAL);
    CHECK_EQ(sched_group_set(s, SCHED_GROUPS_MAX, SCHED_APART, SCHED_BY_HOST, 1, NULL), -EINVAL);
    sched_destroy(s);
}

/* ---- batches ---- */

static void a_batch_counts_its_own_vms(void)
{
    struct sched *s = fleet_of(3);
    struct sched_request r = fleet_request(6, 1024);
    struct sched_result got;
    r.count = 6;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.n_chosen, 6);
    static const uint32_t hosts[] = {0, 0, 1, 1, 2, 2}, generations[] = {0, 1, 0, 1, 0, 1};
    for (unsigned i = 0; i < 6; i++) {
        CHECK_EQ(got.chosen[i].host, hosts[i]);
        CHECK_EQ(got.chosen[i].generation, generations[i]);
    }
    struct sched_free left;
    sched_free(s, 0, &left);
    CHECK_EQ(left.cpu_hundredths, 1600); /* nothing was claimed */
    CHECK_EQ(left.claims, 0);
    CHECK_EQ(sched_host(s, 0)->generation, 0);
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(sched_claim(s, &r.need, &got.chosen[i], NULL), 0);
    sched_destroy(s);
}

static void a_batch_is_placed_whole_or_not_at_all(void)
{
    struct sched *s = fleet_of(3);
    struct sched_request r = fleet_request(6, 1024);
    struct sched_result got;
    struct err err;
    r.count = 7;
    CHECK_EQ(sched_place(s, &r, 0, &got, &err), -ENOSPC);
    CHECK_EQ(got.n_chosen, 0);
    CHECK_EQ(got.fitted, 6);
    CHECK_EQ(got.refusals.hosts, 3);
    CHECK_STR(err.msg, "only 6 of 7 VMs fit; then of 3 hosts: 3 with too few vCPUs free (vcpus)");
    r.best_effort = true;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.n_chosen, 6);
    CHECK_EQ(got.fitted, 6);
    r.need.vcpus = 17;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), -ENOSPC);
    sched_destroy(s);
}

static void a_batch_keeps_its_group_apart_and_leaves_no_member(void)
{
    struct sched *s = racks(SCHED_APART, SCHED_BY_HOST);
    struct sched_request r = member(1);
    struct sched_result got;
    r.count = 3;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(got.chosen[i].host, i);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(sched_group_members(s, 1, i), 0);
    r.count = 4;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), -ENOSPC);
    sched_destroy(s);
}

static void alternates_are_hosts_that_were_not_chosen(void)
{
    struct sched *s = fleet_of(6);
    struct sched_request r = fleet_request(8, 1024);
    struct sched_result got;
    r.alternates = 3;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.n_alternates, 3);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(got.alternates[i].host, i + 1);
    r.count = 4;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), 0);
    CHECK_EQ(got.n_alternates, 3);
    CHECK_EQ(got.alternates[0].host, 2);
    r.alternates = SCHED_ALTERNATES_MAX + 1;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), -EINVAL);
    r.alternates = 0;
    r.count = SCHED_COUNT_MAX + 1;
    CHECK_EQ(sched_place(s, &r, 0, &got, NULL), -EINVAL);
    sched_destroy(s);
}

int main(void)
{
    TAP_RUN(members_apart_are_on_hosts_of_their_own);
    TAP_RUN(members_apart_by_rack_leave_the_rack_to_others);
    TAP_RUN(a_host_without_a_rack_is_a_rack_of_its_own);
    TAP_RUN(members_together_stay_where_the_first_is);
    TAP_RUN(members_together_by_rack_use_all_of_the_rack);
    TAP_RUN(soft_rules_yield_when_nothing_else_fits);
    TAP_RUN(so_many_apart_may_share_a_host);
    TAP_RUN(so_many_apart_may_share_a_rack);
    TAP_RUN(softly_so_many_share_before_others_do);
    TAP_RUN(a_member_that_goes_frees_its_host);
    TAP_RUN(an_unknown_group_is_refused);
    TAP_RUN(a_batch_counts_its_own_vms);
    TAP_RUN(a_batch_is_placed_whole_or_not_at_all);
    TAP_RUN(a_batch_keeps_its_group_apart_and_leaves_no_member);
    TAP_RUN(alternates_are_hosts_that_were_not_chosen);
    return tap_done();
}
