/* The 8254 through the 8259 as ExtINT on LINT0: ten ticks of 1 ms, half of them asleep. */
#include "guest.inc"
    .code64
    .text
    .macro outb port, value
    mov     $\value, %al
    out     %al, $\port
    .endm
    gate    0x20, handler
    load_idt
    enable_lapic
    movl    $0x700, 0x350(%rbx)         /* LVT LINT0: ExtINT, not masked */
    outb    0x20, 0x11
    outb    0x21, 0x20
    outb    0x21, 0x04
    outb    0x21, 0x01
    outb    0xa0, 0x11
    outb    0xa1, 0x28
    outb    0xa1, 0x02
    outb    0xa1, 0x01
    outb    0x21, 0xfe
    outb    0xa1, 0xff
    outb    0x43, 0x34
    outb    0x40, 0xa9
    outb    0x40, 0x04
    xor     %r12d, %r12d
    sti
1:  cmp     $5, %r12d                   /* awake */
    jb      1b
2:  cli
    cmp     $10, %r12d                  /* asleep */
    jae     3f
    sti
    hlt
    jmp     2b
3:  trace   %r12d
    exit    0
handler:
    push    %rax
    inc     %r12d
    outb    0x20, 0x20
    pop     %rax
    iretq
