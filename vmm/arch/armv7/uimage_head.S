// Head of an image for boot loaders that load one block of bytes and start it, such as U-Boot. Copies
// the parts of the boot image behind it to where they belong, and starts the monitor. The tool
// appends the table and the parts (image/uimage.cpp).
//
// Started by one CPU in Supervisor mode, MMU and data cache off, anywhere in RAM. Every part lies
// below its destination, and parts are in the order of their destinations: copied backwards, the
// last one first, none overwrites what is still to be copied.

    .arm
    .section .text, "ax"
    .global uimage_head
uimage_head:
    cpsid   aif
    adr     r6, uimage_head
    adr     r4, table
    ldmia   r4!, {r5, r12}              // number of parts, the monitor's entry
    add     r4, r4, r5, lsl #4          // past the last row
next_part:
    ldmdb   r4!, {r0-r3}                // destination, offset from us, bytes, bytes in memory
    add     r3, r0, r3
    add     r1, r1, r6
    add     r1, r1, r2
    add     r2, r0, r2
    mov     r7, #0
zero:
    cmp     r3, r2
    strhi   r7, [r3, #-4]!
    bhi     zero
copy:
    cmp     r2, r0
    ldrhi   r7, [r1, #-4]!
    strhi   r7, [r2, #-4]!
    bhi     copy
    subs    r5, r5, #1
    bne     next_part
    mov     r0, #0
    mcr     p15, 0, r0, c7, c5, 0       // ICIALLU: what was there before may be in the cache
    dsb
    isb
    bx      r12
table:
