/* Model-specific registers, by number. Spec: Intel SDM volume 4; AMD APM volume 2, appendix A;
 * Linux Documentation/virt/kvm/x86/msr.rst. */
#ifndef X86_MSR_H
#define X86_MSR_H

#include <stdint.h>

#define X86_MSR_TSC             0x00000010u
#define X86_MSR_APIC_BASE       0x0000001bu
#define X86_MSR_FEATURE_CONTROL 0x0000003au
#define X86_MSR_TSC_ADJUST      0x0000003bu
#define X86_MSR_SPEC_CTRL       0x00000048u
#define X86_MSR_SMBASE          0x0000009eu
#define X86_MSR_UMWAIT_CONTROL  0x000000e1u
#define X86_MSR_MTRR_CAP        0x000000feu
#define X86_MSR_TSX_CTRL        0x00000122u
#define X86_MSR_SYSENTER_CS     0x00000174u
#define X86_MSR_SYSENTER_ESP    0x00000175u
#define X86_MSR_SYSENTER_EIP    0x00000176u
#define X86_MSR_MCG_STATUS      0x0000017au
#define X86_MSR_MISC_ENABLE     0x000001a0u
#define X86_MSR_XFD             0x000001c4u
#define X86_MSR_XFD_ERR         0x000001c5u
/* Base and mask of the variable ranges alternate: n is 0 to 15. */
#define X86_MSR_MTRR_PHYS(n)   (0x00000200u + (n))
#define X86_MSR_MTRR_FIX64K    0x00000250u
#define X86_MSR_MTRR_FIX16K(n) (0x00000258u + (n))
#define X86_MSR_MTRR_FIX4K(n)  (0x00000268u + (n))
#define X86_MSR_PAT            0x00000277u
#define X86_MSR_MTRR_DEF_TYPE  0x000002ffu
#define X86_MSR_U_CET          0x000006a0u
#define X86_MSR_S_CET          0x000006a2u
#define X86_MSR_PL0_SSP        0x000006a4u
#define X86_MSR_PL1_SSP        0x000006a5u
#define X86_MSR_PL2_SSP        0x000006a6u
#define X86_MSR_PL3_SSP        0x000006a7u
#define X86_MSR_SSP_TABLE      0x000006a8u
#define X86_MSR_TSC_DEADLINE   0x000006e0u
#define X86_MSR_XSS            0x00000da0u

#define X86_MSR_EFER           0xc0000080u
#define X86_MSR_STAR           0xc0000081u
#define X86_MSR_LSTAR          0xc0000082u
#define X86_MSR_CSTAR          0xc0000083u
#define X86_MSR_SFMASK         0xc0000084u
#define X86_MSR_FS_BASE        0xc0000100u
#define X86_MSR_GS_BASE        0xc0000101u
#define X86_MSR_KERNEL_GS_BASE 0xc0000102u
#define X86_MSR_TSC_AUX        0xc0000103u
#define X86_MSR_HWCR           0xc0010015u
#define X86_MSR_VIRT_SSBD      0xc001011fu

#define X86_MSR_KVM_WALL_CLOCK_NEW  0x4b564d00u
#define X86_MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01u
#define X86_MSR_KVM_ASYNC_PF_EN     0x4b564d02u
#define X86_MSR_KVM_STEAL_TIME      0x4b564d03u
#define X86_MSR_KVM_PV_EOI_EN       0x4b564d04u
#define X86_MSR_KVM_POLL_CONTROL    0x4b564d05u
#define X86_MSR_KVM_ASYNC_PF_INT    0x4b564d06u

/* What a guest can have set and would miss, in the order in which a vCPU's state holds them. Not
 * here: EFER and the APIC base (struct kvm_sregs has them), what a monitor may not set (feature
 * MSRs), performance counters (not offered in CPUID). The TSC deadline is the last: it needs the
 * timer's mode and the TSC. */
#define X86_SAVED_MSRS_MAX 128
extern const uint32_t msr_saved[];
extern const unsigned msr_n_saved;

#endif
