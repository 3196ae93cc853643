/* For bench/engine: many exits of one kind between two trace marks. */
#include "guest.inc"
#define ROUNDS 5000
    .code64
    .text
    mov     $0x300, %edx
    trace   $1
    mov     $ROUNDS, %ecx
1:  out     %al, %dx
    dec     %ecx
    jnz     1b
    trace   $2
    mov     $MMIO_BASE, %ebx
    mov     $ROUNDS, %ecx
2:  movl    $1, (%rbx)
    dec     %ecx
    jnz     2b
    trace   $3
    mov     $MMIO_BASE + 0x1000, %ebx
    mov     $ROUNDS, %ecx
3:  movl    $1, (%rbx)
    dec     %ecx
    jnz     3b
    trace   $4
    exit    0
