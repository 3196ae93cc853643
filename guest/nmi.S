/* Waits for an NMI. */
#include "guest.inc"
    .code64
    .text
    gate    2, handler
    load_idt
    xor     %r12d, %r12d
    ask     1
1:  test    %r12d, %r12d
    jz      1b
    trace   %r12d
    exit    0
handler:
    inc     %r12d
    iretq
