/* Gates of a 32-bit IDT: rings, stacks from the TSS, what is pushed by gates of 32 and 16 bits, what
 * is refused with which error code; INTO and BOUND. */
#include "trap32.inc"
    begin
    .equ    LOW, 0xb100                 /* where gates of 16 bits reach: a jump to `narrow` */

    .macro  where                       /* vector; CS, SS, ESP; frame; IF and SS in the handler */
    trace_fault
    trace   LAST_CS
    trace   LAST_SS
    trace   LAST_ESP
    trace   LAST_FRAME
    trace_at IN_FLAGS, 0x200
    trace   IN_SS
    trace   IN_DS
    .endm
    .macro  from3 insn:vararg
    resume_at 88f
    ring3   87f
87: \insn
    ud2
88: flat
    .endm
    .macro  gate32 vector, selector, target, type=0x8e
    movl    $\selector << 16, GUEST_IDT + 8 * \vector
    movl    $\target, %eax
    mov     %ax, GUEST_IDT + 8 * \vector
    mov     $\type << 8, %ax
    mov     %eax, GUEST_IDT + 8 * \vector + 4
    .endm
    .macro  behind label                /* how far EIP is behind it */
    mov     LAST_EIP, %eax
    sub     $\label, %eax
    out     %eax, $PORT_TRACE
    .endm

    /* 1. 32 bits: interrupt and trap gates, with an error code, without a change of ring */
    movl    $0x202, USER_FLAGS
    from3   ud2
    where
    gate_type 6, 0x8f
    from3   ud2
    where
    gate_type 6, 0x8e
    from3   load ds, 0x1c               /* there is no LDT */
    where
    resume_at 1f
    mov     $0x8700, %esp
    ud2
1:  flat
    trace_fault
    trace   LAST_CS
    trace   LAST_FRAME
    trace   IN_SS
    movl    $2, USER_FLAGS

    /* 2. DPL, limits, targets */
    try3    int $0x20
    behind  87b
    try3    int3
    try3    into                        /* OF is clear */
    movl    $0x802, USER_FLAGS
    try3    into
    gate_type 3, 0xee
    gate_type 4, 0xee
    gate_type 0x20, 0xee
    try3    int $0x20
    behind  87b
    try3    int3
    behind  87b
    try3    into
    behind  87b
    movl    $2, USER_FLAGS
    gate_type 0x20, 0x6e                /* not present */
    try3    int $0x20
    gate_type 0x20, 0xec                /* a call gate */
    try3    int $0x20
    gate32  0x20, SEL_USERCODE, stubs, 0xee
    try3    int $0x20                   /* the same ring */
    try     int $0x20                   /* an outer one */
    gate32  0x20, 0, stubs, 0xee
    try     int $0x20
    gate32  0x20, SEL_DATA, stubs, 0xee
    try3    int $0x20
    gate32  0x20, GDT_BYTES, stubs, 0xee
    try3    int $0x20
    gate32  0x20, SEL_SHORT, stubs, 0xee        /* beyond the segment */
    try3    int $0x20
    trace   LAST_CS

    /* 3. conforming: no other ring, no other stack. Then ring 1, from whose handler a fault tells */
    gate32  0x20, SEL_CONFORM, tell, 0xee
    try3    int $0x20
    trace   LAST_CS
    trace   LAST_ESP
    gate32  0x20, SEL_CODE1, tell, 0xee
    try3    int $0x20
    trace   LAST_CS
    trace   LAST_SS
    trace   LAST_ESP
    /* 4. ring 1's stack is bad, for INT and for a fault (EXT) */
    .macro  bad_stack selector
    movl    $\selector, TSS + 16
    gate32  6, SEL_CODE32, stubs+16*6
    try3    int $0x20
    gate32  6, SEL_CODE1, tell
    try3    ud2
    .endm
    bad_stack 0
    bad_stack SEL_DATA
    bad_stack SEL_CODE1
    bad_stack GDT_BYTES+1
    movb    $0x33, gdt + SEL_DATA1 + 4  /* not present */
    bad_stack SEL_DATA1
    movb    $0xb3, gdt + SEL_SMALL + 5  /* ends at 0x4f */
    bad_stack SEL_SMALL+1
    gate32  6, SEL_CODE32, stubs+16*6

    /* 5. 16 bits: words are pushed; SP, SS, flags, CS, IP, and where; with an error code */
    movb    $0xe9, LOW
    movl    $narrow - LOW - 5, LOW + 1
    .macro  words n
    mov     LAST_FRAME, %esi
    mov     $\n, %ecx
9:  lodsw
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    loop    9b
    trace   LAST_FRAME
    .endm
    .irp    type, 0xe6, 0xe7
    gate32  0x20, SEL_CODE32, LOW, \type
    movl    $0x202, USER_FLAGS
    from3   int $0x20
    mov     LAST_FRAME, %esi            /* IP: its low word */
    mov     $87b + 2, %eax
    sub     %ax, (%esi)
    words   5
    trace_at IN_FLAGS, 0x200
    .endr
    gate32  13, SEL_CODE32, LOW, 0x86
    mov     $0x8700, %esp
    resume_at 1f
    load    ds, 0x1c
1:  mov     $SEL_DATA, %eax
    mov     %eax, %ds
    mov     LAST_FRAME, %esi
    movw    $0, 2(%esi)
    words   3
    gate32  13, SEL_CODE32, stubs+16*13

    /* 6. BOUND */
    movl    $-5, 0xb200
    movl    $7, 0xb204
    .irp    index, -6, -5, 7, 8
    mov     $\index, %ecx
    try     .byte 0x62, 0x0d, 0, 0xb2, 0, 0     /* bound %ecx, 0xb200 */
    .endr
    mov     $8, %ecx
    try3    .byte 0x62, 0x0d, 0, 0xb2, 0, 0     /* a fault: DPL does not matter */
    behind  87b
    exit    0

tell:                                   /* any ring: the fault's frame tells */
    ud2
narrow:
    mov     %esp, %ss:LAST_FRAME
    pushfl
    popl    %ss:IN_FLAGS
    jmp     resume
