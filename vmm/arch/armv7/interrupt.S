// An interrupt that the guest takes at once, with its interrupts on, in assembly: what exception.hpp and
// settle_interrupts() (trap.cpp) do, for a guest whose CPU interface is passed through and whose handler is
// no Linux vector stub. It is for guests to which latency matters: the number of instructions from the
// vector to the guest's is constant, but for what a change from user mode takes (doc/armv7.md has the
// figures). Whatever is out of the ordinary goes to C++, with the frame complete.
#include "arch/armv7/layout.h"

    .syntax unified
    .arm
    .arch armv7-a

    .set LIVE, 0xff0ffe20             /* psr::kLive */
    .set ENTRY_CLEARS, 0x0700fe20     /* T, J, IT, E */
    .set HEARTBEAT, 30                /* lines of the monitor's */
    .set POKE, 15
    .set SLOW, 0xff

    .section .rodata
/* The offset of a mode's bank; SLOW: C++ does it. FIQ has more registers, IRQ does not change banks. */
banks_of_modes:
    .byte 0 * MEZZO_BANK_SIZE, SLOW, SLOW, 1 * MEZZO_BANK_SIZE, 0, 0, 0, 2 * MEZZO_BANK_SIZE
    .byte 0, 0, 0, 3 * MEZZO_BANK_SIZE, 0, 0, 0, 0 * MEZZO_BANK_SIZE

    .section .text, "ax"
/* [[noreturn]] void sleep_as_guest(): the frame is that of a guest behind its WFI, its root and rights are
   loaded. An interrupt of the monitor's ends the guest's WFI, too, as the architecture allows (B1.8.13). */
    .globl sleep_as_guest
sleep_as_guest:
    ldr sp, =MEZZO_FRAME
    dsb
    wfi
    mrc p15, 0, r0, c12, c1, 0
    ldr r1, [sp, #MEZZO_FRAME_CPSR]
    ldr lr, [sp, #MEZZO_FRAME_PC]
    tst r0, #0x80
    bne deliver
    b slow_interrupt

    .globl enter_irq
    .balign 32
enter_irq:
    sub lr, lr, #4
    stmia sp, {r0-lr}^
    mrs r1, spsr
    str lr, [sp, #MEZZO_FRAME_PC]
    str r1, [sp, #MEZZO_FRAME_CPSR]
deliver:
    ldr r3, [sp, #MEZZO_FAST_IRQ_VECTOR]
    ldr r4, =MEZZO_SHARED
    ldr r5, [sp, #MEZZO_FAST_PENDING]
    ldr r6, [sp, #MEZZO_FAST_BLOCKED]
    cmp r3, #0
    beq slow_interrupt
    ldr r7, [r4, #MEZZO_SHARED_PSR]
    ldr r5, [r5]
    orr r8, r6, r7, lsr #7
    tst r8, #MEZZO_FAST_INTERRUPT
    bne slow_interrupt
    ubfx r5, r5, #0, #10
    cmp r5, #1020
    bhs slow_interrupt
    cmp r5, #HEARTBEAT
    cmpne r5, #POKE
    beq slow_interrupt
    ldr r2, [sp, #MEZZO_VCPU_MODE]
    ldr r9, =banks_of_modes
    and r10, r2, #15
    ldrb r9, [r9, r10]
    cmp r9, #SLOW
    beq slow_interrupt
    cmp r2, #0x10
    beq from_process

    /* From the guest's kernel: ARM code, and not one of the stubs. */
    ldr r10, =MEZZO_STUBS
    sub r10, lr, r10
    cmp r10, #MEZZO_STUBS_SIZE
    blo slow_interrupt
    tst r1, #0x20
    bne slow_interrupt
deliver_to_kernel:
    ldrd r10, r11, [sp, #MEZZO_FRAME_SP]
    ldr r12, [r4, #MEZZO_SHARED_SPSR]
    add r9, r9, #MEZZO_VCPU_BANKS
    add r9, r9, sp
    stmia r9, {r10-r12}
    ldrd r10, r11, [sp, #MEZZO_VCPU_USER_SP]
    strd r10, r11, [r4, #MEZZO_SHARED_USER_SP]
    ldr r5, =LIVE
    and r10, r1, r5
    and r11, r7, #0x1c0
    orr r10, r10, r2
    orr r10, r10, r11
    str r10, [r4, #MEZZO_SHARED_SPSR]
    orr r11, r11, #0x180
    mov r2, #0x12
    orr r11, r11, r2
    str r11, [r4, #MEZZO_SHARED_PSR]
    str r2, [sp, #MEZZO_VCPU_MODE]
    ldr r10, [sp, #MEZZO_VCPU_IRQ_SP]
    add r11, lr, #4
    strd r10, r11, [sp, #MEZZO_FRAME_SP]
    /* Until the guest has acknowledged it, the processor's own mask keeps it off. */
    ldr r5, =ENTRY_CLEARS
    bic r1, r1, r5
    orr r1, r1, #0x80
    msr spsr_fsxc, r1
    mov r10, #1
    ldr r11, =MEZZO_ALARM
    orr r6, r6, #MEZZO_FAST_INTERRUPT
    str r10, [r4, #MEZZO_SHARED_IRQ_PENDING]
    str r11, [r4, #MEZZO_SHARED_DOORBELL]
    str r6, [sp, #MEZZO_FAST_BLOCKED]
    str r10, [sp, #MEZZO_FAST_DELIVERED]
    ldr r5, [sp, #MEZZO_FAST_EXITS]
    ldrd r6, r7, [r5, #(8 * MEZZO_EXIT_INTERRUPT)]
    adds r6, r6, #1
    adc r7, r7, #0
    strd r6, r7, [r5, #(8 * MEZZO_EXIT_INTERRUPT)]
    mov lr, r3
    clrex
    ldmia sp, {r0-lr}^
    movs pc, lr

from_process:
    ldr r10, [sp, #MEZZO_FAST_DACR]
    ldr r11, [r4, #MEZZO_SHARED_DACR]
    cmp r10, r11
    tsteq r6, #MEZZO_FAST_STALE_OR_OFF
    bne slow_interrupt
    ldr r10, [sp, #MEZZO_FAST_KERNEL_ACCESS]
    mcr p15, 0, r10, c3, c0, 0
    mrc p15, 0, r10, c13, c0, 2
    str r10, [r4, #MEZZO_SHARED_TPIDRURW]
    ldrd r10, r11, [r4, #MEZZO_SHARED_KERNELS_THREAD]   /* and TPIDRPRW */
    mcr p15, 0, r10, c13, c0, 3
    mcr p15, 0, r11, c13, c0, 2
    b deliver_to_kernel

slow_interrupt:
    mov r0, #MEZZO_TRAP_IRQ
    b enter_monitor

    .ltorg
    .section .note.GNU-stack, "", %progbits
