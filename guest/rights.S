/* What keeps supervisor code from user pages: SMEP, SMAP with AC, and how PCIDs are checked. Traces for each step the #PF
 * error code, 0x1d for #GP, 0 where nothing faulted; first which of smep, smap, pcid, invpcid (bits 0 to 3) there are. */
#include "guest.inc"
    .code64
    .text
    .equ    PML4, 0x1000
    .equ    PDPT, 0x2000
    .equ    PDE, 0x3010         /* of 0x400000, in the tables that the test built */
    .equ    USER, 0x400000

    /* Runs an instruction or two and traces what they raised. */
    .macro try insns:vararg
    lea     8f(%rip), %r15
    xor     %r14d, %r14d
    \insns
8:  trace   %r14d
    .endm
    .macro cr4 set
    mov     %cr4, %rax
    or      $\set, %rax
    mov     %rax, %cr4
    .endm

    gate    13, protection
    gate    14, page
    load_idt
    mov     $7, %eax
    xor     %ecx, %ecx
    cpuid
    mov     %ebx, %esi
    mov     $1, %eax
    cpuid
    xor     %edi, %edi
    shr     $8, %esi            /* bit 7: smep */
    adc     $0, %edi
    bt      $12, %esi           /* bit 20: smap */
    jnc     1f
    or      $2, %edi
1:  bt      $17, %ecx
    jnc     1f
    or      $4, %edi
1:  bt      $2, %esi            /* bit 10: invpcid */
    jnc     1f
    or      $8, %edi
1:  trace   %edi
    cmp     $15, %edi
    jne     finish
    orq     $4, PML4
    orq     $4, PDPT
    movq    $0x200087, PDE      /* RAM ends at 4 MiB */
    movl    $0xc3, USER         /* ret */
    mov     %cr3, %rax
    mov     %rax, %cr3
    mov     $USER, %ebx

    try     call *%rbx
    cr4     0x100000
    try     call *%rbx
    try     movl 4(%rbx), %ecx
    cr4     0x200000
    clac
    try     movl 4(%rbx), %ecx
    try     movl %ecx, 4(%rbx)
    stac
    try     movl 4(%rbx), %ecx
    try     call *%rbx          /* AC is no leave to execute */
    movw    $0xfff, USER + 0x100
    movq    $USER, USER + 0x102
    sidt    GUEST_DATA + 0x10
    try     lidt USER + 0x100   /* read with AC: allowed */
    lidt    GUEST_DATA + 0x10
    clac
    try     incl 4(%rbx)
    mov     %cr3, %rax
    mov     %rax, %r13
    or      $5, %rax
    mov     %rax, %cr3          /* without PCIDs these bits mean something else */
    mov     %cr4, %rdx
    or      $0x20000, %rdx
    try     mov %rdx, %cr4      /* not while they are set */
    mov     %r13, %cr3
    try     mov %rdx, %cr4
    mov     %r13, %rax
    or      $5, %rax
    bts     $63, %rax
    try     mov %rax, %cr3
    mov     %cr3, %rax
    and     $0xfff, %eax
    trace   %eax
    movq    $5, GUEST_DATA + 0x20
    movq    $USER, GUEST_DATA + 0x28
    xor     %edx, %edx
    try     invpcid GUEST_DATA + 0x20, %rdx
    inc     %edx
    try     invpcid GUEST_DATA + 0x20, %rdx
    mov     $4, %edx
    try     invpcid GUEST_DATA + 0x20, %rdx
    movq    $0x1005, GUEST_DATA + 0x20
    mov     $2, %edx
    try     invpcid GUEST_DATA + 0x20, %rdx
finish:
    exit    0

protection:
    mov     $0x1d, %r14d
    add     $8, %rsp
    jmp     back
page:
    pop     %r14
back:
    mov     %r15, (%rsp)
    iretq
