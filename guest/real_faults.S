/* Real mode: faults through the IVT, and IRET. */
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
    vector  0, divide
    vector  6, skip2
    vector  13, skip3
    sti
    /* 1. DIV: the frame is before it; IRET goes behind it */
    xor     %cx, %cx
    mov     $1, %ax
1:  div     %cx
    trace16 %sp
    pushf
    pop     %bx
    and     $0x300, %bx
    trace16 %bx
    /* 2. an opcode that is none; a word at 0xffff */
    ud2
    trace16 $0x22
    mov     $0xffff, %bx
2:  mov     (%bx), %cx
    .byte   0x90
    trace16 $0x33
    /* 3. IRET of 32 bits, with flags of its own */
    pushl   $0x00240246                 /* ID AC IF ZF PF */
    pushl   $(GUEST_BASE >> 4)
    pushl   $(3f - start)
    iretl
3:  pushfl
    pop     %ebx
    mov     %ebx, %eax
    and     $0x240244, %eax
    out     %eax, $PORT_TRACE
    exit    0

divide:
    mov     %sp, %bp
    trace16 %sp
    mov     (%bp), %bx
    sub     $(1b - start), %bx
    trace16 %bx
    trace16 2(%bp)
    mov     4(%bp), %bx
    and     $0x300, %bx
    trace16 %bx
    pushf
    pop     %bx
    and     $0x300, %bx
    trace16 %bx
    addw    $2, (%bp)
    iret
skip2:
    mov     %sp, %bp
    addw    $2, (%bp)
    trace16 $6
    iret
skip3:
    mov     %sp, %bp
    mov     (%bp), %bx
    sub     $(2b - start), %bx
    trace16 $13
    trace16 %bx
    addw    $3, (%bp)
    iret
