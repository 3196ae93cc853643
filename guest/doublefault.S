/* Faults on the way to a handler: their error codes, what becomes a double fault and what does not. */
#include "trap64.inc"
    begin
    .equ    UNMAPPED_STACK, 0x4000000000

    mov     $UNMAPPED_STACK, %rax
    mov     %rax, TSS + 44              /* IST2 */
    .macro  divide
    xor     %ecx, %ecx
    div     %ecx
    .endm
    .macro  page_fault
    mov     $UNMAPPED_STACK, %rax
    mov     (%rax), %rbx
    .endm
    .macro  protection
    mov     $0x79, %eax
    mov     %eax, %ds
    .endm

    /* 1. #UD is neither contributory nor a page fault: what its gate raises comes */
    gate_type 6, 0x0e
    try     ud2                         /* not present */
    gate_type 6, 0x8c
    try     ud2                         /* no gate of long mode: a call gate */
    gate_type 6, 0x85
    try     ud2                         /* a task gate */
    gate_type 6, 0x8e
    movw    $SEL_DATA, GUEST_IDT + 16 * 6 + 2
    try     ud2
    movw    $SEL_CODE32, GUEST_IDT + 16 * 6 + 2
    try     ud2
    movw    $SEL_NO_CODE, GUEST_IDT + 16 * 6 + 2
    try     ud2
    movw    $0, GUEST_IDT + 16 * 6 + 2
    try     ud2
    movw    $SEL_CODE64, GUEST_IDT + 16 * 6 + 2
    gate_ist 6, 2
    try     ud2                         /* the frame cannot be written */
    mov     %cr2, %rax
    mov     $UNMAPPED_STACK, %rdi
    sub     %rdi, %rax
    sar     $12, %rax
    out     %eax, $PORT_TRACE
    gate_ist 6, 0
    gate_type 6, 0x8e

    /* 2. a contributory one twice */
    gate_type 0, 0x0e
    try     divide
    gate_type 0, 0x8e
    gate_type 13, 0x0e
    try     protection
    gate_type 13, 0x8e
    /* 3. a page fault after a contributory one comes by itself */
    gate_ist 13, 2
    try     protection
    gate_ist 13, 0
    /* 4. a page fault, and then either */
    gate_ist 14, 2
    try     page_fault
    gate_ist 14, 0
    gate_type 14, 0x0e
    try     page_fault
    gate_type 14, 0x8e
    /* 5. and the double fault's own: shutdown */
    gate_type 13, 0x0e
    gate_type 8, 0x0e
    try     protection
    exit    1
