// From one partition of a shared processor to another: from stack to stack, each at the same address under its
// own root (core.hpp).
#include "arch/ia32/layout.h"

    .section .text, "ax"
/* void switch_stacks(uint32_t& stack, uint32_t root): `stack` is a member of the current Cpu, and after the root
   has changed the other one's. An NMI may come at any time and needs a stack that nobody uses: between the two that
   is the far end of either. IDTR, GDTR and TR hold the same addresses for both. */
    .globl switch_stacks
switch_stacks:
    movl 4(%esp), %edx
    movl 8(%esp), %eax
    pushl %ebx
    pushl %esi
    pushl %edi
    pushl %ebp
    movl %esp, (%edx)
    movl $(MEZZO_CPU_AREA + MEZZO_SWITCH_STACK_SIZE), %esp
    movl %eax, %cr3
    movl (%edx), %esp
    popl %ebp
    popl %edi
    popl %esi
    popl %ebx
    ret

    .section .note.GNU-stack, "", @progbits
