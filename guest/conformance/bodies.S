// Bodies of cases that C++ cannot spell. Each is a Body: void name(uint32_t argument). Data in the middle
// of code is part of the case.
#include "armv7/leave.h"

    .syntax unified
    .arm
    .arch armv7-a
    .fpu neon

.macro body name
    .globl \name
    .type \name, %function
\name:
.endm

    .text
/* ---- ways to switch interrupts on: each ends with two instructions that do nothing ---- */
body unmask_by_cps
    cpsie i
    nop
    nop
    bx lr
body unmask_by_msr
    mrs r1, cpsr
    bic r1, r1, #0x80
    msr cpsr_c, r1
    nop
    nop
    bx lr
body unmask_by_movs
    push {lr}
    mrs r1, cpsr
    bic r1, r1, #0x80
    msr spsr_cxsf, r1
    adr lr, 1f
    movs pc, lr
1:  nop
    nop
    pop {pc}
body unmask_by_rfe
    push {lr}
    adr r1, 1f
    mrs r2, cpsr
    bic r2, r2, #0x80
    push {r1, r2}
    rfeia sp!
1:  nop
    nop
    pop {pc}
body unmask_by_ldm
    mrs r1, cpsr
    bic r1, r1, #0x80
    msr spsr_cxsf, r1
    adr r1, 1f
    push {r1, lr}
    ldm sp!, {pc}^
1:  nop
    nop
    pop {pc}
/* To User mode, with the argument in r0. */
body unmask_by_return_to_user
    mov r1, #0x150
    msr spsr_cxsf, r1
    adr lr, 1f
    movs pc, lr
1:  nop
    nop
    svc #GUEST_LEAVE
body unmask_by_mode_change
    cpsie i, #0x1f
    nop
    nop
    svc #GUEST_LEAVE
body unmask_and_mask
    cpsie i
    cpsid i
    bx lr
body wait_masked
    dsb
    wfi
    nop
    bx lr

/* ---- exclusive accesses; r0 points to two words, doubleword aligned; r1 to r3 are the result ---- */
body exclusive_plain
    ldrex r1, [r0]
    add r1, r1, #1
    strex r2, r1, [r0]
    str r2, [r0, #8]
    bx lr
body exclusive_cleared
    ldrex r1, [r0]
    clrex
    strex r2, r1, [r0]
    str r2, [r0, #8]
    bx lr
body exclusive_double
    ldrexd r2, r3, [r0]
    add r2, r2, #1
    strexd r1, r2, r3, [r0]
    str r1, [r0, #8]
    bx lr
body exclusive_byte
    ldrexb r1, [r0]
    add r1, r1, #1
    strexb r2, r1, [r0]
    str r2, [r0, #8]
    bx lr
body exclusive_half
    ldrexh r1, [r0]
    add r1, r1, #1
    strexh r2, r1, [r0]
    str r2, [r0, #8]
    bx lr
/* Adds 1 to the word a hundred thousand times. */
body exclusive_many
    ldr r3, =100000
1:  ldrex r1, [r0]
    add r1, r1, #1
    strex r2, r1, [r0]
    cmp r2, #0
    bne 1b
    subs r3, r3, #1
    bne 1b
    bx lr

/* ---- Thumb code, in User mode ---- */
    .thumb
    .thumb_func
    .globl thumb_call, thumb_undefined, thumb_load, thumb_if_then, thumb_branch, thumb_leave
thumb_call:
    nop
    svc #3
    .thumb_func
thumb_undefined:
    nop
    udf #1
    .thumb_func
thumb_load:
    nop
    ldr r1, [r0]
    svc #(GUEST_LEAVE & 0xff)
    .thumb_func
thumb_if_then:
    cmp r0, r0
    itete eq
    moveq r1, #1
    movne r1, #2
    ldreq r1, [r0]
    movne r1, #3
    svc #(GUEST_LEAVE & 0xff)
    .thumb_func
thumb_branch:
    bx r0
    .thumb_func
thumb_leave:
    svc #(GUEST_LEAVE & 0xff)
    .arm
    .balign 4
/* From ARM state to the Thumb code at r0; r1 is its argument. */
body to_thumb
    mov r2, r0
    ldm r0, {r1, r2}
    mov r0, r2
    bx r1

/* ---- data in the middle of code ---- */
    .balign 4096
    .globl mixed_page, mixed_data
mixed_page:
body mixed_store
    push {lr}
    adr r1, mixed_data
    mrs r2, cpsr
    str r2, [r1]
    ldr r3, [r1]
    cmp r2, r3
    bne 1f
    strb r0, [r1, #4]
    strh r0, [r1, #6]
    strd r0, r1, [r1, #8]
    stmib r1, {r0}
    str r0, [r1, #17]           /* unaligned, where translation is on */
    swp r3, r0, [r1]
1:  mrs r2, cpsr
    pop {pc}
body mixed_exclusive
    adr r1, mixed_data
1:  ldrex r2, [r1]
    add r2, r2, r0
    strex r3, r2, [r1]
    cmp r3, #0
    bne 1b
    mrs r2, cpsr
    bx lr
body mixed_float
    adr r1, mixed_data
    vmov s0, r0
    vstr s0, [r1]
    vst1.32 {d0}, [r1]
    mrs r2, cpsr
    bx lr
/* The stack in this page. */
body mixed_stack
    mov r3, sp
    adr r2, mixed_stack_end
    mov sp, r2
    push {r0, r3, lr}
    cps #0x1f
    cps #0x13
    pop {r1, r3, lr}
    mov sp, r3
    cmp r1, r0
    movne r0, #0
    ldr r1, =mixed_data
    str r0, [r1]
    bx lr
    .balign 8
mixed_data:
    .word 0, 0, 0, 0, 0, 0, 0, 0
    .skip 64
mixed_stack_end:
    .ltorg

/* A sensitive instruction is the last one of a page. */
    .balign 4096
    .skip 4096 - 8
body across_pages
    mov r2, r0
    mrs r1, cpsr
    str r1, [r2]
    bx lr
    .ltorg

    .balign 4096
/* Code to be copied: what it stores at r0 does not depend on where it is. */
    .globl copied_code, copied_code_end
copied_code:
    push {r4, lr}
    mrs r1, cpsr
    cpsid aif
    mrs r2, cpsr
    msr cpsr_c, r1
    mrs r3, spsr
    stm r0, {r1, r2}
    pop {r4, pc}
copied_code_end:
    .balign 4096
    .section .note.GNU-stack, "", %progbits
