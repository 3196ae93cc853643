#include "x86/pvclock.h"

void pvclock_scale(uint32_t tsc_khz, uint32_t *mul, int8_t *shift)
{
    /* mul = 2^32 * 10^6 / khz / 2^shift, with shift such that mul has its top bit set. */
    unsigned __int128 m = ((unsigned __int128)1000000 << 64) / tsc_khz; /* times 2^64 */
    int8_t s = 0;
    while (m >> 64) {
        m >>= 1;
        s++;
    }
    while (!(m >> 63)) {
        m <<= 1;
        s--;
    }
    *mul = (uint32_t)(m >> 32);
    *shift = s;
}

/* The version is odd from here to finish(). Every store in between is a release, so that a reader
 * who sees a new field sees the odd version before it. (A fence would do, but the thread sanitizer
 * knows none.) */
static uint32_t begin(uint32_t *version)
{
    uint32_t odd = __atomic_load_n(version, __ATOMIC_RELAXED) | 1;
    __atomic_store_n(version, odd, __ATOMIC_RELAXED);
    return odd;
}

static void finish(uint32_t *version, uint32_t odd)
{
    __atomic_store_n(version, odd + 1, __ATOMIC_RELEASE);
}

#define STORE(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELEASE)

void pvclock_write(struct pvclock_vcpu_time_info *to, const struct pvclock_vcpu_time_info *from)
{
    uint8_t unseen = __atomic_load_n(&to->flags, __ATOMIC_RELAXED) & PVCLOCK_GUEST_STOPPED;
    uint32_t odd = begin(&to->version);
    STORE(to->tsc_timestamp, from->tsc_timestamp);
    STORE(to->system_time, from->system_time);
    STORE(to->tsc_to_system_mul, from->tsc_to_system_mul);
    STORE(to->tsc_shift, from->tsc_shift);
    STORE(to->flags, from->flags | unseen);
    finish(&to->version, odd);
}

void pvclock_write_wall(struct pvclock_wall_clock *to, uint64_t ns)
{
    uint32_t odd = begin(&to->version);
    STORE(to->sec, (uint32_t)(ns / 1000000000));
    STORE(to->nsec, (uint32_t)(ns % 1000000000));
    finish(&to->version, odd);
}

void pvclock_write_steal(struct pvclock_steal_time *to, uint64_t steal_ns, bool preempted)
{
    uint32_t odd = begin(&to->version);
    STORE(to->steal, steal_ns);
    STORE(to->flags, 0);
    STORE(to->preempted, preempted);
    finish(&to->version, odd);
}
