// The probe's segment selectors, as the code and the assembly know them. A kernel for the bare
// machine would write the same: RPL 0 for itself, 3 for user mode.
#pragma once

#define PROBE_KERNEL_CS 0x08
#define PROBE_KERNEL_DS 0x10
#define PROBE_USER_CS 0x1b
#define PROBE_USER_DS 0x23
#define PROBE_TSS 0x28
#define PROBE_LDT 0x30
#define PROBE_SPARE_A 0x38
#define PROBE_SPARE_B 0x40

#define PROBE_LEAVE_USER_VECTOR 0x30
