// Probes of segment loads and far transfers with RPL 0, which a kernel in ring 1 may not do, and of
// the faults that bad selectors raise.
#include "probe.hpp"

namespace probe {
namespace {

void stack_segment() {
  kernel("mov-ss-rpl0", mov_ss_rpl0, done());
  kernel("pop-ss-rpl0", pop_ss_rpl0, done());
  kernel("lss-rpl0", lss_rpl0, done());
  both("mov-ss-null", mov_ss_null, fault(kProtection));
  both("mov-ss-code", mov_ss_code, fault(kProtection, PROBE_KERNEL_CS));
  both("mov-ss-beyond-table", mov_ss_beyond, fault(kProtection, 0x0ff0));
  user("mov-ss-rpl0", mov_ss_rpl0, fault(kProtection, PROBE_KERNEL_DS));
  set_descriptor(PROBE_SPARE_A, kFlatLow, kFlatData & kNotPresent);
  kernel("mov-ss-not-present", mov_ss_spare, fault(kStack, PROBE_SPARE_A));
  kernel("mov-ds-not-present", mov_ds_spare, fault(kAbsent, PROBE_SPARE_A));
}

void data_segments() {
  both("mov-ds-beyond-table", mov_ds_beyond, fault(kProtection, 0x0ff0));
  set_descriptor(PROBE_SPARE_A, kFlatLow, kFlatData);
  kernel("mov-ds-rpl0", mov_ds_spare, done());
  user("mov-ds-kernel", mov_ds_spare, fault(kProtection, PROBE_SPARE_A));
  both("mov-fs-monitor", mov_fs_monitor, fault(kProtection, 0x1008));
  // A thread-local segment, written to the live table without loading it again.
  static u32 local = 0x600df00d;
  const u32 base = address_of(&local);
  write_descriptor(PROBE_SPARE_A, base << 16 | 0xffff,
                   (base & 0xff000000) | 0x00cff200 | (base >> 16 & 0xff));
  both(
      "live-table-write",
      [] {
        u32 result;
        asm volatile("movl %1, %%gs; movl %%gs:0, %0" : "=r"(result) : "r"(PROBE_SPARE_A | 3));
        return result;
      },
      value(0x600df00d));
}

void far_transfers() {
  kernel("far-jump-rpl0", far_jump_rpl0, done());
  kernel("far-jump-memory-rpl0", far_jump_memory_rpl0, done());
  kernel("far-call-rpl0", far_call_rpl0, done());
  kernel("far-return-rpl0", far_return_rpl0, done());
  kernel("far-return-releasing-rpl0", far_return_releasing_rpl0, done());
  kernel("iret-rpl0", iret_rpl0, done());
  kernel("iret-rpl0-enables-interrupts", iret_rpl0_enables_interrupts, done());
  user("far-jump-rpl0", far_jump_rpl0, fault(kProtection, PROBE_KERNEL_CS));
  user("far-return-rpl0", far_return_rpl0, fault(kProtection, PROBE_KERNEL_CS));
  user("iret-rpl0", iret_rpl0, fault(kProtection, PROBE_KERNEL_CS));
  both("far-jump-null", far_jump_null, fault(kProtection));
  kernel("far-jump-data", far_jump_data, fault(kProtection, PROBE_KERNEL_DS));
  set_descriptor(PROBE_SPARE_A, kFlatLow, kFlatCode & kNotPresent);
  kernel("far-jump-not-present", far_jump_spare, fault(kAbsent, PROBE_SPARE_A));
  // There is no task to return to.
  kernel("iret-nested-task", iret_nested_task, fault(kTask));
}

void gates() {
  const u32 offset = address_of(&gate_target);
  set_descriptor(PROBE_SPARE_A, u32{PROBE_KERNEL_CS} << 16 | (offset & 0xffff),
                 (offset & 0xffff0000) | 0x8c00);
  kernel("call-gate", far_call_spare, differs(done(), fault(kProtection, PROBE_SPARE_A)));
  user("call-gate-dpl0", far_call_spare, fault(kProtection, PROBE_SPARE_A));
  set_descriptor(PROBE_SPARE_A, 0, 0);
  user("far-jump-tss", far_jump_tss, fault(kProtection, PROBE_TSS));
}

}  // namespace

void probe_segments() {
  stack_segment();
  data_segments();
  far_transfers();
  gates();
}

}  // namespace probe
