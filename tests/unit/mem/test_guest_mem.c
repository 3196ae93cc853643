#include "mem/guest_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

#define PAGE GUEST_MEM_PAGE_BYTES

static struct guest_mem mem;
static struct err err;

static void small_memory_is_one_region_from_zero(void)
{
    REQUIRE(guest_mem_init(&mem, 64 * MIB, 0, &err) == 0);
    CHECK_EQ(mem.n_regions, 1);
    CHECK_EQ(mem.regions[0].gpa, 0);
    CHECK_EQ(mem.regions[0].size_bytes, 64 * MIB);
    CHECK_EQ(mem.fd, -1);
    CHECK_EQ((uintptr_t)mem.regions[0].hva % (2 * MIB), 0);
    guest_mem_fini(&mem);
}

static void large_memory_leaves_the_pci_hole_free(void)
{
    uint8_t b = 7;
    REQUIRE(guest_mem_init(&mem, 4 * GIB, GUEST_MEM_SHARED, &err) == 0);
    REQUIRE(mem.n_regions == 2);
    CHECK_EQ(mem.regions[0].size_bytes, GUEST_MEM_HOLE_START);
    CHECK_EQ(mem.regions[1].gpa, GUEST_MEM_HIGH_START);
    CHECK_EQ(mem.regions[1].size_bytes, 1 * GIB);
    CHECK_EQ(mem.regions[1].fd_offset, GUEST_MEM_HOLE_START);
    CHECK(!guest_mem_ptr(&mem, GUEST_MEM_HOLE_START, 1));
    CHECK(!guest_mem_ptr(&mem, GUEST_MEM_HIGH_START - 1, 1));
    CHECK(guest_mem_ptr(&mem, GUEST_MEM_HIGH_START, 1));
    CHECK(guest_mem_ptr(&mem, GUEST_MEM_HIGH_START + 1 * GIB - 1, 1));
    CHECK(!guest_mem_ptr(&mem, GUEST_MEM_HIGH_START + 1 * GIB, 1));
    /* Another mapping of the file sees what was written. */
    CHECK_EQ(guest_mem_write(&mem, GUEST_MEM_HIGH_START + 5, &b, 1), 0);
    b = 0;
    CHECK_EQ(pread(mem.fd, &b, 1, (off_t)(GUEST_MEM_HOLE_START + 5)), 1);
    CHECK_EQ(b, 7);
    guest_mem_fini(&mem);
}

static void bad_sizes_are_refused(void)
{
    CHECK_EQ(guest_mem_init(&mem, 0, 0, &err), -EINVAL);
    CHECK_EQ(guest_mem_init(&mem, PAGE + 1, 0, &err), -EINVAL);
    CHECK(strstr(err.msg, "4097"));
    CHECK_EQ(guest_mem_init(&mem, UINT64_MAX & ~(uint64_t)(PAGE - 1), 0, &err), -EINVAL);
    CHECK_EQ(guest_mem_init(&mem, PAGE, GUEST_MEM_HUGEPAGES, &err), -EINVAL);
}

static void pointers_never_reach_beyond_a_region(void)
{
    REQUIRE(guest_mem_init(&mem, 16 * PAGE, 0, &err) == 0);
    uint64_t end = 16 * PAGE;
    CHECK(guest_mem_ptr(&mem, 0, end) == mem.regions[0].hva);
    CHECK(!guest_mem_ptr(&mem, 0, end + 1));
    CHECK(!guest_mem_ptr(&mem, 1, end));
    CHECK(guest_mem_ptr(&mem, end - 1, 1));
    CHECK(!guest_mem_ptr(&mem, end, 1));
    CHECK(!guest_mem_ptr(&mem, 8, UINT64_MAX));
    CHECK(!guest_mem_ptr(&mem, UINT64_MAX, 2));
    CHECK_EQ(guest_mem_contiguous(&mem, end - 3), 3);
    CHECK_EQ(guest_mem_contiguous(&mem, end), 0);
    guest_mem_fini(&mem);
}

static void a_copy_that_does_not_fit_copies_nothing(void)
{
    uint8_t buf[64];
    REQUIRE(guest_mem_init(&mem, PAGE, 0, &err) == 0);
    memset(buf, 0xaa, sizeof(buf));
    CHECK_EQ(guest_mem_write(&mem, PAGE - 32, buf, 64), -EFAULT);
    CHECK_EQ(mem.regions[0].hva[PAGE - 32], 0);
    CHECK_EQ(guest_mem_read(&mem, PAGE - 32, buf, 64), -EFAULT);
    CHECK_EQ(buf[0], 0xaa);
    CHECK_EQ(guest_mem_write(&mem, PAGE - 64, buf, 64), 0);
    memset(buf, 0, sizeof(buf));
    CHECK_EQ(guest_mem_read(&mem, PAGE - 64, buf, 64), 0);
    CHECK_EQ(buf[63], 0xaa);
    guest_mem_fini(&mem);
}

static unsigned resident_pages(uint64_t gpa, unsigned n)
{
    unsigned char pages[64] = {0};
    unsigned count = 0;
    CHECK_EQ(mincore(guest_mem_ptr(&mem, gpa, n * PAGE), n * PAGE, pages), 0);
    for (unsigned i = 0; i < n; i++)
        count += pages[i] & 1;
    return count;
}

static void what_is_populated_is_resident_and_keeps_its_bytes(void)
{
    static const unsigned flags[] = {0, GUEST_MEM_SHARED};
    for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
        REQUIRE(guest_mem_init(&mem, 64 * PAGE, flags[i], &err) == 0);
        mem.regions[0].hva[5 * PAGE] = 7;
        CHECK_EQ(guest_mem_populate(&mem, 4 * PAGE + 1, 8 * PAGE), 0);
        CHECK_EQ(resident_pages(4 * PAGE, 9), 9);
        CHECK_EQ(mem.regions[0].hva[5 * PAGE], 7);
        CHECK_EQ(guest_mem_populate(&mem, 60 * PAGE, 5 * PAGE), -EFAULT);
        CHECK_EQ(resident_pages(60 * PAGE, 4), 0);
        guest_mem_fini(&mem);
    }
}

static bool dies(uint8_t *at)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)at = 1;
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status);
}

static void beside_the_memory_there_is_nothing(void)
{
    REQUIRE(guest_mem_init(&mem, 3 * PAGE, 0, &err) == 0);
    uint8_t *p = mem.regions[0].hva;
    CHECK(!dies(p));
    CHECK(dies(p - 1));
    CHECK(dies(p + 3 * PAGE));
    CHECK(dies(p + 3 * PAGE + 60 * KIB));
    guest_mem_fini(&mem);
}

static void shared_memory_cannot_be_made_shorter_or_longer(void)
{
    REQUIRE(guest_mem_init(&mem, 4 * PAGE, GUEST_MEM_SHARED, &err) == 0);
    CHECK(ftruncate(mem.fd, PAGE) < 0 && errno == EPERM);
    CHECK(ftruncate(mem.fd, 8 * PAGE) < 0 && errno == EPERM);
    CHECK_EQ(fallocate(mem.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), 0);
    guest_mem_fini(&mem);
}

/* ---- dirty log ---- */

static unsigned count_bits(const uint64_t *bits, unsigned words)
{
    unsigned n = 0;
    for (unsigned i = 0; i < words; i++)
        n += (unsigned)__builtin_popcountll(bits[i]);
    return n;
}

static void exactly_the_pages_written_are_dirty(void)
{
    uint64_t bits[4] = {0};
    uint8_t b = 1;
    REQUIRE(guest_mem_init(&mem, 200 * PAGE, 0, &err) == 0);
    guest_mem_write(&mem, 0, &b, 1); /* not yet logged */
    REQUIRE(guest_mem_dirty_start(&mem, &err) == 0);
    guest_mem_mark_dirty(&mem, 3 * PAGE + 5, 1);
    guest_mem_mark_dirty(&mem, 63 * PAGE + 4095, 2);                 /* two pages, two words */
    guest_mem_mark_dirty(&mem, 199 * PAGE, UINT64_MAX - 199 * PAGE); /* cut at the end */
    guest_mem_mark_dirty(&mem, 200 * PAGE, 1);                       /* not RAM */
    guest_mem_mark_dirty(&mem, 7 * PAGE, 0);
    guest_mem_write(&mem, 100 * PAGE - 1, "ab", 2);
    guest_mem_dirty_take(&mem, 0, bits);
    CHECK_EQ(count_bits(bits, 4), 6);
    CHECK(bits[0] >> 3 & 1);
    CHECK(bits[0] >> 63 & 1);
    CHECK(bits[1] & 1);
    CHECK(bits[1] >> 35 & 1);
    CHECK(bits[1] >> 36 & 1);
    CHECK(bits[3] >> 7 & 1);
    guest_mem_dirty_take(&mem, 0, bits); /* ORs, and has been cleared */
    CHECK_EQ(count_bits(bits, 4), 6);
    memset(bits, 0, sizeof(bits));
    guest_mem_dirty_take(&mem, 0, bits);
    CHECK_EQ(count_bits(bits, 4), 0);
    guest_mem_dirty_take(&mem, 5, bits); /* no such region */
    guest_mem_dirty_stop(&mem);
    guest_mem_mark_dirty(&mem, 0, 1);
    guest_mem_dirty_take(&mem, 0, bits);
    CHECK_EQ(count_bits(bits, 4), 0);
    guest_mem_fini(&mem);
}

#define THREADS 4
#define PAGES   4096

static void *scribble(void *arg)
{
    uintptr_t first = (uintptr_t)arg;
    for (uint64_t p = first; p < PAGES; p += THREADS)
        guest_mem_mark_dirty(&mem, p * PAGE, 1);
    return NULL;
}

static void no_mark_of_any_thread_is_lost_while_bits_are_taken(void)
{
    static uint64_t bits[PAGES / 64];
    pthread_t t[THREADS];
    REQUIRE(guest_mem_init(&mem, PAGES * PAGE, 0, &err) == 0);
    REQUIRE(guest_mem_dirty_start(&mem, &err) == 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&t[i], NULL, scribble, (void *)i))
            abort();
    for (int i = 0; i < 100; i++)
        guest_mem_dirty_take(&mem, 0, bits);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    guest_mem_dirty_take(&mem, 0, bits);
    CHECK_EQ(count_bits(bits, PAGES / 64), PAGES);
    guest_mem_dirty_stop(&mem);
    guest_mem_fini(&mem);
}

int main(void)
{
    TAP_RUN(what_is_populated_is_resident_and_keeps_its_bytes);
    TAP_RUN(small_memory_is_one_region_from_zero);
    TAP_RUN(large_memory_leaves_the_pci_hole_free);
    TAP_RUN(bad_sizes_are_refused);
    TAP_RUN(pointers_never_reach_beyond_a_region);
    TAP_RUN(a_copy_that_does_not_fit_copies_nothing);
    TAP_RUN(beside_the_memory_there_is_nothing);
    TAP_RUN(shared_memory_cannot_be_made_shorter_or_longer);
    TAP_RUN(exactly_the_pages_written_are_dirty);
    TAP_RUN(no_mark_of_any_thread_is_lost_while_bits_are_taken);
    return tap_done();
}
