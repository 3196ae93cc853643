/* 32-bit protected mode without paging. */
#include "guest.inc"
    .code32
    .text
    movl    $0xcafef00d, GUEST_DATA
    mov     GUEST_DATA, %eax
    out     %eax, $PORT_TRACE
    push    $0x77
    pop     %eax
    out     %eax, $PORT_TRACE
    mov     $MMIO_BASE, %ebx
    movl    $5, (%ebx)
    exit    0
