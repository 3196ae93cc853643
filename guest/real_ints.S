/* Real mode: INT n, INT3 and INTO through the IVT, and a limit that is too small for one. */
#include "guest.inc"
    .code16
    .text
start:
    .macro  vector n, to
    movw    $(\to - start), 4 * \n
    movw    $(GUEST_BASE >> 4), 4 * \n + 2
    .endm
    .macro  trace16 what
    mov     \what, %ax
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    .endm
    xor     %ax, %ax
    mov     %ax, %ds
    mov     %ax, %es
    mov     %ax, %ss
    mov     $0x9000, %sp
    vector  3, third
    vector  4, fourth
    vector  13, protection
    vector  0x40, soft
    sti
    int     $0x40
1:  pushf
    pop     %bx
    and     $0x200, %bx
    trace16 %bx
    int3
    mov     $0x7f, %al
    inc     %al
    into
    movw    $0xff, GUEST_DATA           /* up to vector 0x3f */
    movl    $0, GUEST_DATA + 2
    lidt    GUEST_DATA
2:  int     $0x40
    exit    1
soft:
    mov     %sp, %bp
    trace16 %sp
    mov     (%bp), %bx
    sub     $(1b - start), %bx
    trace16 %bx
    pushf
    pop     %bx
    and     $0x200, %bx
    trace16 %bx
    iret
third:
    trace16 $3
    iret
fourth:
    trace16 $4
    iret
protection:
    mov     %sp, %bp
    mov     (%bp), %bx
    sub     $(2b - start), %bx
    trace16 $13
    trace16 %bx
    exit    0
