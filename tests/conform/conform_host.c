/* What the host's CPU offers, by the decoder's list of features. */
#include <cpuid.h>

#include "conform.h"

uint64_t conform_host_features(void)
{
    uint64_t features = 0;
    for (unsigned i = 0; i < X86_N_FEATURES; i++) {
        const struct x86_feature_bit *f = &decode_feature_bits[i];
        unsigned r[4] = {0};
        if (f->reg >= 0 && (!__get_cpuid_count(f->leaf, f->subleaf, &r[0], &r[1], &r[2], &r[3]) ||
                            !(r[f->reg] >> f->bit & 1)))
            continue;
        features |= UINT64_C(1) << i;
    }
    return features;
}

bool conform_host_runs_32_bit(void)
{
    uint64_t rights = 0;
    bool there;
    __asm__("lar %2, %0\n\tsetz %1"
            : "+r"(rights), "=r"(there)
            : "r"((uint64_t)CONFORM_CS32)
            : "cc");
    return there && rights >> 22 & 1; /* its D bit */
}
