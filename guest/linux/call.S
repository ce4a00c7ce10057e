// System calls of 32-bit Arm Linux (EABI) and the start of a program and of a thread, in Thumb code.
    .syntax unified
    .arch armv7-a
    .thumb
    .section .text, "ax", %progbits

    .global _start
    .type _start, %function
_start:
    bl run
    b .

// int call(number, first, second, third, fourth, fifth)
    .global call
    .type call, %function
call:
    push {r4, r7, lr}
    mov r7, r0
    mov r0, r1
    mov r1, r2
    mov r2, r3
    ldr r3, [sp, #12]
    ldr r4, [sp, #16]
    svc 0
    pop {r4, r7, pc}

// int start_thread(void (*body)(), void* stack_top): shares all it can; ends when the body returns.
    .global start_thread
    .type start_thread, %function
start_thread:
    push {r4, r6, r7, lr}
    mov r6, r0
    ldr r0, =0x00050f00  // CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM
    movs r2, #0
    movs r3, #0
    movs r4, #0
    movs r7, #120  // clone
    svc 0
    cbz r0, 1f
    pop {r4, r6, r7, pc}
1:  blx r6
    movs r7, #1  // exit
    movs r0, #0
    svc 0
    .pool
