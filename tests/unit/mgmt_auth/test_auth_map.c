#include "mgmt/auth/auth_map_internal.h"

#include "base/util.h"
#include "tap.h"

/* The paper's appendix: key 00..0f. */
static void the_hash_is_siphash(void)
{
    struct auth_map_seed seed = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t in[15];
    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)i;
    CHECK(auth_map_hash(&seed, in, 15) == UINT64_C(0xa129ca6149be45e5));
    CHECK(auth_map_hash(&seed, in, 0) == UINT64_C(0x726fdb47dd0e0e31));
    CHECK(auth_map_hash(&seed, in, 8) == UINT64_C(0x93f5f5799a932462));
}

struct item {
    struct auth_map_node node;
    unsigned key;
    bool in;
};

static void finds_what_is_in_it_while_it_grows(void)
{
    enum { N = 3000 };
    static struct item items[N];
    struct auth_map m;
    REQUIRE(!auth_map_init(&m));
    for (unsigned step = 0; step < 40000; step++) {
        struct item *it = &items[(step * 7919u + step / 13) % N];
        it->key = (unsigned)(it - items);
        uint64_t hash = it->key / 3 * UINT64_C(0x9e3779b97f4a7c15); /* three share one */
        if (it->in) {
            auth_map_remove(&m, &it->node);
        } else {
            REQUIRE(!auth_map_reserve(&m));
            auth_map_add(&m, &it->node, hash);
        }
        it->in = !it->in;
    }
    unsigned count = 0;
    for (unsigned i = 0; i < N; i++) {
        bool found = false;
        uint64_t hash = i / 3 * UINT64_C(0x9e3779b97f4a7c15);
        for (struct auth_map_node *n = auth_map_first(&m, hash); n; n = auth_map_next(n)) {
            CHECK_EQ(container_of(n, struct item, node)->key / 3, i / 3);
            found |= n == &items[i].node;
        }
        CHECK_EQ(found, items[i].in);
        count += items[i].in;
    }
    CHECK_EQ(m.count, count);
    CHECK(m.n_heads >= count);
    auth_map_fini(&m);
}

static void the_newest_of_a_hash_comes_first_also_after_it_grew(void)
{
    static struct item same[3], others[100];
    struct auth_map m;
    REQUIRE(!auth_map_init(&m));
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE(!auth_map_reserve(&m));
        auth_map_add(&m, &same[i].node, 5);
    }
    for (unsigned i = 0; i < 100; i++) {
        REQUIRE(!auth_map_reserve(&m));
        auth_map_add(&m, &others[i].node, 6 + i);
    }
    struct auth_map_node *n = auth_map_first(&m, 5);
    for (unsigned i = 3; i-- > 0; n = auth_map_next(n))
        CHECK(n == &same[i].node);
    CHECK(n == NULL);
    auth_map_fini(&m);
}

int main(void)
{
    TAP_RUN(the_hash_is_siphash);
    TAP_RUN(finds_what_is_in_it_while_it_grows);
    TAP_RUN(the_newest_of_a_hash_comes_first_also_after_it_grew);
    return tap_done();
}
