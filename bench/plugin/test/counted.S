// A multiboot kernel whose counts are known by construction: the plugin's test expects exactly them.
// Its code lies at 1 MiB, and a function of another domain at 2 MiB.
    .set MARKER, 0x4d5a0000

.macro marker kind id
    .byte 0x0f, 0x1f, 0x80              /* NOPL disp32(%eax) */
    .long MARKER | \kind << 12 | \id
.endm

    .section .text, "ax"
    .align 4
begin:
    .long 0x1badb002, 0, -0x1badb002    /* multiboot: magic, flags, checksum */

    .globl _start
_start:
    movl $stack, %esp
    lgdt gdt_register
    ljmpl $8, $1f
1:  movl $16, %eax
    movl %eax, %ss
    movl %eax, %ds
    lidt idt_register

    /* Region 1: 2001 instructions in one domain. */
    marker 1, 1
    movl $1000, %ecx
1:  decl %ecx
    jnz 1b
    marker 2, 1

    /* Region 2, twice: 31 instructions here, 30 there, 10 ways there and 10 back. */
    movl $2, %edx
2:  marker 1, 2
    movl $10, %ecx
1:  call elsewhere
    decl %ecx
    jnz 1b
    marker 2, 2
    decl %edx
    jnz 2b

    /* Region 3: one read of CR3, five writes. */
    marker 1, 3
    movl %cr3, %eax
    .rept 5
    movl %eax, %cr3
    .endr
    marker 2, 3

    /* Region 4: seven instructions that fault in the middle of a block, and a handler of two. */
    marker 1, 4
    movl $7, %ecx
1:  nop
    ud2
    nop
    decl %ecx
    jnz 1b
    marker 2, 4

    xorl %eax, %eax
    outb %al, $0xf4                     /* QEMU's isa-debug-exit */
    hlt

invalid_opcode:
    addl $2, (%esp)
    iretl

    .align 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_register:
    .word gdt_register - gdt - 1
    .long gdt
idt_register:
    .word 7 * 8 - 1
    .long idt
/* The section begins at 0x00100000: a gate's upper half is that of all of it. */
idt:
    .fill 6, 8, 0
    .word invalid_opcode - begin, 8, 0x8e00, 0x0010

    .section .elsewhere, "ax"
elsewhere:
    nop
    nop
    ret

    .bss
    .skip 4096
stack:
