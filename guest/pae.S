/* PAE paging outside long mode: PDPTEs, NX, reserved bits, pages of 4 KiB and 2 MiB. The trace of
 * a PDPTE with reserved bits is 0x0d0000 where the load of CR3 refused it (Intel), or the page fault
 * of what used it (AMD). */
#include "trap32.inc"
    begin
    .equ    PDPT, 0x20020               /* aligned to 32 bytes only */
    .equ    PD, 0x21000
    .equ    PD1, 0x22000                /* of the second GiB */
    .equ    TABLE, 0x23000              /* of 0x800000 */
    .equ    PHYS, 0x200000
    .equ    PAGE, 0x800000
    .equ    NX, 0x801000
    .equ    SYSTEM, 0x802000
    .equ    RESERVED, 0x803000
    .equ    HIGH, 0x804000
    .equ    LARGE_NX, 0xa00000
    .equ    LARGE_BAD, 0xc00000
    .equ    SECOND, 0x40000000
    .equ    ABSENT, 0x80000000

    .macro  entry at, low, high=0
    movl    $\low, \at
    movl    $\high, \at + 4
    .endm
    .macro  flush
    mov     %cr3, %eax
    mov     %eax, %cr3
    .endm
    .macro  pdpte3 low, high=0          /* of what is at ABSENT + 1 GiB */
    entry   PDPT + 24, \low, \high
    resume_at 7f
    flush
    mov     ABSENT + 0x40000000, %bl
7:  trace_fault
    entry   PDPT + 24, 0
    flush
    .endm
    mov     $0x20000, %edi
    mov     $0x1000, %ecx
    xor     %eax, %eax
    rep stosl
    entry   PDPT, PD + 1
    entry   PDPT + 8, PD1 + 1
    entry   PD, 0x87
    entry   PD + 8, 0x200087
    entry   PD + 0x20, TABLE + 7
    entry   PD + 0x28, 0x200087, 0x80000000
    entry   PD + 0x30, 0x202087                /* bit 13 */
    entry   PD1, 0x200087
    entry   TABLE, PHYS + 7
    entry   TABLE + 8, PHYS + 7, 0x80000000
    entry   TABLE + 16, PHYS + 3
    entry   TABLE + 24, PHYS + 7, 0x00100000    /* bit 52 */
    entry   TABLE + 32, PHYS + 7, 0x40000000    /* bit 62 */
    movl    $0xc3, PHYS                         /* ret */
    mov     $PDPT, %eax
    mov     %eax, %cr3
    mov     %cr4, %eax
    or      $0x20, %eax                         /* PAE */
    mov     %eax, %cr4
    mov     %cr0, %eax
    or      $0x80010000, %eax                   /* PG WP */
    mov     %eax, %cr0
    jmp     1f
1:
    /* 1. without NXE, bit 63 is reserved and fetches do not say so */
    try     call PAGE
    try     mov NX, %bl
    try     mov LARGE_NX, %bl
    mov     $ABSENT, %ecx
    try     call *%ecx
    try     mov RESERVED, %bl
    try     mov %bl, HIGH
    mov     $0xc0000080, %ecx
    rdmsr
    or      $0x800, %eax                        /* NXE */
    wrmsr
    /* 2. with it */
    try     mov NX, %bl
    try     call NX
    try     mov LARGE_NX, %bl
    try     call LARGE_NX
    mov     $ABSENT, %ecx
    try     call *%ecx
    try     mov %bl, ABSENT
    try     mov RESERVED, %bl
    try     mov %bl, HIGH
    try     call HIGH
    try     mov LARGE_BAD, %bl
    trace   SECOND
    try3    mov PAGE, %bl
    try3    call NX
    try3    call SYSTEM
    try3    mov %bl, SYSTEM
    try3    mov RESERVED, %bl
    try3    call LARGE_NX
    try3    call SECOND
    /* 3. accessed and dirty; PDPTEs have none */
    .macro  bits at
    mov     \at, %eax
    and     $0x60, %eax
    out     %eax, $PORT_TRACE
    .endm
    bits    TABLE + 24
    bits    TABLE
    mov     %bl, PAGE + 4
    bits    TABLE
    bits    PD + 0x20
    bits    PDPT
    movl    $0xc3, SECOND
    bits    PD1
    /* 4. PDPTEs: what is in them when CR3 is loaded */
    entry   PDPT + 8, 0
    flush
    try     mov SECOND, %bl
    entry   PDPT + 8, PD1 + 1
    flush
    try     mov SECOND, %bl
    pdpte3  PD1 + 1
    pdpte3  PD1 + 3                             /* reserved: W */
    pdpte3  PD1 + 0x81                          /* PS */
    pdpte3  PD1 + 1, 0x80000000                 /* 63 */
    pdpte3  PD1 + 1, 0x00100000                 /* 52 */
    pdpte3  PD1 + 0x19                          /* PWT PCD: none */
    pdpte3  PD1 + 0xe01                         /* ignored: none */
    pdpte3  PD1 + 0x1fe                         /* nothing is reserved without P */
    exit    0
