/* A fault without an IDT. */
#include "guest.inc"
    .code64
    .text
    movw    $0, GUEST_DATA
    movq    $0, GUEST_DATA + 2
    lidt    GUEST_DATA
    ud2
