#include "mgmt/auth/auth_rate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/auth/auth_map_internal.h"
#include "mgmt/auth/auth_random_internal.h"

#define WAYS        8
#define KEYS_MAX    (UINT64_C(1) << 24)
#define PER_MIN_MAX 1000000u
#define SECOND_NS   INT64_C(1000000000)

struct bucket {
    struct auth_id key;
    int64_t full_ns; /* when it is full again; in the past (0: unused): it is */
};

struct auth_rate {
    struct auth_map_seed seed;
    size_t n_sets; /* a power of two */
    struct bucket buckets[];
};

struct auth_rate *auth_rate_create(size_t keys, struct err *err)
{
    if (!keys || keys > KEYS_MAX) {
        err_set(err, EINVAL, "a table of rates has 1 to %llu keys, not %zu",
                (unsigned long long)KEYS_MAX, keys);
        return NULL;
    }
    size_t n_sets = 1;
    while (n_sets * WAYS < keys)
        n_sets *= 2;
    struct auth_rate *r = calloc(1, sizeof(*r) + n_sets * WAYS * sizeof(r->buckets[0]));
    if (!r) {
        err_set(err, ENOMEM, "could not allocate a table of rates for %zu keys", keys);
        return NULL;
    }
    r->n_sets = n_sets;
    if (auth_random_fill(&r->seed, sizeof(r->seed), err)) {
        free(r);
        return NULL;
    }
    return r;
}

void auth_rate_destroy(struct auth_rate *r)
{
    free(r);
}

static const struct bucket *set_of(const struct auth_rate *r, const struct auth_id *key)
{
    uint64_t hash = auth_map_hash(&r->seed, key->bytes, sizeof(key->bytes));
    return &r->buckets[(hash & (r->n_sets - 1)) * WAYS];
}

/* The place of a key, or that of the bucket which is full soonest. */
static unsigned place_of(const struct bucket *set, const struct auth_id *key, bool *found)
{
    unsigned fullest = 0;
    for (unsigned i = 0; i < WAYS; i++) {
        if (auth_record_id_equal(&set[i].key, key)) {
            *found = true;
            return i;
        }
        if (set[i].full_ns < set[fullest].full_ns)
            fullest = i;
    }
    *found = false;
    return fullest;
}

static uint32_t seconds_up(int64_t ns)
{
    return ns <= 0 ? 0 : (uint32_t)((ns + SECOND_NS - 1) / SECOND_NS);
}

/* Decides, and moves *full_ns on when the answer is yes. */
static struct auth_rate_answer decide(int64_t *full_ns, const struct auth_rate_limit *limit,
                                      int64_t now_ns)
{
    uint32_t per_min = MIN(MAX(limit->per_min, 1u), PER_MIN_MAX);
    uint32_t burst = MIN(limit->burst, PER_MIN_MAX);
    if (!burst)
        burst = MAX(per_min / 6, 1u);
    int64_t interval_ns = 60 * SECOND_NS / per_min;
    int64_t depth_ns = interval_ns * burst;
    /* Further ahead it can only lie if the limit was raised meanwhile. */
    int64_t full = MIN(MAX(*full_ns, now_ns), now_ns + depth_ns);
    struct auth_rate_answer a = {.limit = per_min};
    int64_t too_far_ns = full + interval_ns - (now_ns + depth_ns);
    if (too_far_ns <= 0) {
        a.allowed = true;
        full += interval_ns;
    } else {
        a.retry_after_s = seconds_up(too_far_ns);
    }
    a.remaining = (uint32_t)((now_ns + depth_ns - full) / interval_ns);
    a.reset_s = seconds_up(full - now_ns);
    *full_ns = full;
    return a;
}

struct auth_rate_answer auth_rate_take(struct auth_rate *r, const struct auth_id *key,
                                       const struct auth_rate_limit *limit, int64_t now_us)
{
    bool found;
    struct bucket *set = (struct bucket *)(uintptr_t)set_of(r, key);
    struct bucket *b = &set[place_of(set, key, &found)];
    if (!found)
        *b = (struct bucket){.key = *key, .full_ns = now_us * 1000};
    return decide(&b->full_ns, limit, now_us * 1000);
}

struct auth_rate_answer auth_rate_peek(const struct auth_rate *r, const struct auth_id *key,
                                       const struct auth_rate_limit *limit, int64_t now_us)
{
    bool found;
    const struct bucket *set = set_of(r, key);
    unsigned place = place_of(set, key, &found);
    int64_t full_ns = found ? set[place].full_ns : now_us * 1000;
    return decide(&full_ns, limit, now_us * 1000);
}

struct auth_id auth_rate_address(const char *text)
{
    struct auth_id key = {{0}};
    struct in6_addr six;
    char address[INET6_ADDRSTRLEN] = "";
    size_t bytes = text ? strcspn(text, "%") : 0; /* before a link's name */
    if (bytes < sizeof(address) && bytes)
        memcpy(address, text, bytes);
    if (inet_pton(AF_INET, address, key.bytes + 12) == 1)
        key.bytes[10] = key.bytes[11] = 0xff;
    else if (inet_pton(AF_INET6, address, &six) == 1)
        memcpy(key.bytes, &six, IN6_IS_ADDR_V4MAPPED(&six) ? 16 : 8);
    return key;
}
