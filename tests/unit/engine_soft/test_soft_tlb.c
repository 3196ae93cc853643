/* The TLB against a model that forgets nothing on its own: what a flush has taken must not be
 * found, and what is found must lead where the last fill said. */
#include "soft_vm_fixture.h"

#define HALVES 2
#define PAGES  4096 /* of each half: small ones, then two of 2 MiB, then part of one of 1 GiB */
#define SETS   3    /* those that are filled */
#define STEPS  200000

static struct model {
    bool there, global;
    uint64_t addend;
} model[SETS][HALVES][PAGES];

static uint64_t seed = 1;

static uint64_t below(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

static uint64_t linear_of(unsigned half, unsigned page)
{
    return (half ? UINT64_C(0xffffffff80000000) : 0) + ((uint64_t)page << 12);
}

static uint64_t bytes_of(unsigned page)
{
    return page < PAGES / 2 ? 4096 : page < PAGES * 3 / 4 ? UINT64_C(2) << 20 : UINT64_C(1) << 30;
}

static void fill(struct soft_cpu *cpu)
{
    unsigned set = (unsigned)below(SETS), half = (unsigned)below(HALVES);
    unsigned page = (unsigned)below(PAGES);
    uint64_t linear = linear_of(half, page);
    struct soft_translation t = {
        .page_bytes = bytes_of(page), .global = below(3) == 0, .writable = below(2)};
    const uint8_t *host = (const uint8_t *)(uintptr_t)((1 + below(1 << 20)) << 12);
    soft_tlb_fill(cpu, set, linear + below(4096), &t, host);
    model[set][half][page] = (struct model){true, t.global, (uintptr_t)host - linear};
    CHECK_EQ(cpu->tlbs->entries[set][soft_tlb_index(linear)].read, linear);
}

/* Takes from the model what the flush takes: all, what is not global, or a page. */
static void flush(struct soft_cpu *cpu, unsigned kind)
{
    unsigned half = (unsigned)below(HALVES), page = (unsigned)below(PAGES);
    uint64_t linear = linear_of(half, page);
    if (kind == 0)
        soft_tlb_flush(cpu);
    else if (kind == 1)
        soft_tlb_flush_local(cpu);
    else
        soft_tlb_flush_page(cpu, linear);
    for (unsigned s = 0; s < SETS; s++)
        for (unsigned h = 0; h < HALVES; h++)
            for (unsigned p = 0; p < PAGES; p++) {
                struct model *m = &model[s][h][p];
                bool in_page = !((linear_of(h, p) ^ linear) & ~(bytes_of(p) - 1));
                if (kind == 0 || (kind == 1 && !m->global) || (kind == 2 && in_page))
                    m->there = false;
            }
}

/* Returns how many translations are found. */
static unsigned compare(const struct soft_cpu *cpu)
{
    unsigned found = 0, wrong = 0;
    for (unsigned s = 0; s < SETS; s++)
        for (unsigned h = 0; h < HALVES; h++)
            for (unsigned p = 0; p < PAGES; p++) {
                const struct soft_tlb_entry *e =
                    &cpu->tlbs->entries[s][soft_tlb_index(linear_of(h, p))];
                bool hit = e->read == linear_of(h, p) || e->write == linear_of(h, p);
                found += hit;
                wrong += hit && (!model[s][h][p].there || e->addend != model[s][h][p].addend);
            }
    CHECK_EQ(wrong, 0);
    return found;
}

static void it_never_holds_what_a_flush_has_taken(void)
{
    struct soft_fixture f;
    unsigned kept = 0;
    REQUIRE(soft_fixture_open(&f, 1));
    struct soft_cpu *cpu = f.cpus[0];
    for (unsigned step = 0; step < STEPS; step++) {
        fill(cpu);
        /* Now and then the logs overflow before. */
        if (below(step % 5000 < 2500 ? 300 : 3000))
            continue;
        unsigned kind = below(10) ? 1 + (unsigned)below(2) : 0;
        flush(cpu, kind);
        unsigned found = compare(cpu);
        kept += kind ? found : 0;
        if (!kind)
            CHECK_EQ(found, 0);
    }
    CHECK(kept > 0);
    soft_fixture_close(&f);
}

static void global_pages_outlive_the_others(void)
{
    struct soft_fixture f;
    struct soft_translation t = {.page_bytes = 4096, .global = true};
    REQUIRE(soft_fixture_open(&f, 1));
    struct soft_cpu *cpu = f.cpus[0];
    soft_tlb_fill(cpu, SOFT_TLB_SUPERVISOR, 0x5000, &t, (const uint8_t *)0x1000);
    t.global = false;
    soft_tlb_fill(cpu, SOFT_TLB_SUPERVISOR, 0x6000, &t, (const uint8_t *)0x1000);
    soft_tlb_flush_local(cpu);
    CHECK_EQ(cpu->tlbs->entries[SOFT_TLB_SUPERVISOR][5].read, 0x5000);
    CHECK(cpu->tlbs->entries[SOFT_TLB_SUPERVISOR][6].read != 0x6000);
    soft_tlb_flush(cpu);
    CHECK(cpu->tlbs->entries[SOFT_TLB_SUPERVISOR][5].read != 0x5000);
    soft_fixture_close(&f);
}

int main(void)
{
    TAP_RUN(it_never_holds_what_a_flush_has_taken);
    TAP_RUN(global_pages_outlive_the_others);
    return tap_done();
}
