#include "mgmt/sched/sched_index.h"

#include "base/util.h"
#include "tap.h"

static const struct sched_weights weights = {.cpu = 3, .memory = 2};

static struct sched_entry entry(int32_t cpu, int32_t memory)
{
    return (struct sched_entry){{cpu, memory, cpu ^ memory, cpu / 2, -memory}};
}

static void keeps_order_and_maxima_while_entries_come_and_go(void)
{
    enum { N = 3000 };
    static struct sched_entry entries[N];
    static bool in[N];
    struct sched_index *index = sched_index_create(&weights);
    size_t n = 0;
    uint32_t state = 1;
    for (unsigned i = 0; i < 60000; i++) {
        state = state * 1664525 + 1013904223;
        uint32_t host = (state >> 8) % N;
        bool shrink = i / 10000 % 2; /* grows and shrinks: splits and merges */
        if (in[host] && (shrink || i % 4 == 0)) {
            sched_index_erase(index, host, &entries[host]);
            in[host] = false;
            n--;
        } else if (!in[host] && (!shrink || i % 16 == 0)) {
            entries[host] = entry((int32_t)(state >> 26) - 8, (int32_t)(state >> 20 & 15) - 4);
            CHECK_EQ(sched_index_insert(index, host, &entries[host]), 0);
            in[host] = true;
            n++;
        }
        if (i % 500 == 0)
            CHECK_EQ(sched_index_verify(index), n);
    }
    for (uint32_t host = 0; host < N; host++)
        if (in[host])
            sched_index_erase(index, host, &entries[host]);
    CHECK_EQ(sched_index_verify(index), 0);
    CHECK_EQ(index->n, 0);
    sched_index_destroy(index);
}

static void an_entry_that_moves_needs_no_memory(void)
{
    enum { N = 1000 };
    static struct sched_entry entries[N];
    struct sched_index *index = sched_index_create(&weights);
    for (uint32_t host = 0; host < N; host++) {
        entries[host] = entry((int32_t)host, 0);
        sched_index_insert(index, host, &entries[host]);
    }
    size_t leaves = index->n + index->n_idle;
    uint32_t state = 7;
    for (unsigned i = 0; i < 50000; i++) {
        state = state * 1664525 + 1013904223;
        uint32_t host = (state >> 8) % N;
        sched_index_erase(index, host, &entries[host]);
        entries[host] = entry((int32_t)(state >> 24) * (i % 3 ? 1 : 9), 0);
        CHECK_EQ(sched_index_insert(index, host, &entries[host]), 0);
        CHECK_EQ(index->n + index->n_idle, leaves);
    }
    sched_index_destroy(index);
}

static void finds_the_entries_of_a_leaf_that_fit(void)
{
    struct sched_index *index = sched_index_create(&weights);
    for (uint32_t host = 0; host < SCHED_LEAF; host++) {
        struct sched_entry e = {{(int32_t)host, 100, (int32_t)(host % 2), 0, 0}};
        sched_index_insert(index, host, &e);
        int32_t need[SCHED_DIMS] = {10, INT32_MIN, 1, INT32_MIN, INT32_MIN};
        uint64_t want = 0;
        for (uint32_t h = 10; h <= host; h++)
            want |= (uint64_t)(h % 2) << h;
        CHECK_EQ(sched_index_fits(&index->refs[0], need), want);
        CHECK_EQ(sched_index_may_fit(&index->refs[0], need), host >= 10);
    }
    sched_index_destroy(index);
}

static void seeks_the_first_leaf_with_a_key(void)
{
    struct sched_index *index = sched_index_create(&weights);
    for (uint32_t host = 0; host < 1000; host++) {
        struct sched_entry e = entry((int32_t)(host / 100), 0); /* runs of one key over leaves */
        sched_index_insert(index, host, &e);
    }
    for (int64_t key = -1; key < 31; key++) {
        size_t at = sched_index_seek(index, key);
        CHECK(at == 0 || index->refs[at].key < key || index->refs[at].host == 0);
        CHECK(at + 1 == index->n || index->refs[at + 1].key >= key);
    }
    sched_index_destroy(index);
}

int main(void)
{
    TAP_RUN(keeps_order_and_maxima_while_entries_come_and_go);
    TAP_RUN(an_entry_that_moves_needs_no_memory);
    TAP_RUN(finds_the_entries_of_a_leaf_that_fit);
    TAP_RUN(seeks_the_first_leaf_with_a_key);
    return tap_done();
}
