// From one partition of a shared processor to another: from stack to stack, each at the same address under its
// own root (core.hpp).
#include "arch/armv7/layout.h"

    .syntax unified
    .arm
    .arch armv7-a
    .fpu neon

    .section .text, "ax"
/* void switch_stacks(uint32_t root, uint32_t asid): `root` is the other partition's own one, as the current
   one's is loaded. Returns when somebody switches back. What the TLB has is the current one's window, and
   contexts of its guest whose numbers the other's has, too. */
    .globl switch_stacks
switch_stacks:
    push {r4-r11, lr}
    ldr r2, =MEZZO_FRAME
    str sp, [r2, #MEZZO_FRAME_STACK]
    mov r3, #0
    mcr p15, 0, r3, c13, c0, 1       /* CONTEXTIDR */
    isb
    mcr p15, 0, r0, c2, c0, 0        /* TTBR0 */
    isb
    mcr p15, 0, r3, c8, c7, 0        /* TLBIALL */
    mcr p15, 0, r3, c7, c5, 6        /* BPIALL */
    dsb
    isb
    mcr p15, 0, r1, c13, c0, 1
    isb
    ldr sp, [r2, #MEZZO_FRAME_STACK]
    pop {r4-r11, pc}

/* void save_registers(uint64_t* registers, bool all): of floating point, which is switched on; sixteen, or all
   thirty-two. load_registers likewise. */
    .globl save_registers, load_registers
save_registers:
    vstmia r0!, {d0-d15}
    cmp r1, #0
    vstmiane r0, {d16-d31}
    bx lr
load_registers:
    vldmia r0!, {d0-d15}
    cmp r1, #0
    vldmiane r0, {d16-d31}
    bx lr

    .ltorg
    .section .note.GNU-stack, "", %progbits
