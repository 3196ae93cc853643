/* 16-bit real mode: segments, memory, ports, a call through the stack. */
#include "guest.inc"
    .code16
    .text
    mov     $0x2000, %ax
    mov     %ax, %ds
    movw    $0xbeef, 0x10
    mov     0x10, %bx
    movzwl  %bx, %eax
    out     %eax, $PORT_TRACE
    call    1f
    mov     $0x1234, %eax
    out     %eax, $PORT_TRACE
    exit    0
1:  mov     %cs, %ax
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    ret
