// Entry from a multiboot 1 boot loader, the handlers' doors, and the change of stacks. Written as for ring 0 of a bare PC.
#include "bench/guest/x86/marker.h"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000002 /* memory information wanted */

    .section .multiboot, "ax"
    .align 4
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .globl rtos_entry, stop_for_ever
rtos_entry:
    cli
    cld
    movl $first_stack_top, %esp
    xorl %ebp, %ebp
    pushl %ebx                          /* multiboot information */
    pushl %eax                          /* multiboot magic */
    call rtos_main
stop_for_ever:
    cli
    hlt
    jmp stop_for_ever

/* void reload_segments(): every segment register from the table in force. */
    .globl reload_segments
reload_segments:
    ljmp $0x08, $1f
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    ret

/* An interrupt, with the time at which it came: its handler may go to another task, and comes back when this one goes
   on. */
.macro interrupt_entry name, handler
    .globl \name
    .align 16
\name:
    MEZZO_MARK_ARRIVAL                  /* a NOP, for the benchmark */
    pushal
    rdtsc
    cld
    pushl %edx
    pushl %eax
    call \handler
    addl $8, %esp
    popal
    iretl
.endm
    interrupt_entry timer_entry, on_timer
    interrupt_entry doorbell_entry, on_doorbell

/* Spurious interrupts want no end. */
    .globl spurious_entry
    .align 16
spurious_entry:
    iretl

/* Whatever else comes is an error of ours. */
    .globl unexpected_entry
    .align 16
unexpected_entry:
    movl %esp, %eax
    pushl %eax
    call on_unexpected
    jmp stop_for_ever

/* void switch_stacks(void** from, void* to) */
    .globl switch_stacks
switch_stacks:
    movl 4(%esp), %eax
    movl 8(%esp), %edx
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl %esp, (%eax)
    movl %edx, %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

/* Where a task begins: its entry in EBX, the argument in ESI (port.hpp, prepare()). */
    .globl begin_task
begin_task:
    sti
    pushl %esi
    call *%ebx
    jmp stop_for_ever

    .section .bss
    .align 16
    .skip 8192
first_stack_top:
    .section .note.GNU-stack, "", @progbits
