/* Starts the other processor with INIT and SIPI; it runs real-mode code and sets a word. */
#include "guest.inc"
    .code64
    .text
start:
    enable_lapic
    movw    $0, GUEST_DATA
    movl    $0x01000000, 0x310(%rbx)    /* to APIC 1 */
    movl    $0x00004500, 0x300(%rbx)    /* INIT */
    movl    $0x01000000, 0x310(%rbx)
    movl    $(0x4600 | (ap - start + GUEST_BASE) >> 12), 0x300(%rbx)
1:  cmpw    $0x600d, GUEST_DATA
    jne     1b
    trace   $0x600d
    exit    0

    .code16
    .balign 4096
ap: xor     %ax, %ax
    mov     %ax, %ds
    movw    $0x600d, GUEST_DATA
2:  hlt
    jmp     2b
