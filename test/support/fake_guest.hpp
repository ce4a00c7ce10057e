// A guest kernel in ring 1 on a FakeMachine, as far as emulation sees it: descriptor tables, a task
// state, two stacks, and an interrupted context. Its tables are those of no real kernel, but every
// kind of entry is there.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "arch/ia32/descriptor_tables.hpp"
#include "support/fake_machine.hpp"

namespace mezzo::test {

// Selectors of the guest's GDT. "Kernel" entries have DPL 1, as the monitor leaves them.
enum Selector : std::uint16_t {
  kKernelCode = 0x08,
  kKernelData = 0x10,
  kUserCode = 0x18,
  kUserData = 0x20,
  kTask = 0x28,       // busy: the one in use
  kOtherTask = 0x30,  // available
  kLdt = 0x38,
  kStack16 = 0x40,  // based, 16 bits
  kConforming = 0x48,
  kAbsentData = 0x50,
  kReadOnlyData = 0x58,
  kAbsentCode = 0x60,
  kAbsentLdt = 0x68,
  kAbsentTask = 0x70,
  kFreeTask = 0x78,  // available, nothing of the guest's there yet
};

struct FakeGuest {
  static constexpr std::uint32_t kGdt = 0x5000, kIdt = 0x6000, kTaskState = 0x7000,
                                 kOtherTaskState = 0x7800, kLocalTable = 0x8000;
  static constexpr std::uint32_t kStackTop = 0xa000;       // the interrupted context's
  static constexpr std::uint32_t kEntryStackTop = 0xc000;  // for entries from ring 3
  static constexpr std::uint32_t kStack16Base = 0x20000;
  static constexpr std::uint32_t kEip = 0x00101000;
  static constexpr std::uint32_t kHandler = 0xc0100000;

  // The frame, and what the processor pushes beyond it when it leaves virtual-8086 mode.
  struct {
    ia32::Frame frame{};
    std::uint32_t es = 0, ds = 0, fs = 0, gs = 0;
  } stack{};

  FakeMachine machine;
  ia32::Vcpu vcpu = ia32::Vcpu::at_entry();
  ia32::Frame& frame = stack.frame;
  ia32::Context<FakeMachine> context{machine, vcpu, frame};

  FakeGuest() {
    for (const std::uint32_t page : {0x5000u, 0x6000u, 0x7000u, 0x8000u, 0x9000u, 0xb000u}) {
      machine.map(page, 1);
    }
    machine.map(kStack16Base, 0x10000);
    fill_gdt();
    (void)machine.use_guest_gdt(kGdt);
    vcpu.gdt = {kGdt, 0xff};
    vcpu.idt = {kIdt, 0x7ff};
    vcpu.task_register = kTask;
    vcpu.task_state = {kTaskState, 103};
    machine.put(kTaskState + 4, kEntryStackTop);
    machine.put(kTaskState + 8, std::uint32_t{kKernelData});
    in_kernel();
  }
  FakeGuest(const FakeGuest&) = delete;
  FakeGuest& operator=(const FakeGuest&) = delete;

  void set_descriptor(std::uint16_t selector, ia32::Descriptor descriptor) {
    machine.put(kGdt + (selector & 0xfff8u), descriptor);
  }
  [[nodiscard]] ia32::Descriptor descriptor(std::uint16_t selector) {
    return machine.get<ia32::Descriptor>(kGdt + (selector & 0xfff8u));
  }
  void set_gate(unsigned vector, ia32::Gate gate) { machine.put(kIdt + vector * 8, gate); }
  // An interrupt gate to kHandler + vector in the kernel's code segment.
  void set_handler(unsigned vector, std::uint8_t dpl = 0) {
    set_gate(vector, ia32::interrupt_gate(kKernelCode, kHandler + vector, dpl));
  }

  // The context that was interrupted.
  void in_kernel() {
    frame.eip = kEip;
    frame.cs = kKernelCode | 1;
    frame.ss = frame.ds = frame.es = kKernelData | 1;
    frame.esp = kStackTop;
    frame.eflags = ia32::eflags::kAlwaysSet | ia32::eflags::kIopl1 | ia32::eflags::kInterrupts;
  }
  void in_process() {
    in_kernel();
    frame.cs = kUserCode | 3;
    frame.ss = frame.ds = frame.es = kUserData | 3;
  }

  // The word `index` words above the guest's stack pointer.
  [[nodiscard]] std::uint32_t stacked(unsigned index) {
    return machine.get<std::uint32_t>(frame.esp + index * 4);
  }
  void push(std::uint32_t value) {
    frame.esp -= 4;
    machine.put(frame.esp, value);
  }

 private:
  void fill_gdt() {
    using ia32::Descriptor;
    constexpr std::uint32_t kPresent = 1u << 15, kWritable = 1u << 9;
    constexpr std::uint32_t kType = 15u << 8, kBig = 1u << 22, kConform = 1u << 10;
    const auto with_high = [](Descriptor d, std::uint32_t clear, std::uint32_t set) {
      return Descriptor{d.low, (d.high & ~clear) | set};
    };
    const Descriptor code = ia32::flat_code(1, ia32::kLastGuestAddress);
    const Descriptor data = ia32::flat_data(1, ia32::kLastGuestAddress);
    const Descriptor local = with_high(ia32::tss(kLocalTable, 0xff), kType, 2u << 8);
    set_descriptor(kKernelCode, code);
    set_descriptor(kKernelData, data);
    set_descriptor(kUserCode, ia32::flat_code(3, ia32::kLastGuestAddress));
    set_descriptor(kUserData, ia32::flat_data(3, ia32::kLastGuestAddress));
    set_descriptor(kTask, with_high(ia32::tss(kTaskState, 103), 0, 1u << 9));
    set_descriptor(kOtherTask, ia32::tss(kOtherTaskState, 103));
    set_descriptor(kLdt, local);
    set_descriptor(kStack16,
                   {(kStack16Base & 0xffff) << 16 | 0xffff,
                    with_high(ia32::flat_data(1, 0xffff), kBig, kStack16Base >> 16).high});
    set_descriptor(kConforming, with_high(code.with_dpl(1), 0, kConform));
    set_descriptor(kAbsentData, with_high(data, kPresent, 0));
    set_descriptor(kReadOnlyData, with_high(data, kWritable, 0));
    set_descriptor(kAbsentCode, with_high(code, kPresent, 0));
    set_descriptor(kAbsentLdt, with_high(local, kPresent, 0));
    set_descriptor(kAbsentTask, with_high(ia32::tss(kOtherTaskState, 103), kPresent, 0));
    set_descriptor(kFreeTask, ia32::tss(0x7400, 103));
  }
};

// An instruction as the decoder makes it.
inline ia32::Instruction decoded(std::vector<std::uint8_t> bytes, bool code32 = true) {
  return ia32::decode(bytes, code32);
}

}  // namespace mezzo::test
