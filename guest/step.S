/* Single-steps five instructions, one of them an OUT that ends in an exit, and counts the traps:
 * all of them, and those with DR6.BS set. */
#include "guest.inc"
    .code64
    .text
    load_idt
    gate    1, on_debug
    xor     %r12d, %r12d
    xor     %r13d, %r13d
    xor     %eax, %eax
    mov     %rax, %dr6
    pushfq
    orl     $0x100, (%rsp)
    popfq                               /* TF: the next instruction is the first to trap */
    mov     $7, %eax
    out     %eax, $PORT_TRACE
    pushfq
    andl    $~0x100, (%rsp)
    popfq                               /* the last: TF was set when it began */
    trace   %r12d
    trace   %r13d
    exit    0
on_debug:
    push    %rax
    inc     %r12d
    mov     %dr6, %rax
    bt      $14, %rax
    adc     $0, %r13d
    xor     %eax, %eax
    mov     %rax, %dr6
    pop     %rax
    iretq
