// Bodies of probes that C++ cannot spell: far transfers, single steps, stack segments. Each is a function
// that returns 1 in EAX if nothing stopped it. A label NAME_next marks where execution goes on.
#include "selectors.hpp"

.macro body name
    .globl \name
\name:
.endm
.macro done
    movl $1, %eax
    ret
.endm

    .text
body far_jump_rpl0
    ljmp $PROBE_KERNEL_CS, $1f
1:  done

body far_jump_memory_rpl0
    ljmp *far_target
1:  done
    .section .rodata
far_target:
    .long 1b
    .word PROBE_KERNEL_CS
    .text

body far_call_rpl0
    lcall $PROBE_KERNEL_CS, $1f
    done
1:  lret

body far_return_rpl0
    pushl $PROBE_KERNEL_CS
    pushl $1f
    lret
1:  done

body far_return_releasing_rpl0
    pushl $0
    pushl $0
    pushl $PROBE_KERNEL_CS
    pushl $1f
    lret $8
1:  done

body iret_rpl0
    pushfl
    pushl $PROBE_KERNEL_CS
    pushl $1f
    iretl
1:  done

/* IRET that switches interrupts on; returns EFLAGS.IF as 0 or 1 and switches them off again. */
body iret_rpl0_enables_interrupts
    pushfl
    orl $0x200, (%esp)
    pushl $PROBE_KERNEL_CS
    pushl $1f
    iretl
1:  pushfl
    cli
    popl %eax
    shrl $9, %eax
    andl $1, %eax
    ret

body iret_nested_task
    pushfl
    orl $0x4000, (%esp)
    popfl
    iretl

body far_jump_null
    ljmp $0, $1f
1:  done
body far_jump_data
    ljmp $PROBE_KERNEL_DS, $1f
1:  done
body far_jump_spare
    ljmp $PROBE_SPARE_A, $1f
1:  done
body far_call_spare
    lcall $PROBE_SPARE_A, $0
    done
/* Where the probe's own call gate leads. */
body gate_target
    lret
body far_jump_tss
    ljmp $PROBE_TSS, $0
    done

body mov_ss_rpl0
    movl $PROBE_KERNEL_DS, %eax
    movl %eax, %ss
    done
body pop_ss_rpl0
    pushl $PROBE_KERNEL_DS
    popl %ss
    done
body lss_rpl0
    pushl $PROBE_KERNEL_DS
    pushl %esp
    addl $4, (%esp)
    lss (%esp), %esp
    done
body mov_ss_null
    xorl %eax, %eax
    movl %eax, %ss
    done
body mov_ss_code
    movl $PROBE_KERNEL_CS, %eax
    movl %eax, %ss
    done
body mov_ss_spare
    movl $PROBE_SPARE_A, %eax
    movl %eax, %ss
    done
body mov_ss_beyond
    movl $0x0ff0, %eax
    movl %eax, %ss
    done
body mov_ds_spare
    movl $PROBE_SPARE_A, %eax
    movl %eax, %ds
    movl $PROBE_KERNEL_DS, %eax
    movl %eax, %ds
    done
body mov_ds_beyond
    movl $0x0ff0, %eax
    movl %eax, %ds
    done
body mov_fs_monitor
    movl $0x1008, %eax
    movl %eax, %fs
    done
/* A write by way of SS to the address in `window_address`. */
body write_window_by_ss
    pushl %ebp
    movl window_address, %ebp
    movl $0, (%ebp)
    popl %ebp
    done

.macro step_on
    pushfl
    orl $0x100, (%esp)
    popfl
.endm
body step_nop
    step_on
    nop
    .globl step_nop_next
step_nop_next:
    done
body step_read_cr0
    step_on
    movl %cr0, %eax
    .globl step_read_cr0_next
step_read_cr0_next:
    done
body step_write_cr2
    step_on
    movl %eax, %cr2
    .globl step_write_cr2_next
step_write_cr2_next:
    done
body step_mov_ds
    movl $PROBE_KERNEL_DS, %eax
    step_on
    movl %eax, %ds
    .globl step_mov_ds_next
step_mov_ds_next:
    done

body lock_mov_cr0
    .byte 0xf0, 0x0f, 0x20, 0xc0
    done
body mov_from_cr1
    .byte 0x0f, 0x20, 0xc8
    done
body undefined_0fff
    .byte 0x0f, 0xff, 0xc0
    done
body sixteen_byte_instruction
    .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66
    .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xf4
    done
body xsetbv_xcr0
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $1, %eax
    .byte 0x0f, 0x01, 0xd1
    done
body xsetbv_bad
    movl $77, %ecx
    xorl %edx, %edx
    movl $1, %eax
    .byte 0x0f, 0x01, 0xd1
    done
body rdpmc_0
    xorl %ecx, %ecx
    rdpmc
    done
body sysenter_body
    sysenter
    done
body sysexit_body
    sysexit
    done
body divide_by_zero
    xorl %edx, %edx
    xorl %ecx, %ecx
    movl $1, %eax
    divl %ecx
    done
body overflow_into
    movl $0x7fffffff, %eax
    addl $1, %eax
    into
    done
body bound_exceeded
    movl $100, %eax
    bound %eax, bounds
    done
    .section .rodata
bounds: .long 0, 10
    .text
/* Reads unaligned with EFLAGS.AC set. */
body unaligned_read
    pushfl
    orl $0x40000, (%esp)
    popfl
    movl bounds + 1, %eax
    done
body call_into_window
    movl window_address, %eax
    call *%eax
    done

    .data
    .globl window_address
    .align 4
window_address: .long 0xffc00000
    .section .note.GNU-stack, "", @progbits
