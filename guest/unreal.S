/* Between real and protected mode: limits and bases that outlive the mode that loaded them, and the
 * way to 32-bit code and back. */
#include "trap16.inc"
    begin
    .equ    HIGH, 0x200000
    .macro  set_pe on
    mov     %cr0, %eax
    .if     \on
    or      $1, %al
    .else
    and     $~1, %al
    .endif
    mov     %eax, %cr0
    .endm
    .macro  segments value, all:vararg
    mov     $\value, %ax
    .irp    segment, \all
    mov     %ax, %\segment
    .endr
    .endm
    /* What an access raises with DS as it is: the vector, or 0xff. */
    .macro  raises insn:vararg
    resume_at 88f
    \insn
88: mov     RESUME_SP, %sp
    trace_at LAST_VECTOR
    .endm

    mov     $HIGH, %edi
    lgdt    %cs:(gdtr - start)
    raises  movb $1, (%edi)
    /* 1. DS gets 4 GiB and keeps them, whatever is loaded into it; ES was not loaded */
    set_pe  1
    segments 0x10, ds
    ljmp    $8, $1f - start
1:  mov     %cs, %ax
    movzwl  %ax, %ebx
    set_pe  0
    ljmp    $CS16, $1f - start
1:  segments 0, ds
    trace   %ebx
    movl    $0x12345678, (%edi)
    mov     (%edi), %eax
    out     %eax, $PORT_TRACE
    raises  mov 0xffff, %cx
    raises  mov %es:0xffff, %cx
    segments OTHER, ds
    mov     $HIGH - 0x20000, %ebx
    mov     (%ebx), %eax
    out     %eax, $PORT_TRACE
    segments 0, ds
    raises  int $0x20

    /* 2. a stack of 32 bits, kept as well */
    set_pe  1
    segments 0x10, ss
    set_pe  0
    segments 0, ss
    mov     %esp, %ebx
    mov     $HIGH + 0x104, %esp
    push    $0x1122
    push    $0x3344
    mov     %esp, %ecx
    mov     %ebx, %esp
    trace   %ecx
    mov     0x100(%edi), %eax
    out     %eax, $PORT_TRACE

    /* 3. 32-bit code and back; the limits of 64 KiB that are loaded last stay */
    set_pe  1
    .byte   0x66, 0xea                  /* ljmpl */
    .long   1f
    .word   0x18
    .code32
1:  mov     $0x10, %eax
    mov     %eax, %ds
    mov     %eax, %ss
    push    $0x5566
    pop     %eax
    out     %eax, $PORT_TRACE
    mov     HIGH, %eax
    out     %eax, $PORT_TRACE
    mov     %cs, %eax
    out     %eax, $PORT_TRACE
    .byte   0xea                        /* ljmpl */
    .long   1f - start
    .word   8
    .code16
1:  segments 0x20, ds, es, ss
    set_pe  0
    ljmp    $CS16, $1f - start
1:  segments 0, ds, es, ss
    raises  movb $1, (%edi)
    raises  mov 0xffff, %cx
    raises  int $0x20
    mov     %cr0, %eax
    and     $1, %eax
    out     %eax, $PORT_TRACE
    /* 4. with PE set and no segment loaded, all is as it was but for what loads one */
    set_pe  1
    mov     0xc000, %bx                 /* DS still is 0 */
    set_pe  0
    mov     %cs, %ax
    movzwl  %ax, %eax
    out     %eax, $PORT_TRACE
    exit    0

    .balign 8
gdt:
    .quad   0
    .quad   0x00009b010000ffff          /* 16-bit code at GUEST_BASE */
    .quad   0x00cf93000000ffff
    .quad   0x00cf9b000000ffff
    .quad   0x000093000000ffff
gdtr:
    .word   5 * 8 - 1
    .long   gdt
