/* A VM of the soft engine: page flags and generations, dirty log, clock, interrupt routes. */
#include <cpuid.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/clock.h"
#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_vcpu.h"
#include "engine/soft/soft_vm.h"

static struct soft_vm *to_soft(struct engine_vm *vm)
{
    return container_of(vm, struct soft_vm, base);
}

/* ---- slots of pages ---- */

static uint64_t slot_of(const struct soft_vm *vm, const uint8_t *host)
{
    return ((uintptr_t)host >> 12) & vm->page_mask;
}

/* Whether two pages of RAM would share a slot under this mask. */
static bool slots_collide(const struct guest_mem *mem, uint64_t mask)
{
    for (unsigned i = 0; i < mem->n_regions; i++) {
        uint64_t a = (uintptr_t)mem->regions[i].hva >> 12, n = mem->regions[i].size_bytes >> 12;
        if (n > mask + 1)
            return true;
        for (unsigned j = 0; j < i; j++) {
            uint64_t b = (uintptr_t)mem->regions[j].hva >> 12, m = mem->regions[j].size_bytes >> 12;
            if (((b - a) & mask) < n || ((a - b) & mask) < m)
                return true;
        }
    }
    return false;
}

static int map_tables(struct soft_vm *vm, struct err *err)
{
    const struct guest_mem *mem = vm->config.mem;
    uint64_t pages = MAX(mem->total_bytes >> 12, UINT64_C(1)), slots = 1;
    while (slots < pages)
        slots *= 2;
    for (unsigned tries = 0; tries < 3 && slots_collide(mem, slots - 1); tries++)
        slots *= 2;
    vm->log_shared_slots = slots_collide(mem, slots - 1);
    vm->page_mask = slots - 1;
    /* Mapped, not allocated: only what code and logged pages touch becomes resident. */
    size_t bytes = slots * (sizeof(vm->code_lines[0]) + sizeof(vm->gens[0]) + 1);
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return err_sys(err, errno, "could not map the page tables of the soft engine");
    vm->tables = p;
    vm->tables_bytes = bytes;
    vm->code_lines = (void *)p;
    vm->gens = (void *)(p + slots * sizeof(vm->code_lines[0]));
    vm->page_flags = (void *)(p + slots * (sizeof(vm->code_lines[0]) + sizeof(vm->gens[0])));
    return 0;
}

static int register_barrier(struct err *err)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) < 0)
        return err_sys(err, errno,
                       "the soft engine needs membarrier(2), which this kernel refuses");
    return 0;
}

/* The TSC and the clock at one moment: of several tries, the one with the least time in between. */
static struct soft_tsc_sample sample_tsc(void)
{
    struct soft_tsc_sample best = {.gap_ns = INT64_MAX};
    for (unsigned i = 0; i < 16; i++) {
        int64_t before = clock_raw_ns();
        uint64_t tsc = __builtin_ia32_rdtsc();
        int64_t gap = clock_raw_ns() - before;
        if (gap < best.gap_ns)
            best = (struct soft_tsc_sample){tsc, before + gap / 2, gap};
    }
    return best;
}

int soft_vm_create(const struct engine_probe_input *in, const struct engine_vm_config *config,
                   struct engine_vm **out, struct err *err)
{
    struct soft_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return err_set(err, ENOMEM, "could not allocate a VM");
    vm->config = *config;
    vm->base.config = *config;
    vm->foreign_writers = config->mem->fd >= 0;
    pthread_mutex_init(&vm->split_lock, NULL);
    pthread_mutex_init(&vm->lock, NULL);
    vm->start = sample_tsc();
    vm->clock_offset_ns = -clock_now_ns();
    vm->lapics = calloc(1, sizeof(*vm->lapics));
    int ret = vm->lapics ? 0 : err_set(err, ENOMEM, "could not allocate the local APICs");
    if (!ret)
        ret = map_tables(vm, err);
    if (!ret)
        ret = register_barrier(err);
    if (!ret)
        soft_vcpu_wire(vm);
    if (!ret)
        ret = soft_irq_init(vm, err);
    if (ret) {
        soft_vm_destroy(&vm->base);
        return ret;
    }
    config->mem->written = soft_vm_dma_written;
    config->mem->written_opaque = vm;
    *out = &vm->base;
    return 0;
}

void soft_vm_destroy(struct engine_vm *base)
{
    struct soft_vm *vm = to_soft(base);
    vm->config.mem->written = NULL;
    soft_irq_fini(vm);
    for (unsigned i = 0; i < GUEST_MEM_REGIONS_MAX; i++)
        free(vm->dirty[i]);
    if (vm->tables)
        munmap(vm->tables, vm->tables_bytes);
    free(vm->lapics);
    pthread_mutex_destroy(&vm->lock);
    pthread_mutex_destroy(&vm->split_lock);
    free(vm);
}

/* ---- dirty log ---- */

static uint64_t bitmap_words(const struct guest_mem_region *r)
{
    return align_up(r->size_bytes / GUEST_MEM_PAGE_BYTES, 64) / 64;
}

/* Makes every later write to these pages note itself. The barrier: a store that did not see the
 * flag is visible to us afterwards. */
static void set_clean(struct soft_vm *vm, unsigned region, uint64_t word, uint64_t bits)
{
    const struct guest_mem_region *r = &vm->config.mem->regions[region];
    for (; bits; bits &= bits - 1) {
        uint64_t page = word * 64 + (uint64_t)__builtin_ctzll(bits);
        if (page < r->size_bytes >> 12)
            atomic_fetch_or(&vm->page_flags[slot_of(vm, r->hva + page * 4096)], SOFT_PAGE_CLEAN);
    }
}

static void barrier(void)
{
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

int soft_vm_dirty_start(struct engine_vm *base, struct err *err)
{
    struct soft_vm *vm = to_soft(base);
    const struct guest_mem *mem = vm->config.mem;
    for (unsigned i = 0; i < mem->n_regions; i++) {
        uint64_t words = bitmap_words(&mem->regions[i]);
        /* Kept until the VM goes: a store may be on its way to it at any time. */
        if (!vm->dirty[i])
            vm->dirty[i] = calloc(words, sizeof(*vm->dirty[i]));
        if (!vm->dirty[i])
            return err_set(err, ENOMEM, "could not allocate a dirty bitmap of %llu bytes",
                           (unsigned long long)(words * sizeof(*vm->dirty[i])));
    }
    for (unsigned i = 0; i < mem->n_regions; i++) {
        uint64_t words = bitmap_words(&mem->regions[i]);
        for (uint64_t w = 0; w < words; w++) {
            __atomic_store_n(&vm->dirty[i][w], 0, __ATOMIC_SEQ_CST);
            set_clean(vm, i, w, UINT64_MAX);
        }
    }
    vm->logging = true;
    barrier();
    return 0;
}

int soft_vm_dirty_take(struct engine_vm *base, unsigned region, uint64_t *bitmap, struct err *err)
{
    struct soft_vm *vm = to_soft(base);
    if (!vm->logging)
        return err_set(err, EINVAL, "the dirty log is not on");
    uint64_t words = bitmap_words(&vm->config.mem->regions[region]);
    for (uint64_t i = 0; i < words; i++) {
        if (!vm->dirty[region][i])
            continue;
        uint64_t bits = __atomic_exchange_n(&vm->dirty[region][i], 0, __ATOMIC_SEQ_CST);
        set_clean(vm, region, i, bits);
        bitmap[i] |= bits;
    }
    barrier();
    return 0;
}

void soft_vm_dirty_stop(struct engine_vm *base)
{
    struct soft_vm *vm = to_soft(base);
    for (unsigned i = 0; vm->logging && i < vm->config.mem->n_regions; i++) {
        const struct guest_mem_region *r = &vm->config.mem->regions[i];
        for (uint64_t page = 0; page < r->size_bytes >> 12; page++)
            atomic_fetch_and(&vm->page_flags[slot_of(vm, r->hva + page * 4096)],
                             (uint8_t)~SOFT_PAGE_CLEAN);
    }
    vm->logging = false;
}

/* ---- time ---- */

/* What frequency the host says its TSC has, or 0. Spec: SDM volume 2, CPUID leaf 15H; the leaf of
 * hypervisors, Documentation/virt/kvm/x86/cpuid.rst. */
static uint32_t stated_tsc_khz(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid_count(0x15, 0, &a, &b, &c, &d) && a && b && c)
        return (uint32_t)((uint64_t)c * b / a / 1000);
    __cpuid(0x40000000, a, b, c, d);
    if (a >= 0x40000010 && a < 0x40000100) {
        __cpuid(0x40000010, a, b, c, d);
        return a;
    }
    return 0;
}

/* Against the clock that the kernel runs by its own idea of the TSC's frequency, so that KVM on the
 * same host has the same. Both ends are read as exactly as this host lets us; the less exactly, the
 * more time lies between them: for 50 parts in a million, but 10 ms at least. */
static uint32_t measure_tsc_khz(const struct soft_tsc_sample *from)
{
    enum { MIN_NS = 10 * 1000 * 1000, MAX_NS = 300 * 1000 * 1000 };
    struct soft_tsc_sample to = sample_tsc();
    for (;;) {
        int64_t left = MIN(MAX(MIN_NS, (from->gap_ns + to.gap_ns) * 20000), MAX_NS) -
                       (to.raw_ns - from->raw_ns);
        if (left <= 0)
            break;
        const struct timespec t = {.tv_nsec = left};
        nanosleep(&t, NULL);
        to = sample_tsc();
    }
    return (uint32_t)((unsigned __int128)(to.tsc - from->tsc) * 1000000 /
                      (uint64_t)(to.raw_ns - from->raw_ns));
}

uint32_t soft_vm_tsc_khz(struct soft_vm *vm)
{
    pthread_mutex_lock(&vm->lock);
    if (!vm->host_tsc_khz)
        vm->host_tsc_khz = stated_tsc_khz();
    if (!vm->host_tsc_khz)
        vm->host_tsc_khz = measure_tsc_khz(&vm->start);
    uint32_t khz = vm->host_tsc_khz;
    pthread_mutex_unlock(&vm->lock);
    return khz;
}

int64_t soft_vm_clock_ns(const struct soft_vm *vm)
{
    return clock_now_ns() + vm->clock_offset_ns;
}

void soft_vm_clock_pair(const struct soft_vm *vm, uint64_t *tsc, uint64_t *ns)
{
    *ns = (uint64_t)soft_vm_clock_ns(vm);
    *tsc = __builtin_ia32_rdtsc();
}

int soft_vm_get_clock(struct engine_vm *base, struct kvm_clock_data *clock, struct err *err)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *clock = (struct kvm_clock_data){
        .clock = (uint64_t)soft_vm_clock_ns(to_soft(base)),
        .flags = KVM_CLOCK_REALTIME | KVM_CLOCK_TSC_STABLE,
        .realtime = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec,
    };
    return 0;
}

int soft_vm_set_clock(struct engine_vm *base, const struct kvm_clock_data *clock, struct err *err)
{
    struct soft_vm *vm = to_soft(base);
    int64_t now = (int64_t)clock->clock;
    if (clock->flags & KVM_CLOCK_REALTIME) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        int64_t passed = t.tv_sec * INT64_C(1000000000) + t.tv_nsec - (int64_t)clock->realtime;
        now += MAX(passed, 0);
    }
    vm->clock_offset_ns = now - clock_now_ns();
    soft_vm_clock_changed(vm);
    return 0;
}
