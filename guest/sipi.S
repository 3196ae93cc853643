/* INIT and SIPI: where a processor starts, and in which state, first after power-on and then after
 * it has been in 64-bit mode with an interrupt in service. */
#include "smp64.inc"
    .code64
    .text
    .equ    SEEN, 0xb040        /* set when the report behind it is complete */
    .equ    WORDS, 13
    .equ    COUNTED, 0xb0c0
    .equ    APIC, 0xb100        /* what the second's APIC had */
    .equ    INIT_DEASSERT, 0x8500

    .macro sipi page
    ipi_second (IPI_SIPI | (\page - start + GUEST_BASE) >> 12)
    .endm
start:
    gate    0x75, in_service
    load_idt
    enable_lapic
    movl    $0, SEEN
    movl    $0, COUNTED
    movl    $0, APIC
    ipi_second IPI_INIT
    sipi    page_a
    call    report
    sipi    page_b              /* it runs: ignored */
    call    count
    ipi_second INIT_DEASSERT    /* does nothing either */
    call    count
    ipi_second IPI_INIT         /* out of its loop */
    ipi_second IPI_INIT
    sipi    second
1:  pause
    cmpl    $1, APIC            /* it halts with an interrupt in service, others off */
    jne     1b
    ipi_second IPI_INIT
    sipi    page_b
    call    report
1:  pause
    cmpl    $2, APIC
    jne     1b
    mov     $APIC + 4, %esi
    mov     $6, %ecx
2:  lodsl
    out     %eax, $PORT_TRACE
    loop    2b
    exit    0

report:
    pause
    cmpl    $1, SEEN
    jne     report
    mov     $SEEN + 4, %esi
    mov     $WORDS, %ecx
1:  lodsl
    out     %eax, $PORT_TRACE
    loop    1b
    movl    $0, SEEN
    ret
/* The second still counts, and has not started again. */
count:
    mov     COUNTED, %eax
1:  pause
    mov     COUNTED, %ecx
    sub     %eax, %ecx
    cmp     $1000, %ecx
    jb      1b
    trace   SEEN
    ret

/* In 64-bit mode: the first time all settings and an interrupt, the second time a look at them. */
worker:
    mov     $LAPIC, %ebx
    cmpl    $0, APIC
    jne     1f
    movl    $0x50, 0x80(%rbx)
    movl    $0x02000000, 0xd0(%rbx)
    movl    $0x10061, 0x320(%rbx)
    movl    $0x44045, 0x300(%rbx)       /* stays in IRR */
    mov     $0x455, %eax
    mov     %rax, %dr7
    mov     $0x1234000, %eax
    mov     %rax, %cr2
    movl    $0x44075, 0x300(%rbx)
    sti
2:  pause
    jmp     2b
1:  mov     $APIC + 4, %edi
    .irp    register, 0x20, 0x80, 0xd0, 0x320, 0x130, 0x220
    mov     \register(%rbx), %eax
    stosl
    .endr
    movl    $2, APIC
2:  hlt
    jmp     2b
in_service:
    movl    $1, APIC
1:  hlt                         /* interrupts are off */
    jmp     1b

    /* With the segments as they are. CS and IP less what they are to be. */
    .macro  report_start page
    .balign 4096
\page:
    .code16
    mov     %ebx, SEEN + 4
    mov     %esp, SEEN + 8
    mov     $0x9800, %sp            /* not the first's */
    pushfl
    popl    SEEN + 12
    call    1f
1:  pop     %ax
    sub     $1b - \page, %ax
    movzwl  %ax, %eax
    mov     %eax, SEEN + 16
    mov     %cs, %eax
    sub     $(\page - start + GUEST_BASE) >> 4, %eax
    mov     %eax, SEEN + 20
    mov     %ds, %eax
    mov     %eax, SEEN + 24
    mov     %cr0, %eax
    mov     %eax, SEEN + 28
    mov     %cr2, %eax
    mov     %eax, SEEN + 32
    mov     %cr3, %eax
    mov     %eax, SEEN + 36
    mov     %cr4, %eax
    mov     %eax, SEEN + 40
    mov     %dr7, %eax
    mov     %eax, SEEN + 44
    mov     $0xc0000080, %ecx
    rdmsr
    mov     %eax, SEEN + 48
    sidt    SEEN + 64
    movzwl  SEEN + 64, %eax
    mov     %eax, SEEN + 52
    movl    $1, SEEN
    .endm
    report_start page_a
1:  incl    COUNTED
    jmp     1b
    report_start page_b
    .byte   0xea                /* ljmp */
    .word   0, (second - start + GUEST_BASE) >> 4
    second_starts worker
