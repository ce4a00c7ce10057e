// The exits that a kernel makes again and again, answered without the rest of the monitor: a read of CR2
// (each page fault), a write of CR3 (each switch of processes), a read of CR3 (each flush of the TLB), INVLPG by a
// register (each page that is given another right), HLT with the interrupt that ends it, and the null hypercall. Everything
// unusual, also every doubt, goes the long way by handle_trap: nothing is changed here before the last check has passed.
//
// What it decides on is in struct FastPath (fast_path.hpp). These exits are counted, but not traced; DS
// and ES stay the guest's, so each access names SS, which the processor loaded with the monitor's.
#include "arch/ia32/layout.h"

    .set STACK_TOP, MEZZO_CPU_AREA + MEZZO_STACK_SIZE
    .set CR_READ, 0x200f                /* MOV r32, CRn: 0f 20 /n, in memory order */
    .set CR_WRITE, 0x220f               /* MOV CRn, r32: 0f 22 /n */
    .set INVALIDATE, 0x010f             /* INVLPG m: 0f 01 /7 */
    .set CR2_REGISTERS, 0xd0            /* ModRM of CR2 and EAX; the other registers follow */
    .set CR3_REGISTERS, 0xd8
    .set INVLPG_REGISTERS, 0x38         /* (EAX); (EBP) would be a displacement */
    .set HALT, 0xf4
    .set PAGE, 0x1000
    .set RESERVED, 0x1e6                /* in the low half of a PAE root's pointer */

/* The frame after PUSHAL: general registers, 0 EAX at EAX, each next one 4 lower; then the processor's. */
    .set EAX, 28
    .set CODE, 32
    .set EIP, 36
    .set CS, 40
    .set EFLAGS, 44
    .set ESP, 48
    .set SS, 52

/* exit_count CAUSE: one more of the running partition's. Uses ECX. */
.macro exit_count cause
    movl %ss:MEZZO_FAST_EXITS, %ecx
    addl $1, %ss:(8 * \cause)(%ecx)
    adcl $0, %ss:(8 * \cause + 4)(%ecx)
.endm

/* register_of FIRST OTHERWISE: ECX, a ModRM byte, becomes the (negative) index of its register in the
   frame. ESP is not in there. A byte outside of the eight from FIRST on goes to OTHERWISE, less FIRST. */
.macro register_of first otherwise=slow
    subl $\first, %ecx
    cmpl $8, %ecx
    jae \otherwise
    negl %ecx
    cmpl $-4, %ecx
    je slow
.endm

    .section .text, "ax"
    .globl general_protection
    .align 16
general_protection:
    cmpl $(STACK_TOP - 24), %esp        /* from ring 1 or 3, with an error code */
    jne slow_without_registers
    pushal
    movl CS(%esp), %ecx
    cmpw %ss:MEZZO_FAST_CODE, %cx
    jne slow
    movzbl %ss:MEZZO_FAST_NMI_PENDING, %eax
    orl CODE(%esp), %eax
    jnz slow
    testb $1, (EFLAGS + 1)(%esp)        /* single-stepped */
    jnz slow
    movl %cr2, %edx
    movl EIP(%esp), %ecx
    lidt %ss:MEZZO_FAST_MONITOR_IDT
fetch_access:
    movl %ss:(%ecx), %eax
    movl %eax, %ecx
    shrl $16, %ecx
    movzbl %cl, %ecx
    cmpw $CR_READ, %ax
    jne not_read

    register_of CR2_REGISTERS, not_cr2
    movl %edx, EAX(%esp, %ecx, 4)
    exit_count MEZZO_EXIT_READ_CR2
finish:
    lidt %ss:MEZZO_FAST_GUEST_IDT
    addl $3, EIP(%esp)
    andl $~0x10000, EFLAGS(%esp)        /* RF */
    popal
    addl $4, %esp
fast_iret:
    iretl

not_cr2:
    register_of CR3_REGISTERS-CR2_REGISTERS
    movl %ss:MEZZO_VCPU_CR3, %edx
    movl %edx, EAX(%esp, %ecx, 4)
    exit_count MEZZO_EXIT_READ_CR3
    jmp finish

not_read:
    cmpw $CR_WRITE, %ax
    jne not_write
    register_of CR3_REGISTERS
    movl EAX(%esp, %ecx, 4), %esi       /* the new root */

    /* Has the guest moved its stack for entries from user mode? Then C++ takes it over. */
    movl %ss:MEZZO_VCPU_TASK_STATE, %ecx
    cmpl $(MEZZO_WINDOW - 12), %ecx
    ja slow
esp0_access:
    movl %ss:4(%ecx), %eax
    cmpl %ss:MEZZO_TASK_STATE_ESP1, %eax
    jne slow
ss0_access:
    movl %ss:8(%ecx), %ecx
    xorl %ss:MEZZO_TASK_STATE_SS1, %ecx
    testl $0xfffc, %ecx                 /* less the privilege */
    jnz slow

    /* A directory in the partition's largest piece, whose last entry is the monitor's. */
    movl %esi, %edi
    andl $-PAGE, %edi
    movl %edi, %ecx
    subl %ss:MEZZO_FAST_ROOT_FIRST, %ecx
    cmpl %ss:MEZZO_FAST_ROOT_BYTES, %ecx
    jae no_directory
    orl $3, %edi                        /* present, writable */
    movl %edi, %ss:MEZZO_PHYSICAL_WINDOW_ENTRY
    invlpg %ss:MEZZO_PHYSICAL_WINDOW
    movl %ss:(MEZZO_PHYSICAL_WINDOW + PAGE - 4), %ecx
    cmpl %ss:MEZZO_FAST_DIRECTORY_ENTRY, %ecx
    jne slow
    movl %esi, %cr3
root_loaded:
    movl %esi, %ss:MEZZO_VCPU_CR3
    exit_count MEZZO_EXIT_WRITE_CR3
    jmp finish

/* With PAE: a table of pointers in that piece, whose directory for the last GiB is the one in use, so that
   the monitor is in it; without reserved bits, or any above 4 GiB. Linux has one such directory for all. */
no_directory:
    cmpl %ss:MEZZO_FAST_POINTERS_BYTES, %ecx
    jae slow
    orl $3, %edi
    movl %edi, %ss:MEZZO_PAE_PHYSICAL_WINDOW_ENTRY
    invlpg %ss:MEZZO_PHYSICAL_WINDOW
    movl %esi, %edi
    andl $(PAGE - 32), %edi
    movl %ss:(MEZZO_PHYSICAL_WINDOW + 24)(%edi), %ecx
    cmpl %ss:MEZZO_FAST_LAST_POINTER, %ecx
    jne slow
    movl %ss:(MEZZO_PHYSICAL_WINDOW + 4)(%edi), %ecx
    orl %ss:(MEZZO_PHYSICAL_WINDOW + 12)(%edi), %ecx
    orl %ss:(MEZZO_PHYSICAL_WINDOW + 20)(%edi), %ecx
    orl %ss:(MEZZO_PHYSICAL_WINDOW + 28)(%edi), %ecx
    jnz slow
    movl %ss:(MEZZO_PHYSICAL_WINDOW + 0)(%edi), %eax
    movl %ss:(MEZZO_PHYSICAL_WINDOW + 8)(%edi), %ebx
    movl %ss:(MEZZO_PHYSICAL_WINDOW + 16)(%edi), %ebp
    movl %eax, %ecx
    orl %ebx, %ecx
    orl %ebp, %ecx
    testl $RESERVED, %ecx
    jnz slow
    movl %eax, %ss:(MEZZO_PAE_POINTERS + 0)
    movl %ebx, %ss:(MEZZO_PAE_POINTERS + 8)
    movl %ebp, %ss:(MEZZO_PAE_POINTERS + 16)
    movl %cr3, %ecx
    movl %ecx, %cr3
    jmp root_loaded

not_write:
    cmpw $INVALIDATE, %ax
    jne not_invalidate
    register_of INVLPG_REGISTERS
    cmpl $-5, %ecx
    je slow
    movl EAX(%esp, %ecx, 4), %edi
    cmpl $MEZZO_WINDOW, %edi
    jae slow
    movl %ds, %eax
    cmpw %ss:MEZZO_FAST_DATA, %ax
    jne slow
    invlpg %ss:(%edi)
    exit_count MEZZO_EXIT_INVLPG
    jmp finish

/* HLT by a kernel that lets interrupts in waits here, in ring 0: its registers stay on the stack, below which the
   interrupt's frame will be. */
not_invalidate:
    cmpb $HALT, %al
    jne slow
    testb $2, (EFLAGS + 1)(%esp)        /* IF */
    jz slow
    movl SS(%esp), %ecx
    cmpw %ss:MEZZO_FAST_STACK, %cx
    jne slow
    addl $1, EIP(%esp)
    andl $~0x10000, EFLAGS(%esp)        /* RF */
    movl %edx, CODE(%esp)               /* CR2 */
    exit_count MEZZO_EXIT_HLT
    .globl fast_idle, fast_idle_end
fast_idle:
    cmpb $0, %ss:MEZZO_FAST_NMI_PENDING
    jne idle_nmi
    cmpb $0, %ss:MEZZO_FAST_POLLS
    sti
    jne 1f
    hlt
    jmp fast_idle                       /* system management came */
1:  pause
    jmp 1b
fast_idle_end:

/* What the monitor's own IDT has for the vectors of devices: the interrupt that ends fast_idle, or idle_wait. */
    .globl wake_stubs
    .align 16
wake_stubs:
    .set current, MEZZO_FIRST_DEVICE_VECTOR
    .rept 256 - MEZZO_FIRST_DEVICE_VECTOR
    .align 16
    pushl $current
    jmp wake
    .set current, current + 1
    .endr

wake:
    movl 4(%esp), %eax
    subl $fast_idle, %eax
    cmpl $(fast_idle_end - fast_idle), %eax
    jae wake_idle_wait
    popl %ebx                           /* the vector */
    addl $12, %esp

    /* The guest's own interrupt gate, to the flat code segment in which it waited. */
    movl %ss:(MEZZO_GUEST_IDT + 4)(, %ebx, 8), %edx
    movl %ss:MEZZO_GUEST_IDT(, %ebx, 8), %eax
    movl %edx, %ecx
    andl $0x900, %ecx
    cmpl $0x800, %ecx                   /* an interrupt gate of 32 bits */
    jne wake_slow
    movw %ax, %dx                       /* the handler's address */
    shrl $16, %eax
    orl $1, %eax
    cmpw %ss:MEZZO_FAST_CODE, %ax
    jne wake_slow

    movl ESP(%esp), %edi
    subl $12, %edi
    cmpl $(MEZZO_WINDOW - 12), %edi
    ja wake_slow
    movl EFLAGS(%esp), %eax
push_eflags_access:
    movl %eax, %ss:8(%edi)
    movl CS(%esp), %ecx
push_cs_access:
    movl %ecx, %ss:4(%edi)
    movl EIP(%esp), %ecx
push_eip_access:
    movl %ecx, %ss:(%edi)
    movl %edi, ESP(%esp)
    movl %edx, EIP(%esp)
    andl $~0x14300, %eax                /* RF, NT, IF, TF */
    movl %eax, EFLAGS(%esp)
    exit_count MEZZO_EXIT_IDLE_WAKEUP
    lidt %ss:MEZZO_FAST_GUEST_IDT
    popal
    addl $4, %esp
wake_iret:
    iretl

push_refused:
    movl CODE(%esp), %ecx
    movl %ecx, %cr2
wake_slow:
    orl $MEZZO_WOKEN, %ebx
    movl %ebx, %ss:MEZZO_FAST_WOKEN_BY
    jmp fast_idle_woken
idle_nmi:
    movl $(MEZZO_WOKEN + 2), %ss:MEZZO_FAST_WOKEN_BY
/* The long way: something has ended the waiting, as FastPath::woken_by says. */
    .globl fast_idle_woken
fast_idle_woken:
    movl $0, CODE(%esp)
    lidt %ss:MEZZO_FAST_GUEST_IDT
    popal
    pushl %ss:MEZZO_FAST_WOKEN_BY
    jmp enter_monitor
wake_idle_wait:
    pushl (%esp)
    movl $0, 4(%esp)                    /* no error code */
    jmp enter_monitor

/* The hypercall that does nothing but being counted. */
    .globl hypercall
    .align 16
hypercall:
    testl %eax, %eax
    jnz slow_hypercall
    cmpl $(STACK_TOP - 20), %esp        /* from ring 1 */
    jne slow_hypercall
    cmpw $0, %ss:MEZZO_FAST_CODE
    je slow_hypercall
    cmpb $0, %ss:MEZZO_FAST_NMI_PENDING
    jne slow_hypercall
    pushl %ecx
    exit_count MEZZO_EXIT_HYPERCALL
    popl %ecx
hypercall_iret:
    iretl
slow_hypercall:
    pushl $0
    pushl $MEZZO_HYPERCALL
    jmp enter_monitor

/* The guest's page was not there, though it has just run on it: CR2 is the guest's again. */
access_refused:
    movl %edx, %cr2
slow:
    lidt %ss:MEZZO_FAST_GUEST_IDT
    popal
slow_without_registers:
    pushl $13
    jmp enter_with_code

    .section .rodata.fixups, "a"
    .long fetch_access, access_refused
    .long esp0_access, access_refused
    .long ss0_access, access_refused
    .long fast_iret, return_iret_fault
    .long push_eflags_access, push_refused
    .long push_cs_access, push_refused
    .long push_eip_access, push_refused
    .long wake_iret, return_iret_fault
    .long hypercall_iret, return_iret_fault
    .section .note.GNU-stack, "", @progbits
