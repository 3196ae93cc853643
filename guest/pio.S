/* Port accesses of every width, and string instructions. */
#include "guest.inc"
    .code64
    .text
    mov     $0x300, %edx
    mov     $0x11, %al
    out     %al, %dx
    mov     $0x2222, %ax
    out     %ax, %dx
    mov     $0x33333333, %eax
    out     %eax, %dx
    xor     %eax, %eax
    in      %dx, %al
    trace   %eax
    mov     $0x300, %edx
    xor     %eax, %eax
    in      %dx, %ax
    trace   %eax
    mov     $0x300, %edx
    in      %dx, %eax
    trace   %eax
    /* the test device answers each read with a count */
    mov     $0x300, %edx
    mov     $GUEST_DATA, %edi
    mov     $5, %ecx
    cld
    rep insw
    mov     $GUEST_DATA, %esi
    mov     $5, %ecx
    rep outsw
    /* nobody is there */
    mov     $0x9000, %edx
    in      %dx, %eax
    trace   %eax
    exit    0
