/* SYSCALL and SYSRET. */
#include "trap64.inc"
    begin
    .macro  enter_at label
    mov     $0xc0000082, %ecx
    lea     \label(%rip), %rax
    xor     %edx, %edx
    wrmsr
    .endm
    .macro  offset reg, label
    lea     \label(%rip), %rdi
    mov     \reg, %rax
    sub     %rdi, %rax
    out     %eax, $PORT_TRACE
    .endm

    try     syscall                     /* EFER.SCE is 0 */
    try     sysretq
    write_msr 0xc0000080, 0, 0xd01
    write_msr 0xc0000081, 0x00200008, 0 /* STAR: 8 and 10, 33 and 2b, 23 */
    write_msr 0xc0000084, 0, 0x700      /* SFMASK: TF IF DF */
    try3    sysretq

    /* 1. in and out, in 64-bit code */
    enter_at 2f
    movq    $0xe03, USER_FLAGS          /* OF DF IF CF */
    resume_at 5f
    ring3   1f
1:  mov     $0xc777, %esp
    syscall
2:  pushfq                              /* on ring 3's stack */
    pop     %rbx
    mov     %rsp, %rbp
    mov     %rcx, %r14
    offset  %r14, 1b
    trace   %r11d
    trace   %ebx
    trace   %ebp
    mov     %cs, %eax
    out     %eax, $PORT_TRACE
    mov     %ss, %eax
    out     %eax, $PORT_TRACE
    lea     3f(%rip), %rcx
    mov     $0x10a43, %r11d             /* RF OF IF ZF CF */
    sysretq
3:  ud2
5:  trace_fault
    offset  LAST_RIP, 3b
    trace_at LAST_CS
    trace_at LAST_SS
    trace_at LAST_FLAGS, 0xffff
    trace_at LAST_RSP

    /* 2. to 32-bit code */
    movq    $2, USER_FLAGS
    resume_at 5f
    lea     3f(%rip), %rcx
    bts     $40, %rcx                   /* only ECX counts */
    mov     $2, %r11d
    mov     $0x11, %ebx
    mov     $USER_STACK, %esp
    sysretl
    .code32
3:  dec     %ebx
    ud2
    .code64
5:  trace_fault
    trace   %ebx
    trace_at LAST_CS
    trace_at LAST_SS

    /* 3. from ring 0 */
    enter_at 2f
    resume_at 88f
    syscall
2:  mov     %cs, %eax
    out     %eax, $PORT_TRACE
    ud2
88: trace_fault

    /* 4. single step over it: TF as it is when SYSCALL is done */
    enter_at 2f
    movq    $0x102, USER_FLAGS
    resume_at 88f
    ring3   1f
1:  syscall
2:  nop
    ud2
88: trace_fault
    trace_at LAST_CS
    /* 5. and SYSRET: a trap before the first instruction of ring 3 */
    resume_at 88f
    lea     1f(%rip), %rcx
    mov     $0x102, %r11d
    sysretq
1:  nop
    ud2
88: trace_fault
    offset  LAST_RIP, 1b
    trace_at LAST_CS
    exit    0
