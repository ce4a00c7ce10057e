// The monitor's share of every guest's linear address space: the last 4 MiB, which are one directory
// entry, or two with PAE.
//
// The same linear addresses mean the same thing on every CPU, but everything from kCpuArea on is
// mapped by that CPU's own page table to that CPU's own memory: so "this CPU's vCPU" is a constant
// address, and a CPU cannot reach another's stack or descriptor tables by a stray pointer. Macros,
// because assembly uses them too; layout.hpp has them for C++.
#pragma once

#define MEZZO_WINDOW 0xffc00000
#define MEZZO_IMAGE_LOAD 0x00100000
#define MEZZO_CPU_AREA 0xffe00000
#define MEZZO_STACK_SIZE 0x4000
#define MEZZO_SWITCH_STACK_SIZE 0x1000
#define MEZZO_GDT_WINDOW 0xffe40000
#define MEZZO_PHYSICAL_WINDOW 0xffe50000
#define MEZZO_LOCAL_APIC 0xffe60000
#define MEZZO_HPET 0xffe61000
#define MEZZO_IO_APIC 0xffe62000
#define MEZZO_AP_START 0x8000

// Members of struct Cpu and what is in them, for the fast path in assembly; cpu.hpp checks them.
#define MEZZO_PHYSICAL_WINDOW_ENTRY \
  (MEZZO_CPU_AREA + 0x7000 + (MEZZO_PHYSICAL_WINDOW - MEZZO_WINDOW) / 1024)
#define MEZZO_PAE_PHYSICAL_WINDOW_ENTRY \
  (MEZZO_CPU_AREA + 0x9000 + (MEZZO_PHYSICAL_WINDOW - MEZZO_WINDOW) / 512)
#define MEZZO_PAE_POINTERS (MEZZO_CPU_AREA + 0xc000)
#define MEZZO_GUEST_IDT (MEZZO_CPU_AREA + MEZZO_STACK_SIZE)
#define MEZZO_TASK_STATE (MEZZO_CPU_AREA + 0xd000)
#define MEZZO_TASK_STATE_ESP1 (MEZZO_TASK_STATE + 12)
#define MEZZO_TASK_STATE_SS1 (MEZZO_TASK_STATE + 16)
#define MEZZO_FAST (MEZZO_TASK_STATE + 104)
#define MEZZO_FAST_GUEST_IDT MEZZO_FAST
#define MEZZO_FAST_MONITOR_IDT (MEZZO_FAST + 6)
#define MEZZO_FAST_NMI_PENDING (MEZZO_FAST + 12)
#define MEZZO_FAST_CODE (MEZZO_FAST + 14)
#define MEZZO_FAST_DATA (MEZZO_FAST + 16)
#define MEZZO_FAST_STACK (MEZZO_FAST + 18)
#define MEZZO_FAST_EXITS (MEZZO_FAST + 20)
#define MEZZO_FAST_ROOT_FIRST (MEZZO_FAST + 24)
#define MEZZO_FAST_ROOT_BYTES (MEZZO_FAST + 28)
#define MEZZO_FAST_POINTERS_BYTES (MEZZO_FAST + 32)
#define MEZZO_FAST_LAST_POINTER (MEZZO_FAST + 36)
#define MEZZO_FAST_DIRECTORY_ENTRY (MEZZO_FAST + 40)
#define MEZZO_FAST_WOKEN_BY (MEZZO_FAST + 44)
#define MEZZO_FAST_POLLS (MEZZO_FAST + 48)
#define MEZZO_VCPU (MEZZO_FAST + 52)
#define MEZZO_VCPU_CR3 (MEZZO_VCPU + 4)
#define MEZZO_VCPU_TASK_STATE (MEZZO_VCPU + 40)

// status::ExitCause, of the exits that are counted there.
#define MEZZO_EXIT_READ_CR2 2
#define MEZZO_EXIT_READ_CR3 4
#define MEZZO_EXIT_WRITE_CR3 5
#define MEZZO_EXIT_INVLPG 10
#define MEZZO_EXIT_HLT 19
#define MEZZO_EXIT_IDLE_WAKEUP 32
#define MEZZO_EXIT_HYPERCALL 36

// hypercall::kVector, for assembly.
#define MEZZO_HYPERCALL 0x18

// Selectors. The guest's descriptors are the first page of the GDT window; the second page is the
// monitor's own and in no guest's reach.
#define MEZZO_MONITOR_CS 0x1000
#define MEZZO_MONITOR_DS 0x1008
#define MEZZO_MONITOR_TSS 0x1010
#define MEZZO_SPARE_CS 0x1018
#define MEZZO_SPARE_DS 0x1020
#define MEZZO_SPARE_SS 0x1028
#define MEZZO_GUEST_LDT 0x1030
#define MEZZO_GDT_LIMIT 0x1037

// Not a vector of the processor: an IRET or a segment load on the way back to the guest faulted.
#define MEZZO_RETURN_FAULT 256

// Added to the vector that ended a HLT of the short way.
#define MEZZO_WOKEN 1024

// From here on vectors are devices'; those below are the processor's, though a PIC may raise them too.
#define MEZZO_FIRST_DEVICE_VECTOR 32

// Added to a vector that the processor gives an error code, when a device raised it and there is
// none.
#define MEZZO_EXTERNAL 512
