/* The heap against a search through all. */
#include "base/deadlines.h"
#include "tap.h"

#define N 200

static uint64_t rng = 88172645463325252u;

static unsigned draw(unsigned n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (unsigned)(rng % n);
}

static void the_first_is_the_least_of_all(void)
{
    struct deadlines d = {0};
    static struct deadline all[N];
    for (unsigned round = 0; round < 20000; round++) {
        struct deadline *e = &all[draw(N)];
        unsigned n = 0;
        int64_t least = INT64_MAX;
        if (draw(3))
            REQUIRE(!deadlines_put(&d, e, draw(50)));
        else
            deadlines_remove(&d, draw(4) ? e : deadlines_first(&d) ? deadlines_first(&d) : e);
        for (unsigned i = 0; i < N; i++) {
            n += all[i].index != 0;
            if (all[i].index && all[i].at < least)
                least = all[i].at;
        }
        REQUIRE(d.n == n);
        REQUIRE(n ? deadlines_first(&d)->at == least : !deadlines_first(&d));
    }
    deadlines_fini(&d);
}

static void they_come_in_order(void)
{
    struct deadlines d = {0};
    static struct deadline all[N];
    int64_t last = 0;
    for (unsigned i = 0; i < N; i++) {
        all[i] = (struct deadline){0};
        REQUIRE(!deadlines_put(&d, &all[i], draw(1000)));
    }
    for (unsigned i = 0; i < N; i++) {
        struct deadline *e = deadlines_first(&d);
        REQUIRE(e && e->at >= last);
        last = e->at;
        deadlines_remove(&d, e);
        CHECK_EQ(e->index, 0u);
    }
    CHECK(!deadlines_first(&d));
    deadlines_fini(&d);
}

int main(void)
{
    TAP_RUN(the_first_is_the_least_of_all);
    TAP_RUN(they_come_in_order);
    return tap_done();
}
