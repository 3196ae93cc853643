/* A level-triggered IOAPIC pin: the handler sees it again until the line falls. */
#include "guest.inc"
    .code64
    .text
    gate    0x45, handler
    load_idt
    enable_lapic
    xor     %r12d, %r12d
    write_ioapic (0x10+2*17+1), 0
    write_ioapic (0x10+2*17), 0x8045
    sti
    ask     1                           /* the test asserts GSI 17 */
1:  cmp     $3, %r12d
    jne     1b
    trace   %r12d
    mov     $IOAPIC, %ebx
    movl    $(0x10 + 2 * 17), (%rbx)
    mov     0x10(%rbx), %eax
    out     %eax, $PORT_TRACE           /* remote IRR is clear again */
    exit    0
handler:
    push    %rax
    push    %rbx
    inc     %r12d
    cmp     $3, %r12d
    jne     1f
    ask     2                           /* the test lowers it */
1:  eoi
    pop     %rbx
    pop     %rax
    iretq
