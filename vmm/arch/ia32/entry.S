// The two doors between guest and monitor: vector stubs and common entry on the way in, one return path
// on the way out; and the few instructions that may fault inside the monitor, each with a fix-up.
//
// On entry the processor has switched to this CPU's stack (from ring 1 or 3) or stayed on it (from ring 0:
// an NMI, or a fault at an address in the fix-up table). Only DS and ES are saved and loaded: the
// monitor never uses FS and GS. Frame layout: struct Frame in registers.hpp.
#include "arch/ia32/layout.h"

/* Vectors for which the processor itself pushes an error code (SDM volume 3, table 6-1). */
.macro vector_stub vector
    .align 16
    .if \vector == 13
    jmp general_protection
    .elseif \vector == MEZZO_HYPERCALL
    jmp hypercall
    .elseif (\vector == 8) || ((\vector >= 10) && (\vector <= 14)) || (\vector == 17) || (\vector == 21) || (\vector == 29) || (\vector == 30)
    pushl $\vector
    jmp enter_with_code
    .else
    pushl $0
    pushl $\vector
    jmp enter_monitor
    .endif
.endm

    .section .text, "ax"
    .globl vector_stubs
    .align 16
vector_stubs:
    .set current, 0
    .rept 256
    vector_stub current
    .set current, current + 1
    .endr

/* A device can raise these vectors too (a PIC at its power-on base, a local APIC's timer), and then there
   is no error code. A frame of the guest begins at the top of the stack, 16 bytes lower from virtual-8086
   mode; one of ring 0 lies deeper, or near the top on the way out, and has the monitor's CS. */
    .set STACK_TOP, MEZZO_CPU_AREA + MEZZO_STACK_SIZE
    .globl enter_with_code, enter_monitor
    .align 16
enter_with_code:
    cmpl $(STACK_TOP - 28), %esp        /* ring 1 or 3, with a code */
    je enter_monitor
    cmpl $(STACK_TOP - 24), %esp        /* and without */
    je 1f
    cmpl $MEZZO_MONITOR_CS, 12(%esp)    /* ring 0, with a code */
    je enter_monitor
    cmpl $(STACK_TOP - 44), %esp        /* virtual-8086 mode, with a code */
    je enter_monitor
    cmpl $(STACK_TOP - 40), %esp        /* and without */
    je 1f
    cmpl $MEZZO_MONITOR_CS, 8(%esp)     /* ring 0, without a code */
    jne enter_monitor
1:  pushl (%esp)
    addl $MEZZO_EXTERNAL, (%esp)
    movl $0, 4(%esp)

    .align 16
enter_monitor:
    pushl %ds
    pushl %es
    pushal
    movl $MEZZO_MONITOR_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    cld
    movl %esp, %eax
    pushl %eax
    call handle_trap
    addl $4, %esp
return_to_guest:
    popal
return_es:
    popl %es
return_ds:
    popl %ds
    addl $8, %esp
return_iret:
    iretl

/* [[noreturn]] void launch(Frame*): leaves the monitor through `frame`, forgetting the stack below it. */
    .globl launch
launch:
    movl 4(%esp), %esp
    jmp return_to_guest

/* A selector that was good when the guest loaded it, but is not in the table it has loaded since:
   the processor would have gone on with its cached descriptor; we go on with a flat one. */
return_es_fault:
    movl $MEZZO_SPARE_DS, (%esp)
    jmp return_es
return_ds_fault:
    movl $MEZZO_SPARE_DS, (%esp)
    jmp return_ds
    .globl return_iret_fault
return_iret_fault:
    pushl $0
    pushl $MEZZO_RETURN_FAULT
    jmp enter_monitor

/* void idle_wait(bool polls): interrupts off on entry and exit. Halts, or spins. Returns after an interrupt or
   an NMI, whose handler moves the interrupted EIP to idle_wait_end, and at once if an NMI has come before. void
   idle_look() lets in an interrupt that waits already, and returns in any case. void idle_sleep() halts until an NMI. */
    .globl idle_look, idle_sleep, idle_wait, idle_wait_end
idle_look:
    sti
    nop
    jmp idle_wait_end
idle_sleep:
    cmpb $0, MEZZO_FAST_NMI_PENDING
    jne idle_wait_end
    hlt
    jmp idle_sleep
idle_wait:
    cmpb $0, MEZZO_FAST_NMI_PENDING
    jne idle_wait_end
    cmpb $0, 4(%esp)
    sti
    jne 1f
    hlt
    jmp idle_wait
1:  pause
    jmp 1b
idle_wait_end:
    cli
    ret

/* void unblock_nmi(): executes an IRET, after which the processor takes NMIs again. */
    .globl unblock_nmi
unblock_nmi:
    pushfl
    pushl $MEZZO_MONITOR_CS
    pushl $1f
    iretl
1:  ret

/* uint32_t guest_copy(void* to, const void* from, uint32_t bytes) -> bytes not copied */
    .globl guest_copy
guest_copy:
    pushl %esi
    pushl %edi
    movl 12(%esp), %edi
    movl 16(%esp), %esi
    movl 20(%esp), %ecx
guest_copy_access:
    rep movsb
guest_copy_end:
    movl %ecx, %eax
    popl %edi
    popl %esi
    ret

/* bool read_msr_safe(uint32_t msr, uint32_t value[2]) and bool write_msr_safe(uint32_t, uint32_t low,
   uint32_t high), bool write_cr4_safe(uint32_t), bool write_xcr_safe(uint32_t, uint32_t low, uint32_t high):
   false if the processor refuses. */
    .globl read_msr_safe, write_msr_safe, write_cr4_safe, write_xcr_safe
read_msr_safe:
    movl 4(%esp), %ecx
read_msr_access:
    rdmsr
    movl 8(%esp), %ecx
    movl %eax, (%ecx)
    movl %edx, 4(%ecx)
    movl $1, %eax
    ret
write_msr_safe:
    movl 4(%esp), %ecx
    movl 8(%esp), %eax
    movl 12(%esp), %edx
write_msr_access:
    wrmsr
    movl $1, %eax
    ret
write_cr4_safe:
    movl 4(%esp), %eax
write_cr4_access:
    movl %eax, %cr4
    movl $1, %eax
    ret
write_xcr_safe:
    movl 4(%esp), %ecx
    movl 8(%esp), %eax
    movl 12(%esp), %edx
write_xcr_access:
    xsetbv
    movl $1, %eax
    ret
refused:
    xorl %eax, %eax
    ret

/* void load_fs_gs_safe(uint32_t fs, uint32_t gs): a refused selector becomes null. */
    .globl load_fs_gs_safe
load_fs_gs_safe:
    movl 4(%esp), %eax
load_fs_access:
    movl %eax, %fs
    movl 8(%esp), %eax
load_gs_access:
    movl %eax, %gs
    ret
load_fs_refused:
    xorl %eax, %eax
    jmp load_fs_access
load_gs_refused:
    xorl %eax, %eax
    jmp load_gs_access

/* Where a fault in ring 0 is expected, and where to go on. */
    .section .rodata.fixups, "a"
    .long return_es, return_es_fault
    .long return_ds, return_ds_fault
    .long return_iret, return_iret_fault
    .long guest_copy_access, guest_copy_end
    .long read_msr_access, refused
    .long write_msr_access, refused
    .long write_cr4_access, refused
    .long write_xcr_access, refused
    .long load_fs_access, load_fs_refused
    .long load_gs_access, load_gs_refused
    .section .note.GNU-stack, "", @progbits
