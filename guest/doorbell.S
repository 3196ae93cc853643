/* Writes that eventfds wait for: ports and memory, with and without a value that must match. */
#include "guest.inc"
    .code64
    .text
    mov     $0x310, %edx
    mov     $7, %ax
    out     %ax, %dx                    /* matches */
    mov     $8, %ax
    out     %ax, %dx                    /* does not: reaches the device */
    mov     $MMIO_BASE + 0x1000, %ebx
    movl    $1, (%rbx)
    movw    $2, (%rbx)
    movl    $3, 4(%rbx)                 /* length 4 and value 3 */
    movl    $4, 4(%rbx)                 /* reaches the device */
    exit    0
