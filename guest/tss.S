/* A TSS that is too short for what an interrupt wants of it, and the busy bit. */
#include "trap64.inc"
    begin
    trace_at gdt + SEL_TSS + 4, 0xff00  /* LTR has made it busy */
    mov     $SEL_TSS, %ebx
    try     ltr %bx
    mov     $SEL_CODE64, %ebx
    try     ltr %bx
    movb    $0x09, gdt + SEL_TSS + 5    /* not present */
    mov     $SEL_TSS, %ebx
    try     ltr %bx
    movb    $0x89, gdt + SEL_TSS + 5
    movw    $0x53, gdt + SEL_TSS        /* ends before IST7 does */
    ltr     %bx
    gate_ist 6, 7
    try     ud2
    try3    ud2
    gate_ist 6, 0
    try3    ud2
    exit    0
