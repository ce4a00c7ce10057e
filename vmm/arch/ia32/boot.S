// From the boot loader to C++: the multiboot header, the first page tables, and the start-up code of
// the other processors. Everything runs in ring 0 with interrupts off. Not responsible for anything
// after the jump to monitor_main() and cpu_main().
#include "arch/ia32/layout.h"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000003 /* modules page-aligned, memory map wanted */

#define CR0_PE_ET_NE_WP_PG 0x80010031
#define CR4_PSE 0x10
#define PTE_PRESENT_WRITABLE 0x003
#define PDE_LARGE 0x083

/* ---- Boot section: linked at, and run from, its load address; used once. ---- */
    .section .boot, "awx"
    .align 4
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    /* The tool writes the bundle's load address here. */
    .globl mezzo_bundle_address
mezzo_bundle_address:
    .long 0x02000000

    .globl boot_entry
boot_entry:
    cli
    cld
    movl %eax, %esi                     /* multiboot magic */
    movl %ebx, %edi                     /* multiboot information */

    /* Identity directory: 1023 large pages, then the window's page table. */
    movl $boot_directory_load, %edx
    movl $PDE_LARGE, %eax
    xorl %ecx, %ecx
1:  movl %eax, (%edx, %ecx, 4)
    addl $0x400000, %eax
    incl %ecx
    cmpl $1023, %ecx
    jne 1b
    movl $boot_table_load + PTE_PRESENT_WRITABLE, (%edx, %ecx, 4)

    /* The window: one MiB of the image where the loader put it. */
    movl $boot_table_load, %edx
    movl $MEZZO_IMAGE_LOAD + PTE_PRESENT_WRITABLE, %eax
    xorl %ecx, %ecx
2:  movl %eax, (%edx, %ecx, 4)
    addl $0x1000, %eax
    incl %ecx
    cmpl $256, %ecx
    jne 2b

    movl %cr4, %eax
    orl $CR4_PSE, %eax
    movl %eax, %cr4
    movl $boot_directory_load, %eax
    movl %eax, %cr3
    movl $CR0_PE_ET_NE_WP_PG, %eax
    movl %eax, %cr0
    movl $boot_stack_top, %esp
    pushl mezzo_bundle_address
    pushl %edi
    pushl %esi
    pushl $0                            /* no return */
    movl $monitor_main, %eax
    jmp *%eax

/* ---- Start-up code of the other processors, copied below 1 MiB. Real mode, CS = page. ---- */
    .section .text, "ax"
    .globl ap_start_begin, ap_start_end, ap_start_directory, ap_start_stack
    .align 16
ap_start_begin:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl ap_start_gdtr - ap_start_begin
    movl $0x00000011, %eax              /* ET, PE */
    movl %eax, %cr0
    ljmpl $0x08, $MEZZO_AP_START + (1f - ap_start_begin)
    .code32
1:  movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr4, %eax
    orl $CR4_PSE, %eax
    movl %eax, %cr4
    movl MEZZO_AP_START + (ap_start_directory - ap_start_begin), %eax
    movl %eax, %cr3
    movl $CR0_PE_ET_NE_WP_PG, %eax
    movl %eax, %cr0
    movl MEZZO_AP_START + (ap_start_stack - ap_start_begin), %esp
    movl $cpu_main, %eax
    pushl $0                            /* no return */
    jmp *%eax
    .align 8
ap_start_gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
ap_start_gdtr:
    .word 23
    .long MEZZO_AP_START + (ap_start_gdt - ap_start_begin)
ap_start_directory:
    .long 0
ap_start_stack:
    .long 0
ap_start_end:

/* ---- void relocate(uint32_t to, uint32_t from, uint32_t bytes, uint32_t directory)
   Copies the image, then continues in the copy: same linear addresses, other memory. Written so that
   nothing on the stack changes between the copy and the switch. ---- */
    .globl relocate
relocate:
    pushl %esi
    pushl %edi
    movl 12(%esp), %edi
    movl 16(%esp), %esi
    movl 20(%esp), %ecx
    movl 24(%esp), %eax
    shrl $2, %ecx
    rep movsl
    movl %eax, %cr3
    popl %edi
    popl %esi
    ret

    .section .bss.boot, "aw", @nobits
    .align 4096
    .globl boot_directory, boot_table, boot_stack_top
boot_directory: .skip 4096
boot_table:     .skip 4096
    .skip 8192
boot_stack_top:
