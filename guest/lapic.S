/* Leaves its mark on the local APIC: TPR, LDR, a masked timer, LINT1, a spurious vector. */
#include "guest.inc"
    .code64
    .text
    enable_lapic
    movl    $0x30, 0x80(%rbx)
    movl    $0x02000000, 0xd0(%rbx)
    movl    $0x10061, 0x320(%rbx)
    movl    $0x10400, 0x360(%rbx)
    mov     0x20(%rbx), %eax
    out     %eax, $PORT_TRACE
    exit    0
