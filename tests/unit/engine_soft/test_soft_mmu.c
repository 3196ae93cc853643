/* Page walks: what they find, which bits they set, and what they do while another CPU changes the
 * tables. */
#include <pthread.h>
#include <stdatomic.h>

#include "soft_vm_fixture.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80 };
#define PML4   UINT64_C(0x1000)
#define PDPT   UINT64_C(0x2000)
#define PD     UINT64_C(0x3000)
#define PT     UINT64_C(0x4000)
#define PAGE   UINT64_C(0x8000) /* where linear LINEAR is */
#define LINEAR UINT64_C(0x5000)
#define INDEX  5

static uint64_t *entry(struct soft_fixture *f, uint64_t table, unsigned index)
{
    return (uint64_t *)guest_mem_ptr(&f->mem, table + 8 * index, 8);
}

/* One page in long mode. */
static bool open_long(struct soft_fixture *f, uint64_t pte)
{
    if (!soft_fixture_open(f, 1))
        return false;
    struct soft_cpu *cpu = f->cpus[0];
    *entry(f, PML4, 0) = PDPT | P | W | U;
    *entry(f, PDPT, 0) = PD | P | W | U;
    *entry(f, PD, 0) = PT | P | W | U;
    *entry(f, PT, INDEX) = pte;
    cpu->cr0 = 0x80010011; /* PG WP ET PE */
    cpu->cr3 = PML4;
    cpu->cr4 = 0x20;   /* PAE */
    cpu->efer = 0xd00; /* NXE LMA LME */
    soft_update_mode(cpu);
    return true;
}

static uint32_t look(struct soft_fixture *f, enum soft_access access, bool user)
{
    struct soft_translation t;
    uint32_t fault = soft_mmu_walk(f->cpus[0], LINEAR + 0x123, access,
                                   user ? SOFT_TLB_USER : SOFT_TLB_SUPERVISOR, &t);
    if (!fault)
        CHECK_EQ(t.phys, PAGE + 0x123);
    return fault;
}

static void a_read_sets_accessed_on_the_way_and_a_write_also_dirty(void)
{
    struct soft_fixture f;
    REQUIRE(open_long(&f, PAGE | P | W | U));
    CHECK_EQ(look(&f, SOFT_READ, false), 0);
    CHECK_EQ(*entry(&f, PML4, 0), PDPT | P | W | U | A);
    CHECK_EQ(*entry(&f, PD, 0), PT | P | W | U | A);
    CHECK_EQ(*entry(&f, PT, INDEX), PAGE | P | W | U | A);
    CHECK_EQ(look(&f, SOFT_WRITE, true), 0);
    CHECK_EQ(*entry(&f, PD, 0), PT | P | W | U | A);
    CHECK_EQ(*entry(&f, PT, INDEX), PAGE | P | W | U | A | D);
    soft_fixture_close(&f);
}

static void what_is_refused_leaves_the_page_untouched_and_says_why(void)
{
    static const struct {
        uint64_t pte;
        enum soft_access access;
        bool user;
        uint32_t error;
    } cases[] = {
        {0, SOFT_READ, false, 0},
        {0, SOFT_WRITE, true, 2 | 4},
        {PAGE | P | W, SOFT_READ, true, 1 | 4},
        {PAGE | P | U, SOFT_WRITE, true, 1 | 2 | 4},
        {PAGE | P | U, SOFT_WRITE, false, 1 | 2}, /* CR0.WP */
        {PAGE | P | U | UINT64_C(1) << 63, SOFT_FETCH, true, 1 | 4 | 16},
        {PAGE | P | W | U | UINT64_C(1) << 50, SOFT_READ, false, 1 | 8}, /* beyond 46 bits */
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct soft_fixture f;
        REQUIRE(open_long(&f, cases[i].pte));
        CHECK_EQ(look(&f, cases[i].access, cases[i].user), SOFT_MMU_FAULT | cases[i].error);
        CHECK_EQ(*entry(&f, PT, INDEX), cases[i].pte);
        soft_fixture_close(&f);
    }
}

static void narrow_entries_of_32_bit_paging_leave_their_neighbours_alone(void)
{
    struct soft_fixture f;
    struct soft_translation t;
    REQUIRE(soft_fixture_open(&f, 1));
    struct soft_cpu *cpu = f.cpus[0];
    uint32_t *pd = (uint32_t *)guest_mem_ptr(&f.mem, PD, 4096);
    uint32_t *pt = (uint32_t *)guest_mem_ptr(&f.mem, PT, 4096);
    pd[0] = PT | P | W | U;
    pt[INDEX] = PAGE | P | W | U;
    pt[INDEX + 1] = 0x12345000;
    cpu->cr0 = 0x80010011;
    cpu->cr3 = PD;
    cpu->cr4 = cpu->efer = 0;
    soft_update_mode(cpu);
    CHECK_EQ(soft_mmu_walk(cpu, LINEAR, SOFT_WRITE, SOFT_TLB_USER, &t), 0);
    CHECK_EQ(t.phys, PAGE);
    CHECK_EQ(pd[0], PT | P | W | U | A);
    CHECK_EQ(pt[INDEX], PAGE | P | W | U | A | D);
    CHECK_EQ(pt[INDEX + 1], 0x12345000);
    soft_fixture_close(&f);
}

static void reserved_bits_of_pae_fault_wherever_they_are(void)
{
    static const struct {
        uint64_t pdpte, pde, pte;
        uint32_t fault; /* of a supervisor's read; 0: none */
    } cases[] = {
        {0, 0, 0, 0},
        {2, 0, 0, 1 | 8}, /* bits 1, 2 and 5 to 8, and what is above the address */
        {UINT64_C(1) << 8, 0, 0, 1 | 8},
        {UINT64_C(1) << 50, 0, 0, 1 | 8},
        {UINT64_C(1) << 63, 0, 0, 1 | 8},
        {0, UINT64_C(1) << 52, 0, 1 | 8},
        {0, UINT64_C(1) << 62, 0, 1 | 8},
        {0, 0, UINT64_C(1) << 52, 1 | 8},
        {0, 0, UINT64_C(1) << 62, 1 | 8},
        {0, 0, UINT64_C(1) << 63, 0}, /* NX, and it is no fetch */
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct soft_fixture f;
        struct soft_translation t;
        REQUIRE(soft_fixture_open(&f, 1));
        struct soft_cpu *cpu = f.cpus[0];
        *entry(&f, PDPT, 0) = PD | P | cases[i].pdpte;
        *entry(&f, PD, 0) = PT | P | W | cases[i].pde;
        *entry(&f, PT, INDEX) = PAGE | P | W | cases[i].pte;
        cpu->cr0 = 0x80010011;
        cpu->cr3 = PDPT;
        cpu->cr4 = 0x20;
        cpu->efer = 0x800; /* NXE */
        soft_update_mode(cpu);
        CHECK_EQ(soft_mmu_walk(cpu, LINEAR, SOFT_READ, SOFT_TLB_SUPERVISOR, &t),
                 cases[i].fault ? SOFT_MMU_FAULT | cases[i].fault : 0);
        soft_fixture_close(&f);
    }
}

struct unmapper {
    uint64_t *pte;
    _Atomic bool stop;
    unsigned long rounds, marked_late;
};

/* What a kernel's ptep_get_and_clear() does on another CPU: after it, nobody may change the entry;
 * a dirty bit that appears in one that is not present would be lost. */
static void *unmap_and_map(void *arg)
{
    struct unmapper *u = arg;
    while (!atomic_load(&u->stop)) {
        __atomic_exchange_n(u->pte, 0, __ATOMIC_SEQ_CST);
        for (volatile int i = 0; i < 50; i++)
            ;
        u->marked_late += __atomic_load_n(u->pte, __ATOMIC_SEQ_CST) != 0;
        __atomic_store_n(u->pte, PAGE | P | W | U, __ATOMIC_SEQ_CST);
        u->rounds++;
    }
    return NULL;
}

static void a_walk_never_marks_an_entry_that_has_gone(void)
{
    struct soft_fixture f;
    pthread_t thread;
    REQUIRE(open_long(&f, PAGE | P | W | U));
    struct unmapper u = {.pte = entry(&f, PT, INDEX)};
    REQUIRE(pthread_create(&thread, NULL, unmap_and_map, &u) == 0);
    unsigned found = 0, tries = 0;
    while (found < 200000 && tries++ < 20000000)
        found += look(&f, SOFT_WRITE, true) == 0;
    atomic_store(&u.stop, true);
    pthread_join(thread, NULL);
    CHECK(found && u.rounds);
    CHECK_EQ(u.marked_late, 0);
    soft_fixture_close(&f);
}

int main(void)
{
    TAP_RUN(a_read_sets_accessed_on_the_way_and_a_write_also_dirty);
    TAP_RUN(what_is_refused_leaves_the_page_untouched_and_says_why);
    TAP_RUN(narrow_entries_of_32_bit_paging_leave_their_neighbours_alone);
    TAP_RUN(reserved_bits_of_pae_fault_wherever_they_are);
    TAP_RUN(a_walk_never_marks_an_entry_that_has_gone);
    return tap_done();
}
