/* outb PORT VALUE: writes one byte to an I/O port (Debian's kernels have no /dev/port). Decimal
 * arguments. Static, without a C library, so that it fits any initial ram disk. Exit code 1: usage
 * or no permission. */
    .globl _start
_start:
    cmpq $3, (%rsp)
    jne fail
    movq 16(%rsp), %rsi
    call number
    movl %eax, %r12d
    movq 24(%rsp), %rsi
    call number
    movl %eax, %r13d
    movl $173, %eax                     /* ioperm(port, 1, 1) */
    movl %r12d, %edi
    movl $1, %esi
    movl $1, %edx
    syscall
    testq %rax, %rax
    jnz fail
    movl %r12d, %edx
    movl %r13d, %eax
    outb %al, %dx
    xorl %edi, %edi
    jmp exit
fail:
    movl $1, %edi
exit:
    movl $60, %eax                      /* exit(edi) */
    syscall

number:                                 /* eax = the decimal number at rsi */
    xorl %eax, %eax
1:  movzbl (%rsi), %ecx
    subl $'0', %ecx
    cmpl $9, %ecx
    ja 2f
    imull $10, %eax, %eax
    addl %ecx, %eax
    incq %rsi
    jmp 1b
2:  ret
    .section .note.GNU-stack, "", @progbits
