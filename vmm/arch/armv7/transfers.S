// What a guest's kernel does often and what takes no decision, in assembly: writes of TPIDRURO and CONTEXTIDR, and
// maintenance of caches as a whole. Each is what control.hpp does. Whatever is out of the ordinary goes to C++: the frame
// is complete before anything is decided, so every step back is safe.
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

    .ltorg
    .section .note.GNU-stack, "", %progbits
