/* 32-bit paging: pages of 4 KiB and 4 MiB, rights, error codes, accessed and dirty bits. */
#include "trap32.inc"
    begin
    .equ    DIRECTORY, 0x20000
    .equ    TABLE, 0x21000              /* of 0x800000 */
    .equ    PHYS, 0x200000
    .equ    USER_RW, 0x800000
    .equ    USER_RO, 0x801000
    .equ    SYSTEM, 0x802000
    .equ    ABSENT, 0x803000
    .equ    NARROW, 0xc00000            /* the same page, but its directory entry is read only */
    .equ    LARGE, 0x1000000
    .equ    BAD, 0x1400000              /* bit 21 of a 4-MiB page */

    .macro  flush
    mov     %cr3, %eax
    mov     %eax, %cr3
    .endm
    /* Accessed and dirty bits of an entry. */
    .macro  bits at
    mov     \at, %eax
    and     $0x60, %eax
    out     %eax, $PORT_TRACE
    .endm
    mov     $DIRECTORY, %edi
    mov     $0x800, %ecx
    xor     %eax, %eax
    rep stosl                           /* and the table */
    movl    $0x87, DIRECTORY            /* all of RAM, ring 3's too */
    movl    $TABLE + 7, DIRECTORY + 4 * 2
    movl    $TABLE + 5, DIRECTORY + 4 * 3
    movl    $0x87, DIRECTORY + 4 * 4
    movl    $0x200087, DIRECTORY + 4 * 5
    movl    $PHYS + 7, TABLE
    movl    $PHYS + 5, TABLE + 4
    movl    $PHYS + 3, TABLE + 8
    movl    $0x00c3, PHYS               /* ret */
    mov     $DIRECTORY, %eax
    mov     %eax, %cr3
    mov     %cr4, %eax
    or      $0x10, %eax                 /* PSE */
    mov     %eax, %cr4
    mov     %cr0, %eax
    or      $0x80000000, %eax
    mov     %eax, %cr0
    jmp     1f
1:
    /* 1. accessed and dirty */
    bits    DIRECTORY + 8
    mov     USER_RW, %bl
    bits    DIRECTORY + 8
    bits    TABLE
    movb    $0xc3, USER_RW
    bits    TABLE
    bits    DIRECTORY + 8           /* tables have no dirty bit */
    movl    $0x33, USER_RO + 16         /* without WP ring 0 may */
    bits    TABLE + 4
    trace   PHYS + 16
    trace   LARGE + PHYS + 16
    bits    DIRECTORY + 16
    movl    $0x44, LARGE + PHYS + 16
    bits    DIRECTORY + 16
    trace   USER_RW + 16
    movl    $0x55667788, LARGE + PHYS + 0xffe   /* across small pages' bounds */
    trace   LARGE + PHYS + 0xffe

    /* 2. ring 0 */
    try     mov ABSENT, %bl
    mov     %cr2, %eax
    out     %eax, $PORT_TRACE
    try     mov %bl, ABSENT + 5
    mov     %cr2, %eax
    out     %eax, $PORT_TRACE
    try     mov 0x5000000, %bl
    try     call ABSENT
    try     mov %bl, NARROW
    try     mov BAD, %bl
    try     mov %bl, BAD
    mov     %cr0, %eax
    or      $0x10000, %eax              /* WP */
    mov     %eax, %cr0
    try     mov %bl, USER_RO
    try     mov %bl, NARROW
    try     mov %bl, SYSTEM
    try     mov %ebx, USER_RW + 0xffe   /* its second page is read only */
    mov     %cr2, %eax
    out     %eax, $PORT_TRACE
    /* 3. ring 3 */
    try3    mov USER_RW, %bl
    try3    call USER_RW
    try3    mov %bl, USER_RO
    try3    mov %bl, NARROW
    try3    mov NARROW, %bl
    try3    mov SYSTEM, %bl
    try3    mov %bl, SYSTEM
    try3    call SYSTEM
    try3    call ABSENT
    try3    mov BAD, %bl
    /* 4. what was changed holds after INVLPG, also in a page of 4 MiB */
    movl    $PHYS + 0x1007, TABLE
    movl    $0x1234, PHYS + 0x1000
    invlpg  USER_RW
    trace   USER_RW
    movl    $0, DIRECTORY + 4 * 4
    invlpg  LARGE + 0x3ff000
    try     mov LARGE + PHYS, %bl
    /* 5. without PSE the same entry is a table's */
    movl    $TABLE + 0x87, DIRECTORY + 4 * 4
    mov     %cr0, %ecx
    and     $0x7fffffff, %ecx
    mov     %ecx, %cr0
    mov     $0x22000, %edi              /* the first 4 MiB by pages */
    mov     $7, %edx
1:  mov     %edx, (%edi)
    add     $0x1000, %edx
    add     $4, %edi
    cmp     $0x23000, %edi
    jne     1b
    movl    $0x22007, DIRECTORY
    mov     %cr4, %eax
    and     $~0x10, %eax
    mov     %eax, %cr4
    or      $0x80000000, %ecx
    mov     %ecx, %cr0
    jmp     1f
1:  trace   LARGE
    trace   PHYS + 0x1000
    exit    0
