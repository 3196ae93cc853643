/* Counter 2 of the 8254, whose gate and output are at port 0x61: modes 0, 2 and 3, latched counts and
 * status. Whatever the time that passes, what is traced is the same. */
#include "guest.inc"
    .code64
    .text
    .macro  outb port, value
    mov     $\value, %al
    out     %al, $\port
    .endm
    .macro  counter control, count
    outb    0x43, \control
    outb    0x42, (\count & 0xff)
    outb    0x42, (\count >> 8)
    .endm
    .macro  status                      /* output, null count, access, mode */
    outb    0x43, 0xe8
    in      $0x42, %al
    movzbl  %al, %eax
    out     %eax, $PORT_TRACE
    .endm
    .macro  bounds first, last, step    /* of 2000 latched counts: how many are none */
    xor     %r12d, %r12d
    mov     $2000, %esi
1:  call    latched
    lea     -\first(%rcx), %eax
    cmp     $\last - \first, %eax
    ja      2f
    test    $\step - 1, %ecx
    jz      3f
2:  inc     %r12d
3:  dec     %esi
    jnz     1b
    trace   %r12d
    .endm
    outb    0x61, 0
    /* 1. mode 0: the gate lets it count, and its output rises once */
    outb    0x43, 0xb0
    status                              /* no count yet */
    outb    0x42, 0
    outb    0x42, 0x40
    status
    call    latched
    mov     %ecx, %r12d
    mov     $100, %esi
1:  call    latched
    sub     %r12d, %ecx                 /* the gate is low */
    jnz     bad
    dec     %esi
    jnz     1b
    trace   %r12d
    outb    0x61, 1
2:  call    latched
    cmp     %r12d, %ecx
    je      2b
3:  in      $0x61, %al
    test    $0x20, %al
    jz      3b
    status
    outb    0x61, 0
    counter 0xb0, 0x8000                /* a new count: it falls again */
    in      $0x61, %al
    and     $0x21, %eax
    out     %eax, $PORT_TRACE
    /* 2. what was latched stays until it is read, and a second latch is none */
    outb    0x61, 0
    counter 0xb0, 0x1234
    outb    0x43, 0x80
    outb    0x61, 1
4:  in      $0x61, %al
    test    $0x20, %al
    jz      4b
    outb    0x43, 0x80
    in      $0x42, %al
    movzbl  %al, %ecx
    in      $0x42, %al
    mov     %al, %ch
    trace   %ecx
    outb    0x43, 0xc8                  /* status and count: the status is read first */
    in      $0x42, %al
    movzbl  %al, %eax
    out     %eax, $PORT_TRACE
    in      $0x42, %al
    in      $0x42, %al
    /* 3. one byte only */
    outb    0x61, 0
    outb    0x43, 0x90                  /* low */
    outb    0x42, 0x77
    in      $0x42, %al
    movzbl  %al, %eax
    out     %eax, $PORT_TRACE
    outb    0x43, 0xa0                  /* high */
    outb    0x42, 0x66
    in      $0x42, %al
    movzbl  %al, %eax
    out     %eax, $PORT_TRACE
    /* 4. modes 2 and 3: never 0, never more than the count; by ones, by twos; over and over */
    outb    0x61, 1
    counter 0xb4, 1000
    bounds  1, 1000, 1
    counter 0xb6, 1000
    bounds  2, 1000, 2
    .irp    level, 0, 0x20, 0, 0x20     /* its output is a square wave */
5:  in      $0x61, %al
    and     $0x20, %al
    cmp     $\level, %al
    jne     5b
    .endr
    outb    0x43, 0xe8
    in      $0x42, %al
    and     $0x7f, %eax
    out     %eax, $PORT_TRACE
    exit    0
bad:
    exit    1

/* ecx: the count. */
latched:
    outb    0x43, 0x80
    in      $0x42, %al
    movzbl  %al, %ecx
    in      $0x42, %al
    mov     %al, %ch
    ret
