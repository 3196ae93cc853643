/* A 2-MiB page is mapped elsewhere; INVLPG of one address in it must take all of it out of the TLB. */
#include "guest.inc"
    .code64
    .text
    .equ    PDE, 0x3010         /* of 0x400000, in the tables that the test built */
    movl    $0x1111, 0x201000
    movl    $0x2222, 0x202000
    movq    $0x200083, PDE
    invlpg  0x400000
    mov     0x401000, %ebx
    trace   %ebx
    mov     0x402000, %ebx
    trace   %ebx
    movq    $0x83, PDE          /* now physical 0: the test's page directory pointers are at 0x2000 */
    invlpg  0x401000
    mov     0x402000, %ebx
    and     $~0x20, %ebx        /* but for the accessed bit */
    trace   %ebx
    exit    0
