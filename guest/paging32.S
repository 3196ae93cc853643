/* Paging with 32-bit entries, and then PAE. */
#include "trap32.inc"
    begin
    .equ    PDIR, 0x21000
    .equ    PT, 0x22000
    .equ    AT, 0x800000                /* where the table's pages appear: physical 2 MiB on */
    .macro  bits at
    mov     \at, %eax
    and     $0x60, %eax
    out     %eax, $PORT_TRACE
    .endm
    movl    $0xc3, 0x200000             /* ret */
    movl    $0x11, 0x201000
    movl    $0x22, 0x202000
    movl    $0x87, PDIR                 /* 4 MiB */
    movl    $PT + 7, PDIR + 8
    movl    $0x200087 + 0x400000, PDIR + 12 /* bit 21 of a page of 4 MiB: reserved */
    movl    $0x200007, PT
    movl    $0x201005, PT + 4
    movl    $0x202003, PT + 8
    mov     $PDIR, %eax
    mov     %eax, %cr3
    mov     %cr4, %eax
    or      $0x10, %eax                 /* PSE */
    mov     %eax, %cr4
    mov     %cr0, %eax
    or      $0x80010000, %eax           /* PG WP */
    mov     %eax, %cr0
    .macro  accesses
    try     movl AT + 0x1000, %ebx
    trace   %ebx
    try     movl %ebx, AT + 0x1000
    try     movl AT + 0x3000, %ebx
    try     call AT + 0x3000
    mov     %cr2, %ebx
    trace   %ebx
    try     movl 0xc00000, %ebx
    try3    movl AT + 0x1000, %ebx
    try3    movl AT + 0x2000, %ebx
    try3    movl %ebx, AT + 0x1000
    try3    call AT
    try3    call AT + 0x3000
    try3    movl %ebx, AT + 0x3000
    .endm
    accesses
    bits    PT
    bits    PT + 4
    bits    PDIR + 8
    movl    %ebx, AT + 4
    bits    PT
    bits    PDIR + 8

    /* PAE */
    .equ    PDPT, 0x23000
    .equ    PD, 0x24000
    .equ    PT3, 0x25000
    mov     %cr0, %eax
    and     $0x7fffffff, %eax
    mov     %eax, %cr0
    movl    $PD + 1, PDPT
    movl    $0x87, PD                   /* 2 MiB, twice */
    movl    $0x200087, PD + 8
    movl    $PT3 + 7, PD + 32
    movl    $0x202087, PD + 48          /* 0xc00000: bit 13 of a page of 2 MiB */
    movl    $0x200007, PT3
    movl    $0x201005, PT3 + 8
    movl    $0x202003, PT3 + 16
    movl    $0x200007, PT3 + 32         /* NX */
    movl    $0x80000000, PT3 + 36
    movl    $0x200007, PT3 + 40         /* bit 52: reserved in this mode */
    movl    $0x00100000, PT3 + 44
    mov     $PDPT, %eax
    mov     %eax, %cr3
    mov     %cr4, %eax
    or      $0x20, %eax
    mov     %eax, %cr4
    mov     $0xc0000080, %ecx
    rdmsr
    or      $0x800, %eax                /* NXE */
    wrmsr
    mov     %cr0, %eax
    or      $0x80000000, %eax
    mov     %eax, %cr0
    accesses
    try     call AT + 0x4000
    try3    call AT + 0x4000
    try     movl AT + 0x5000, %ebx
    try     movl 0x40000000, %ebx       /* no such PDPTE */
    bits    PT3
    bits    PT3 + 8
    bits    PD + 32
    trace_at PDPT, 0xff                 /* has no accessed bit */
    exit    0
