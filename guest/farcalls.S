/* Far calls, jumps and returns of 32 bits: call gates with other stacks and parameters, conforming
 * code, returns to outer rings, IRET; what is refused with which error code. */
#include "trap32.inc"
    begin
    .equ    LOW, 0xb100
    .macro  from3 insn:vararg
    resume_at 88f
    ring3   87f
87: \insn
    ud2
88: flat
    .endm
    .macro  caller3 selector            /* pushes two parameters and calls */
    push    $0x1111
    push    $0x2222
    lcall   $\selector, $0
    .endm
    .macro  place                       /* of the UD that ended it */
    trace_fault
    trace   LAST_CS
    trace   LAST_SS
    trace   LAST_ESP
    .endm

    /* 1. to ring 0 with two parameters, and back with them off both stacks */
    call_gate 0, SEL_CODE32, show, 0xec, 2
    from3   caller3 SEL_GATE
    place
    trace   IN_DS
    call_gate 0, SEL_CODE32, show, 0xec, 2
    try     caller3 SEL_GATE            /* from ring 0: none are copied */
    call_gate 0, SEL_CODE1, tell, 0xec, 2
    from3   caller3 SEL_GATE            /* to ring 1 */
    place
    call_gate 0, SEL_CONFORM, tell, 0xec, 2
    from3   caller3 SEL_GATE            /* conforming */
    place
    movb    $0xe9, LOW
    movl    $narrow - LOW - 5, LOW + 1
    call_gate 0, SEL_CODE32, LOW, 0xe4, 3
    from3   caller3 SEL_GATE            /* 16 bits */
    /* 2. refused */
    .macro  gate_fault selector, target, type
    call_gate 0, \selector, \target, \type
    try3    lcall $SEL_GATE + 3, $0
    .endm
    gate_fault SEL_CODE32, tell, 0x8c   /* DPL */
    gate_fault SEL_CODE32, tell, 0xcc
    gate_fault SEL_CODE32, tell, 0x6c   /* not present */
    gate_fault SEL_CODE32, tell, 0xee   /* an interrupt gate */
    gate_fault 0, tell, 0xec
    gate_fault SEL_DATA, tell, 0xec
    gate_fault GDT_BYTES, tell, 0xec
    gate_fault SEL_SHORT, tell, 0xec
    call_gate 1, SEL_CODE32, tell, 0xac /* DPL 1 */
    try     lcall $SEL_GATE + 8 + 2, $0 /* RPL 2 */
    /* 3. ring 1's stack is bad */
    call_gate 0, SEL_CODE1, tell, 0xec, 2
    .irp    selector, 0, SEL_DATA, SEL_CODE1, GDT_BYTES+1
    movl    $\selector, TSS + 16
    try3    lcall $SEL_GATE, $0
    .endr
    movb    $0xb3, gdt + SEL_SMALL + 5  /* ends at 0x4f */
    movl    $SEL_SMALL + 1, TSS + 16
    try3    lcall $SEL_GATE, $0
    movb    $0x33, gdt + SEL_DATA1 + 4  /* not present */
    movl    $SEL_DATA1, TSS + 16
    try3    lcall $SEL_GATE, $0
    movb    $0xb3, gdt + SEL_DATA1 + 4
    /* 4. direct */
    try3    lcall $SEL_CODE32, $tell
    try3    ljmp $SEL_CODE32 + 3, $tell
    from3   lcall $SEL_CONFORM, $tell
    place
    try     ljmp $SEL_USERCODE, $tell
    try     ljmp $SEL_DATA, $tell
    try     ljmp $SEL_CONFORM, $tell
    trace   LAST_CS
    try     ljmp $SEL_SHORT, $0x1000
    try     ljmp $0, $tell
    call_gate 0, SEL_CODE32, tell, 0xec
    try3    ljmp $SEL_GATE, $0          /* a jump does not change rings */
    try     ljmp $SEL_GATE, $0
    call_gate 0, SEL_CONFORM, tell, 0xec
    from3   ljmp $SEL_GATE, $0
    place

    /* 5. far returns: to an outer ring, with parameters; selectors that ring may not keep */
    .macro  return_to cs, ss, extra=0
    pushl   $\ss
    pushl   $USER_STACK
    .if     \extra
    pushl   $1
    pushl   $2
    .endif
    pushl   $\cs
    pushl   $tell
    .if     \extra
    lret    $8
    .else
    lret
    .endif
    .endm
    load    gs, SEL_CONFORM
    load    fs, SEL_DATA
    resume_at 1f
    return_to SEL_USERCODE, SEL_USERDATA, 1
1:  flat
    place
    trace   IN_DS
    mov     %fs, %eax
    out     %eax, $PORT_TRACE
    mov     %gs, %eax
    out     %eax, $PORT_TRACE
    try     return_to SEL_CODE1, SEL_DATA1
    trace   LAST_SS
    try     return_to SEL_USERCODE, SEL_DATA
    try     return_to SEL_USERCODE, SEL_DATA1
    try     return_to SEL_USERCODE, SEL_USERCODE
    try     return_to SEL_USERCODE, 0
    try     return_to 0x22, SEL_USERDATA
    try     return_to SEL_DATA, SEL_DATA
    try     return_to 0, SEL_DATA
    try3    return_to SEL_CODE32, SEL_DATA
    try     return_to SEL_CODE32, 0     /* the same ring: SS is not looked at */
    trace   LAST_CS
    /* 6. IRET */
    .macro  iret_to cs, ss, flags=2, to=tell
    pushl   $\ss
    pushl   $USER_STACK
    pushl   $\flags
    pushl   $\cs
    pushl   $\to
    iretl
    .endm
    try     iret_to SEL_CODE1, SEL_DATA1
    trace   LAST_CS
    try     iret_to SEL_USERCODE, SEL_DATA
    try     iret_to SEL_USERCODE, 0
    try     iret_to 0x22, SEL_USERDATA
    try     iret_to 0, SEL_USERDATA
    try     iret_to SEL_SHORT, 0, 2, 0x1000
    try3    iret_to SEL_CODE32, SEL_DATA
    try3    iret_to SEL_USERCODE, 0, 0x3ad7     /* ring 3 has no say over IF and IOPL */
    trace_at LAST_FLAGS, 0xffff
    pushl   $0x4002                     /* NT: a task switch, and there is no task to go back to */
    popfl
    try     iret_to SEL_CODE32, 0
    pushl   $2
    popfl
    exit    0

show:                                   /* all that was pushed, and where */
    flat
    trace   %esp
    mov     %esp, %esi
    mov     $5, %ecx
    lodsl
    lodsl
    movzwl  %ax, %eax
1:  out     %eax, $PORT_TRACE
    lodsl
    loop    1b
    mov     %ss, %eax
    out     %eax, $PORT_TRACE
    lret    $8
tell:
    ud2
narrow:                                 /* SP, and the words on it */
    flat
    trace   %esp
    mov     %esp, %esi
    mov     $6, %ecx
    lodsw
1:  lodsw
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    loop    1b
    jmp     resume
