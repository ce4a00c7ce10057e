// The machine that emulation works on, for real: this processor, its tables, and the guest's
// memory. Satisfies the Machine concept of context.hpp. One short function per operation; no
// decision is made here but what is inside a partition's memory.
#pragma once

#include <span>

#include "arch/ia32/context.hpp"
#include "arch/ia32/cpu.hpp"
#include "core/partition.hpp"

namespace mezzo::ia32 {

class Processor {
 public:
  Processor(Cpu& cpu, const Partition& partition) : cpu_(cpu), partition_(partition) {}

  // Guest-linear memory, with the guest's own page tables. A fault inside is survived: false.
  [[nodiscard]] bool read(std::uint32_t linear, void* to, std::uint32_t bytes);
  [[nodiscard]] bool write(std::uint32_t linear, const void* from, std::uint32_t bytes);

  [[nodiscard]] std::uint32_t read_cr2();
  void write_cr2(std::uint32_t value);
  void write_cr0(std::uint32_t guest_value);
  [[nodiscard]] bool write_cr4(std::uint32_t guest_value);
  [[nodiscard]] RootResult install_root(std::uint32_t cr3, RootKind kind);
  // Also drops every translation of the guest's, global ones too.
  void install_identity();
  void invalidate(std::uint32_t linear);
  [[nodiscard]] std::uint32_t read_debug(std::uint32_t number);
  void write_debug(std::uint32_t number, std::uint32_t value);
  [[nodiscard]] bool read_msr(std::uint32_t number, std::uint64_t& value);
  [[nodiscard]] bool write_msr(std::uint32_t number, std::uint64_t value);
  [[nodiscard]] bool write_xcr(std::uint32_t number, std::uint32_t low, std::uint32_t high);
  [[nodiscard]] std::uint64_t read_tsc();
  void kick_watchdog() { partition_.kick(read_tsc()); }
  void write_back_caches();
  void clear_task_switched();
  // x87, SSE and whatever XSAVE knows, as after a reset. CR0.TS and EM are clear.
  void reset_fpu();

  [[nodiscard]] std::span<Descriptor> guest_gdt();
  // Maps the guest's page at `linear` as its GDT, if it starts a page of the partition's memory.
  [[nodiscard]] bool use_guest_gdt(std::uint32_t linear);
  void use_copied_gdt();
  // Whether the guest maps `linear` without write permission.
  [[nodiscard]] bool is_read_only(std::uint32_t linear);
  void use_stub(std::uint8_t vector, std::uint32_t privilege);
  void use_gate(std::uint8_t vector, Gate gate);
  void set_kernel_stack(std::uint16_t ss, std::uint32_t esp);
  void load_ldt(std::uint16_t selector);
  [[nodiscard]] std::uint16_t fs();
  [[nodiscard]] std::uint16_t gs();
  void load_fs_gs(std::uint16_t fs, std::uint16_t gs);

  [[nodiscard]] std::uint32_t in(std::uint16_t port, std::uint32_t bytes);
  // A doorbell's port, too.
  void out(std::uint16_t port, std::uint32_t bytes, std::uint32_t value);
  void interrupt(const Interrupt& target);

 private:
  [[nodiscard]] RootResult install_directory(std::uint32_t cr3);
  [[nodiscard]] RootResult install_pointers(std::uint32_t cr3);
  // The machine's CR4.PAE.
  void use_roots(RootKind kind);

  Cpu& cpu_;
  const Partition& partition_;
};

// Points this processor's IDTR at the guest's gates, or at the monitor's.
void use_guest_idt(const Cpu& cpu);
void use_monitor_idt(const Cpu& cpu);

// A gate to the monitor's stub for `vector`.
[[nodiscard]] Gate stub_gate(unsigned vector, std::uint8_t privilege);
// A gate of the monitor's own IDT for a device's vector: it ends waiting.
[[nodiscard]] Gate wake_gate(unsigned vector);

}  // namespace mezzo::ia32
