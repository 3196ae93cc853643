/* Memory of one request. */
#include "api/api_arena.h"

#include <stdint.h>

#include "tap.h"

static void gives_zeroed_memory_that_is_aligned(void)
{
    struct api_arena a;
    api_arena_init(&a, 1 << 20);
    for (size_t bytes = 0; bytes < 100; bytes += 7) {
        unsigned char *p = api_arena_alloc(&a, bytes);
        REQUIRE(p);
        CHECK_EQ((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < bytes; i++)
            CHECK_EQ(p[i], 0);
        memset(p, 0xff, bytes);
    }
    api_arena_fini(&a);
}

static void keeps_what_was_given_while_it_grows(void)
{
    struct api_arena a;
    char *texts[2000], expected[32];
    api_arena_init(&a, 1 << 20);
    for (int i = 0; i < 2000; i++) {
        snprintf(expected, sizeof(expected), "text %d", i);
        texts[i] = api_arena_text(&a, expected, strlen(expected));
        REQUIRE(texts[i]);
    }
    for (int i = 0; i < 2000; i++) {
        snprintf(expected, sizeof(expected), "text %d", i);
        CHECK_STR(texts[i], expected);
    }
    api_arena_fini(&a);
}

static void never_holds_more_than_its_limit(void)
{
    struct api_arena a;
    api_arena_init(&a, 10000);
    unsigned n = 0;
    while (api_arena_alloc(&a, 1000))
        n++;
    CHECK(n >= 4 && n <= 10);
    CHECK(!api_arena_alloc(&a, 20000));
    CHECK(!api_arena_alloc(&a, SIZE_MAX));
    CHECK(!api_arena_array(&a, SIZE_MAX / 2, 4));
    CHECK(!api_arena_text(&a, "", SIZE_MAX));
    api_arena_fini(&a);
}

static void can_be_ended_twice_and_used_again(void)
{
    struct api_arena a = {0};
    api_arena_fini(&a);
    api_arena_init(&a, 10000);
    CHECK(api_arena_alloc(&a, 5000));
    api_arena_fini(&a);
    api_arena_fini(&a);
    CHECK(api_arena_alloc(&a, 5000));
    api_arena_fini(&a);
}

int main(void)
{
    TAP_RUN(gives_zeroed_memory_that_is_aligned);
    TAP_RUN(keeps_what_was_given_while_it_grows);
    TAP_RUN(never_holds_more_than_its_limit);
    TAP_RUN(can_be_ended_twice_and_used_again);
    return tap_done();
}
