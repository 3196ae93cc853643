/* Software interrupts: the gate's DPL, error codes, what is pushed, single steps. */
#include "trap64.inc"
    begin
    .macro  report label
    trace_fault
    mov     LAST_RIP, %rax
    lea     \label(%rip), %rdi
    sub     %rdi, %rax
    out     %eax, $PORT_TRACE
    .endm
    .macro  from3 insn:vararg
    resume_at 88f
    ring3   1f
1:  \insn
    ud2
88: report  1b
    .endm
    from3   int $0x20                   /* DPL 0 */
    from3   int3
    from3   int $0x60                   /* beyond what is filled in */
    gate_type 0x20, 0xee
    gate_type 3, 0xee
    from3   int $0x20
    from3   int3
    from3   .byte 0xcd, 3
    from3   int $14                     /* DPL 0 */
    gate_type 14, 0xee
    mov     $stubs + 16 * 0x20, %eax    /* of a vector without an error code: INT pushes none */
    mov     %ax, GUEST_IDT + 16 * 14
    from3   int $14
    gate_type 14, 0x8e
    gate_type 0x20, 0x6e                /* not present */
    from3   int $0x20
    gate_type 0x20, 0xef
    movq    $0x302, USER_FLAGS          /* IF TF: the handler is not stepped */
    from3   int $0x20
    trace_at LAST_FLAGS, 0x10300
    trace_at IN_FLAGS, 0x300
    movq    $2, USER_FLAGS
    from3   .byte 0xf1                  /* INT1 asks for no DPL */
    movw    $(16 * 0x21 - 1), GUEST_DATA
    lidt    GUEST_DATA
    from3   int $0x21                   /* beyond the limit */
    exit    0
