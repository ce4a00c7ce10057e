// Fuzzer: a hostile guest kernel against the emulation. Its registers, descriptor tables, task
// state and stack are the fuzzer's; then some instructions, exceptions and hypercalls reach the
// monitor one after the other. Whatever happens, the guest must come back deprivileged, and what
// the processor was given must not lead into the monitor.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "arch/ia32/emulate.hpp"
#include "arch/ia32/hypercalls.hpp"
#include "support/fake_guest.hpp"

namespace mezzo::test {
namespace {

using Kind = Verdict::Kind;

// Where each instruction of the decoder's table begins; operands are the fuzzer's.
constexpr std::array<std::array<std::uint8_t, 2>, 32> kOpcodes{{
    {0x0f, 0x20}, {0x0f, 0x21}, {0x0f, 0x22}, {0x0f, 0x23}, {0x0f, 0x01}, {0x0f, 0x00},
    {0x0f, 0x06}, {0x0f, 0x09}, {0x0f, 0x30}, {0x0f, 0x32}, {0x0f, 0x31}, {0x0f, 0x33},
    {0x0f, 0x35}, {0x0f, 0xb2}, {0x8e, 0xd0}, {0x8e, 0xd8}, {0x17, 0x90}, {0x1f, 0x90},
    {0xcf, 0x90}, {0xcb, 0x90}, {0xca, 0x08}, {0xcd, 0x80}, {0xcd, 0x0e}, {0xe4, 0x60},
    {0xee, 0x90}, {0xed, 0x90}, {0xf4, 0x90}, {0xea, 0x00}, {0xff, 0x28}, {0x66, 0xcf},
    {0x6e, 0x90}, {0xfa, 0x90},
}};

struct QuietLog {
  void write(auto...) {}
};

void require(bool condition, const char* what, const FakeGuest& guest) {
  if (condition) return;
  const ia32::Frame& f = guest.frame;
  std::fprintf(stderr, "%s: cs %#x eip %#x ss %#x esp %#x eflags %#x\n", what, f.cs, f.eip, f.ss,
               f.esp, f.eflags);
  std::abort();
}

// Overwrites some words of a page with the fuzzer's, where it likes.
void scribble(FakeGuest& guest, FuzzedDataProvider& data, std::uint32_t page) {
  for (int n = data.ConsumeIntegralInRange(0, 6); n > 0; --n) {
    const std::uint32_t offset = data.ConsumeIntegralInRange<std::uint32_t>(0, 1023) * 4;
    guest.machine.put(page + offset, data.ConsumeIntegral<std::uint32_t>());
  }
}

// What IRET, RETF and POP expect on the stack, or nearly.
void push_frame(FakeGuest& guest, FuzzedDataProvider& data) {
  const auto selector = [&]() -> std::uint32_t {
    if (data.ConsumeBool()) return kKernelCode;
    const std::uint32_t entry = data.ConsumeIntegralInRange<std::uint32_t>(0, 16) * 8;
    return entry | data.ConsumeIntegralInRange<std::uint32_t>(0, 3);
  };
  guest.push(data.ConsumeIntegral<std::uint32_t>());  // flags
  guest.push(selector());
  guest.push(data.ConsumeIntegral<std::uint32_t>());  // EIP
}

void prepare(FakeGuest& guest, FuzzedDataProvider& data) {
  if (data.ConsumeBool()) guest.in_process();
  for (unsigned number = 0; number < 8; ++number) {
    if (!data.ConsumeBool()) continue;
    // An address within the guest's pages half of the time.
    const auto value = data.ConsumeIntegral<std::uint32_t>();
    guest.frame.general(number) = data.ConsumeBool() ? 0x5000 + value % 0x7000 : value;
  }
  guest.frame.ds = data.ConsumeIntegral<std::uint16_t>();
  guest.frame.es = data.ConsumeIntegral<std::uint16_t>();
  for (unsigned vector = 0; vector < 32; ++vector) guest.set_handler(vector);
  for (const std::uint32_t page : {FakeGuest::kGdt, FakeGuest::kIdt, FakeGuest::kTaskState,
                                   FakeGuest::kLocalTable, FakeGuest::kStackTop - 0x1000}) {
    scribble(guest, data, page);
  }
  if (data.ConsumeBool()) {
    guest.frame.esp = FakeGuest::kStackTop;
    push_frame(guest, data);
  }
  if (data.ConsumeBool()) guest.vcpu.cr0 |= ia32::cr0::kPaging;
  if (data.ConsumeBool()) guest.vcpu.cr4 |= ia32::cr4::kPae;
  if (data.ConsumeBool()) guest.machine.reserved_bits = {guest.frame.eax, guest.vcpu.cr3};
  guest.machine.maps_gdt_pages = data.ConsumeBool();
  if (data.ConsumeBool()) guest.machine.write_protect(FakeGuest::kIdt);
  if (data.ConsumeBool()) guest.machine.unmap(FakeGuest::kTaskState);
}

std::vector<std::uint8_t> instruction_bytes(FuzzedDataProvider& data) {
  std::vector<std::uint8_t> bytes;
  if (data.ConsumeBool()) {
    const auto& opcode = kOpcodes[data.ConsumeIntegralInRange<std::size_t>(0, kOpcodes.size() - 1)];
    bytes.assign(opcode.begin(), opcode.end());
  }
  const auto rest =
      data.ConsumeBytes<std::uint8_t>(data.ConsumeIntegralInRange<std::size_t>(0, 12));
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

Verdict one_exit(FakeGuest& guest, FuzzedDataProvider& data, const Partition& partition,
                 std::uint32_t& length) {
  length = 0;
  // Between two exits the guest does what it likes to its stack.
  const std::uint32_t word = data.ConsumeIntegralInRange<std::uint32_t>(0, 7);
  if (word < 4)
    guest.machine.put(guest.frame.esp + word * 4, data.ConsumeIntegral<std::uint32_t>());
  switch (data.ConsumeIntegralInRange(0, 5)) {
    case 0: {
      const auto vector = data.ConsumeIntegral<std::uint8_t>();
      return Verdict::inject(vector, data.ConsumeIntegral<std::uint16_t>());
    }
    case 1: {
      if (guest.frame.ring() != 1) return Verdict::resume();
      QuietLog log;
      Doorbells doorbells;
      guest.frame.eax = data.ConsumeIntegralInRange<std::uint32_t>(0, 12);
      return ia32::answer_hypercall(guest.context, partition, doorbells, log);
    }
    default: {
      const auto instruction =
          ia32::decode(instruction_bytes(data), data.ConsumeIntegralInRange(0, 7) != 0);
      length = instruction.length;
      return ia32::emulate(guest.context, instruction, data.ConsumeIntegral<std::uint16_t>());
    }
  }
}

bool names_monitor(std::uint32_t selector) {
  return (selector & 4) == 0 && (selector & 0xfff8) >= ia32::layout::kMonitorCs;
}

void check_context(const FakeGuest& guest) {
  const ia32::Frame& f = guest.frame;
  require((f.eflags & ia32::eflags::kVirtual8086) == 0, "virtual-8086 mode", guest);
  require((f.eflags & ia32::eflags::kIopl) == ia32::eflags::kIopl1, "IOPL", guest);
  require((f.cs & 3) != 0, "ring 0", guest);
  require(!names_monitor(f.cs), "the monitor's code segment", guest);
}

void check_machine(FakeGuest& guest) {
  FakeMachine& machine = guest.machine;
  for (const auto& [stub, gate] : machine.idt) {
    if (!gate) continue;
    require(gate->dpl() >= 1, "a gate of DPL 0", guest);
    require(!names_monitor(gate->selector()), "a gate into the monitor", guest);
    require(gate->is_interrupt_gate() || gate->is_trap_gate(), "a task gate", guest);
  }
  for (std::uint32_t number = 0; number < 4; ++number) {
    require(machine.debug[number] < plan::kMonitorWindow, "a breakpoint in the monitor", guest);
  }
  require((machine.debug[7] & 1u << 13) == 0, "general detect", guest);
  if (machine.cr4) {
    require((*machine.cr4 & ~ia32::cr4::kGuestOwned) == 0, "a CR4 bit not the guest's", guest);
  }
  if (machine.kernel_stack) require((machine.kernel_stack->first & 3) == 1, "SS1", guest);
}

// Right after LGDT: later the guest writes its own table.
void check_gdt(FakeGuest& guest) {
  const std::size_t entries = (guest.vcpu.gdt.limit + 1) / 8;
  for (const ia32::Descriptor& entry : guest.machine.guest_gdt().first(entries)) {
    require(entry == ia32::deprivilege(entry), "a privileged descriptor", guest);
  }
}

void run(FuzzedDataProvider& data) {
  FakeGuest guest;
  plan::Plan plan{};
  plan.partitions[0].piece_count = 1;
  plan.pieces[0] = {0, 0x10000000, 0};
  status::PartitionStatus status{};
  const Partition partition(plan, plan.partitions[0], status);
  prepare(guest, data);
  while (data.remaining_bytes() > 0) {
    const ia32::TableLocation gdt_before = guest.vcpu.gdt;
    std::uint32_t length = 0;
    Verdict verdict = one_exit(guest, data, partition, length);
    if (verdict.kind == Kind::Skip) guest.frame.eip += length;
    if (verdict.kind == Kind::Inject) {
      verdict = ia32::deliver(guest.context, verdict.vector, verdict.software, verdict.error_code);
      require(verdict.kind == Kind::Resume || verdict.kind == Kind::Stop, "a delivery's verdict",
              guest);
    }
    ia32::follow_kernel_stack(guest.context);
    if (verdict.kind == Kind::Stop || verdict.kind == Kind::Restart) return;
    check_context(guest);
    check_machine(guest);
    if (guest.vcpu.gdt.base != gdt_before.base || guest.vcpu.gdt.limit != gdt_before.limit) {
      check_gdt(guest);
    }
  }
}

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  mezzo::test::run(data);
  return 0;
}
