/* 32-bit protected mode: gates, rings, call gates, segment limits, SYSENTER; a task gate at last. */
#include "trap32.inc"
    begin
    .macro  trace_frame label
    trace_fault
    trace_eip \label
    trace_at LAST_CS, 0xffff
    trace_at LAST_FLAGS, 0x10300
    trace_at LAST_FRAME
    trace_at IN_FLAGS, 0x200
    .endm
    /* 1. ring 0: an interrupt gate, a trap gate, a 16-bit interrupt gate */
    sti
    resume_at 2f
    mov     $0x8700, %esp
1:  ud2
2:  trace_frame 1b
    gate_type 6, 0x8f
    sti
    resume_at 2f
    mov     $0x8700, %esp
1:  ud2
2:  trace_frame 1b
    gate_type 6, 0x86
    movw    $(narrow - start), GUEST_IDT + 8 * 6 /* 16 bits of offset: in a segment of its own */
    movw    $SEL_CODE2, GUEST_IDT + 8 * 6 + 2
    movw    $1, gdt + SEL_CODE2 + 2     /* base 0x10000 */
    movw    $(GUEST_BASE >> 16), gdt + SEL_CODE2 + 4 - 0
    movb    $0x9b, gdt + SEL_CODE2 + 5
    movw    $0, gdt + SEL_CODE2 + 2
    mov     $0x8700, %esp
    movl    $0x5a5a5a5a, 0x86f8
    movl    $0x5a5a5a5a, 0x86fc
1:  ud2
narrow:
    mov     %esp, %ebx
    trace   %ebx
    movzwl  0x86fa, %ebx                /* IP, as far as it goes; CS; FLAGS above */
    sub     $(1b - start), %ebx
    trace   %ebx
    movzwl  0x86fc, %ebx
    trace   %ebx
    ljmp    $SEL_CODE32, $1f
1:  mov     $0x9000, %esp
    movl    $0x00189000, %ebx
    movl    $0x0000ffff, gdt + SEL_CODE2
    movl    $0x00cf9b00, gdt + SEL_CODE2 + 4
    mov     $stubs + 16 * 6, %eax
    mov     %ax, GUEST_IDT + 8 * 6
    movw    $SEL_CODE32, GUEST_IDT + 8 * 6 + 2
    gate_type 6, 0x8e

    /* 2. ring 3 */
    movl    $0x202, USER_FLAGS
    resume_at 2f
    ring3   1f
1:  ud2
2:  trace_frame 1b
    trace_at LAST_ESP
    trace_at LAST_SS, 0xffff
    trace_at IN_SS
    movl    $2, USER_FLAGS
    try3    hlt
    try3    mov $SEL_DATA, %eax; 
    try3    outb %al, $PORT_EXIT

    /* 3. a call gate with two parameters */
    movl    $SEL_CODE32 << 16, gdt + SEL_GATE
    mov     $callee, %eax
    mov     %ax, gdt + SEL_GATE
    shr     $16, %eax
    shl     $16, %eax
    or      $0xec02, %eax
    mov     %eax, gdt + SEL_GATE + 4
    resume_at 2f
    ring3   1f
1:  push    $0x1111
    push    $0x2222
    lcall   $SEL_GATE, $0
3:  mov     %esp, %ebx
    ud2
callee:
    mov     %esp, %ebx
    trace   %ebx
    mov     (%esp), %ebx
    sub     $3b, %ebx
    trace   %ebx
    .irp    at, 4, 8, 12, 16, 20
    movzwl  \at(%esp), %ebx
    trace   %ebx
    .endr
    mov     %cs, %eax
    out     %eax, $PORT_TRACE
    lret    $8
2:  trace_frame 3b
    trace_at LAST_ESP
    trace_at LAST_SS, 0xffff
    movb    $0x8c, gdt + SEL_GATE + 5   /* DPL 0 */
    try3    lcall $SEL_GATE | 3, $0
    movb    $0x6c, gdt + SEL_GATE + 5   /* not present */
    try3    lcall $SEL_GATE, $0
    movb    $0xec, gdt + SEL_GATE + 5
    try3    ljmp $SEL_GATE, $0          /* a jump does not change the ring */

    /* 4. limits */
    .macro  in_segment sel, insn:vararg
    mov     $\sel, %eax
    mov     %eax, %es
    \insn
    .endm
    try     in_segment SEL_SHORT, movb %es:0xff, %bl
    try     in_segment SEL_SHORT, movb %es:0x100, %bl
    try     in_segment SEL_SHORT, movw %es:0xff, %bx
    try     in_segment SEL_DOWN, movb %es:0xfff, %bl
    try     in_segment SEL_DOWN, movb %es:0x1000, %bl
    try     in_segment SEL_CODE32, movb %bl, %es:0xc100
    try     in_segment 0, movb %es:0xc100, %bl
    .macro  short_stack
    mov     $SEL_SHORT, %eax
    mov     %eax, %ss
    mov     $0x102, %esp
    mov     (%esp), %eax
    .endm
    /* the handler's frame fits, what is read does not */
    try     short_stack

    /* 5. SYSENTER: CS 8, SS 0x10; SYSEXIT: 8 + 16 and 8 + 24, RPL 3 */
    try3    sysenter
    write_msr 0x174, SEL_CODE2
    write_msr 0x175, 0x8600
    write_msr 0x176, 2f
    movl    $0x203, USER_FLAGS
    resume_at 88f
    ring3   1f
1:  sysenter
2:  pushf
    pop     %ebx
    trace   %ebx
    mov     %esp, %ebx
    trace   %ebx
    mov     %cs, %eax
    out     %eax, $PORT_TRACE
    mov     %ss, %eax
    out     %eax, $PORT_TRACE
    mov     $3f, %edx
    mov     $USER_STACK, %ecx
    sysexit
3:  ud2
88: trace_fault
    trace_at LAST_CS, 0xffff
    trace_at LAST_SS, 0xffff

    /* 6. a task gate: a #GP where tasks are not switched */
    movl    $1f, TASK + 0x20
    movl    $2, TASK + 0x24
    movl    $0x8f00, TASK + 0x38
    movl    $SEL_DATA, TASK + 0x48
    movl    $SEL_CODE32, TASK + 0x4c
    movl    $SEL_DATA, TASK + 0x50
    movl    $SEL_DATA, TASK + 0x54
    movw    $SEL_TASK, GUEST_IDT + 8 * 6 + 2
    gate_type 6, 0x85
    resume_at 88f
    ud2
1:  trace   $0x7a5c
    exit    0
88: trace_fault
    exit    0
