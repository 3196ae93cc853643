#include "mgmt/server/server_ipam.h"

#include <errno.h>

#include "tap.h"

#define N 400

static uint64_t state = 1;

static unsigned roll(unsigned below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)((state >> 33) % below);
}

/* A set and what it should be: N numbers from `base` on. */
struct model {
    struct server_ipam_set set;
    server_ipam_number base;
    bool in[N];
};

static void check_counts(const struct model *m)
{
    unsigned first = roll(N), last = roll(N), count = 0, lowest = N;
    server_ipam_number x = 7;
    for (unsigned i = first; i <= last && i < N; i++) {
        count += m->in[i];
        if (!m->in[i] && lowest == N)
            lowest = i;
    }
    CHECK_EQ(server_ipam_count(&m->set, m->base + first, m->base + last), count);
    bool found = server_ipam_lowest_free(&m->set, m->base + first, m->base + last, &x);
    CHECK_EQ(found, lowest < N);
    CHECK(found ? x == m->base + lowest : x == 7);
}

static void step(struct model *m, unsigned adds_in_ten)
{
    unsigned i = roll(4) ? roll(N) : roll(8), run = 1 + (roll(10) ? 0 : roll(60));
    bool adds = roll(10) < adds_in_ten;
    for (; run && i < N; run--, i++) {
        int r =
            adds ? server_ipam_add(&m->set, m->base + i) : server_ipam_remove(&m->set, m->base + i);
        CHECK_EQ(r, adds == m->in[i] ? (adds ? -EEXIST : -ENOENT) : 0);
        m->in[i] = adds;
    }
    i = roll(N);
    CHECK_EQ(server_ipam_has(&m->set, m->base + i), m->in[i]);
    check_counts(m);
}

static void does_what_a_row_of_flags_does(void)
{
    const server_ipam_number bases[] = {0, (server_ipam_number)0xffff0a000000,
                                        SERVER_IPAM_MAX - N + 1, (server_ipam_number)1 << 64};
    for (unsigned b = 0; b < 4; b++) {
        struct model m = {.base = bases[b]};
        server_ipam_init(&m.set);
        for (unsigned i = 0; i < 30000; i++)
            step(&m, i / 5000 % 2 ? 3 : 7);
        for (unsigned i = 0; i < N; i++)
            CHECK_EQ(server_ipam_has(&m.set, m.base + i), m.in[i]);
        server_ipam_fini(&m.set);
    }
}

static void numbers_at_the_very_end_have_no_neighbours(void)
{
    struct server_ipam_set set;
    server_ipam_number x = 0;
    server_ipam_init(&set);
    CHECK_EQ(server_ipam_add(&set, SERVER_IPAM_MAX), 0);
    CHECK_EQ(server_ipam_add(&set, 0), 0);
    CHECK(!server_ipam_lowest_free(&set, SERVER_IPAM_MAX, SERVER_IPAM_MAX, &x));
    CHECK(server_ipam_lowest_free(&set, 0, SERVER_IPAM_MAX, &x) && x == 1);
    CHECK_EQ(server_ipam_count(&set, 0, SERVER_IPAM_MAX), 2);
    CHECK_EQ(server_ipam_remove(&set, SERVER_IPAM_MAX), 0);
    CHECK_EQ(server_ipam_count(&set, 1, SERVER_IPAM_MAX), 0);
    server_ipam_fini(&set);
}

/* Every other one of a /12 is the worst there is: as many nodes as numbers. */
static void a_million_addresses_stay_searchable(void)
{
    struct server_ipam_set set;
    server_ipam_number x;
    server_ipam_init(&set);
    for (unsigned i = 0; i < 1u << 20; i += 2)
        REQUIRE(!server_ipam_add(&set, i));
    for (unsigned i = 0; i < 1u << 19; i++) {
        REQUIRE(server_ipam_lowest_free(&set, 0, (1u << 20) - 1, &x));
        REQUIRE(x == 2 * i + 1 && !server_ipam_add(&set, x));
    }
    CHECK(!server_ipam_lowest_free(&set, 0, (1u << 20) - 1, &x));
    CHECK_EQ(server_ipam_remove(&set, 77777), 0);
    CHECK(server_ipam_lowest_free(&set, 0, (1u << 20) - 1, &x) && x == 77777);
    server_ipam_fini(&set);
}

static void what_is_in_flight_is_not_free_either(void)
{
    for (unsigned round = 0; round < 2000; round++) {
        struct server_ipam ipam;
        bool used[20];
        unsigned first = roll(20), last = roll(20), lowest = 20;
        server_ipam_number x = 99;
        server_ipam_init(&ipam.shown);
        server_ipam_init(&ipam.flight);
        for (unsigned i = 0; i < 20; i++) {
            unsigned where = roll(4);
            used[i] = where;
            if (where & 1)
                server_ipam_add(&ipam.shown, i);
            if (where & 2)
                server_ipam_add(&ipam.flight, i);
            CHECK_EQ(server_ipam_used(&ipam, i), used[i]);
        }
        for (unsigned i = first; i <= last; i++)
            if (!used[i] && lowest == 20)
                lowest = i;
        bool found = server_ipam_next(&ipam, first, last, &x);
        CHECK_EQ(found, lowest < 20);
        CHECK(found ? x == lowest : x == 99);
        server_ipam_fini(&ipam.shown);
        server_ipam_fini(&ipam.flight);
    }
}

int main(void)
{
    TAP_RUN(does_what_a_row_of_flags_does);
    TAP_RUN(numbers_at_the_very_end_have_no_neighbours);
    TAP_RUN(a_million_addresses_stay_searchable);
    TAP_RUN(what_is_in_flight_is_not_free_either);
    return tap_done();
}
