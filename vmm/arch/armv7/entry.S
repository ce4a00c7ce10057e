// The two doors between guest and monitor: the vectors on the way in, one return path on the way out.
//
// The guest runs in User mode. Whatever vector it comes by, that mode's own stack pointer is this CPU's
// frame, which lies at the end of this CPU's stack; C++ runs on the stack below it, in Supervisor mode, with
// IRQs masked. Frame layout: struct Frame in registers.hpp.
// Source: ARM DDI 0406C, B1.8 (exception handling), table B1-7 (preferred return addresses).
#include "arch/armv7/layout.h"

    .syntax unified
    .arm
    .arch armv7-a

/* `distance`: from the preferred return address to what the frame says: the instruction that trapped,
   or for a supervisor call the next one. */
.macro enter kind, distance
    .if \distance
    sub lr, lr, #\distance
    .endif
    stmia sp, {r0-lr}^
    mrs r1, spsr
    str lr, [sp, #MEZZO_FRAME_PC]
    str r1, [sp, #MEZZO_FRAME_CPSR]
    mov r0, #\kind
    b enter_monitor
.endm

    .section .text, "ax"
    .globl vectors
    .balign 32
vectors:
    b .
    b enter_undefined
    b enter_supervisor_call
    b enter_prefetch_abort
    b enter_data_abort
    b .
    b enter_irq
    b enter_fiq

enter_prefetch_abort:
    enter MEZZO_TRAP_PREFETCH_ABORT, 4
enter_data_abort:
    str r0, [sp, #MEZZO_FRAME_SCRATCH]
    mrs r0, spsr
    tst r0, #0xf
    bne nested_abort
    ldr r0, [sp, #MEZZO_FRAME_SCRATCH]
    enter MEZZO_TRAP_DATA_ABORT, 8
/* Exceptions of other kinds leave FIQs unmasked, so one may come anywhere in the monitor, where it is too
   early: masked there, it comes again in the guest. The registers used here are FIQ mode's own. */
enter_fiq:
    mrs r8, spsr
    tst r8, #0xf
    orrne r8, r8, #0x40
    msrne spsr_c, r8
    subsne pc, lr, #4
    enter MEZZO_TRAP_FIQ, 4

/* The monitor's own access failed. At the places in `fixups` that is expected; elsewhere it is our bug. */
nested_abort:
    sub lr, lr, #8
    str r1, [sp, #(MEZZO_FRAME_SCRATCH + 4)]
    ldr r0, =fixups
1:  ldr r1, [r0], #8
    cmp r1, #0
    beq 2f
    cmp r1, lr
    bne 1b
    ldr lr, [r0, #-4]
    ldrd r0, r1, [sp, #MEZZO_FRAME_SCRATCH]
    movs pc, lr
2:  ldrd r0, r1, [sp, #MEZZO_FRAME_SCRATCH]
    enter MEZZO_TRAP_DATA_ABORT, 0

/* C++ runs in Supervisor mode, so that an abort of its own does not overwrite its return address. */
enter_monitor:
    cps #0x13
    bl handle_trap
return_to_guest:
    clrex
    ldr r1, [sp, #MEZZO_FRAME_CPSR]
    ldr lr, [sp, #MEZZO_FRAME_PC]
    msr spsr_fsxc, r1
    ldmia sp, {r0-lr}^
    nop
    movs pc, lr

/* [[noreturn]] void launch(): leaves the monitor through this CPU's frame, forgetting the stack. */
    .globl launch, enter_monitor
launch:
    ldr sp, =MEZZO_FRAME
    b return_to_guest

/* void set_stacks(): makes this CPU's frame the stack pointer of every mode that an exception enters. The
   caller runs in Supervisor mode on another stack and keeps its own until launch(). */
    .globl set_stacks
set_stacks:
    ldr r0, =MEZZO_FRAME
    cps #0x11
    mov sp, r0
    cps #0x12
    mov sp, r0
    cps #0x17
    mov sp, r0
    cps #0x1b
    mov sp, r0
    cps #0x13
    bx lr

/* An instruction that may abort, and where to go on then. */
.macro may_abort resume, instruction:vararg
1:  \instruction
    .pushsection .rodata
    .word 1b, \resume
    .popsection
.endm

    .section .rodata, "a"
    .balign 4
fixups:
    .word return_load_last, slow_call, return_load_first, slow_call
    .word transfer_word, slow_undefined
    .section .text, "ax"

/* uint64_t guest_load(uint32_t address): in its low half a word, with the guest's rights; its high half is not 0 if
   the load aborted. */
    .globl guest_load
guest_load:
    mov r1, #0
    may_abort guest_load_aborted, ldrt r0, [r0]
    bx lr
guest_load_aborted:
    mov r1, #1
    bx lr

/* bool guest_load_four(uint32_t address, uint32_t* words): words one behind the other, with the guest's rights; false if
   one aborted. */
    .globl guest_load_four
guest_load_four:
    may_abort guest_load_four_aborted, ldrt r2, [r0], #4
    may_abort guest_load_four_aborted, ldrt r3, [r0], #4
    may_abort guest_load_four_aborted, ldrt r12, [r0], #4
    may_abort guest_load_four_aborted, ldrt r0, [r0]
    strd r2, r3, [r1]
    str r12, [r1, #8]
    str r0, [r1, #12]
    mov r0, #1
    bx lr
guest_load_four_aborted:
    mov r0, #0
    bx lr

/* uint32_t device_load_*(uint32_t address, bool* aborted): of a device that may not answer. */
.macro load name, instruction
    .globl \name
\name:
    may_abort load_aborted, \instruction r0, [r0]
    bx lr
.endm
    load device_load_8, ldrb
    load device_load_16, ldrh
    load device_load_32, ldr
load_aborted:
    mov r2, r1
store_aborted:
    mov r1, #1
    strb r1, [r2]
    bx lr

/* void guest_store(uint32_t address, uint32_t word, bool* aborted), device_store_* likewise. */
.macro store name, instruction
    .globl \name
\name:
    may_abort store_aborted, \instruction r1, [r0]
    bx lr
.endm
    store guest_store, strt
    store device_store_8, strb
    store device_store_16, strh
    store device_store_32, str

/* bool guest_store_three(uint32_t address, uint32_t first, uint32_t second, uint32_t third): words one behind the
   other, with the guest's rights; false if one aborted. */
    .globl guest_store_three
guest_store_three:
    may_abort guest_store_aborted, strt r1, [r0], #4
    may_abort guest_store_aborted, strt r2, [r0], #4
    may_abort guest_store_aborted, strt r3, [r0]
    mov r0, #1
    bx lr
guest_store_aborted:
    mov r0, #0
    bx lr

/* bool cache_*(uint32_t address): maintenance on the guest's own address; false if it aborted. */
.macro by_address name, crm, opc2
    .globl cache_\name
cache_\name:
    may_abort refused, mcr p15, 0, r0, c7, c\crm, \opc2
    mov r0, #1
    bx lr
.endm
    by_address clean, 10, 1
    by_address clean_to_unification, 11, 1
    by_address clean_invalidate, 14, 1
refused:
    mov r0, #0
    bx lr

/* uint32_t cache_lines_*(uint32_t at, uint32_t limit, uint32_t step): likewise of many lines; the first one
   that is not done, at the limit or because it aborted. What lines_end() allows only: `at` is below the limit, and
   eight steps from it are no more than the address space has. */
.macro lines_by_address name, crm, opc2
    .globl cache_lines_\name
cache_lines_\name:
    sub r3, r1, r0
    cmp r3, r2, lsl #3
    blo 3f
    .rept 8
    may_abort lines_aborted, mcr p15, 0, r0, c7, c\crm, \opc2
    add r0, r0, r2
    .endr
    b cache_lines_\name
2:  may_abort lines_aborted, mcr p15, 0, r0, c7, c\crm, \opc2
    add r0, r0, r2
3:  cmp r0, r1
    blo 2b
    bx lr
.endm
    lines_by_address clean, 10, 1
    lines_by_address clean_to_unification, 11, 1
    lines_by_address clean_invalidate, 14, 1
lines_aborted:
    bx lr

    .section .rodata, "a"
    .word 0, 0                       /* end of fixups */
    .section .text, "ax"
    .ltorg
    .section .note.GNU-stack, "", %progbits
