// Where a static i386 Linux program starts: run() with what is on top of the stack.
    .globl _start
_start:
    movl %esp, %eax
    andl $-16, %esp
    subl $12, %esp
    pushl %eax
    call run
    .section .note.GNU-stack, "", @progbits
