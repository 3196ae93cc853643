/* Interrupts between processors by the ICR of an xAPIC: every kind of destination. After each a
 * fence, a vector of lower priority, goes to both processors; what came before it is traced:
 * interrupts of APIC 0 and 1, NMIs of APIC 0 and 1, a byte each. */
#include "smp64.inc"
    .code64
    .text
    .equ    GOT, 0xb040         /* four counts of 32 bits */
    .equ    FENCED, 0xb060
    .equ    MODEL, 0xb080       /* which LDR and DFR the second is to have */
    .equ    ITS_MODEL, 0xb084
    .equ    ASSERT, 0x4000
    .equ    LOGICAL, 0x800
    .equ    LOWEST, 0x100
    .equ    NMI, 0x400
    .equ    SELF, 0x40000
    .equ    ALL, 0x80000
    .equ    OTHERS, 0xc0000

    .macro send dest, low
    mov     $LAPIC, %ebx
    movl    $\dest << 24, 0x310(%rbx)
    movl    $(\low | ASSERT | 0x41), 0x300(%rbx)
    call    settle
    .endm
    .macro model which, ldr, dfr
    mov     $LAPIC, %ebx
    movl    $\dfr, 0xe0(%rbx)
    movl    $\ldr << 24, 0xd0(%rbx)
    movl    $\which, MODEL
    call    fence               /* wakes the second */
1:  pause
    cmpl    $\which, ITS_MODEL
    jne     1b
    .endm
start:
    gate    2, nmi
    gate    0x30, fenced
    gate    0x41, arrived
    load_idt
    mov     $GOT, %edi
    xor     %eax, %eax
    mov     $24, %ecx
    rep stosl
    start_second
1:  pause
    cmpl    $1, ITS_MODEL
    jne     1b
    sti
    model   2, 0x01, 0xffffffff         /* flat: 1 and 2 */
    send    1, 0
    send    0, 0
    send    5, 0
    send    0xff, 0
    send    0, SELF
    send    0, ALL
    send    0, OTHERS
    send    0x01, LOGICAL
    send    0x02, LOGICAL
    send    0x03, LOGICAL
    send    0x80, LOGICAL
    send    0xff, LOGICAL
    send    1, NMI
    send    0, (OTHERS | NMI)
    send    0x03, (LOGICAL | NMI)
    model   3, 0x11, 0x0fffffff         /* clusters: 1.1 and 1.2 */
    send    0x11, LOGICAL
    send    0x12, LOGICAL
    send    0x13, LOGICAL
    send    0x23, LOGICAL
    send    0x14, LOGICAL
    send    0xff, LOGICAL
    model   4, 0x11, 0x0fffffff         /* 1.1 and 2.1 */
    send    0x11, LOGICAL
    send    0x21, LOGICAL
    send    0x31, LOGICAL
    model   5, 0x01, 0xffffffff
    mov     $8, %r12d
2:  mov     $LAPIC, %ebx
    movl    $0x03000000, 0x310(%rbx)
    movl    $(0x41 | LOGICAL | LOWEST | ASSERT), 0x300(%rbx)
    call    fence
    dec     %r12d
    jnz     2b
    mov     GOT, %eax
    add     GOT + 4, %eax
    out     %eax, $PORT_TRACE           /* lowest priority: each to one of the two */
    exit    0

settle:
    call    fence
    mov     GOT + 12, %eax
    shl     $8, %eax
    or      GOT + 8, %eax
    shl     $8, %eax
    or      GOT + 4, %eax
    shl     $8, %eax
    or      GOT, %eax
    out     %eax, $PORT_TRACE
    xor     %eax, %eax
    mov     %rax, GOT
    mov     %rax, GOT + 8
    ret
fence:
    mov     FENCED, %ecx
    mov     FENCED + 4, %edx
    mov     $LAPIC, %ebx
    movl    $0, 0x310(%rbx)
    movl    $ASSERT | 0x30, 0x300(%rbx)
    movl    $0x01000000, 0x310(%rbx)
    movl    $ASSERT | 0x30, 0x300(%rbx)
1:  pause
    cmp     FENCED, %ecx
    je      1b
    cmp     FENCED + 4, %edx
    je      1b
    ret

worker:                         /* interrupts off, but where it sleeps */
    movl    $1, ITS_MODEL
1:  cli
    mov     MODEL, %eax
    cmp     ITS_MODEL, %eax
    jbe     2f
    mov     $LAPIC, %ebx
    mov     ldrs(, %rax, 4), %ecx
    mov     %ecx, 0xd0(%rbx)
    mov     dfrs(, %rax, 4), %ecx
    mov     %ecx, 0xe0(%rbx)
    mov     %eax, ITS_MODEL
2:  sti
sleep:
    hlt
    jmp     1b
    .balign 4
ldrs:
    .long   0, 0, 0x02000000, 0x12000000, 0x21000000, 0x02000000
dfrs:
    .long   0, 0, 0xffffffff, 0x0fffffff, 0x0fffffff, 0xffffffff

    .macro count where, end
    push    %rax
    push    %rbx
    mov     $LAPIC, %ebx
    mov     0x20(%rbx), %eax
    shr     $24, %eax
    lock incl \where(, %rax, 4)
    .if     \end
    movl    $0, 0xb0(%rbx)
    .endif
    step_over sleep
    pop     %rbx
    pop     %rax
    iretq
    .endm
arrived:
    count   GOT, 1
fenced:
    count   FENCED, 1
nmi:
    count   GOT + 8, 0
    second_starts worker
