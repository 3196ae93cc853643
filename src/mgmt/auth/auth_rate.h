/* How often somebody may ask: token buckets for API tokens, and for the addresses that try to sign
 * in, in a table of fixed size. One table each, so that neither pushes the other's out.
 *
 * Theory of operation. A bucket is kept as the one time at which it would be full again (the
 * generic cell rate algorithm): a request moves it on by the interval between two requests, and is
 * refused if it would then lie more than a burst ahead. A bucket that is full need not be kept at
 * all. A key can lie in the 8 places of its set; where none is free, the one that is full soonest
 * is forgotten: what is lost is least, and whoever is over the limit is forgotten last. The set is
 * found by a keyed hash, so that nobody can choose whom to push out. Costs the same for any key.
 *
 * Time is an argument (monotonic, us). Threads: none of its own; the user's.
 * Source: ITU-T I.371, annex A (virtual scheduling). */
#ifndef MGMT_AUTH_AUTH_RATE_H
#define MGMT_AUTH_AUTH_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mgmt/auth/auth_record.h"

struct auth_rate;

struct auth_rate_limit {
    uint32_t per_min; /* 1 to 1,000,000 */
    uint32_t burst;   /* at once, after a rest; 0: a sixth of per_min (10 s' worth), at least 1 */
};

struct auth_rate_answer {
    bool allowed;
    uint32_t limit;         /* per_min: RateLimit-Limit */
    uint32_t remaining;     /* that would be allowed at once */
    uint32_t reset_s;       /* until the burst is there again, rounded up */
    uint32_t retry_after_s; /* refused: until one is allowed, rounded up; else 0 */
};

/* Room for at least so many keys (1 to 16M), at 24 bytes each. NULL: err says why. */
struct auth_rate *auth_rate_create(size_t keys, struct err *err);
void auth_rate_destroy(struct auth_rate *r);

/* Takes one request of a key. What is refused costs the key nothing. */
struct auth_rate_answer auth_rate_take(struct auth_rate *r, const struct auth_id *key,
                                       const struct auth_rate_limit *limit, int64_t now_us);
/* What auth_rate_take() would say, without taking it. */
struct auth_rate_answer auth_rate_peek(const struct auth_rate *r, const struct auth_id *key,
                                       const struct auth_rate_limit *limit, int64_t now_us);

/* The key of an address as text (what web_request_peer_address() says): all of IPv4, of IPv6 the
 * first 64 bits, which is what one customer has. What is no address shares one key; NULL too. */
struct auth_id auth_rate_address(const char *text);

#endif
