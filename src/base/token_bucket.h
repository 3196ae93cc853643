/* A rate limit: `rate` units a second (requests, bytes), with a burst. Time is an argument.
 *
 * Credit accrues linearly, in 1/10^9 of a unit, so nothing is lost to rounding. A bucket that
 * nobody waits for holds at most its burst; while somebody waits it goes on accruing for up to
 * 100 ms more, so that a wake-up which comes late costs no throughput. Hence: under constant
 * demand every 100 ms window passes rate/10 units to within one request (after an idle time, plus
 * the burst), whatever the timer's resolution. A request larger than the burst passes when the
 * bucket is full and leaves a debt, which those after it wait out.
 * Threads: none of its own; the user's. */
#ifndef BASE_TOKEN_BUCKET_H
#define BASE_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct token_bucket {
    uint64_t rate; /* units a second; 0: no limit */
    uint64_t burst_units;
    __int128 level; /* units * 10^9; negative: debt */
    int64_t last_ns;
    bool waited_for; /* the last question was answered with no */
};

/* `rate` 0 means no limit. `burst_units` 0 means 10 ms' worth, at least 1. Begins full. */
void token_bucket_init(struct token_bucket *tb, uint64_t rate, uint64_t burst_units,
                       int64_t now_ns);
/* Changes the limit of a bucket in use: credit and debt earned so far stay, cut to the new burst.
 */
void token_bucket_set(struct token_bucket *tb, uint64_t rate, uint64_t burst_units, int64_t now_ns);

/* Whether `units` may pass now. A no is remembered (see above): ask again at
 * token_bucket_ready_ns(). */
bool token_bucket_allows(struct token_bucket *tb, uint64_t units, int64_t now_ns);
/* Takes them; only after token_bucket_allows() said yes for the same time. */
void token_bucket_take(struct token_bucket *tb, uint64_t units);
/* When `units` may pass if nothing else is taken before; `now_ns` when they may at once. */
int64_t token_bucket_ready_ns(const struct token_bucket *tb, uint64_t units, int64_t now_ns);

/* The pair that a disk or a NIC has: requests (packets) and bytes. Both let a request through, or
 * neither is charged. */
struct rate_limit {
    uint64_t ops_per_s, bytes_per_s; /* 0: no limit */
    uint64_t ops_burst, bytes_burst; /* 0: 10 ms' worth */
};

struct rate_limiter {
    struct token_bucket ops, bytes;
};

void token_bucket_limiter_init(struct rate_limiter *rl, const struct rate_limit *limit,
                               int64_t now_ns);
void token_bucket_limiter_set(struct rate_limiter *rl, const struct rate_limit *limit,
                              int64_t now_ns);
/* Takes one request of `bytes`; returns 0, or the time at which to try again. */
int64_t token_bucket_limiter_take(struct rate_limiter *rl, uint64_t bytes, int64_t now_ns);

#endif
