// Entry, exception vectors, and the guarded run: a function in any mode, until it leaves or takes an
// exception.
#include "armv7/leave.h"

#define STACK_SIZE 4096
#define STACK_HEADROOM 64 /* above a mode's stack, for experiments that store there */

    .syntax unified
    .arm
    .arch armv7-a

/* As Linux is started: r2 is the device tree's address, or anything. */
    .section .text.entry, "ax"
    .globl guest_entry
guest_entry:
    cpsid aif, #0x13
    mov r4, r2
    ldr r0, =bss_begin
    ldr r1, =bss_end
    mov r2, #0
1:  cmp r0, r1
    strlo r2, [r0], #4
    blo 1b
    bl set_stacks
    ldr sp, =main_stack_end
    ldr r0, =vectors
    mcr p15, 0, r0, c12, c0, 0          /* VBAR */
    isb
    mov r0, r4
    bl guest_main
    .globl stop_for_ever
stop_for_ever:
    cpsid aif
    wfi
    b stop_for_ever

    .text
/* A handler keeps what it interrupted on its mode's stack (struct TrapFrame), calls on_exception(), and
   returns to where the frame says. */
.macro handler name, kind
\name:
    push {r0-r12, lr}
    mrs r1, spsr
    mrs r2, cpsr
    push {r1, r2}
    mov r0, sp
    mov r1, #\kind
    bl on_exception
    pop {r1, r2}
    msr spsr_fsxc, r1
    ldm sp!, {r0-r12, pc}^
.endm
    handler enter_reset, 0
    handler enter_undefined, 1
    handler enter_supervisor_call, 2
    handler enter_prefetch_abort, 3
    handler enter_data_abort, 4
    handler enter_irq, 6
    handler enter_fiq, 7

    .section .rodata
    .balign 4
    .globl handlers, enter_irq
handlers:
    .word enter_reset, enter_undefined, enter_supervisor_call, enter_prefetch_abort
    .word enter_data_abort, enter_reset, enter_irq, enter_fiq

    .text
    .balign 32
    .globl vectors
vectors:
    b enter_reset
    b enter_undefined
    b enter_supervisor_call
    b enter_prefetch_abort
    b enter_data_abort
    b .
    b enter_irq
    b enter_fiq

/* The stack of every mode, empty; r0 and r1 are spoilt. The caller is in Supervisor mode on its own. */
set_stacks:
    ldr r0, =mode_stacks
    .irp mode, 0x1f, 0x11, 0x12, 0x17, 0x1b, 0x13
    add r0, r0, #STACK_SIZE - STACK_HEADROOM
    cps #\mode
    .if \mode != 0x13
    mov sp, r0
    .endif
    add r0, r0, #STACK_HEADROOM
    .endr
    bx lr

/* uint32_t run_guarded(uint32_t psr, Body body, uint32_t argument): runs body(argument) under `psr`
   until leave_run() is called, by on_exception(); returns its argument. */
    .globl run_guarded
run_guarded:
    push {r4-r11, lr}
    ldr r3, =saved_stack
    str sp, [r3]
    mov r4, r0
    mov r5, r1
    mov r6, r2
    bl set_stacks
    ldr sp, =mode_stacks + 6 * STACK_SIZE - STACK_HEADROOM
    msr spsr_fsxc, r4
    mov r0, r6
    adr lr, 1f
    movs pc, lr
1:  blx r5
    svc #GUEST_LEAVE

/* [[noreturn]] void leave_run(uint32_t value) */
    .globl leave_run
leave_run:
    cpsid aif, #0x13
    ldr r3, =saved_stack
    ldr sp, [r3]
    pop {r4-r11, pc}

    .ltorg

    .section .bss
    .balign 4096
main_stack:
    .skip 2 * STACK_SIZE
main_stack_end:
    .globl mode_stacks
mode_stacks:
    .skip 6 * STACK_SIZE
saved_stack:
    .skip 4
    .section .note.GNU-stack, "", %progbits
