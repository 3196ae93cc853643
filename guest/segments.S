/* Segments of 32-bit protected mode: limits in bytes and pages, expand-down, what is read only or
 * execute only, NULL selectors, an LDT, and the ends of code and stack segments. */
#include "trap32.inc"
    begin
    .equ    LDT, 0xb200
    .macro  ds_is selector, insn:vararg
    resume_at 88f
    load    ds, \selector
    \insn
88: flat
    trace_fault
    .endm
    /* 1. limits */
    ds_is   SEL_BYTES, mov 0xfff, %bl
    ds_is   SEL_BYTES, mov 0x1000, %bl
    ds_is   SEL_BYTES, mov 0xffc, %ebx
    ds_is   SEL_BYTES, mov 0xffd, %ebx
    ds_is   SEL_BYTES, movw $0, 0xfff
    ds_is   SEL_BYTES, mov 0xffffffff, %bl
    ds_is   SEL_BYTES, mov 0xffffffff, %ebx
    ds_is   SEL_PAGES, mov 0x1fffc, %ebx
    ds_is   SEL_PAGES, mov 0x1fffd, %ebx
    ds_is   SEL_PAGES, mov 0x20000, %bl
    ds_is   SEL_DOWN, mov 0x1000, %ebx
    ds_is   SEL_DOWN, mov 0xfff, %ebx
    ds_is   SEL_DOWN, mov 0, %bl
    ds_is   SEL_DOWN, mov 0x10000, %bl
    ds_is   SEL_DOWN16, mov 0x1000, %bl
    ds_is   SEL_DOWN16, mov 0xfffc, %ebx
    ds_is   SEL_DOWN16, mov 0xfffd, %ebx
    ds_is   SEL_DOWN16, mov 0x10000, %bl
    mov     $0xffe, %esi
    mov     $4, %ecx
    ds_is   SEL_BYTES, rep lodsb        /* two of four */
    trace   %esi
    trace   %ecx
    /* 2. kinds */
    ds_is   SEL_READ, mov 0x1000, %bl
    ds_is   SEL_READ, mov %bl, 0x1000
    ds_is   SEL_READ, lock incl 0x1000
    ds_is   SEL_NO_READ
    ds_is   SEL_NO_DATA
    ds_is   SEL_CODE32, mov 0x1000, %bl
    ds_is   SEL_CODE32, mov %bl, 0x1000
    try     mov %bl, %cs:0x1000
    try     mov %cs:0x1000, %bl
    ds_is   SEL_TSS
    ds_is   GDT_BYTES
    try3    load ds, SEL_DATA
    try3    load ds, SEL_DATA+3
    try3    load ds, SEL_CODE32
    try3    load ds, SEL_CONFORM        /* any ring reads it */
    load    es, SEL_USERDATA            /* ring 0 may take ring 3's, */
    try     load ss, SEL_USERDATA       /* but for its stack */
    try     load ss, SEL_READ
    try     load ss, SEL_CODE32
    try     load ss, 0
    try     load ss, SEL_DATA+1
    /* 3. NULL */
    ds_is   0
    ds_is   3, mov 0x1000, %bl
    ds_is   0, mov %bl, 0x1000
    mov     $0x1000, %esi
    ds_is   0, lodsb
    load    fs, 0
    try     mov %fs:0x1000, %bl
    /* 4. the LDT */
    movl    $0x0000ffff, LDT + 8        /* data at 0x10000 */
    movl    $0x00cf9301, LDT + 12
    movl    $0x0000ffff, LDT + 16       /* code, not accessed yet */
    movl    $0x00cf9a00, LDT + 20
    movl    $LDT << 16 | 0x17, gdt + SEL_LDT
    movl    $0x00000200, gdt + SEL_LDT + 4
    mov     $SEL_LDT, %ecx
    try     lldt %cx                    /* not present */
    movb    $0x82, gdt + SEL_LDT + 5
    try     lldt %cx
    sldt    %edx
    trace   %edx
    ds_is   0x0c
    load    ds, 0x0c
    mov     start - 0x10000, %bx
    flat
    cmp     %bx, start
    sete    %al
    movzbl  %al, %eax
    out     %eax, $PORT_TRACE
    ds_is   0x1c                        /* beyond it */
    ds_is   0x04                        /* its first entry is one; this one is empty */
    try     ljmp $0x14, $tell
    trace   LAST_CS
    trace_at LDT + 20, 0xff00
    mov     $SEL_DATA, %ecx
    try     lldt %cx
    mov     $0x0c, %ecx
    try     lldt %cx                    /* in the GDT only */
    xor     %ecx, %ecx
    try     lldt %cx
    ds_is   0x0c                        /* none */
    try3    lldt %cx
    /* 5. the end of code */
    movl    $0x90909090, 0xffc
    try     ljmp $SEL_SHORT, $0xffe
    trace   LAST_EIP
    movb    $0xb8, 0xffd                /* mov $imm32 */
    try     ljmp $SEL_SHORT, $0xffd
    trace   LAST_EIP
    movl    $0x00000be9, 0xff0          /* jmp 0x1000 */
    movb    $0, 0xff4
    try     ljmp $SEL_SHORT, $0xff0
    trace   LAST_EIP
    movb    $0xe8, 0xff0                /* call 0x1000: nothing is pushed */
    mov     $0x9000, %esp
    try     ljmp $SEL_SHORT, $0xff0
    trace   LAST_EIP
    trace_at LAST_FRAME
    /* 6. the end of a stack, in ring 3 */
    movb    $0xf3, gdt + SEL_SMALL + 5
    .macro  on_small esp, insn:vararg
    load    ss, SEL_SMALL + 3
    mov     $\esp, %esp
    \insn
    .endm
    try3    on_small 0x50, push %eax
    trace   LAST_ESP
    try3    on_small 0x54, push %eax
    trace   LAST_ESP
    try3    on_small 0x52, push %eax
    try3    on_small 0, push %eax
    try3    on_small 0x4c, pop %eax
    try3    on_small 0x4d, pop %eax
    try3    on_small 0x50, mov (%esp), %al
    try3    on_small 0x54, mov -4(%esp), %al
    try3    on_small 0x54, call tell
    try3    on_small 0x4c, lret
    try3    on_small 0x54, enter $4, $0
    exit    0
tell:
    ud2
