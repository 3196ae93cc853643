/* One local APIC's priorities: what TPR holds back, interrupts in interrupts and the order in which
 * EOI ends them, and the bits of IRR, ISR and TMR meanwhile. Port 0xe8: the line of pin 17, 1 rises,
 * 2 falls. */
#include "guest.inc"
    .code64
    .text
    .macro self vector
    movl    $0x44000 | \vector, 0x300(%rbx)
    .endm
    .macro show register
    mov     \register(%rbx), %eax
    out     %eax, $PORT_TRACE
    .endm
    .macro show_all             /* PPR; ISR and IRR of vectors 0x40 to 0x5f and 0x60 to 0x7f */
    show    0xa0
    show    0x120
    show    0x130
    show    0x220
    show    0x230
    .endm
    .macro end_of_interrupt
    movl    $0, 0xb0(%rbx)
    .endm
    .macro  let_in              /* those that may interrupt do so here */
    sti
    nop
    nop
    cli
    .endm
    .macro  await handled       /* until so many handlers have ended */
    sti
77: pause
    cmp     $\handled, %r13d
    jb      77b
    cli
    .endm
    .macro  handled
    inc     %r13d
    end_of_interrupt
    .endm
    gate    0x45, at_45
    gate    0x46, at_46
    gate    0x52, at_52
    gate    0x61, at_61
    load_idt
    enable_lapic
    xor     %r12d, %r12d
    xor     %r13d, %r13d

    /* 1. TPR */
    self    0x45
1:  testl   $0x20, 0x220(%rbx)
    jz      1b
    movl    $0x40, 0x80(%rbx)
    show_all
    let_in
    trace   $1                  /* nothing came */
    mov     $4, %eax
    mov     %rax, %cr8
    show    0x80
    let_in
    trace   $2
    movl    $0x30, 0x80(%rbx)   /* KVM on AMD CPUs keeps no low bits */
    mov     %cr8, %rax
    out     %eax, $PORT_TRACE
    await   1                   /* at_45 */
    show_all
    movl    $0, 0x80(%rbx)
    end_of_interrupt            /* of nothing */
    show    0xa0

    /* 2. in each other: 0x61 interrupts 0x45, which 0x46 must not */
    inc     %r12d
    self    0x45
    await   4
    /* 3. the same vector while it is in service: once more, however often it was sent */
    inc     %r12d
    self    0x45
    await   6
    /* 4. edge and level */
    inc     %r12d
    write_ioapic 0x32, 0x8052   /* pin 17: vector 0x52, level */
    write_ioapic 0x33, 0
    mov     $LAPIC, %ebx
    ask     1
1:  testl   $0x40000, 0x220(%rbx)
    jz      1b
    show    0x1a0
    await   7
    self    0x52
    await   8
    show    0x220
    exit    0

at_45:
    trace   $0x45
    show_all
    cmp     $1, %r12d
    je      1f
    cmp     $2, %r12d
    jne     2f
    self    0x45
    self    0x45
    inc     %r12d
    show    0x220
    jmp     2f
1:  self    0x46
    self    0x61
    await   2                   /* at_61 */
    trace   $0x4545
    show_all
2:  handled
    iretq
at_46:
    trace   $0x46
    show_all
    handled
    iretq
at_61:
    trace   $0x61
    show_all
    handled                     /* the highest in service is ended */
    show_all
    iretq
at_52:
    trace   $0x52
    show    0x1a0
    ask     2
    handled
    iretq
