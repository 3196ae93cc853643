/* Counts to 20, in a register, in memory and in an SSE register that must all agree. */
#include "guest.inc"
    .code64
    .text
    xor     %r12d, %r12d
    movl    $0, GUEST_DATA
    movq    $0, GUEST_DATA + 24
    mov     $0x1111, %eax
    mov     %rax, %dr0
1:  inc     %r12d
    incl    GUEST_DATA
    mov     %r12, GUEST_DATA + 16
    movdqu  GUEST_DATA + 16, %xmm3
    trace   %r12d
    movdqu  %xmm3, GUEST_DATA + 32
    mov     GUEST_DATA + 32, %eax
    cmp     GUEST_DATA, %r12d
    jne     wrong
    cmp     %eax, %r12d
    jne     wrong
    mov     %dr0, %rax
    cmp     $0x1111, %eax
    jne     wrong
    cmp     $20, %r12d
    jne     1b
    exit    0
wrong:
    exit    1
