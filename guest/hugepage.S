/* A page of 1 GiB, where CPUID offers them. */
#include "trap64.inc"
    begin
    mov     $0x80000001, %eax
    cpuid
    bt      $26, %edx
    jnc     1f
    movl    $0x12345678, 0x30000
    movq    $0x83, PDPT + 8             /* 1 GiB up: physical 0 again */
    movq    $0x2083, PDPT + 16          /* bit 13: reserved */
    mov     %cr3, %rax
    mov     %rax, %cr3
    mov     $0x40000000, %r8
    mov     0x30000(%r8), %ebx
    trace   %ebx
    trace_at PDPT + 8, 0xff
    movl    $0x55aa, 0x30000(%r8)
    trace_at 0x30000
    trace_at PDPT + 8, 0xff
    try     movb (%r8,%r8), %bl
    movq    $0, PDPT + 8
    invlpg  0x200000(%r8)
    try     movb 0x30000(%r8), %bl
1:  exit    0
