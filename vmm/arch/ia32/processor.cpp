// This processor's registers, tables and view of guest memory.
#include "arch/ia32/processor.hpp"

#include "abi/hypercall.hpp"
#include "arch/ia32/instructions.hpp"
#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "arch/ia32/paging.hpp"

namespace mezzo::ia32 {
namespace {

extern "C" const char vector_stubs[], wake_stubs[];
constexpr std::uint32_t kStubSize = 16;
constexpr std::uint32_t kDirectoryEntries = 1024;

// While it lives, a page fault of the monitor reaches the monitor: the guest's own gate cannot be
// entered from ring 0. CR2 belongs to the guest and is put back after a fault.
class AccessWindow {
 public:
  explicit AccessWindow(Cpu& cpu) : cpu_(cpu), cr2_(ia32::read_cr<2>()) { use_monitor_idt(cpu_); }
  ~AccessWindow() { use_guest_idt(cpu_); }
  AccessWindow(const AccessWindow&) = delete;
  AccessWindow& operator=(const AccessWindow&) = delete;
  void faulted() const { ia32::write_cr<2>(cr2_); }

 private:
  Cpu& cpu_;
  std::uint32_t cr2_;
};

// Which bits of CR4 this processor has, of those that a guest may set. Asked of CPUID and not found
// out by trying, because QEMU's TCG repeats a refused write for ever.
std::uint32_t supported_cr4() {
  const auto [eax, ebx, ecx, edx] = cpuid(1);
  struct Feature {
    bool present;
    std::uint32_t bits;
  };
  const Feature features[] = {
      {(edx >> 1 & 1) != 0, cr4::kVirtual8086},  {(edx >> 4 & 1) != 0, cr4::kTimeStampDisable},
      {(edx >> 2 & 1) != 0, cr4::kDebugging},    {(edx >> 6 & 1) != 0, cr4::kPae},
      {(edx >> 7 & 1) != 0, cr4::kMachineCheck}, {(edx >> 13 & 1) != 0, cr4::kGlobalPages},
      {(edx >> 24 & 1) != 0, cr4::kFxsr},        {(edx >> 25 & 1) != 0, cr4::kSimdExceptions},
      {(ecx >> 26 & 1) != 0, cr4::kXsave}};
  std::uint32_t supported = cr4::kPerformanceCounter;
  for (const Feature& feature : features) {
    if (feature.present) supported |= feature.bits;
  }
  return supported;
}

// What FXRSTOR and XRSTOR load at a reset: the FPU as FNINIT leaves it, MXCSR as a reset does, zero
// elsewhere. XRSTOR initialises every component, because the header (from byte 512 on) names none.
struct alignas(64) ExtendedState {
  std::uint16_t control = 0x37f;
  std::uint8_t others[22] = {};
  std::uint32_t mxcsr = 0x1f80;
  std::uint8_t registers_and_header[576 - 28] = {};
};
static_assert(offsetof(ExtendedState, mxcsr) == 24 && sizeof(ExtendedState) == 576);
constexpr ExtendedState kResetState;

// Every component that the processor has must be enabled to be initialised; then only the FPU is,
// as after a reset. CR4.OSXSAVE is set.
void reset_extended_state() {
  constexpr std::uint32_t kXsaveLeaf = 0xd, kFpuOnly = 1;
  const CpuId components = cpuid(kXsaveLeaf);
  (void)write_xcr_safe(0, components.eax, components.edx);
  load_extended_state(&kResetState);
  (void)write_xcr_safe(0, kFpuOnly, 0);
}

bool is_guest_linear(std::uint32_t linear, std::uint32_t bytes) {
  return linear < layout::kWindow && bytes <= layout::kWindow - linear;
}

bool copy(Cpu& cpu, const Partition& partition, void* to, const void* from, std::uint32_t bytes) {
  const AccessWindow window(cpu);
  if (guest_copy(to, from, bytes) == 0) return true;
  window.faulted();
  ++partition.status().exits[static_cast<std::uint32_t>(status::ExitCause::MonitorFault)];
  return false;
}

}  // namespace

void use_guest_idt(const Cpu& cpu) { ia32::load_idt(cpu.fast.guest_idt); }
void use_monitor_idt(const Cpu& cpu) { ia32::load_idt(cpu.fast.monitor_idt); }

Gate stub_gate(unsigned vector, std::uint8_t privilege) {
  return interrupt_gate(layout::kMonitorCs, address_of(vector_stubs[vector * kStubSize]),
                        privilege);
}
Gate wake_gate(unsigned vector) {
  const unsigned index = vector - MEZZO_FIRST_DEVICE_VECTOR;
  return interrupt_gate(layout::kMonitorCs, address_of(wake_stubs[index * kStubSize]), 0);
}

bool Processor::read(std::uint32_t linear, void* to, std::uint32_t bytes) {
  return is_guest_linear(linear, bytes) &&
         copy(cpu_, partition_, to, pointer_to<const void>(linear), bytes);
}
bool Processor::write(std::uint32_t linear, const void* from, std::uint32_t bytes) {
  return is_guest_linear(linear, bytes) &&
         copy(cpu_, partition_, pointer_to<void>(linear), from, bytes);
}

std::uint32_t Processor::read_cr2() { return ia32::read_cr<2>(); }
void Processor::write_cr2(std::uint32_t value) { ia32::write_cr<2>(value); }
void Processor::write_cr0(std::uint32_t guest_value) {
  ia32::write_cr<0>((guest_value & cr0::kGuestOwned) | cr0::kPaging | cr0::kProtection |
                    cr0::kExtensionType);
}
bool Processor::write_cr4(std::uint32_t guest_value) {
  const std::uint32_t refused = is_shared(cpu_) ? cr4::kXsave : 0;  // core.cpp saves none of that
  if ((guest_value & (~supported_cr4() | refused)) != 0) return false;
  const std::uint32_t pae = ia32::read_cr<4>() & cr4::kPae;
  return write_cr4_safe((guest_value & cr4::kGuestOwned & ~cr4::kPae) | cr4::kLargePages | pae);
}

void Processor::reset_fpu() {
  initialize_fpu();
  const std::uint32_t extensions = supported_cr4() & (cr4::kFxsr | cr4::kXsave);
  if (extensions == 0) return;
  const std::uint32_t cr4 = ia32::read_cr<4>();
  ia32::write_cr<4>(cr4 | extensions);
  if ((extensions & cr4::kFxsr) != 0) load_fpu(&kResetState);
  if ((extensions & cr4::kXsave) != 0) reset_extended_state();
  ia32::write_cr<4>(cr4);
}

RootResult Processor::install_root(std::uint32_t cr3, RootKind kind) {
  return kind == RootKind::Directory ? install_directory(cr3) : install_pointers(cr3);
}
RootResult Processor::install_directory(std::uint32_t cr3) {
  const std::uint32_t directory = cr3 & ~(plan::kPageSize - 1);
  if (!partition_.owns(directory, plan::kPageSize)) return RootResult::OutsidePartition;
  auto* entries = pointer_to<std::uint32_t>(map_machine_page(cpu_, directory));
  std::uint32_t& last = entries[kDirectoryEntries - 1];
  if (last != cpu_.fast.directory_entry) last = cpu_.fast.directory_entry;
  use_roots(RootKind::Directory);
  ia32::write_cr<3>(cr3);
  return RootResult::Installed;
}
RootResult Processor::install_pointers(std::uint32_t cr3) {
  const auto map_page = [&](std::uint32_t machine) {
    return pointer_to<std::uint64_t>(map_machine_page(cpu_, machine));
  };
  const RootResult result =
      pae::take_root(partition_, cr3, pae_window(cpu_), map_page, cpu_.root_page.pointers);
  if (result != RootResult::Installed) return result;
  cpu_.fast.last_pointer = static_cast<std::uint32_t>(cpu_.root_page.pointers.back());
  use_roots(RootKind::Pointers);
  ia32::write_cr<3>(machine_address(cpu_, cpu_.root_page));
  return result;
}
// While PAE is on, CR3 names the root page; it is switched there, because the monitor is mapped in
// it either way. Its pointers must be good when PAE is switched on.
void Processor::use_roots(RootKind kind) {
  const std::uint32_t cr4 = ia32::read_cr<4>();
  if (root_kind(cr4) == kind) return;
  ia32::write_cr<3>(machine_address(cpu_, cpu_.root_page));
  ia32::write_cr<4>(cr4 ^ cr4::kPae);
}
void Processor::install_identity() {
  use_roots(RootKind::Directory);
  ia32::write_cr<3>(machine_address(cpu_, cpu_.identity_directory));
  // Global translations outlive that; they go with CR4.PGE (SDM volume 3, 4.10.4.1).
  const std::uint32_t cr4 = ia32::read_cr<4>();
  if ((cr4 & cr4::kGlobalPages) == 0) return;
  ia32::write_cr<4>(cr4 & ~cr4::kGlobalPages);
  ia32::write_cr<4>(cr4);
}
void Processor::invalidate(std::uint32_t linear) { invalidate_page(linear); }

std::uint32_t Processor::read_debug(std::uint32_t number) {
  switch (number) {
    case 0:
      return read_dr<0>();
    case 1:
      return read_dr<1>();
    case 2:
      return read_dr<2>();
    case 3:
      return read_dr<3>();
    case 4:
    case 6:
      return read_dr<6>();
    default:
      return read_dr<7>();
  }
}
void Processor::write_debug(std::uint32_t number, std::uint32_t value) {
  switch (number) {
    case 0:
      write_dr<0>(value);
      break;
    case 1:
      write_dr<1>(value);
      break;
    case 2:
      write_dr<2>(value);
      break;
    case 3:
      write_dr<3>(value);
      break;
    case 4:
    case 6:
      write_dr<6>(value);
      break;
    default:
      write_dr<7>(value);
      break;
  }
}

bool Processor::read_msr(std::uint32_t number, std::uint64_t& value) {
  std::uint32_t halves[2] = {0, 0};
  if (!read_msr_safe(number, halves)) return false;
  value = (std::uint64_t{halves[1]} << 32) | halves[0];
  return true;
}
bool Processor::write_msr(std::uint32_t number, std::uint64_t value) {
  return write_msr_safe(number, static_cast<std::uint32_t>(value),
                        static_cast<std::uint32_t>(value >> 32));
}
bool Processor::write_xcr(std::uint32_t number, std::uint32_t low, std::uint32_t high) {
  return (ia32::read_cr<4>() & cr4::kXsave) != 0 && write_xcr_safe(number, low, high);
}
std::uint64_t Processor::read_tsc() { return ia32::read_tsc(); }
void Processor::write_back_caches() { write_back_invalidate(); }
void Processor::clear_task_switched() { ia32::clear_task_switched(); }

std::span<Descriptor> Processor::guest_gdt() {
  return {pointer_to<Descriptor>(layout::kGdtWindow), plan::kPageSize / sizeof(Descriptor)};
}
bool Processor::use_guest_gdt(std::uint32_t linear) {
  if (linear % plan::kPageSize != 0 || linear >= layout::kWindow) return false;
  const auto page = translate(cpu_, partition_, linear);
  if (!page || !partition_.owns(page->machine, plan::kPageSize)) return false;
  map_window_page(cpu_, layout::kGdtWindow, page->machine);
  return true;
}
void Processor::use_copied_gdt() {
  map_window_page(cpu_, layout::kGdtWindow, machine_address(cpu_, cpu_.copied_gdt));
}
bool Processor::is_read_only(std::uint32_t linear) {
  const auto page = translate(cpu_, partition_, linear);
  return page && !page->writable;
}
void Processor::use_stub(std::uint8_t vector, std::uint32_t privilege) {
  cpu_.guest_idt[vector] = stub_gate(vector, static_cast<std::uint8_t>(privilege));
}
void Processor::use_gate(std::uint8_t vector, Gate gate) {
  const bool is_kept = core::keeps_vector(cpu_, vector);
  cpu_.guest_idt[vector] = is_kept ? stub_gate(vector, gate.dpl()) : gate;
}
void Processor::set_kernel_stack(std::uint16_t ss, std::uint32_t esp) {
  cpu_.task_state.ss1 = ss;
  cpu_.task_state.esp1 = esp;
}
void Processor::load_ldt(std::uint16_t selector) { ia32::load_ldt(selector); }
std::uint16_t Processor::fs() { return read_fs(); }
std::uint16_t Processor::gs() { return read_gs(); }
void Processor::load_fs_gs(std::uint16_t fs, std::uint16_t gs) { load_fs_gs_safe(fs, gs); }

std::uint32_t Processor::in(std::uint16_t port, std::uint32_t bytes) {
  switch (bytes) {
    case 1:
      return ia32::in<std::uint8_t>(port);
    case 2:
      return ia32::in<std::uint16_t>(port);
    default:
      return ia32::in<std::uint32_t>(port);
  }
}
void Processor::out(std::uint16_t port, std::uint32_t bytes, std::uint32_t value) {
  const std::uint32_t channel = std::uint32_t{port} - hypercall::kDoorbellPort;
  if (const auto end = end_of_channel(the_plan, partition_.index(), channel)) {
    if (const auto target = doorbells.ring(the_plan, *end)) interrupt(*target);
    return;
  }
  switch (bytes) {
    case 1:
      ia32::out(port, static_cast<std::uint8_t>(value));
      break;
    case 2:
      ia32::out(port, static_cast<std::uint16_t>(value));
      break;
    default:
      ia32::out(port, value);
      break;
  }
}

void Processor::interrupt(const Interrupt& target) {
  local_apic::send_beside_guest(apic_ids[target.cpu], target.vector);
  if (core::needs_nmi(cpus[target.cpu])) {
    local_apic::send_beside_guest(apic_ids[target.cpu], local_apic::kDeliverNmi);
  }
}

static_assert(Machine<Processor>);

}  // namespace mezzo::ia32
