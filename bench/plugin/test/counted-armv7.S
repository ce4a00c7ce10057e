// A bare program for QEMU's vexpress-a9 whose counts are known by construction: the plugin's test
// expects exactly them. Its code lies at 0x60100000, and a function of another domain at 0x60200000.
    .syntax unified
    .arm
    .set BEGIN, 0xf4dfff00              /* bench/guest/operations.hpp */
    .set END, 0xf45fff00

    .section .text, "ax"
    .globl _start
_start:
    ldr r0, =vectors
    mcr p15, 0, r0, c12, c0, 0          /* VBAR */
    ldr sp, =stack

    /* Region 1: 2001 instructions in one domain. */
    .inst BEGIN | 1
    mov r0, #1000
1:  subs r0, r0, #1
    bne 1b
    .inst END | 1

    /* Region 2, twice: 31 instructions here, 30 there, 10 ways there and 10 back. */
    mov r1, #2
2:  .inst BEGIN | 2
    mov r0, #10
1:  bl elsewhere
    subs r0, r0, #1
    bne 1b
    .inst END | 2
    subs r1, r1, #1
    bne 2b

    /* Region 3: one read of TTBR0, five writes. */
    .inst BEGIN | 3
    mrc p15, 0, r0, c2, c0, 0
    .rept 5
    mcr p15, 0, r0, c2, c0, 0
    .endr
    .inst END | 3

    /* Region 4: seven instructions that fault in the middle of a block, and a handler of one. */
    .inst BEGIN | 4
    mov r0, #7
1:  nop
    udf #0
    nop
    subs r0, r0, #1
    bne 1b
    .inst END | 4

    /* Region 5: three stays elsewhere, with no event, with one, with two of another kind. */
    .inst BEGIN | 5
    mov r0, #0
    bl count
    mov r0, #1
    bl count
    mov r0, #2
    bl count
    .inst END | 5

    /* The board's power-off: system registers, SYS_CFGCTRL: start, write, function 8. */
    ldr r0, =0x100000a4
    ldr r1, =0xc0800000
    str r1, [r0]
    b .

    .balign 32
vectors:
    b .
    movs pc, lr                         /* undefined instruction: go on behind it */

    .section .elsewhere, "ax"
elsewhere:
    nop
    nop
    bx lr
count:                                  /* R0 events of kind R0 */
    ldr r1, =counters
    add r1, r1, r0, lsl #3
    movs r4, r0
1:  bxeq lr
    ldrd r2, r3, [r1]
    adds r2, r2, #1
    adc r3, r3, #0
    strd r2, r3, [r1]                   /* its load is reported as well, and is no event */
    subs r4, r4, #1
    b 1b

    .section .counters, "aw", %nobits
    .balign 8
counters:
    .skip 24

    .bss
    .skip 4096
stack:
