#include "base/token_bucket.h"

#include "tap.h"

#define MS INT64_C(1000000)

/* Counts what a limiter under constant demand lets through in [from, to), asked every `step`. */
static uint64_t pass(struct token_bucket *tb, uint64_t size, int64_t from, int64_t to, int64_t step)
{
    uint64_t n = 0;
    for (int64_t t = from; t < to; t += step)
        while (token_bucket_allows(tb, size, t)) {
            token_bucket_take(tb, size);
            n++;
        }
    return n;
}

static void every_100_ms_window_passes_its_share(void)
{
    static const int64_t steps[] = {MS / 100, MS, 7 * MS, 50 * MS};
    for (unsigned s = 0; s < 4; s++) {
        struct token_bucket tb;
        token_bucket_init(&tb, 1000, 1, 0);
        pass(&tb, 1, 0, 100 * MS, steps[s]);
        uint64_t total = 0;
        for (int64_t w = 1; w < 50; w++) {
            uint64_t n = pass(&tb, 1, w * 100 * MS, (w + 1) * 100 * MS, steps[s]);
            total += n;
            if (steps[s] <= MS)
                CHECK(n >= 99 && n <= 101);
        }
        CHECK(total >= 4899 - 50 && total <= 4901 + 50);
    }
}

static void an_idle_bucket_gives_no_more_than_its_burst(void)
{
    struct token_bucket tb;
    token_bucket_init(&tb, 1000, 5, 0);
    CHECK_EQ(pass(&tb, 1, 0, 1, 1), 5);
    token_bucket_allows(&tb, 1, 1000 * MS); /* a waiter is served late: 100 ms and the burst */
    CHECK_EQ(pass(&tb, 1, 1000 * MS, 1000 * MS + 1, 1), 105);
    CHECK_EQ(pass(&tb, 1, 1001 * MS, 1001 * MS + 1, 1), 1);
    struct token_bucket idle;
    token_bucket_init(&idle, 1000, 5, 0);
    CHECK_EQ(pass(&idle, 5, 10 * MS, 10 * MS + 1, 2), 1);
    idle.waited_for = false; /* nobody asked since */
    CHECK_EQ(pass(&idle, 1, 9000 * MS, 9000 * MS + 1, 1), 5);
}

static void a_large_request_passes_and_leaves_a_debt(void)
{
    struct token_bucket tb;
    token_bucket_init(&tb, 1000, 10, 0);
    CHECK(token_bucket_allows(&tb, 1000, 0));
    token_bucket_take(&tb, 1000);
    CHECK(!token_bucket_allows(&tb, 1, 500 * MS));
    CHECK_EQ(token_bucket_ready_ns(&tb, 1, 500 * MS), 991 * MS);
    CHECK(!token_bucket_allows(&tb, 1, 991 * MS - 1));
    CHECK(token_bucket_allows(&tb, 1, 991 * MS));
}

static void a_live_change_takes_effect_at_once(void)
{
    struct token_bucket tb;
    token_bucket_init(&tb, 0, 0, 0);
    CHECK_EQ(pass(&tb, 1, 0, 0, 1), 0);
    CHECK(token_bucket_allows(&tb, UINT64_MAX, 0));
    token_bucket_set(&tb, 100, 1, 0);
    CHECK_EQ(pass(&tb, 1, 0, 1000 * MS, MS), 100);
    token_bucket_set(&tb, 0, 0, 1000 * MS);
    CHECK(token_bucket_allows(&tb, UINT64_MAX, 1000 * MS));
}

static void huge_rates_do_not_overflow(void)
{
    struct token_bucket tb;
    token_bucket_init(&tb, UINT64_MAX, UINT64_MAX, 0);
    CHECK(token_bucket_allows(&tb, UINT64_MAX, INT64_MAX));
    token_bucket_take(&tb, UINT64_MAX);
    CHECK(token_bucket_ready_ns(&tb, 1, 0) >= 0);
}

static void a_limiter_charges_both_or_neither(void)
{
    struct rate_limiter rl;
    struct rate_limit limit = {
        .ops_per_s = 1000, .bytes_per_s = 1000, .ops_burst = 10, .bytes_burst = 100};
    token_bucket_limiter_init(&rl, &limit, 0);
    CHECK_EQ(token_bucket_limiter_take(&rl, 100, 0), 0);
    CHECK_EQ(token_bucket_limiter_take(&rl, 100, 0), 100 * MS);
    CHECK_EQ(rl.ops.level / 1000000000, 9);
    CHECK_EQ(token_bucket_limiter_take(&rl, 100, 100 * MS), 0);
}

int main(void)
{
    TAP_RUN(every_100_ms_window_passes_its_share);
    TAP_RUN(an_idle_bucket_gives_no_more_than_its_burst);
    TAP_RUN(a_large_request_passes_and_leaves_a_debt);
    TAP_RUN(a_live_change_takes_effect_at_once);
    TAP_RUN(huge_rates_do_not_overflow);
    TAP_RUN(a_limiter_charges_both_or_neither);
    return tap_done();
}
