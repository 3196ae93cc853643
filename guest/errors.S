/* Error codes: each fault's vector and code, in the order of the test's table. */
#include "trap64.inc"
    begin
    .equ    PT, 0x20000                 /* of 0x200000 */
    .equ    USER_RW, 0x200000
    .equ    USER_RO, 0x201000
    .equ    SYSTEM, 0x202000
    .equ    ABSENT, 0x203000
    .equ    NX, 0x204000
    .equ    BAD_PDE, 0x600000
    .equ    BAD_PML4E, 0x8000000000

    movb    $0xc3, USER_RW
    movb    $0xc3, SYSTEM               /* ret */
    movb    $0xc3, NX
    movq    $0x200007, PT
    movq    $0x201005, PT + 8
    movq    $0x202003, PT + 16
    movq    $0, PT + 24
    mov     $0x8000000000204007, %rax
    mov     %rax, PT + 32
    movq    $PT + 7, PD + 8
    movq    $0x2087 | 0x200000, PD + 24 /* bit 13 of a 2-MiB page */
    movq    $PDPT + 0x87, PML4 + 8      /* there are no pages of 512 GiB */
    mov     %cr3, %rax
    mov     %rax, %cr3
    mov     $BAD_PML4E, %r8

    /* 1. without NXE, bit 63 is reserved and fetches do not say so */
    try     movb NX, %bl
    try     call ABSENT
    write_msr 0xc0000080, 0, 0xd00      /* NXE LMA LME */
    /* 2. ring 0 */
    try     movb NX, %bl
    try     call NX
    try     call ABSENT
    try     movb ABSENT, %bl
    try     movb %bl, ABSENT + 0xffe
    mov     %cr2, %rax
    out     %eax, $PORT_TRACE
    try     movw %bx, ABSENT - 1        /* SYSTEM's last byte and the next */
    mov     %cr2, %rax
    out     %eax, $PORT_TRACE
    try     movb %bl, USER_RO
    mov     %cr0, %rax
    or      $0x10000, %eax
    mov     %rax, %cr0
    try     movb %bl, USER_RO           /* WP */
    try     lock incb USER_RO
    try     movb BAD_PDE, %bl
    try     movb %bl, (%r8)
    try     call *%r8
    /* 3. ring 3 */
    try3    movb USER_RW, %bl
    try3    movb SYSTEM, %bl
    try3    movb %bl, SYSTEM
    try3    movb %bl, USER_RO
    try3    movb ABSENT, %bl
    try3    movb %bl, ABSENT
    try3    call NX
    try3    call SYSTEM
    try3    call ABSENT
    try3    movb BAD_PDE, %bl
    try3    movb %bl, (%r8)
    try3    call *%r8

    /* 4. selectors */
    .macro  load seg, value
    mov     $\value, %eax
    mov     %eax, %\seg
    .endm
    try     load ds, 0x79               /* beyond the GDT */
    try     load es, 0x0c               /* there is no LDT */
    try     load ds, SEL_TSS
    try     load ds, SEL_NO_DATA
    try     load ss, SEL_NO_DATA
    try     load ss, SEL_CODE64
    try     load ss, SEL_USERDATA
    try     load ss, 0                  /* well */
    try     load ss, 3
    load    ss, SEL_DATA
    load    ds, SEL_DATA
    load    es, SEL_DATA
    try3    load ds, SEL_DATA
    try3    load ss, 0
    try3    load ds, 3                  /* well */
    .macro  far_return cs
    pushq   $\cs
    lea     86f(%rip), %rdi
    push    %rdi
    lretq
86:
    .endm
    try     far_return SEL_NO_CODE
    try     far_return SEL_DATA
    try     far_return 0
    try     far_return SEL_CODE64
    /* 5. addresses */
    mov     $0x800000000000, %r9
    try     movb (%r9), %bl
    gate_ist 12, 1
    .macro  push_there
    lea     0x1000(%r9), %rsp
    push    %rax
    .endm
    try     push_there
    try     call *%r9
    exit    0
