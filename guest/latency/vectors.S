// The vectors of the latency guest: the way to the interrupt handler reads the timer first of all.
    .syntax unified
    .arm
    .arch armv7-a

    .text
    .balign 32
    .globl latency_vectors
latency_vectors:
    ldr pc, [pc, #24]
    ldr pc, [pc, #24]
    ldr pc, [pc, #24]
    ldr pc, [pc, #24]
    ldr pc, [pc, #24]
    ldr pc, [pc, #24]
    b measure
    ldr pc, [pc, #24]
    .globl latency_handlers
latency_handlers:
    .skip 32                        /* copied from the usual ones */

measure:
    push {r0, r1}
    ldr r0, =0x1e000604             /* counter of the private timer */
    ldr r0, [r0]
    ldr r1, =timer_at_entry
    str r0, [r1]
    pop {r0, r1}
    ldr pc, =enter_irq
    .ltorg
    .section .note.GNU-stack, "", %progbits
