#include "base/token_bucket.h"

#include "base/util.h"

#define UNIT           INT64_C(1000000000)
#define WAIT_GRACE_NS  INT64_C(100000000)
#define LEVEL_RATE_MAX (UINT64_C(1) << 50) /* beyond this a limit is none in practice */

static __int128 burst_level(const struct token_bucket *tb)
{
    return (__int128)tb->burst_units * UNIT;
}

static void set_rate(struct token_bucket *tb, uint64_t rate, uint64_t burst_units)
{
    tb->rate = MIN(rate, LEVEL_RATE_MAX);
    if (!burst_units)
        burst_units = MAX(tb->rate / 100, 1);
    tb->burst_units = MIN(burst_units, LEVEL_RATE_MAX);
}

void token_bucket_init(struct token_bucket *tb, uint64_t rate, uint64_t burst_units, int64_t now_ns)
{
    *tb = (struct token_bucket){.last_ns = now_ns};
    set_rate(tb, rate, burst_units);
    tb->level = burst_level(tb);
}

static void accrue(struct token_bucket *tb, int64_t now_ns)
{
    int64_t elapsed_ns = now_ns - tb->last_ns;
    if (elapsed_ns <= 0)
        return;
    tb->last_ns = now_ns;
    __int128 cap = burst_level(tb);
    if (tb->waited_for)
        cap += (__int128)tb->rate * WAIT_GRACE_NS;
    if (tb->level >= cap)
        return;
    __int128 level = tb->level + (__int128)tb->rate * elapsed_ns;
    tb->level = MIN(level, cap);
}

void token_bucket_set(struct token_bucket *tb, uint64_t rate, uint64_t burst_units, int64_t now_ns)
{
    bool was_unlimited = !tb->rate;
    accrue(tb, now_ns);
    set_rate(tb, rate, burst_units);
    tb->last_ns = now_ns;
    if (was_unlimited || tb->level > burst_level(tb))
        tb->level = burst_level(tb);
}

bool token_bucket_allows(struct token_bucket *tb, uint64_t units, int64_t now_ns)
{
    if (!tb->rate)
        return true;
    accrue(tb, now_ns);
    tb->waited_for = tb->level < (__int128)MIN(units, tb->burst_units) * UNIT;
    return !tb->waited_for;
}

void token_bucket_take(struct token_bucket *tb, uint64_t units)
{
    if (tb->rate)
        tb->level -= (__int128)units * UNIT;
}

int64_t token_bucket_ready_ns(const struct token_bucket *tb, uint64_t units, int64_t now_ns)
{
    if (!tb->rate)
        return now_ns;
    __int128 missing = (__int128)MIN(units, tb->burst_units) * UNIT - tb->level;
    if (missing <= 0)
        return now_ns;
    __int128 wait_ns = (missing + tb->rate - 1) / tb->rate;
    int64_t longest_ns = INT64_C(3600) * UNIT;
    int64_t at_ns;
    if (__builtin_add_overflow(tb->last_ns, (int64_t)MIN(wait_ns, longest_ns), &at_ns))
        return INT64_MAX;
    return MAX(at_ns, now_ns);
}

void token_bucket_limiter_init(struct rate_limiter *rl, const struct rate_limit *limit,
                               int64_t now_ns)
{
    token_bucket_init(&rl->ops, limit->ops_per_s, limit->ops_burst, now_ns);
    token_bucket_init(&rl->bytes, limit->bytes_per_s, limit->bytes_burst, now_ns);
}

void token_bucket_limiter_set(struct rate_limiter *rl, const struct rate_limit *limit,
                              int64_t now_ns)
{
    token_bucket_set(&rl->ops, limit->ops_per_s, limit->ops_burst, now_ns);
    token_bucket_set(&rl->bytes, limit->bytes_per_s, limit->bytes_burst, now_ns);
}

int64_t token_bucket_limiter_take(struct rate_limiter *rl, uint64_t bytes, int64_t now_ns)
{
    bool ops_ok = token_bucket_allows(&rl->ops, 1, now_ns);
    bool bytes_ok = token_bucket_allows(&rl->bytes, bytes, now_ns);
    if (ops_ok && bytes_ok) {
        token_bucket_take(&rl->ops, 1);
        token_bucket_take(&rl->bytes, bytes);
        return 0;
    }
    int64_t ops_ns = token_bucket_ready_ns(&rl->ops, 1, now_ns);
    int64_t bytes_ns = token_bucket_ready_ns(&rl->bytes, bytes, now_ns);
    return MAX(MAX(ops_ns, bytes_ns), now_ns + 1);
}
