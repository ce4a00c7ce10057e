// From the boot loader, with the MMU off, to C++ at its linked address. Every CPU comes here: the first
// one builds a root with which all start, the others wait until it has prepared a struct Cpu for them.
// Source: ARM DDI 0406C, B3 (short descriptors), B4 (system control).
#include "arch/armv7/layout.h"

    .syntax unified
    .arm
    .arch armv7-a

    .set SECTION_NORMAL, 0x0001140e   /* section, domain 0, PL1 read and write, shared, write-back allocate */
    .set SCTLR_MMU_ON, 0x1805         /* M, C, Z, I */

    .section .text.boot, "ax"
    .globl boot_entry
boot_entry:
    cpsid aif, #0x13
    /* r4: what to add to a linked address to get where it is in memory now. */
    adr r4, boot_entry
    ldr r0, =boot_entry
    sub r4, r4, r0

    /* Caches and MMU off, low vectors, nothing stale. */
    mrc p15, 0, r0, c1, c0, 0
    bic r0, r0, #0x3000
    bic r0, r0, #0x000f
    bic r0, r0, #0x0800
    mcr p15, 0, r0, c1, c0, 0
    mov r0, #0
    mcr p15, 0, r0, c8, c7, 0        /* TLBIALL */
    mcr p15, 0, r0, c7, c5, 0        /* ICIALLU */
    mcr p15, 0, r0, c7, c5, 6        /* BPIALL */
    dsb
    isb

    mrc p15, 0, r5, c0, c0, 5        /* MPIDR: r5 is this CPU's number */
    tst r5, #0x80000000              /* without the multiprocessing extensions there is one CPU */
    moveq r5, #0
    and r5, r5, #0xff
    cmp r5, #0
    bne 3f

    /* The first CPU clears what the image does not hold. */
    ldr r0, =MEZZO_WINDOW
    add r0, r0, r4
    ldr r1, =text_begin
    add r1, r1, r4
    bl clear
    ldr r0, =bss_begin
    add r0, r0, r4
    ldr r1, =image_end
    add r1, r1, r4
    bl clear

    /* The root: the monitor's MiB where it is and where it is linked. */
    ldr r0, =boot_root
    add r0, r0, r4
    ldr r1, =MEZZO_WINDOW
    add r1, r1, r4                    /* the monitor's memory */
    ldr r2, =SECTION_NORMAL
    orr r2, r2, r1
    lsr r3, r1, #20
    str r2, [r0, r3, lsl #2]
    ldr r3, =(MEZZO_WINDOW >> 20)
    str r2, [r0, r3, lsl #2]
    b 4f

    /* Another CPU: nobody has used its data cache since reset, after which it holds anything (Cortex-A9
       TRM 7.1). It waits; it reads past its caches, which are off. */
3:  bl invalidate_data_cache
    ldr r6, =released_cpu
    add r6, r6, r4
2:  wfe
    ldr r0, [r6]
    cmp r0, r5
    bne 2b

4:  mrc p15, 0, r0, c0, c0, 0         /* MIDR */
    ubfx r0, r0, #4, #12
    ldr r1, =0xc09
    cmp r0, r1
    bne 5f
    mrc p15, 0, r0, c1, c0, 1         /* Cortex-A9: take part in coherency, broadcast maintenance (TRM 4.3.10) */
    orr r0, r0, #0x41
    mcr p15, 0, r0, c1, c0, 1
    cmp r5, #0
    bleq enable_snoop_control
5:  ldr r0, =boot_root
    add r0, r0, r4
    mcr p15, 0, r0, c2, c0, 0         /* TTBR0 */
    mov r0, #0
    mcr p15, 0, r0, c2, c0, 2         /* TTBCR: TTBR0 for every address */
    mcr p15, 0, r0, c13, c0, 1        /* CONTEXTIDR */
    mov r0, #1
    mcr p15, 0, r0, c3, c0, 0         /* DACR: domain 0 by its descriptors */
    dsb
    isb
    mrc p15, 0, r0, c1, c0, 0
    bic r0, r0, #0x30000000           /* no TEX remap, no access flag */
    ldr r1, =SCTLR_MMU_ON
    orr r0, r0, r1
    mcr p15, 0, r0, c1, c0, 0
    isb
    ldr sp, =boot_stack_end
    ldr r2, =at_linked_address
    bx r2
at_linked_address:
    /* No counters for processes, and no debug registers. Where DBGDSCR cannot be written from here, the words are
       undefined and passed over. */
    mov r0, #0
    mcr p15, 0, r0, c9, c14, 0        /* PMUSERENR */
    mrc p15, 0, r6, c12, c0, 0        /* VBAR */
    ldr r1, =passing_vectors
    mcr p15, 0, r1, c12, c0, 0
    isb
    mrc p14, 0, r0, c0, c2, 2
    orr r0, r0, #(1 << 12)            /* UDCCdis */
    mcr p14, 0, r0, c0, c2, 2
    isb
    mcr p15, 0, r6, c12, c0, 0
    isb
    mov r0, r4                        /* where the monitor's memory is, less where it is linked */
    cmp r5, #0
    beq monitor_main
    b secondary_main
    .balign 32
passing_vectors:
    b .
    movs pc, lr

    /* The snoop control unit, without which coherency ends at each CPU: its tags invalidated, then on
       (Cortex-A9 MPCore TRM, 2.2). It is at the start of the private page. */
enable_snoop_control:
    mrc p15, 4, r0, c15, c0, 0        /* CBAR */
    ldr r1, =0xffff
    str r1, [r0, #0xc]
    ldr r1, [r0]
    orr r1, r1, #1
    str r1, [r0]
    dsb
    bx lr

    /* The first level, by set and way (DDI 0406C, B2.2.7). */
invalidate_data_cache:
    mov r0, #0
    mcr p15, 2, r0, c0, c0, 0         /* CSSELR */
    isb
    mrc p15, 1, r0, c0, c0, 0         /* CCSIDR */
    ubfx r1, r0, #13, #15             /* last set */
    ubfx r2, r0, #3, #10              /* last way, in the upper bits of the operand */
    and r3, r0, #7
    add r3, r3, #4                    /* sets begin at the line's size */
    clz r7, r2
1:  mov r8, r2
2:  lsl r9, r8, r7
    orr r9, r9, r1, lsl r3
    mcr p15, 0, r9, c7, c6, 2         /* DCISW */
    subs r8, r8, #1
    bpl 2b
    subs r1, r1, #1
    bpl 1b
    dsb
    bx lr

    /* Zeroes [r0, r1), whole words. */
clear:
    mov r2, #0
1:  cmp r0, r1
    bxhs lr
    str r2, [r0], #4
    b 1b

    .ltorg

    .section .bss.boot, "aw", %nobits
    .balign 16384
    .globl boot_root
boot_root:
    .skip 16384
    .balign 8
    .skip 4096
boot_stack_end:

    .section .data, "aw"
    .balign 4
    .globl released_cpu, mezzo_bundle_address
/* Number of the CPU that may go on; 0 for none. */
released_cpu:
    .word 0
/* Where the tool has put the plan; it fills this in. */
mezzo_bundle_address:
    .word 0
    .section .note.GNU-stack, "", %progbits
