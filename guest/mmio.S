/* Memory accesses of every width to a device, aligned and not. */
#include "guest.inc"
    .code64
    .text
    mov     $MMIO_BASE, %ebx
    movb    $0x11, (%rbx)
    movw    $0x2222, 2(%rbx)
    movl    $0x33333333, 4(%rbx)
    mov     $0x4444444455555555, %rax
    mov     %rax, 8(%rbx)
    movl    $0x66778899, 0x11(%rbx)     /* unaligned */
    xor     %eax, %eax
    movb    0x21(%rbx), %al
    trace   %eax
    movzwl  0x22(%rbx), %eax
    trace   %eax
    mov     0x24(%rbx), %eax
    trace   %eax
    mov     0x28(%rbx), %rcx
    trace   %ecx
    shr     $32, %rcx
    trace   %ecx
    mov     %rax, 0xffd(%rbx)           /* across a page: 3 and 5 bytes */
    mov     $0xc8000000, %ebx           /* nobody is there */
    mov     (%rbx), %eax
    trace   %eax
    exit    0
