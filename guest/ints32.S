/* INT n, INT3, INTO and BOUND in 32-bit code. */
#include "trap32.inc"
    begin
    .macro  from3 insn:vararg
    resume_at 88f
    ring3   1f
1:  \insn
    ud2
88: trace_fault
    trace_eip 1b
    .endm
    .macro  overflow
    mov     $0x7f, %al                  /* two bytes */
    inc     %al                         /* two bytes */
    into
    .endm
    from3   int $0x20
    from3   int3
    from3   overflow
    from3   into                        /* no overflow: nothing */
    gate_type 0x20, 0xee
    gate_type 3, 0xee
    gate_type 4, 0xef
    from3   int $0x20
    from3   int3
    from3   overflow
    movl    $5, 0xc100
    movl    $9, 0xc104
    mov     $10, %ebx
    from3   bound %ebx, 0xc100
    mov     $9, %ebx
    from3   bound %ebx, 0xc100
    exit    0
