/* Never exits by itself: counts in r12. */
#include "guest.inc"
    .code64
    .text
    xor     %r12d, %r12d
1:  inc     %r12
    jmp     1b
