// Entry from the boot loader, the vector stubs, and the two guarded calls: run a function in the kernel's
// ring or in ring 3, and come back even if it faults.
#include "selectors.hpp"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000002 /* memory information wanted */

    .section .multiboot, "ax"
    .align 4
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .globl probe_entry
probe_entry:
    cli
    cld
    movl $kernel_stack_top, %esp
    xorl %ebp, %ebp
    pushl %ebx                          /* multiboot information */
    pushl %eax                          /* multiboot magic */
    call probe_main
    .globl stop_for_ever
stop_for_ever:
    cli
    hlt
    jmp stop_for_ever

/* Vectors for which the processor pushes an error code: 8, 10 to 14, 17. */
.macro vector_stub vector
    .align 16
    .if (\vector == 8) || ((\vector >= 10) && (\vector <= 14)) || (\vector == 17)
    .else
    pushl $0
    .endif
    pushl $\vector
    jmp trap_common
.endm

    .globl vector_stubs
    .align 16
vector_stubs:
    .set current, 0
    .rept 256
    vector_stub current
    .set current, current + 1
    .endr

trap_common:
    pushal
    pushl %ds
    pushl %es
    movl $PROBE_KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    cld
    pushl %esp
    call on_trap
    addl $4, %esp
    popl %es
    popl %ds
    popal
    addl $8, %esp
    iretl

/* uint32_t call_in_kernel(uint32_t (*body)()) */
    .globl call_in_kernel
call_in_kernel:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    pushfl
    movl %esp, recovery_stack
    call *24(%esp)
recovered:
    popfl
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

/* uint32_t call_in_user(uint32_t (*body)()) */
    .globl call_in_user
call_in_user:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    pushfl
    movl %esp, recovery_stack
    movl 24(%esp), %eax
    pushl $PROBE_USER_DS
    pushl $user_stack_top
    pushl user_flags
    pushl $PROBE_USER_CS
    pushl $user_entry
    movl $PROBE_USER_DS, %ecx
    movl %ecx, %ds
    movl %ecx, %es
    iretl
user_entry:
    call *%eax
    int $PROBE_LEAVE_USER_VECTOR

/* [[noreturn]] void recover(uint32_t value): ends the guarded call, which returns `value`. */
    .globl recover
recover:
    movl 4(%esp), %eax
    movl $PROBE_KERNEL_DS, %ecx
    movl %ecx, %ds
    movl %ecx, %es
    xorl %ecx, %ecx
    movl %ecx, %fs
    movl %ecx, %gs
    movl first_ss, %ecx
    movl %ecx, %ss
    movl recovery_stack, %esp
    jmp recovered

/* void reload_segments(): every segment register from the table in force. */
    .globl reload_segments
reload_segments:
    ljmp $PROBE_KERNEL_CS, $1f
1:  movl $PROBE_KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    ret

    .section .bss
    .align 4096
    .skip 16384
kernel_stack_top:
    .skip 8192
    .globl trap_stack_top
trap_stack_top:
    .skip 8192
    .globl user_stack_top
user_stack_top:
recovery_stack:
    .skip 4
    .section .note.GNU-stack, "", @progbits
