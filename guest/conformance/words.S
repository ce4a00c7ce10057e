// The instructions that the tables of conformance run, as words with their own text for a name, and the
// frame of code they run in.
//
// Registers: r0 is the frame's; r1 and r2 are operands; r4 and r5 point into a block of memory, sp
// into a stack, lr to the end of the frame.
#include "armv7/leave.h"

    .syntax unified
    .arm
    .arch armv7-a
    .arch_extension sec
    .arch_extension mp
    .fpu neon

    .section .rodata.words, "a"
    .balign 4

.macro table name
    .globl \name, \name\()_end
\name:
.endm
.macro table_end name
\name\()_end:
    .balign 4
.endm
/* A row: the instruction, where its text is. */
.macro word text:vararg
    \text
    .pushsection .rodata.names, "a"
98: .asciz "\text"
    .popsection
    .word 98b
.endm
/* An encoding by number, with a name. */
.macro encoding number, text:vararg
    .inst \number
    .pushsection .rodata.names, "a"
98: .asciz "\text"
    .popsection
    .word 98b
.endm

/* ---- program status, in every mode ---- */
table words_state
    word nop
    word mrs r1, cpsr
    word mrs r2, spsr
    word mrseq r1, cpsr
    word mrsne r1, cpsr
    word cpsid a
    word cpsid i
    word cpsid f
    word cpsid aif
    word cpsie a
    word cpsie i
    word cpsie f
    word cpsie aif
    word cps #0x10
    word cps #0x11
    word cps #0x12
    word cps #0x13
    word cps #0x17
    word cps #0x1b
    word cps #0x1f
    word cpsid aif, #0x13
    word cpsie aif, #0x1f
    word cpsid i, #0x12
    word cpsie i, #0x10
    word setend be
    word setend le
    word msr cpsr_f, #0xf0000000
    word msr cpsr_s, #0x000f0000
    word msr cpsr_c, #0xd3
    word msr cpsr_c, #0xdf
    word msrne cpsr_c, #0xd2
    word msreq cpsr_c, #0xd2
    word msr spsr_c, #0xd3
    word msr spsr_fsxc, #0xff000000
table_end words_state

/* ---- MSR with every mask, for several values of r1 ---- */
table words_msr
    .irp fields, c, x, xc, s, sc, sx, sxc, f, fc, fx, fxc, fs, fsc, fsx, fsxc
    word msr cpsr_\fields, r1
    word msr spsr_\fields, r1
    .endr
table_end words_msr

/* ---- exception returns, for several values of the SPSR (RFE: in the block) ---- */
table words_return
    word movs pc, lr
    word subs pc, lr, #0
    word movs pc, lr, lsl #0
    word movs pc, r8
    word movseq pc, r1
    word movsne pc, lr
    word ldm r4, {r1, pc}^
    word ldmib r4, {r1, pc}^
    word ldmda r4, {r1, pc}^
    word ldmdb r4, {r1, pc}^
    word ldm r4!, {r1, r2, r3, pc}^
    word ldm r4, {pc}^
    word ldm r4, {r1, r2, lr, pc}^
    word ldmdb r4!, {r8, r9, r10, pc}^
    word rfeia r4
    word rfeia r4!
    word rfedb r4
    word rfedb r4!
    word rfeib r5
    word rfeib r5!
    word rfeda r5
    word rfeda r5!
table_end words_return

/* ---- exception returns that QEMU does not do: it takes them for jumps ---- */
table words_odd_return
    word adds pc, lr, #0
    word ands pc, lr, lr
    word orrs pc, lr, lr
    word eors pc, lr, r6
    word bics pc, lr, #3
    word mvns pc, r7
    word rsbs pc, r6, lr
    word adcs pc, lr, r6
table_end words_odd_return

/* ---- user registers and return state in memory ---- */
table words_banked
    word ldm r4, {r1, sp, lr}^
    word ldm r4, {r8, r9, r10, r11, r12, sp, lr}^
    word ldmib r4, {sp, lr}^
    word ldmda r4, {r8, sp, lr}^
    word ldmdb r4, {r1, r2, sp}^
    word stm r4, {r1, sp, lr}^
    word stm r4, {r8, r9, r10, r11, r12, sp, lr}^
    word stmib r4, {sp, lr}^
    word stmda r4, {r8, sp, lr}^
    word stmdb r4, {r1, r2, sp}^
    .irp mode, 0x10, 0x11, 0x12, 0x13, 0x17, 0x1b, 0x1f
    word srsia sp, #\mode
    word srsdb sp!, #\mode
    .endr
    word srsib sp, #0x13
    word srsda sp!, #0x13
table_end words_banked

/* ---- the rest: undefined, hints, calls ---- */
table words_other
    word svc #0
    word svc #0xabcdef
    word svceq #1
    encoding 0xefa5ffff, svc #0xa5ffff
    word bkpt #0x1234
    encoding 0xe1400070, hvc #0
    word udf #0
    encoding 0xe7ffffff, udf #0xffff
    encoding 0x07f000f0, udfeq
    encoding 0xf7ffffff, unconditional undefined
    encoding 0xf4100000, unallocated hint space
    word clrex
    word dmb
    word dsb
    word isb
    word yield
    word sev
    word dbg #0
    word pldw [r4]
    word swp r1, r2, [r4]
    word bxj lr
    encoding 0xe1200070, bkpt #0
    encoding 0xe1000200, mrs r0_banked
    encoding 0xee000000, cdp p0
    encoding 0xec400000, mcrr p0
    encoding 0xed900000, ldc p0
    encoding 0xec510f10, mrrc p15
    encoding 0xec510e10, mrrc p14
    encoding 0xee101110, mrc p1
    encoding 0xe711f112, sdiv r1, r2, r1
table_end words_other

/* ---- one access each; r4 is the address ---- */
table words_access
    word ldr r1, [r4]
    word str r2, [r4]
    word ldrt r1, [r4]
    word ldrt r1, [r4], #4
    word ldrt r1, [r4], -r6, lsl #2
    word ldrbt r1, [r4], #1
    word ldrht r1, [r4], #2
    word ldrsbt r1, [r4], #-1
    word ldrsht r1, [r4], r6
    word ldrteq r1, [r4]
    word strt r2, [r4]
    word strt r2, [r4], #4
    word strbt r2, [r4], r6
    word strht r2, [r4], #-2
    word ldrd r2, r3, [r4]
    word strd r2, r3, [r4]
    word ldm r4, {r1, r2}
    word stm r4, {r1, r2}
    word ldrex r1, [r4]
    word ldrb r1, [r4]
    word strh r2, [r4]
    word pld [r4]
    word swpb r1, r2, [r4]
    word mcr p15, 0, r4, c7, c10, 1
    word mcr p15, 0, r4, c7, c11, 1
    word mcr p15, 0, r4, c7, c14, 1
    word mcr p15, 0, r4, c7, c5, 1
    word mcr p15, 0, r4, c7, c6, 1
    word mcr p15, 0, r4, c7, c5, 7
table_end words_access

/* ---- floating point: by FPEXC.EN and CPACR ---- */
table words_float
    word vmrs r1, fpscr
    word vmsr fpscr, r2
    word vmrs apsr_nzcv, fpscr
    word vmrs r1, fpsid
    word vmsr fpsid, r2
    word vmrs r1, mvfr0
    word vmrs r1, mvfr1
    word vmrs r1, fpexc
    word vadd.f32 s0, s0, s0
    word vadd.f64 d16, d16, d16
    word vadd.i32 q0, q0, q0
    word vld1.32 {d0}, [r4]
    word vst1.32 {d0}, [r4]
    word vldr s1, [r4]
    word vmov r1, s0
    encoding 0xeef91a10, vmrs r1, fpinst
table_end words_float

/* ---- the frame ----
   r0: struct WordState. What it holds is loaded, the word at frame_word is executed, and what is left is
   stored 128 bytes behind it. frame_with_spsr is for modes that have one. */
    .section .rodata.frame, "a"
    .balign 4
    .globl frame_with_spsr, frame_without_spsr, frame_word, frame_rest, frame_end
frame_with_spsr:
    ldr r1, [r0, #64]
    msr spsr_fsxc, r1
frame_without_spsr:
    ldr r1, [r0, #60]
    msr cpsr_fs, r1
    ldr sp, [r0, #52]
    ldr lr, [r0, #56]
    ldmib r0, {r1-r12}
frame_word:
    nop
frame_rest:
    add r0, r0, #128
    stm r0, {r0-r14}
    svc #GUEST_LEAVE
frame_end:

    .text
/* void write_banks(): LR and SPSR of every mode but Supervisor's have values that tell whose they are. */
    .globl write_banks
write_banks:
    .irp mode, 0x11, 0x12, 0x17, 0x1b, 0x1f
    cps #\mode
    ldr r0, =0x1e000000 + \mode
    mov lr, r0
    .if \mode != 0x1f
    ldr r0, =0x50000000 + \mode
    msr spsr_fsxc, r0
    .endif
    .endr
    cps #0x13
    bx lr

/* void read_banks(Bank banks[5]): SP, LR and SPSR of the same modes. */
    .globl read_banks
read_banks:
    .irp mode, 0x11, 0x12, 0x17, 0x1b, 0x1f
    cps #\mode
    str sp, [r0], #4
    str lr, [r0], #4
    .if \mode != 0x1f
    mrs r1, spsr
    .else
    mov r1, #0
    .endif
    str r1, [r0], #4
    .endr
    cps #0x13
    bx lr

    .ltorg
    .section .note.GNU-stack, "", %progbits
