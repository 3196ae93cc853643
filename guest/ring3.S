/* Into ring 3 by iretq and out of it by faults: through gates with and without IST, and what ring 3
 * may not do. Groups of traces in the order of the test's table. */
#include "trap64.inc"
    begin

    /* What a fault's frame and handler look like. */
    .macro trace_frame label, flags=0xffffffff
    trace_fault
    mov     LAST_RIP, %rax
    lea     \label(%rip), %rdi
    sub     %rdi, %rax
    out     %eax, $PORT_TRACE
    trace_at LAST_CS
    trace_at LAST_SS
    trace_at LAST_FLAGS, \flags
    trace_at LAST_RSP
    trace_at LAST_FRAME
    trace_at IN_SS
    trace_at IN_FLAGS, 0x700
    .endm

    /* 1. an interrupt gate, RSP0 */
    movq    $0xa03, USER_FLAGS          /* OF IF CF */
    resume_at 2f
    ring3   1f
1:  ud2
2:  trace_frame 1b
    /* 2. a trap gate leaves IF alone */
    gate_type 6, 0x8f
    resume_at 2f
    ring3   1f
1:  ud2
2:  trace_frame 1b
    gate_type 6, 0x8e
    /* 3. IST */
    gate_ist 6, 1
    resume_at 2f
    ring3   1f
1:  ud2
2:  trace_frame 1b
    /* 4. IST from ring 0: SS stays */
    resume_at 2f
    mov     $SEL_DATA, %eax
    mov     %eax, %ss
1:  ud2
2:  trace_frame 1b, 0x10700
    gate_ist 6, 0
    /* 5. ring 0 on its own stack, which is aligned first */
    resume_at 2f
    mov     $0x8707, %esp
1:  ud2
2:  trace_frame 1b, 0x10700
    /* 6. compatibility mode */
    movq    $2, USER_FLAGS
    resume_at 2f
    ring3   1f, SEL_USER32
    .code32
1:  mov     $0x11223344, %ebx
    dec     %ebx                        /* a REX prefix in 64-bit code */
    ud2
    .code64
2:  trace   %ebx
    trace_at LAST_CS

    /* 7. what ring 3 may not do */
    try3    hlt
    try3    cli
    try3    mov %cr0, %rbx
    try3    out %al, $PORT_EXIT
    try3    mov %dr7, %rbx
    try3    rdmsr
    try3    lgdt gdt_pointer
    try3    ltr %ax
    try3    swapgs
    /* 8. with IOPL 3, and by the TSS's bitmap */
    movq    $0x3202, USER_FLAGS
    try3    cli
    trace_at LAST_FLAGS, 0x200
    mov     $0x77, %ebx
    resume_at 88f
    ring3   87f
87: trace   %ebx
    ud2
88: trace_fault
    movq    $2, USER_FLAGS
    movw    $0x68, TSS + 0x66
    movb    $0x10, TSS + 0x68 + (PORT_EXIT >> 3)
    try3    out %al, $PORT_EXIT
    resume_at 88f
    ring3   87f
87: trace   %ebx
    ud2
88: trace_fault
    movb    $0x08, TSS + 0x68 + (PORT_TRACE >> 3) /* the last of the four bytes of a trace */
    resume_at 88f
    ring3   87f
87: trace   %ebx
    ud2
88: trace_fault
    movw    $0x100, TSS + 0x66          /* no bitmap within the limit */
    try3    in $PORT_TRACE, %al
    exit    0
