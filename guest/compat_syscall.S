/* System calls that the manufacturers do not agree on: SYSCALL from compatibility mode, SYSENTER
 * in long mode. Traces the second letter of the manufacturer's name first. */
#include "trap64.inc"
    begin
    xor     %eax, %eax
    cpuid
    movzbl  %bh, %ebx
    trace   %ebx
    write_msr 0xc0000080, 0, 0xd01
    write_msr 0xc0000081, 0x00200008, 0
    write_msr 0xc0000084, 0, 0x700
    mov     $0xc0000083, %ecx           /* CSTAR */
    lea     2f(%rip), %rax
    xor     %edx, %edx
    wrmsr
    xor     %ebx, %ebx
    resume_at 88f
    ring3   1f, SEL_USER32
    .code32
1:  syscall
    .code64
2:  sub     $1b, %ecx
    mov     %ecx, %ebx
    ud2
88: trace_fault
    trace   %ebx
    trace_at LAST_CS

    /* SYSENTER: CS 8, SS 0x10; SYSEXIT to 64-bit code: 8 + 32 and 8 + 40, RPL 3 */
    try3    sysenter                    /* IA32_SYSENTER_CS is 0 */
    write_msr 0x174, 0, SEL_CODE64
    write_msr 0x175, 0, 0x8600
    mov     $0x176, %ecx
    lea     2f(%rip), %rax
    xor     %edx, %edx
    wrmsr
    movq    $0x203, USER_FLAGS
    resume_at 88f
    ring3   1f
1:  sysenter
2:  pushfq
    pop     %rbx
    trace   %ebx
    mov     %rsp, %rbx
    trace   %ebx
    mov     %cs, %eax
    out     %eax, $PORT_TRACE
    mov     %ss, %eax
    out     %eax, $PORT_TRACE
    lea     3f(%rip), %rdx
    mov     $USER_STACK, %ecx
    .byte   0x48, 0x0f, 0x35            /* sysexit with REX.W, which assemblers spell differently */
3:  ud2
88: trace_fault
    trace_at LAST_CS
    trace_at LAST_SS
    exit    0
