/* The local APIC's own timer, one shot, into a handler. */
#include "guest.inc"
    .code64
    .text
    gate    0x50, handler
    load_idt
    enable_lapic
    xor     %r12d, %r12d
    movl    $0xb, 0x3e0(%rbx)           /* divide by 1 */
    movl    $0x50, 0x320(%rbx)
    movl    $100000, 0x380(%rbx)
1:  cli
    test    %r12d, %r12d
    jnz     2f
    sti
sleep:
    hlt
    jmp     1b
2:  trace   %r12d
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
