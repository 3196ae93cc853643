/* Faults with and without error codes, into handlers that go on behind the instruction. */
#include "guest.inc"
    .code64
    .text
    gate    0, divide
    gate    6, invalid
    gate    13, protection
    gate    14, page
    load_idt
    lea     1f(%rip), %r15
    xor     %ecx, %ecx
    xor     %edx, %edx
    mov     $1, %eax
    div     %ecx
1:  lea     1f(%rip), %r15
    ud2
1:  lea     1f(%rip), %r15
    mov     $0x58, %eax                 /* beyond the GDT */
    mov     %ax, %ds
1:  lea     1f(%rip), %r15
    mov     $0x140000000, %rax          /* not mapped */
    movb    $1, (%rax)
1:  exit    0

divide:
    trace   $0
    mov     %r15, (%rsp)
    iretq
invalid:
    trace   $6
    mov     %r15, (%rsp)
    iretq
protection:
    trace   $13
    pop     %rax
    out     %eax, $PORT_TRACE
    mov     %r15, (%rsp)
    iretq
page:
    trace   $14
    pop     %rax
    out     %eax, $PORT_TRACE
    mov     %cr2, %rax
    shr     $4, %rax
    out     %eax, $PORT_TRACE
    mov     %r15, (%rsp)
    iretq
