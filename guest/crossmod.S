/* Code that another processor changes while this one runs it, in the two ways that kernels use: one
 * aligned write of a whole instruction, and INT3 over its first byte while the rest is exchanged.
 * The second processor calls two functions without end and keeps what they return; it must be what
 * some version of the code returns, and after a handshake what the last one does.
 * Traces for each way how many handshakes there were and how many results were wrong. */
#include "smp64.inc"
    .code64
    .text
    .equ    REQUEST, 0xb040     /* handshakes asked for */
    .equ    DONE, 0xb080        /* and given */
    .equ    RESULT, 0xb084      /* of the calls after the last */
    .equ    BAD, 0xb0c0         /* results that no version returns */
    .equ    SYNCED, 0xb100      /* synchronizing interrupts taken */
    .equ    ROUNDS, 2000
    .equ    BY_INT3, 4          /* what is returned while INT3 is in place */
start:
    gate    3, breakpoint
    gate    0x60, synchronize
    load_idt
    movl    $0, REQUEST
    movl    $0, DONE
    movl    $0, BAD
    movl    $0, SYNCED
    start_second
    xor     %r13d, %r13d        /* wrong results after handshakes */
    xor     %r12d, %r12d
1:  call    version             /* 1. aligned writes, some of them unseen */
    mov     versions - 8(, %rax, 8), %rdx
    mov     %rdx, aligned
    test    $3, %r12d
    jz      2f
    call    handshake
    cmp     %ah, %al
    call    count
2:  inc     %r12d
    cmp     $ROUNDS, %r12d
    jne     1b
    call    report

    xor     %r12d, %r12d
3:  call    version             /* 2. INT3; across a page */
    mov     versions - 8(, %rax, 8), %rdx
    movb    $0xcc, poked
    call    synchronize_all
    push    %rax
    mov     $BY_INT3, %al
    call    handshake_poked
    pop     %rax
    mov     %rdx, %rcx
    shr     $8, %rcx
    mov     %ecx, poked + 1
    call    synchronize_all
    mov     %dl, poked
    call    synchronize_all
    call    handshake_poked
    inc     %r12d
    cmp     $ROUNDS, %r12d
    jne     3b
    call    report
    exit    0

/* eax: 1, 2 or 3, by r12. */
version:
    mov     %r12d, %eax
    imul    $0x9e3779b1, %eax, %eax
    shr     $24, %eax
    push    $3
    cltd
    divb    (%rsp)
    movzbl  %ah, %eax
    inc     %eax
    add     $8, %rsp
    ret
/* Asks for calls after a serializing instruction. ah: what the aligned one returned. al is kept. */
handshake:
    incl    REQUEST
    mov     REQUEST, %ecx
1:  pause
    cmp     DONE, %ecx
    jne     1b
    mov     RESULT, %ah
    ret
handshake_poked:
    call    handshake
    cmp     RESULT + 1, %al
count:
    je      1f
    inc     %r13d
1:  ret
/* Returns when the second processor has been through an IRET, which serializes. */
synchronize_all:
    mov     SYNCED, %ecx
    ipi_second 0x60
1:  pause
    cmp     SYNCED, %ecx
    je      1b
    ret
report:
    trace   REQUEST
    add     BAD, %r13d
    trace   %r13d
    xor     %r13d, %r13d
    movl    $0, BAD
    ret

worker:
    sti
1:  call    call_both
    mov     REQUEST, %esi
    cmp     DONE, %esi
    je      1b
    xor     %eax, %eax
    cpuid                       /* serializes */
    call    call_both
    mov     %edi, RESULT
    mov     %esi, DONE
    jmp     1b
/* edi: what the two returned, a byte each. */
call_both:
    mov     $3, %eax
    call    aligned
    mov     %eax, %edi
    dec     %eax
    cmp     $3, %eax
    jae     bad
    mov     $3, %eax
    call    poked
    mov     %eax, %edx
    dec     %eax
    cmp     $BY_INT3, %eax
    jae     bad
    shl     $8, %edx
    or      %edx, %edi
    ret
bad:
    incl    BAD
    ret

breakpoint:
    cmpq    $poked + 1, (%rsp)
    jne     1f
    movq    $poked + 5, (%rsp)  /* at its RET */
    mov     $BY_INT3, %eax
    iretq
1:  incl    BAD                 /* in the padding */
    iretq
synchronize:
    push    %rax
    push    %rbx
    lock incl SYNCED
    eoi
    pop     %rbx
    pop     %rax
    iretq

    .balign 8
versions:                       /* five bytes each, and RET; torn ones return what none does */
    .byte   0xb8, 1, 0, 0, 0, 0xc3, 0xcc, 0xcc          /* mov $1, %eax */
    .byte   0xe9, 0x23, 0, 0, 0, 0xc3, 0xcc, 0xcc       /* jmp behind the padding: 2 */
    .byte   0x0f, 0x1f, 0x44, 0, 0, 0xc3, 0xcc, 0xcc    /* nop: 3 was there */
    .macro  first_version
    .byte   0xb8, 1, 0, 0, 0, 0xc3
    .fill   0x22, 1, 0xcc
    mov     $2, %eax
    ret
    .endm
aligned:
    first_version
    .balign 4096
    .fill   4096 - 2, 1, 0xcc
poked:
    first_version
    second_starts worker
