/* Jumps to where no memory is: nothing can execute that. */
#include "guest.inc"
    .code64
    .text
    mov     $MMIO_BASE, %eax
    jmp     *%rax
