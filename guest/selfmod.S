/* Code that changes itself: what is stored by any instruction, through any mapping, is what runs
 * next. Traces what the changed code computed, in the order of the test's table. */
#include "trap64.inc"
    begin
    .equ    COPY, 0xb100        /* a function that the test changes */
    .equ    ALIAS, 0x400000     /* the first 2 MiB once more */
    .equ    BEYOND, 0x200000    /* mapped by `table` */

    /* An instruction that stores 0x11223344 over the immediate of the next. */
    .macro  over insn:vararg
    mov     $0x11223344, %ecx
    \insn
8:  mov     $0, %eax
    out     %eax, $PORT_TRACE
    .endm
    .macro  called function
    call    \function
    out     %eax, $PORT_TRACE
    .endm

    /* 1. the next instruction, by all kinds of stores */
    over    mov %ecx, 8f + 1
    over    movb %cl, 8f + 1
    over    xchg %ecx, 8f + 1
    over    lock xadd %ecx, 8f + 1
    over    lock or %ecx, 8f + 1
    over    movnti %ecx, 8f + 1
    xor     %eax, %eax
    over    lock cmpxchg %ecx, 8f + 1
    movd    %ecx, %xmm0
    over    movd %xmm0, 8f + 1
    stc
    over    setc 8f + 1
    mov     $8f + 1, %edi
    mov     %ecx, %eax
    stosl
8:  mov     $0, %eax
    out     %eax, $PORT_TRACE
    movb    $0xc9, 8f + 1       /* another opcode: dec */
    mov     $5, %eax
    mov     %eax, %ecx
8:  inc     %ecx
    trace   %ecx

    /* 2. the instruction itself, when it is run again */
    mov     $3, %ecx
8:  addb    $1, 8b + 7          /* its immediate */
    dec     %ecx
    jnz     8b
    movzbl  8b + 7, %ecx
    trace   %ecx

    /* 3. strings: over what follows, forwards and backwards, and over a whole page of code */
    mov     $0x90, %al
    mov     $nops, %edi
    mov     $200, %ecx
    xor     %edx, %edx
    rep stosb
nops:
    .rept   100
    inc     %edx
    .endr
    trace   %edx
    xor     %edx, %edx
    mov     $nops + 198, %esi
    mov     $8f + 198, %edi
    mov     $100, %ecx
    std
    rep movsw
    cld
8:  .rept   100
    inc     %edx
    .endr
    trace   %edx
    called  page_of_code
    mov     $page_of_code, %edi
    mov     $0x90, %eax
    mov     $4096, %ecx
    rep stosb
    called  page_of_code

    /* 4. across lines and pages */
    called  line
    mov     $0xb955555555555555, %rcx
    mov     %rcx, line - 7      /* its last byte is code: mov to ecx */
    mov     $0x77, %eax
    called  line
    movb    $0xb8, line
    called  line
    called  pages
    movb    $0x33, pages + 4    /* in the second page */
    called  pages
    movb    $0x44, pages + 1    /* in the first */
    called  pages
    movl    $0x66666666, pages + 1
    called  pages
    movups  other_pages, %xmm0
    movups  %xmm0, pages - 5
    called  pages

    /* 5. through other linear addresses */
    movq    $0x87, PD + 16
    movq    $table + 7, PD + 8
    mov     %cr3, %rax
    mov     %rax, %cr3
    mov     $ALIAS, %r8d
    mov     $COPY, %edi
    movl    $0x000001b8, (%rdi)
    movl    $0xc300, 4(%rdi)
    called  *%rdi
    movb    $2, 1(%r8, %rdi)
    xor     %eax, %eax
    cpuid                       /* which other addresses need */
    called  *%rdi
    add     %rdi, %r8
    called  *%r8
    movb    $3, 1(%rdi)
    xor     %eax, %eax
    cpuid
    called  *%r8

    /* 6. by the CPU: return addresses, frames, accessed and dirty bits; by a device */
    mov     %rsp, %r9
    mov     $8f + 10, %esp
    call    7f
7:  mov     %r9, %rsp
8:  movabs  $0, %rax
    sub     $7b, %rax
    out     %eax, $PORT_TRACE
    resume_at 8f
    mov     $8f + 10, %esp
    ud2
    .balign 64
    .fill   64 + 6, 1, 0x90     /* for the frame, whose last part is SS */
8:  movabs  $0, %rax
    out     %eax, $PORT_TRACE
    called  in_table
    mov     BEYOND + 0x10000, %al
    xor     %eax, %eax
    cpuid
    called  in_table
    movb    $0, BEYOND + 0x10000
    xor     %eax, %eax
    cpuid
    called  in_table
    ask     1                   /* the test sets COPY's immediate to 0x99 */
    xor     %eax, %eax
    cpuid
    called  COPY

    /* 7. often */
    xor     %edx, %edx
    mov     $5000, %ecx
8:  mov     %cx, line + 1
    movw    $0, line + 3
    call    line
    add     %eax, %edx
    dec     %ecx
    jnz     8b
    trace   %edx
    exit    0

other_pages:
    .byte   0x90, 0x90, 0x90, 0x90, 0x90, 0xb8, 0x88, 0x77, 0x66, 0x55, 0xc3
    .fill   5, 1, 0x90
    .balign 64
    .fill   64, 1, 0
line:
    mov     $0x12345678, %eax
    ret
    .balign 4096
page_of_code:
    mov     $7, %eax
    .rept   1022
    inc     %eax
    nop
    .endr
    nop
    .balign 4096
    ret
    .balign 4096
    .fill   4096 - 3, 1, 0x90
pages:
    mov     $0x12345678, %eax
    ret
    .balign 4096
table:                          /* a page table with code in it */
    .fill   0x10 * 8 - 2, 1, 0
in_table:
    .byte   0x48, 0xb8          /* movabs: the entry of BEYOND + 0x10000 */
    .quad   0x200007
    ret
    .balign 4096
