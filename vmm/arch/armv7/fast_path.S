// A process's call into its kernel, and the kernel's return to a process, in assembly: each is what
// exception.hpp does, for the case that nothing else is due. Whatever is out of the ordinary goes to C++.
// The frame is complete before anything is decided, so every step back to C++ is safe. What an exclusive load has begun
// goes on across both, as it does without a monitor: kernels end it themselves.
#include "arch/armv7/layout.h"

    .syntax unified
    .arm
    .arch armv7-a

    .set ENTRY_CLEARS, 0x0700fe20     /* T, J, IT, E */
    .set RETURN_NEEDS, 0x07f0fedf     /* of SPSR: no J, IT, E, I, F and nothing reserved; mode User */

    .section .text, "ax"
    .globl enter_supervisor_call
    .balign 32
enter_supervisor_call:
    stmia sp, {r0-lr}^
    mrs r1, spsr
    str lr, [sp, #MEZZO_FRAME_PC]
    str r1, [sp, #MEZZO_FRAME_CPSR]
begin_call:
    ldr r4, =MEZZO_SHARED
    add r12, sp, #MEZZO_FAST_BLOCKED
    ldm r12, {r5-r11}                   /* blocked; DACR; its rights of the kernel, of processes; vector; counters; mode */
    ldr r3, [r4, #MEZZO_SHARED_DACR]
    cmp r5, #0
    cmpeq r3, r6
    bne blocked_call
open_call:
    cmp r11, #0x10
    bne kernel_call

    /* From a process: Supervisor mode, interrupts off, LR and SPSR what they were. */
    mcr p15, 0, r7, c3, c0, 0
    ldr r8, [r4, #MEZZO_SHARED_PSR]
    ldr r2, [sp, #MEZZO_VCPU_SUPERVISOR_SP]
    ldrd r6, r7, [sp, #MEZZO_FRAME_SP]          /* and LR */
    strd r6, r7, [sp, #MEZZO_VCPU_USER_SP]      /* likewise, here and there */
    strd r6, r7, [r4, #MEZZO_SHARED_USER_SP]
    str r2, [sp, #MEZZO_FRAME_SP]
    str lr, [sp, #MEZZO_FRAME_LR]
    bic r6, r1, #0x1c0
    orr r6, r6, r8                              /* mode User, A, I, F */
    str r6, [r4, #MEZZO_SHARED_SPSR]
    orr r7, r8, #0x83
    str r7, [r4, #MEZZO_SHARED_PSR]
    mov r2, #0x13
    str r2, [sp, #MEZZO_VCPU_MODE]
    ldr r5, =ENTRY_CLEARS
    bic r1, r1, r5
    msr spsr_fsxc, r1
    ldrd r6, r7, [r10, #(8 * MEZZO_EXIT_SUPERVISOR_CALL)]
    adds r6, r6, #1
    adc r7, r7, #0
    strd r6, r7, [r10, #(8 * MEZZO_EXIT_SUPERVISOR_CALL)]
    mrc p15, 0, r5, c13, c0, 2
    ldrd r6, r7, [r4, #MEZZO_SHARED_KERNELS_THREAD]     /* and TPIDRPRW */
    str r5, [r4, #MEZZO_SHARED_TPIDRURW]
    mcr p15, 0, r6, c13, c0, 3
    mcr p15, 0, r7, c13, c0, 2
    mov lr, r9
    ldmia sp, {r0-lr}^
    movs pc, lr

    /* A patched word of the kernel: the stub of a return to user mode? It is the only one with an SVC. R0 and R2 are still
       the guest's. */
kernel_call:
    ldr r5, =(MEZZO_STUBS + 4)
    sub r5, lr, r5
    cmp r5, #MEZZO_STUBS_SIZE
    bhs slow_call
    tst r1, #0x20
    cmpeq r11, #0x13
    bne slow_call
    ldr r12, [lr, #-4]
    ldr r3, [r4, #MEZZO_SHARED_SPSR]
    ldr r7, =RETURN_NEEDS
    and r7, r7, r3
    cmp r7, #0x10
    bne slow_call
    /* R2 points behind the registers of the process: not at the monitor. */
    sub r9, r2, #60
    cmn r2, #0x00700000                 /* from 0xff900000 on */
    tstlo r2, #3
    bne slow_call
    /* Both pages that they may be on, before anything changes. */
    .globl return_load_last, return_load_first
return_load_last:
    ldr r5, [r2, #-4]
return_load_first:
    ldr r5, [r9]
    str r7, [sp, #MEZZO_VCPU_MODE]
    ldrd r6, r7, [sp, #MEZZO_FRAME_SP]          /* and LR */
    and r5, r12, #0xff
    add r6, r6, r5
    strd r6, r7, [sp, #MEZZO_VCPU_SUPERVISOR_SP]
    str r3, [sp, #MEZZO_VCPU_SUPERVISOR_SPSR]
    and r5, r3, #0x110
    str r5, [r4, #MEZZO_SHARED_PSR]
    str r7, [sp, #MEZZO_FRAME_PC]
    orr r1, r3, #0x100
    str r1, [sp, #MEZZO_FRAME_CPSR]
    ldrd r2, r3, [r4, #MEZZO_SHARED_PROCESS_THREAD]     /* and TPIDRURW */
    mcr p15, 0, r2, c13, c0, 3
    mcr p15, 0, r3, c13, c0, 2
    ldrd r2, r3, [r10, #(8 * MEZZO_EXIT_RETURN)]
    adds r2, r2, #1
    adc r3, r3, #0
    strd r2, r3, [r10, #(8 * MEZZO_EXIT_RETURN)]
    /* With the kernel's rights until all registers are loaded, so PC and CPSR come from the frame. */
    mov lr, r8
    tst r12, #MEZZO_RETURN_KEEPS_FIRST
    ldmibne r9, {r1-lr}^
    ldmiaeq r9, {r0-lr}^
    mcr p15, 0, lr, c3, c0, 0
    add lr, sp, #MEZZO_FRAME_PC
    rfeia lr

    /* Only because a process has missed something that its kernel may have mapped by now? Then it is filled at the
       return to it, and everything looked at again. */
blocked_call:
    cmp r5, #MEZZO_FAST_MISSED
    cmpeq r3, r6
    bne slow_call
    ldr r5, =(MEZZO_STUBS + 4)
    sub r5, lr, r5
    cmp r5, #MEZZO_STUBS_SIZE
    bhs open_call
    tst r1, #0x20
    bne slow_call
    bl fill_missed
    clrex
    ldm sp, {r0, r1, r2}
    ldr lr, [sp, #MEZZO_FRAME_PC]
    ldr r1, [sp, #MEZZO_FRAME_CPSR]
    b begin_call

    .globl slow_call
slow_call:
    mov r0, #MEZZO_TRAP_SUPERVISOR_CALL
    ldr r1, [sp, #MEZZO_FRAME_CPSR]
    b enter_monitor

    .ltorg
    .section .note.GNU-stack, "", %progbits
