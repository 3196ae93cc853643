#include "mgmt/auth/auth_rate.h"

#include "base/util.h"
#include "tap.h"

#define S_US INT64_C(1000000)

static struct auth_id key_of(unsigned n)
{
    struct auth_id key = {{0}};
    memcpy(key.bytes, &n, sizeof(n));
    return key;
}

static void a_burst_passes_and_then_the_rate(void)
{
    struct auth_rate *r = auth_rate_create(100, NULL);
    struct auth_rate_limit limit = {.per_min = 60, .burst = 5};
    struct auth_id key = key_of(1);
    REQUIRE(r);
    for (unsigned i = 0; i < 5; i++) {
        struct auth_rate_answer a = auth_rate_take(r, &key, &limit, 10 * S_US);
        CHECK(a.allowed);
        CHECK_EQ(a.limit, 60);
        CHECK_EQ(a.remaining, 4 - i);
        CHECK_EQ(a.reset_s, i + 1);
        CHECK_EQ(a.retry_after_s, 0);
    }
    struct auth_rate_answer a = auth_rate_take(r, &key, &limit, 10 * S_US);
    CHECK(!a.allowed);
    CHECK_EQ(a.remaining, 0);
    CHECK_EQ(a.retry_after_s, 1);
    CHECK_EQ(a.reset_s, 5);
    CHECK(!auth_rate_take(r, &key, &limit, 11 * S_US - 1).allowed);
    CHECK(auth_rate_take(r, &key, &limit, 11 * S_US).allowed);
    CHECK(!auth_rate_take(r, &key, &limit, 11 * S_US).allowed);
    CHECK_EQ(auth_rate_peek(r, &key, &limit, 11 * S_US).retry_after_s, 1);
    /* After a rest the burst is there again, and no more. */
    for (unsigned i = 0; i < 5; i++)
        CHECK(auth_rate_take(r, &key, &limit, 1000 * S_US).allowed);
    CHECK(!auth_rate_take(r, &key, &limit, 1000 * S_US).allowed);
    auth_rate_destroy(r);
}

static void waiting_as_told_is_enough(void)
{
    struct auth_rate *r = auth_rate_create(1, NULL);
    static const struct auth_rate_limit LIMITS[] = {
        {.per_min = 1, .burst = 1}, {.per_min = 7, .burst = 3}, {.per_min = 1000000}, {0}};
    REQUIRE(r);
    for (unsigned l = 0; l < ARRAY_LEN(LIMITS); l++) {
        struct auth_id key = key_of(l);
        int64_t now_us = 5 * S_US;
        for (unsigned i = 0; i < 200; i++) {
            struct auth_rate_answer a = auth_rate_take(r, &key, &LIMITS[l], now_us);
            if (a.allowed)
                continue;
            CHECK(a.retry_after_s > 0);
            now_us += a.retry_after_s * S_US;
            CHECK(auth_rate_take(r, &key, &LIMITS[l], now_us).allowed);
        }
    }
    auth_rate_destroy(r);
}

static void keys_do_not_know_each_other(void)
{
    struct auth_rate *r = auth_rate_create(64, NULL);
    struct auth_rate_limit limit = {.per_min = 1, .burst = 1};
    struct auth_id a = key_of(1), b = key_of(2), zero = key_of(0);
    REQUIRE(r);
    CHECK(auth_rate_take(r, &a, &limit, 0).allowed);
    CHECK(!auth_rate_take(r, &a, &limit, 0).allowed);
    CHECK(auth_rate_take(r, &b, &limit, 0).allowed);
    CHECK(auth_rate_take(r, &zero, &limit, 0).allowed);
    CHECK(!auth_rate_take(r, &zero, &limit, 0).allowed);
    auth_rate_destroy(r);
}

static void looking_takes_nothing(void)
{
    struct auth_rate *r = auth_rate_create(8, NULL);
    struct auth_rate_limit limit = {.per_min = 1, .burst = 1};
    struct auth_id key = key_of(1);
    REQUIRE(r);
    CHECK(auth_rate_peek(r, &key, &limit, 0).allowed);
    CHECK(auth_rate_peek(r, &key, &limit, 0).allowed);
    CHECK(auth_rate_take(r, &key, &limit, 0).allowed);
    CHECK(!auth_rate_peek(r, &key, &limit, 0).allowed);
    auth_rate_destroy(r);
}

static void a_limit_that_is_raised_counts_at_once(void)
{
    struct auth_rate *r = auth_rate_create(8, NULL);
    struct auth_rate_limit slow = {.per_min = 1, .burst = 100}, fast = {.per_min = 6000};
    struct auth_id key = key_of(1);
    REQUIRE(r);
    for (unsigned i = 0; i < 100; i++)
        CHECK(auth_rate_take(r, &key, &slow, 0).allowed);
    CHECK_EQ(auth_rate_peek(r, &key, &slow, 0).reset_s, 6000);
    CHECK_EQ(auth_rate_take(r, &key, &fast, 0).retry_after_s, 1);
    CHECK(auth_rate_take(r, &key, &fast, S_US).allowed);
    auth_rate_destroy(r);
}

/* Others that come once each do not push out whoever is over the limit, however many they are. */
static void who_is_over_the_limit_is_forgotten_last(void)
{
    struct auth_rate *r = auth_rate_create(64, NULL);
    struct auth_rate_limit limit = {.per_min = 60, .burst = 10};
    struct auth_id guesser = key_of(1);
    REQUIRE(r);
    for (unsigned i = 0; i < 10; i++)
        CHECK(auth_rate_take(r, &guesser, &limit, 0).allowed);
    for (unsigned i = 0; i < 100000; i++) {
        struct auth_id key = key_of(2 + i);
        CHECK(auth_rate_take(r, &key, &limit, i % 10).allowed);
    }
    CHECK(!auth_rate_take(r, &guesser, &limit, 10).allowed);
    auth_rate_destroy(r);
}

/* Where everybody is kept, all is as if each key had a bucket of its own: one that counts tokens.
 */
struct naive {
    double tokens;
    int64_t last_us;
    bool begun;
};

static void random_requests_are_as_with_a_bucket_each(void)
{
    enum { KEYS = 60, STEPS = 300000 };
    static struct naive models[KEYS];
    /* Twenty times the room, so that no set has more than eight of them. */
    struct auth_rate *r = auth_rate_create(8 * 1024, NULL);
    uint64_t seed = 12345;
    int64_t now_us = S_US;
    unsigned allowed = 0, refused = 0;
    REQUIRE(r);
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        unsigned k = (unsigned)(seed >> 33) % KEYS;
        /* Intervals that are whole in ns. */
        struct auth_rate_limit limit = {.per_min = 60u << k % 4, .burst = 1 + k % 7};
        double per_us = limit.per_min / 60e6;
        struct naive *m = &models[k];
        struct auth_id key = key_of(k * 977);
        now_us += (int64_t)(seed >> 20 & 0x3fff);
        m->tokens =
            m->begun ? MIN(m->tokens + (double)(now_us - m->last_us) * per_us, (double)limit.burst)
                     : limit.burst;
        m->begun = true;
        m->last_us = now_us;
        struct auth_rate_answer a = auth_rate_take(r, &key, &limit, now_us);
        bool close = m->tokens > 1 - 1e-6 && m->tokens < 1 + 1e-6;
        if (!close && a.allowed != (m->tokens > 1))
            printf("# step %u key %u: %.9f tokens\n", step, k, m->tokens);
        CHECK(close || a.allowed == (m->tokens > 1));
        if (a.allowed)
            m->tokens -= 1;
        CHECK(a.remaining <= m->tokens + 1e-6 && a.remaining + 1 > m->tokens - 1e-6);
        *(a.allowed ? &allowed : &refused) += 1;
    }
    CHECK(allowed > STEPS / 10 && refused > STEPS / 10);
    auth_rate_destroy(r);
}

static void a_forgotten_key_is_never_worse_off(void)
{
    /* One set of eight places, many keys: whatever is forgotten, a key is never refused more often
     * than if it were alone. */
    enum { KEYS = 100, STEPS = 100000 };
    static struct naive models[KEYS];
    struct auth_rate *r = auth_rate_create(8, NULL);
    struct auth_rate_limit limit = {.per_min = 60, .burst = 3};
    uint64_t seed = 99;
    int64_t now_us = 0;
    unsigned refused = 0;
    REQUIRE(r);
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        unsigned k = (unsigned)(seed >> 33) % (step % 2 ? KEYS : 5);
        struct naive *m = &models[k];
        struct auth_id key = key_of(k);
        now_us += (int64_t)(seed >> 20 & 0x3ffff);
        m->tokens = m->begun ? MIN(m->tokens + (double)(now_us - m->last_us) / 1e6, 3.0) : 3.0;
        m->begun = true;
        m->last_us = now_us;
        bool is_allowed = auth_rate_take(r, &key, &limit, now_us).allowed;
        CHECK(is_allowed || m->tokens < 1 + 1e-6);
        /* The model takes what it has: a key that was forgotten may have less there than it got. */
        if (is_allowed)
            m->tokens = MAX(m->tokens - 1, 0.0);
        refused += !is_allowed;
    }
    CHECK(refused > 100);
    auth_rate_destroy(r);
}

static void an_address_of_ipv6_is_its_network(void)
{
    struct auth_id a = auth_rate_address("2001:db8:1:2:3:4:5:6"),
                   b = auth_rate_address("2001:db8:1:2::9"),
                   c = auth_rate_address("2001:db8:1:3:3:4:5:6"),
                   v4 = auth_rate_address("192.0.2.1"), other = auth_rate_address("192.0.2.2"),
                   mapped = auth_rate_address("::ffff:192.0.2.1"),
                   local = auth_rate_address("fe80::1%eth0"), none = auth_rate_address("unix");
    CHECK(auth_record_id_equal(&a, &b));
    CHECK(!auth_record_id_equal(&a, &c));
    CHECK(!auth_record_id_equal(&v4, &other));
    CHECK(auth_record_id_equal(&v4, &mapped));
    CHECK_EQ(local.bytes[0], 0xfe);
    CHECK(auth_record_id_is_zero(&none));
    none = auth_rate_address(NULL);
    CHECK(auth_record_id_is_zero(&none));
    none = auth_rate_address("");
    CHECK(auth_record_id_is_zero(&none));
    none = auth_rate_address("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc");
    CHECK(auth_record_id_is_zero(&none));
}

static void a_table_has_a_size_that_can_be(void)
{
    struct err err;
    CHECK(!auth_rate_create(0, &err));
    CHECK(!auth_rate_create((size_t)1 << 40, &err));
    auth_rate_destroy(NULL);
}

int main(void)
{
    TAP_RUN(a_burst_passes_and_then_the_rate);
    TAP_RUN(waiting_as_told_is_enough);
    TAP_RUN(keys_do_not_know_each_other);
    TAP_RUN(looking_takes_nothing);
    TAP_RUN(a_limit_that_is_raised_counts_at_once);
    TAP_RUN(who_is_over_the_limit_is_forgotten_last);
    TAP_RUN(random_requests_are_as_with_a_bucket_each);
    TAP_RUN(a_forgotten_key_is_never_worse_off);
    TAP_RUN(an_address_of_ipv6_is_its_network);
    TAP_RUN(a_table_has_a_size_that_can_be);
    return tap_done();
}
