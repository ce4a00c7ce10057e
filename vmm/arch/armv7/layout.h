// The monitor's share of every guest's virtual address space: two first-level entries, 2 MiB, that
// no Linux uses (doc/armv7.md says between what).
//
// The image is at the same addresses on every CPU; from MEZZO_CPU_AREA on, each CPU sees its own
// struct Cpu, so that "this CPU's vCPU" is a constant address and a CPU cannot reach another's stack
// by a stray pointer. Macros, because assembly uses them too; layout.hpp has them for C++.
#pragma once

#define MEZZO_WINDOW 0xffa00000
#define MEZZO_CPU_AREA 0xffb00000
#define MEZZO_PRIVATE_PAGE 0xffbff000 /* the GIC's CPU interface, and a Cortex-A9's timers */
#define MEZZO_STACK_SIZE 0x4000
#define MEZZO_FRAME_ROOM 80 /* sizeof(Frame), rounded up to keep the stack aligned */
#define MEZZO_FRAME (MEZZO_CPU_AREA + MEZZO_STACK_SIZE - MEZZO_FRAME_ROOM)
#define MEZZO_FRAME_SP 52
#define MEZZO_FRAME_LR 56
#define MEZZO_FRAME_PC 60
#define MEZZO_FRAME_CPSR 64
#define MEZZO_FRAME_STACK 68   /* of a partition that is not current: its stack pointer */
#define MEZZO_FRAME_SCRATCH 72 /* two words, of an abort in the monitor */

/* This CPU's mapping of the page that its guest's stubs use, and where the state is in it. */
#define MEZZO_SHARED_PAGE 0xffbf0000
#define MEZZO_SHARED (MEZZO_SHARED_PAGE + 2048)

/* From the frame on: struct FastPath and struct Vcpu; and members of SharedState. cpu.hpp checks them. */
#define MEZZO_FAST MEZZO_FRAME_ROOM
#define MEZZO_FAST_IRQ_VECTOR (MEZZO_FAST + 0)
#define MEZZO_FAST_PENDING (MEZZO_FAST + 4)
#define MEZZO_FAST_DELIVERED (MEZZO_FAST + 8)
#define MEZZO_FAST_TRANSFERS_OFF (MEZZO_FAST + 12)
#define MEZZO_FAST_BLOCKED (MEZZO_FAST + 16)
#define MEZZO_FAST_DACR (MEZZO_FAST + 20)
#define MEZZO_FAST_KERNEL_ACCESS (MEZZO_FAST + 24)
#define MEZZO_FAST_USER_ACCESS (MEZZO_FAST + 28)
#define MEZZO_FAST_CALL_VECTOR (MEZZO_FAST + 32)
#define MEZZO_FAST_EXITS (MEZZO_FAST + 36)
#define MEZZO_FAST_INTERRUPT 1 /* bits of MEZZO_FAST_BLOCKED */
#define MEZZO_FAST_STALE_OR_OFF 6
#define MEZZO_FAST_MISSED 16
#define MEZZO_VCPU (MEZZO_FAST + 40)
#define MEZZO_VCPU_MODE (MEZZO_VCPU + 0)
#define MEZZO_VCPU_BANKS (MEZZO_VCPU + 4)
#define MEZZO_VCPU_USER_SP (MEZZO_VCPU + 4)
#define MEZZO_VCPU_USER_LR (MEZZO_VCPU + 8)
#define MEZZO_VCPU_SUPERVISOR_SP (MEZZO_VCPU + 16)
#define MEZZO_VCPU_SUPERVISOR_LR (MEZZO_VCPU + 20)
#define MEZZO_VCPU_SUPERVISOR_SPSR (MEZZO_VCPU + 24)
#define MEZZO_VCPU_IRQ_SP (MEZZO_VCPU + 52)
#define MEZZO_BANK_SIZE 12
#define MEZZO_VCPU_CONTEXTIDR (MEZZO_VCPU + 120)
#define MEZZO_CONTEXTS (MEZZO_CPU_AREA + MEZZO_STACK_SIZE + 208)
#define MEZZO_SHARED_PSR 0
#define MEZZO_SHARED_IRQ_PENDING 4
#define MEZZO_SHARED_DACR 12
#define MEZZO_SHARED_SPSR 16
#define MEZZO_SHARED_USER_SP 40
#define MEZZO_SHARED_USER_LR 44
#define MEZZO_SHARED_KERNELS_THREAD 56
#define MEZZO_SHARED_PROCESS_THREAD 64
#define MEZZO_SHARED_TPIDRURW 68
#define MEZZO_SHARED_DOORBELL 80
#define MEZZO_ALARM MEZZO_WINDOW

/* The region of stubs, and the SVC of a return stub (stubs.hpp). */
#define MEZZO_STUBS 0xbfe00000
#define MEZZO_STUBS_SIZE 0x00200000
#define MEZZO_RETURN_CALL 0xefa60000
#define MEZZO_RETURN_KEEPS_FIRST 0x1000

/* status::Armv7Exit */
#define MEZZO_EXIT_SUPERVISOR_CALL 0
#define MEZZO_EXIT_RETURN 5
#define MEZZO_EXIT_TRANSLATION 11
#define MEZZO_EXIT_THREAD_ID 14
#define MEZZO_EXIT_CACHE_OPERATION 15
#define MEZZO_EXIT_INTERRUPT 28

/* What handle_trap() is told: by which vector the processor came. */
#define MEZZO_TRAP_UNDEFINED 1
#define MEZZO_TRAP_SUPERVISOR_CALL 2
#define MEZZO_TRAP_PREFETCH_ABORT 3
#define MEZZO_TRAP_DATA_ABORT 4
#define MEZZO_TRAP_IRQ 6
#define MEZZO_TRAP_FIQ 7
