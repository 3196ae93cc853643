/* Rings a doorbell, sleeps until the MSI that answers it has run its handler; 100 times. */
#include "guest.inc"
#define ROUNDS 100
    .code64
    .text
    gate    0x41, handler
    load_idt
    enable_lapic
    xor     %r12d, %r12d
again:
    mov     %r12d, %r13d
    mov     $MMIO_BASE + 0x1000, %ebx
    movl    $1, (%rbx)
1:  cli
    cmp     %r13d, %r12d
    jne     2f
    sti
sleep:
    hlt
    jmp     1b
2:  cmp     $ROUNDS, %r12d
    jne     again
    trace   %r12d
    exit    0
handler:
    push    %rax
    push    %rbx
    inc     %r12d
    eoi
    step_over sleep
    pop     %rbx
    pop     %rax
    iretq
