/* Accessed and dirty bits: set in tables and descriptors when something is used, and not before. */
#include "trap64.inc"
    begin
    .equ    PT, 0x20000                 /* of 0x200000 */
    .equ    PAGE, 0x200000
    /* The entries of the first page, cleared but for rights, and out of the TLB. */
    .macro  clean rights=7
    andb    $~0x60, PML4
    andb    $~0x60, PDPT
    movl    $PT + 7, PD + 8
    movl    $PAGE + \rights, PT
    mov     %cr3, %rax
    mov     %rax, %cr3
    .endm
    .macro  bits at
    mov     \at, %eax
    and     $0x60, %eax
    out     %eax, $PORT_TRACE
    .endm
    mov     %cr0, %rax
    or      $0x10000, %eax              /* WP */
    mov     %rax, %cr0

    clean
    bits    PT
    bits    PD + 8
    mov     PAGE, %bl
    bits    PT                          /* read */
    bits    PD + 8
    bits    PDPT
    bits    PML4
    mov     %bl, PAGE
    bits    PT                          /* written, by a translation that was there */
    bits    PD + 8                      /* dirty is of pages only */
    clean
    lock orb $0, PAGE
    bits    PT
    clean
    mov     $0x12345, %eax
    lock cmpxchg %ebx, PAGE             /* fails, and writes what it has read */
    bits    PT
    clean
    movb    $0xc3, PAGE
    clean
    call    PAGE
    bits    PT                          /* fetched */
    clean   5
    try     movb %bl, PAGE
    trace_at PT, 0x40                   /* refused: not dirty */
    clean
    try3    movb %bl, PAGE
    bits    PT
    clean
    orb     $0x20, PT
    mov     PAGE, %bl
    andb    $~0x20, PT
    invlpg  PAGE
    mov     PAGE, %bl
    bits    PT                          /* again after INVLPG */
    /* A page of 2 MiB */
    movq    $PAGE + 0x87, PD + 8
    mov     %cr3, %rax
    mov     %rax, %cr3
    mov     PAGE + 0x12345, %bl
    bits    PD + 8
    mov     %bl, PAGE + 0x54321
    bits    PD + 8
    /* A stack: pushed to by the CPU when it delivers a fault */
    clean
    movq    $PAGE + 0x800, TSS + 36
    gate_ist 6, 1
    try     ud2
    bits    PT
    gate_ist 6, 0

    /* Descriptors */
    trace_at gdt + SEL_DATA2 + 5, 0xff
    mov     $SEL_DATA2, %eax
    mov     %eax, %ds
    trace_at gdt + SEL_DATA2 + 5, 0xff
    trace_at gdt + SEL_CODE2 + 5, 0xff
    pushq   $SEL_CODE2
    lea     1f(%rip), %rax
    push    %rax
    lretq
1:  trace_at gdt + SEL_CODE2 + 5, 0xff
    andb    $~1, gdt + SEL_CODE64 + 5
    try     ud2
    trace_at gdt + SEL_CODE64 + 5, 0xff
    andb    $~1, gdt + 0x28 + 5
    andb    $~1, gdt + 0x30 + 5
    try3    ud2
    trace_at gdt + 0x28 + 5, 0xff
    trace_at gdt + 0x30 + 5, 0xff
    exit    0
