/* Leaves an unmasked x87 exception pending, replaces the state by FXRSTOR, and uses MMX: nothing is
 * pending any more. */
#include "guest.inc"
    .code64
    .text
    mov     %cr4, %rax
    or      $0x200, %eax                /* OSFXSR */
    mov     %rax, %cr4
    mov     %cr0, %rax
    and     $~0xc, %eax                 /* no EM, no TS */
    or      $0x22, %eax                 /* NE, MP */
    mov     %rax, %cr0
    fninit
    fxsave  GUEST_DATA                  /* a clean state */
    movw    $0x37b, GUEST_DATA + 0x300  /* divisions by zero are not masked */
    fldcw   GUEST_DATA + 0x300
    fld1
    fldz
    fdivrp                              /* 1 / 0: pending */
    fnstsw  %ax
    movzx   %ax, %ebx
    fxrstor GUEST_DATA
    mov     $0x1234, %ecx
    movd    %ecx, %mm0
    paddd   %mm0, %mm0
    movd    %mm0, %ecx
    emms
    trace   %ebx
    trace   %ecx
    exit    0
