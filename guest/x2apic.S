/* Two x2APICs: ids, destinations of 32 bits by MSR 0x830, the self IPI, and what faults. As in ipi.S
 * a fence follows each IPI, and then how many arrived at APIC 0 and 1 is traced. First a word that
 * tells whether there are x2APICs. */
#include "smp64.inc"
    .code64
    .text
    .equ    GOT, 0xb040
    .equ    FENCED, 0xb060
    .equ    READY, 0xb080
    .equ    ASSERT, 0x4000
    .equ    LOGICAL, 0x800
    .equ    SELF, 0x40000
    .equ    ALL, 0x80000
    .equ    OTHERS, 0xc0000

    .macro write msr, low, high=0
    mov     $\msr, %ecx
    mov     $\low, %eax
    mov     $\high, %edx
    wrmsr
    .endm
    .macro read msr
    mov     $\msr, %ecx
    rdmsr
    .endm
    .macro send low, high=0
    write   0x830, (\low | ASSERT | 0x41), \high
    call    settle
    .endm
    /* 0x1d if it faults with #GP, 0 if not. */
    .macro try what:vararg
    lea     8f(%rip), %r15
    xor     %r14d, %r14d
    \what
8:  trace   %r14d
    .endm
    .macro enable_x2apic
    read    0x1b
    or      $0xc00, %eax
    wrmsr
    .endm
start:
    gate    13, protection
    gate    0x30, fenced
    gate    0x41, arrived
    load_idt
    mov     $GOT, %edi
    xor     %eax, %eax
    mov     $24, %ecx
    rep stosl
    mov     $1, %eax
    cpuid
    shr     $21, %ecx
    and     $1, %ecx
    trace   %ecx
    test    %ecx, %ecx
    jz      finish
    try     read 0x802          /* not in this mode */
    start_second
1:  pause
    cmpl    $2, READY
    jne     1b
    trace   READY + 4
    trace   READY + 8
    enable_x2apic
    read    0x802
    out     %eax, $PORT_TRACE
    read    0x80d
    out     %eax, $PORT_TRACE
    sti

    send    0, 1
    send    0, 0
    send    0, 7
    send    0, 0xff             /* no broadcast in this mode */
    send    0, 0xffffffff
    send    SELF
    send    ALL
    send    OTHERS
    send    LOGICAL, 1
    send    LOGICAL, 2
    send    LOGICAL, 3
    send    LOGICAL, 0x10001    /* another cluster */
    send    LOGICAL, 0xffffffff
    read    0x830
    trace   %edx
    write   0x83f, 0x41
    call    settle

    try     write 0x802, 1      /* read only */
    try     read 0x80e          /* DFR is gone */
    try     write 0x831, 1      /* and the ICR's upper half */
    try     write 0x80b, 1      /* EOI is 0 */
    try     read 0x80b          /* written only */
    try     read 0x83f
    try     write 0x808, 0x100  /* reserved bits */
    try     write 0x80f, 0x1000
    try     write 0x80d, 1
    try     write 0x1b, 0xfee00900      /* back to an xAPIC */
    try     write 0x80b, 0
finish:
    exit    0

settle:
    mov     FENCED, %esi
    mov     FENCED + 4, %edi
    write   0x830, (ASSERT | 0x30), 0
    write   0x830, (ASSERT | 0x30), 1
1:  pause
    cmp     FENCED, %esi
    je      1b
    cmp     FENCED + 4, %edi
    je      1b
    mov     GOT + 4, %eax
    shl     $8, %eax
    or      GOT, %eax
    out     %eax, $PORT_TRACE
    movq    $0, GOT
    ret

worker:
    enable_x2apic
    read    0x802
    mov     %eax, READY + 4
    read    0x80d
    mov     %eax, READY + 8
    movl    $2, READY
1:  sti
    hlt
    jmp     1b

protection:
    mov     $0x1d, %r14d
    add     $8, %rsp
    mov     %r15, (%rsp)
    iretq
    .macro count where
    push    %rax
    push    %rcx
    push    %rdx
    read    0x802
    lock incl \where(, %rax, 4)
    write   0x80b, 0
    pop     %rdx
    pop     %rcx
    pop     %rax
    iretq
    .endm
arrived:
    count   GOT
fenced:
    count   FENCED
    second_starts worker
