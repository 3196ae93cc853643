/* Segments of real mode: addresses that wrap, accesses across the end (#GP, #SS for the stack's),
 * stacks that wrap, code that runs off its end; far calls, jumps and returns. */
#include "trap16.inc"
    begin
    .macro  on_stack sp, insn:vararg
    mov     %ax, %ss
    mov     $\sp, %sp
    \insn
    mov     %sp, %cx
    .endm
    .macro  sp_is                       /* what SP was behind it, or where it faulted */
    movzwl  %cx, %eax
    out     %eax, $PORT_TRACE
    .endm
    .macro  faulted
    movzwl  LAST_SP, %eax
    out     %eax, $PORT_TRACE
    .endm
    /* 1. data */
    try     mov 0xffff, %cl
    try     mov 0xffff, %cx
    try     mov %cx, 0xffff
    try     mov 0xfffc, %ecx
    try     mov 0xfffd, %ecx
    mov     $0xffff, %si
    try     mov 1(%si), %cx             /* wraps to 0 */
    try     lodsw
    mov     $0xffff, %bp
    try     mov (%bp), %cx
    try     mov %ds:(%bp), %cx
    try     mov %cx, (%bp)
    mov     $0x10000, %edi
    try     mov (%edi), %cl
    try     mov %cl, (%edi)
    mov     $0xfffe, %si                /* a string that wraps */
    mov     $0x10, %di
    mov     $4, %cx
    try     rep movsb
    movzwl  %si, %eax
    out     %eax, $PORT_TRACE
    mov     $0xffff, %di
    mov     $2, %cx
    try     rep stosw                   /* and one that may not */
    movzwl  %cx, %eax
    out     %eax, $PORT_TRACE
    /* 2. the stack */
    try     on_stack 0, push %ax
    sp_is
    try     on_stack 2, push %ax
    sp_is
    try     on_stack 0xfffe, pop %ax
    sp_is
    try     on_stack 0xffff, pop %ax
    faulted
    try     on_stack 2, pushl %eax
    faulted
    try     on_stack 4, pushl %eax
    sp_is
    try     on_stack 0xfffe, popl %eax
    faulted
    try     on_stack 2, lcall $CS16, $returns - start   /* CS at 0, IP at 0xfffe */
    sp_is
    try     on_stack 8, pusha
    sp_is
    try     on_stack 0, int $0x20
    faulted
    try     on_stack 4, int $0x20
    faulted
    /* 3. code */
    .macro  ends                        /* vector, CS, IP */
    trace_at LAST_VECTOR
    trace_at LAST_CS
    trace_at LAST_IP
    .endm
    .macro  far insn:vararg
    resume_at 88f
    \insn
88: mov     RESUME_SP, %sp
    ends
    .endm
    movw    $0x9090, 0xfffe
    far     ljmp $0, $0xfffe            /* runs off the end */
    movw    $0x00b8, 0xfffe
    far     ljmp $0, $0xfffe            /* mov $imm16: across it */
    try     .byte 0x66, 0xe9, 0, 0, 1, 0        /* jmpl beyond it */
    try     .byte 0x66, 0xe8, 0, 0, 1, 0        /* calll */
    faulted
    try     .byte 0x66, 0xea, 0, 0, 1, 0, 0, 0  /* ljmpl */
    .macro  lret_beyond
    pushl   $CS16
    pushl   $0x10000
    lretl
    .endm
    try     lret_beyond
    faulted
    /* 4. far calls and returns */
    push    $0
    push    $0
    lcall   $CS16 - 1, $callee - start + 16
    movw    $callee - start + 32, 0xb300
    movw    $CS16 - 2, 0xb302
    mov     %sp, %si
    push    $0x1234
    push    $0x5678
    lcall   *0xb300
    sub     %sp, %si
    movzwl  %si, %eax
    out     %eax, $PORT_TRACE           /* what is left of four bytes after RET 4: none */
    .byte   0x66, 0x9a                  /* lcalll */
    .long   wide - start
    .word   CS16
    exit    0

callee:
    mov     %cs, %ax
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    lret    $4
wide:                                   /* EIP and CS, 32 bits each */
    mov     %sp, %bp
    movl    4(%bp), %eax
    and     $0xffff, %eax
    out     %eax, $PORT_TRACE
    lretl
returns:
    lret
