/* The guest of kvm_probe.c: 64-bit ring-0 code that executes what some paravirtual KVMs cannot.
 * Position-independent. It writes the number of the stage it is about to enter to PROBE_PORT.
 *   rdi  16 bytes, 16-aligned, zero        rsi  a zeroed XSAVE area, 64-aligned
 *   r13  1 if there is XSAVE and CR4.OSXSAVE is set, else 0 */
#include "engine/kvm/probe_guest.h"

    .section .rodata
    .code64
    .globl kvm_probe_guest_start, kvm_probe_guest_int3, kvm_probe_guest_end
kvm_probe_guest_start:
    mov     $PROBE_STAGE_CMPXCHG16B, %al
    out     %al, $PROBE_PORT
    xor     %eax, %eax
    xor     %edx, %edx
    mov     $0x12345678, %ebx
    xor     %ecx, %ecx
    lock cmpxchg16b (%rdi)
    jnz     wrong
    cmpl    $0x12345678, (%rdi)
    jne     wrong

    mov     $PROBE_STAGE_INT3, %al
    out     %al, $PROBE_PORT
    xor     %r12d, %r12d
    int3
    cmp     $1, %r12d
    jne     wrong

    mov     $PROBE_STAGE_XRSTOR, %al
    out     %al, $PROBE_PORT
    test    %r13, %r13
    jz      done
    mov     $3, %eax
    xor     %edx, %edx
    xrstor  (%rsi)
done:
    mov     $PROBE_STAGE_DONE, %al
    out     %al, $PROBE_PORT
    hlt
wrong:
    mov     $PROBE_STAGE_WRONG, %al
    out     %al, $PROBE_PORT
    hlt

    .balign 16
kvm_probe_guest_int3:
    inc     %r12d
    iretq
kvm_probe_guest_end:

    .section .note.GNU-stack, "", @progbits
