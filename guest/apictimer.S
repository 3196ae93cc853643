/* The local APIC's timer: one-shot, periodic, masked, its divider, and the TSC deadline. Nothing
 * here asks how long something took, only what came and in which order. A fence, a vector of lower
 * priority that the APIC sends itself, shows that nothing else waits. First: whether there are TSC
 * deadlines. */
#include "guest.inc"
    .code64
    .text
    .equ    TIMER, 0x320
    .equ    INITIAL, 0x380
    .equ    CURRENT, 0x390
    .equ    DIVIDE, 0x3e0
    .equ    MASKED, 0x10000
    .equ    PERIODIC, 0x20000
    .equ    DEADLINE, 0x40000
    .equ    FAR, 0x7fffffff

    .macro  set register, value
    movl    $\value, \register(%rbx)
    .endm
    .macro  show register
    mov     \register(%rbx), %eax
    out     %eax, $PORT_TRACE
    .endm
    .macro  await n                     /* until the timer has come so often */
    sti
1:  pause
    cmp     $\n, %r12d
    jb      1b
    cli
    .endm
    .macro  came                        /* how often it has, and begins anew */
    call    fence
    trace   %r12d
    xor     %r12d, %r12d
    .endm
    .macro  wait_for_zero
1:  pause
    cmpl    $0, CURRENT(%rbx)
    jne     1b
    .endm
    .macro  counts                      /* until it has gone down: 1 */
    mov     CURRENT(%rbx), %ecx
1:  pause
    cmp     CURRENT(%rbx), %ecx
    je      1b
    mov     $0, %ecx
    adc     $0, %ecx                    /* carry: it has gone up */
    xor     $1, %ecx
    trace   %ecx
    .endm
    .macro  write_deadline high, low
    mov     $0x6e0, %ecx
    mov     $\high, %edx
    mov     $\low, %eax
    wrmsr
    .endm
    .macro  show_deadline
    mov     $0x6e0, %ecx
    rdmsr
    or      %edx, %eax
    out     %eax, $PORT_TRACE
    .endm
    gate    0x30, fenced
    gate    0x50, expired
    load_idt
    enable_lapic
    xor     %r12d, %r12d
    xor     %r13d, %r13d
    mov     $1, %eax
    cpuid
    mov     $LAPIC, %ebx                /* CPUID has taken it */
    shr     $24, %ecx
    and     $1, %ecx
    mov     %ecx, %ebp
    trace   %ebp

    /* 1. one-shot */
    set     TIMER, 0x50
    set     DIVIDE, 0xb
    set     INITIAL, FAR
    show    INITIAL
    counts
    set     INITIAL, 0
    show    CURRENT
    came                                /* stopped: never */
    set     INITIAL, 100000
    await   1
    show    CURRENT
    came
    /* 2. masked: the count goes on, the interrupt is lost */
    set     TIMER, 0x50 | MASKED
    set     INITIAL, 100000
    wait_for_zero
    set     TIMER, 0x50
    came
    /* 3. the dividers */
    mov     $dividers, %esi
2:  movzbl  (%rsi), %eax
    mov     %eax, DIVIDE(%rbx)
    set     INITIAL, FAR
    show    DIVIDE
    counts
    inc     %esi
    cmp     $dividers + 8, %esi
    jne     2b
    /* 4. periodic, asleep and awake; masked; stopped */
    set     DIVIDE, 0xb
    set     TIMER, 0x50 | PERIODIC
    set     INITIAL, 1000000            /* KVM has no periods below 0.2 ms */
    await   5
3:  cmp     $10, %r12d
    jae     4f
    sti
    hlt
    cli
    jmp     3b
4:  mov     CURRENT(%rbx), %eax
    cmp     $1000000, %eax
    setbe   %cl
    movzbl  %cl, %ecx
    trace   %ecx
    set     INITIAL, 0
    call    fence
    xor     %r12d, %r12d
    set     INITIAL, 500000
    await   1
    set     TIMER, 0x50 | PERIODIC | MASKED
    call    fence
    xor     %r12d, %r12d
    mov     CURRENT(%rbx), %ecx
5:  pause
    cmp     CURRENT(%rbx), %ecx
    je      5b
    came
    set     INITIAL, 0

    /* 5. the TSC deadline */
    test    %ebp, %ebp
    jz      finish
    write_deadline 0, 1                 /* not in this mode */
    show_deadline
    set     TIMER, 0x50 | DEADLINE
    mfence
    set     INITIAL, 1000
    show    CURRENT
    write_deadline 0, 1                 /* long past: at once */
    await   1
    show_deadline
    came
    rdtsc
    add     $1000000, %eax
    adc     $0, %edx
    mov     %eax, %esi
    mov     %edx, %edi
    mov     $0x6e0, %ecx
    wrmsr
    await   1
    rdtsc
    cmp     %esi, %eax
    sbb     %edi, %edx
    setae   %al                         /* not before */
    movzbl  %al, %eax
    out     %eax, $PORT_TRACE
    came
    write_deadline 0x40000000, 0x12340000
    show_deadline
    write_deadline 0, 0                 /* disarmed */
    show_deadline
    came
    set     TIMER, 0x50 | DEADLINE | MASKED
    write_deadline 0, 1
    set     TIMER, 0x50 | DEADLINE
    came
    write_deadline 0x40000000, 0
    set     TIMER, 0x50                 /* leaving the mode disarms */
    show_deadline
    came
finish:
    exit    0

dividers:
    .byte   0, 1, 2, 3, 8, 9, 10, 11
fence:
    mov     %r13d, %ecx
    set     0x300, 0x44030
    sti
1:  pause
    cmp     %r13d, %ecx
    je      1b
    cli
    ret
expired:
    inc     %r12d
    set     0xb0, 0
    iretq
fenced:
    inc     %r13d
    set     0xb0, 0
    iretq
