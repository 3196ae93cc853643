/* Debug exceptions: what DR6 says, and whether the frame is before or behind the instruction. */
#include "trap64.inc"
    begin
    .equ    WATCHED, 0xc100
    .macro  dr6_clear
    mov     $0xffff0ff0, %eax           /* some bits are active low */
    mov     %rax, %dr6
    .endm
    /* DR7: breakpoint 0 and what it waits for */
    .macro  break_at what, address, dr7
    mov     $\address, %eax
    mov     %rax, %\what
    mov     $\dr7, %eax
    mov     %rax, %dr7
    .endm
    .macro  off
    xor     %eax, %eax
    mov     %rax, %dr7
    .endm
    .macro  report label, flags=0x10100
    trace_fault
    mov     %dr6, %rax
    and     $0xe00f, %eax
    out     %eax, $PORT_TRACE
    mov     LAST_RIP, %rax
    lea     \label(%rip), %rdi
    sub     %rdi, %rax
    out     %eax, $PORT_TRACE
    trace_at LAST_FLAGS, \flags        /* RF TF */
    dr6_clear
    .endm
    .macro  tf_on
    pushfq
    orl     $0x100, (%rsp)
    popfq
    .endm

    dr6_clear
    /* 1. execute: a fault, RF in the frame */
    lea     1f(%rip), %rax
    mov     %rax, %dr0
    mov     $0x401, %eax
    mov     %rax, %dr7
    resume_at 2f
1:  nop
    ud2
2:  report  1b
    /* 2. with RF set by IRETQ it is not hit again */
    resume_at 2f
    pushq   $SEL_DATA
    pushq   $0x8700
    pushq   $0x10002
    pushq   $SEL_CODE64
    lea     1b(%rip), %rax
    push    %rax
    iretq
2:  report  1b
    off
    /* 3. a write of four bytes: a trap */
    break_at dr1, WATCHED, 0x00d00404   /* RW 01, LEN 11 of breakpoint 1; L1 */
    resume_at 2f
    mov     WATCHED, %ebx               /* reading is none */
    movb    $5, WATCHED + 4             /* nor is this */
1:  movw    $6, WATCHED + 3             /* its last byte */
    ud2
2:  report  1b
    /* 4. reads and writes */
    break_at dr1, WATCHED, 0x00f00404
    resume_at 2f
1:  mov     WATCHED + 2, %bl
    ud2
2:  report  1b
    /* 5. one that pushes */
    break_at dr1, 0x86f8, 0x00900404    /* RW 01, LEN 10: eight bytes */
    resume_at 2f
    mov     $0x8700, %esp
1:  push    %rax
    ud2
2:  report  1b
    off
    /* 6. a single step */
    resume_at 2f
    tf_on
1:  nop
    ud2
2:  report  1b
    /* 7. a step that also hits a watchpoint */
    break_at dr1, WATCHED, 0x00d00404
    resume_at 2f
    tf_on
1:  movl    $7, WATCHED
    ud2
2:  report  1b
    off
    /* 8. a step of an instruction that faults: the fault, TF in its frame */
    resume_at 2f
    tf_on
1:  ud2
2:  report  1b
    /* 9. loading SS holds the trap back for one instruction */
    mov     $SEL_DATA, %ebx
    resume_at 2f
    tf_on
1:  mov     %ebx, %ss
    nop
    ud2
2:  report  1b
    /* 10. general detect */
    mov     $0x2400, %eax
    mov     %rax, %dr7
    resume_at 2f
1:  mov     %dr0, %rax
    ud2
2:  mov     %dr7, %rbx
    report  1b, 0x100
    trace   %ebx                        /* GD is off in the handler */
    off
    /* 11. a repeated string traps after each round */
    break_at dr1, WATCHED, 0x00d00404
    mov     $WATCHED - 4, %edi
    mov     $8, %ecx
    resume_at 2f
1:  rep stosl
    ud2
2:  mov     %ecx, %ebx
    report  1b, 0x100
    trace   %ebx
    off
    /* 12. ring 3 steps, too */
    movq    $0x102, USER_FLAGS
    resume_at 2f
    ring3   1f
1:  nop
    ud2
2:  report  1b
    movq    $2, USER_FLAGS
    /* 13. DR4 and DR5 are DR6 and DR7 until CR4.DE */
    try     .byte 0x0f, 0x21, 0xe8      /* mov %dr5, %rax */
    mov     %cr4, %rax
    or      $8, %eax
    mov     %rax, %cr4
    try     .byte 0x0f, 0x21, 0xe8
    /* 14. bits that must be zero, and those that read as one */
    mov     $0x100000000, %r8
    try     mov %r8, %dr7
    try     mov %r8, %dr6
    mov     %dr6, %rax
    out     %eax, $PORT_TRACE
    mov     %dr7, %rax
    out     %eax, $PORT_TRACE
    exit    0
