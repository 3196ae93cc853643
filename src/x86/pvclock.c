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

void pvclock_write(struct pvclock_vcpu_time_info *to, const struct pvclock_vcpu_time_info *from)
{
    uint32_t version = (__atomic_load_n(&to->version, __ATOMIC_RELAXED) & ~1u) + 1;
    __atomic_store_n(&to->version, version, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    to->tsc_timestamp = from->tsc_timestamp;
    to->system_time = from->system_time;
    to->tsc_to_system_mul = from->tsc_to_system_mul;
    to->tsc_shift = from->tsc_shift;
    to->flags = from->flags;
    __atomic_store_n(&to->version, version + 1, __ATOMIC_RELEASE);
}

void pvclock_write_wall(struct pvclock_wall_clock *to, uint64_t ns)
{
    uint32_t version = (__atomic_load_n(&to->version, __ATOMIC_RELAXED) & ~1u) + 1;
    __atomic_store_n(&to->version, version, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    to->sec = (uint32_t)(ns / 1000000000);
    to->nsec = (uint32_t)(ns % 1000000000);
    __atomic_store_n(&to->version, version + 1, __ATOMIC_RELEASE);
}
