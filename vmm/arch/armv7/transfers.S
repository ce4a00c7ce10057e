// What a guest's kernel does often and what takes no decision, in assembly: writes of TPIDRURO and CONTEXTIDR,
// maintenance of caches as a whole, single loads and stores with the rights of a process. Each is what control.hpp or
// transfer.hpp does. Whatever is out of the ordinary goes to C++: the frame is complete before anything is decided, so
// every step back is safe.
#include "arch/armv7/layout.h"

    .syntax unified
    .arm
    .arch armv7-a

/* Counts an exit; r5 to r7 are lost. */
.macro count cause
    ldr r5, [sp, #MEZZO_FAST_EXITS]
    ldrd r6, r7, [r5, #(8 * \cause)]
    adds r6, r6, #1
    adc r7, r7, #0
    strd r6, r7, [r5, #(8 * \cause)]
.endm

    .section .text, "ax"
    .globl enter_undefined, transfer_word, slow_undefined
    .balign 32
enter_undefined:
    stmia sp, {r0-lr}^
    mrs r1, spsr
    str lr, [sp, #MEZZO_FRAME_PC]
    str r1, [sp, #MEZZO_FRAME_CPSR]
    ldr r2, [sp, #MEZZO_VCPU_MODE]
    ldr r3, [sp, #MEZZO_FAST_TRANSFERS_OFF]
    tst r1, #0x20
    cmpeq r3, #0
    bne slow_undefined
    cmp r2, #0x10
    beq slow_undefined
    sub r4, lr, #4
transfer_word:
    ldrt r0, [r4]
    /* MCR: r4 is the word without Rt, r6 the value of Rt. */
    ubfx r5, r0, #12, #4
    ldr r6, [sp, r5, lsl #2]
    bic r4, r0, #0xf000
    tst r4, #(1 << 19)                  /* c13 and the like, not c7 */
    bne 1f
    ldr r7, =0xee070f00
    eor r7, r7, r4
    cmp r7, #0xd5
    cmpne r7, #0xd1
    beq invalidate_prediction
    cmp r7, #0x15
    cmpne r7, #0x11
    beq invalidate_instructions
    b slow_undefined
1:  ldr r7, =0xee0d0f70
    cmp r4, r7
    beq write_thread
    sub r7, r7, #0x40
    cmp r4, r7
    beq write_context

slow_undefined:
    mov r0, #MEZZO_TRAP_UNDEFINED
    ldr r1, [sp, #MEZZO_FRAME_CPSR]
    b enter_monitor

invalidate_prediction:                  /* BPIALL, BPIALLIS */
    mcr p15, 0, r6, c7, c5, 6
    b cache_done
invalidate_instructions:                /* ICIALLU, ICIALLUIS */
    mcr p15, 0, r6, c7, c5, 0
cache_done:
    count MEZZO_EXIT_CACHE_OPERATION
    ldmia sp, {r0-r7}
    movs pc, lr

write_thread:                           /* TPIDRURO */
    ldr r7, =MEZZO_SHARED
    str r6, [r7, #MEZZO_SHARED_KERNELS_THREAD]
    str r6, [r7, #MEZZO_SHARED_PROCESS_THREAD]
    mcr p15, 0, r6, c13, c0, 3
    count MEZZO_EXIT_THREAD_ID
    ldmia sp, {r0-r7}
    movs pc, lr

    /* CONTEXTIDR, of a context whose tables are known. Between the two writes of it the ASID is one that nothing uses
       (load_root()). */
write_context:
    and r5, r6, #0xff
    ldr r7, =MEZZO_CONTEXTS
    add r5, r7, r5, lsl #3
    ldrd r4, r5, [r5]
    cmp r4, #0
    beq slow_undefined
    str r6, [sp, #MEZZO_VCPU_CONTEXTIDR]
    mov r7, #0
    mcr p15, 0, r7, c13, c0, 1
    isb
    mcr p15, 0, r4, c2, c0, 0
    isb
    mcr p15, 0, r5, c13, c0, 1
    count MEZZO_EXIT_TRANSLATION
    ldmia sp, {r0-r7}
    movs pc, lr

    /* From enter_supervisor_call, with the frame complete, nothing blocked and SPSR in r1: a word of the kernel's that has
       been replaced. LDRT, STRT, LDRBT or STRBT with an immediate? r0 is the SVC, r2 the original word. */
    .globl replaced_word, unprivileged_word, access_aborted
    .globl unprivileged_load, unprivileged_store, unprivileged_load_byte, unprivileged_store_byte
replaced_word:
    sub r4, lr, #4
unprivileged_word:
    ldrt r0, [r4]
    bic r3, r0, #0xf0000000
    ldr r5, =MEZZO_FIRST_NUMBER_CALL
    sub r5, r3, r5
    cmp r5, #MEZZO_DICTIONARY_CAPACITY
    bhs slow_call
    ldr r4, [sp, #MEZZO_FAST_WORDS]
    ldr r2, [r4, r5, lsl #2]
    eor r3, r0, r2                      /* the same condition, which has passed */
    cmp r3, #0x10000000
    bhs slow_call
    and r4, r2, #0x0f200000
    cmp r4, #0x04200000
    bne slow_call
    /* r3: Rn, r4: Rt, r5: address, r6: value. Neither is PC, and the guest is little-endian, in ARM code. */
    ubfx r3, r2, #16, #4
    ubfx r4, r2, #12, #4
    cmp r3, #15
    cmpne r4, #15
    beq slow_call
    tst r1, #0x220
    bne slow_call
    ldr r5, [sp, r3, lsl #2]
    ldr r6, [sp, r4, lsl #2]
    ldr r7, [sp, #MEZZO_FAST_USER_ACCESS]
    mcr p15, 0, r7, c3, c0, 0
    isb
    tst r2, #(1 << 22)
    bne 2f
    tst r2, #(1 << 20)
    bne 1f
unprivileged_store:
    strt r6, [r5]
    b access_done
1:
unprivileged_load:
    ldrt r6, [r5]
    b access_done
2:  tst r2, #(1 << 20)
    bne 3f
unprivileged_store_byte:
    strbt r6, [r5]
    b access_done
3:
unprivileged_load_byte:
    ldrbt r6, [r5]
access_done:
    ldr r7, [sp, #MEZZO_FAST_KERNEL_ACCESS]
    mcr p15, 0, r7, c3, c0, 0
    tst r2, #(1 << 23)                  /* post-indexed: up or down */
    ubfx r2, r2, #0, #12
    rsbeq r2, r2, #0
    add r5, r5, r2
    str r5, [sp, r3, lsl #2]
    str r6, [sp, r4, lsl #2]
    count MEZZO_EXIT_UNPRIVILEGED
    clrex
    ldmia sp, {r0-lr}^
    nop
    movs pc, lr
access_aborted:
    ldr r7, [sp, #MEZZO_FAST_KERNEL_ACCESS]
    mcr p15, 0, r7, c3, c0, 0
    isb
    b slow_call

    .ltorg
    .section .note.GNU-stack, "", %progbits
