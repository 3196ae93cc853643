/* Interrupts of real mode through the IVT: what they push, what they clear, which are faults; IRET;
 * a table elsewhere by LIDT. */
#include "trap16.inc"
    begin
    .macro  with_flags value            /* FLAGS for what follows */
    push    $\value
    popf
    .endm
    .macro  frame                       /* CS, IF and TF that were pushed; in the handler; SP */
    trace_at LAST_CS
    movzwl  LAST_FLAGS, %eax
    and     $0x7fd5, %ax
    out     %eax, $PORT_TRACE
    movzwl  IN_FLAGS, %eax
    and     $0x7fd5, %ax
    out     %eax, $PORT_TRACE
    mov     LAST_SP, %ax
    sub     RESUME_SP, %ax
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    .endm
    /* 1. by instructions */
    with_flags 0x32c5                   /* IOPL IF SF ZF PF CF */
    try     int $0x20
    frame
    with_flags 2
    try     int $0x20
    frame
    try     int3
    try     .byte 0xcd, 3
    with_flags 2
    try     int $13                     /* no error code */
    frame
    with_flags 2
    try     into
    with_flags 0x802
    try     into
    /* 2. faults */
    xor     %cx, %cx
    try     div %cx
    mov     $1, %cx
    try     div %cl                     /* of AX, 0x2000: too large */
    with_flags 2
    try     ud2
    frame
    mov     $OTHER, %ax
    mov     %ax, %es
    movl    $0x00050002, %es:0x100      /* bounds 2 and 5 */
    xor     %ax, %ax
    mov     %ax, %es
    mov     $5, %cx
    try     .byte 0x62, 0x0e, 0, 1      /* bound %cx, 0x100 */
    mov     $6, %cx
    try     .byte 0x62, 0x0e, 0, 1
    .irp    second, 0xd0, 0xd8, 0xc8    /* lldt, ltr, str %ax */
    try     .byte 0x0f, 0, \second
    .endr
    try     lar %cx, %cx
    try     arpl %cx, %cx
    resume_at 1f
    with_flags 0x102                    /* TF: the trap is behind the next instruction */
    nop
    nop
1:  trace_at LAST_VECTOR
    movzwl  IN_FLAGS, %eax
    and     $0x300, %ax
    out     %eax, $PORT_TRACE

    /* 3. IRET of 16 and 32 bits */
    push    $0x7cd7
    push    $CS16 - 1
    push    $1f - start + 16
    iret
1:  pushf
    pop     %ax
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    mov     %cs, %ax
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    ljmp    $CS16, $1f - start
1:  pushl   $0x00040002                 /* AC */
    pushl   $CS16
    pushl   $1f - start
    iretl
1:  pushfl
    popl    %eax
    out     %eax, $PORT_TRACE
    pushl   $2
    popfl
    .macro  iret_beyond
    pushl   $2
    pushl   $CS16
    pushl   $0x10000
    iretl
    .endm
    resume_at 1f
    iret_beyond
1:  mov     RESUME_SP, %sp
    trace_at LAST_VECTOR
    mov     LAST_SP, %ax
    sub     RESUME_SP, %ax              /* nothing was popped */
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE

    /* 4. another table, for vectors 0 to 0x21 */
    xor     %si, %si
    mov     $0xb400, %di
    mov     $0x88, %cx
    cld
    rep movsb
    movw    $stubs - start + 8 * 0x27, 0xb400 + 4 * 0x21
    movw    $0x87, 0xb3f0
    movl    $0xb400, 0xb3f2
    lidt    0xb3f0
    sidt    0xb3e0
    mov     0xb3e0, %eax
    out     %eax, $PORT_TRACE
    .macro  vector insn:vararg
    resume_at 88f
    \insn
88: trace_at LAST_VECTOR
    .endm
    vector  int $0x21                   /* the entry says 0x27 */
    vector  int $0x20
    vector  int $0x22                   /* beyond the table */
    movw    $0x3ff, 0xb3f0
    movl    $0, 0xb3f2
    lidt    0xb3f0
    vector  int $0x21
    exit    0
