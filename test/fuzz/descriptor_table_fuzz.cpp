// Fuzzer: LGDT, LIDT, LLDT and LTR with any operand and any table, in memory that somebody else may
// change after every single read. A load that is refused changes nothing; after one that is done,
// the processor has no descriptor, gate or table that leads into the monitor.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "arch/ia32/descriptor_tables.hpp"
#include "support/fake_guest.hpp"

namespace mezzo::test {
namespace {

using Kind = Verdict::Kind;

constexpr std::uint32_t kOperand = 0x30000;
// Where tables begin to be interesting: present pages, the last one below the window, the window.
constexpr std::array<std::uint32_t, 8> kPlaces{
    FakeGuest::kGdt, FakeGuest::kIdt, FakeGuest::kTaskState, FakeGuest::kLocalTable,
    0x20000,         0xffbff000,      plan::kMonitorWindow,  0xfffff000};

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

std::uint32_t any_address(FuzzedDataProvider& data) {
  const std::uint32_t place = data.PickValueInArray(kPlaces);
  return data.ConsumeBool() ? place : place + data.ConsumeIntegralInRange<std::uint32_t>(0, 0xfff);
}

// Any eight bytes, or a present system descriptor of an interesting place.
ia32::Descriptor any_descriptor(FuzzedDataProvider& data) {
  if (data.ConsumeBool()) {
    return {data.ConsumeIntegral<std::uint32_t>(), data.ConsumeIntegral<std::uint32_t>()};
  }
  const ia32::Descriptor task = ia32::tss(any_address(data), data.ConsumeIntegral<std::uint16_t>());
  const auto type = data.ConsumeIntegralInRange<std::uint32_t>(0, 15);
  return {task.low, (task.high & ~0xf00u) | (data.ConsumeBool() ? 2 : type) << 8};
}

// Somebody writes a descriptor, or takes a page away.
void scribble(FakeMachine& machine, FuzzedDataProvider& data) {
  constexpr std::uint32_t kSecondPage = 0x21000;
  constexpr std::array<std::uint32_t, 6> kPages{
      FakeGuest::kGdt, FakeGuest::kIdt, FakeGuest::kLocalTable, 0x20000, kSecondPage, 0xffbff000};
  if (data.ConsumeIntegralInRange(0, 7) == 7) return machine.unmap(kSecondPage);
  const std::uint32_t last = data.ConsumeBool() ? 15 : 511;
  const std::uint32_t at = data.ConsumeIntegralInRange<std::uint32_t>(0, last) * 8;
  machine.put(data.PickValueInArray(kPages) + at, any_descriptor(data));
}

struct Loaded {
  std::uint32_t gdt_base, gdt_limit, idt_base, idt_limit, ldt_base, task_base;
  std::uint16_t ldt, task, machine_ldt;
  bool operator==(const Loaded&) const = default;
};
Loaded loaded(const FakeGuest& guest) {
  const ia32::Vcpu& v = guest.vcpu;
  return {v.gdt.base,        v.gdt.limit,    v.idt.base,      v.idt.limit,      v.ldt.base,
          v.task_state.base, v.ldt_register, v.task_register, guest.machine.ldt};
}

Verdict load(FakeGuest& guest, FuzzedDataProvider& data) {
  const unsigned kind = data.ConsumeIntegralInRange(0u, 3u);
  if (kind >= 2) {
    guest.frame.eax = data.ConsumeBool() ? data.ConsumeIntegralInRange<std::uint32_t>(0, 15) * 8
                                         : data.ConsumeIntegral<std::uint16_t>();
    if (data.ConsumeBool()) {
      const std::uint32_t selector = data.ConsumeIntegralInRange<std::uint16_t>(1, 30) * 8u;
      guest.set_descriptor(static_cast<std::uint16_t>(selector), any_descriptor(data));
      guest.frame.eax = selector;
    }
    const auto i = decoded({0x0f, 0x00, kind == 2 ? std::uint8_t{0xd0} : std::uint8_t{0xd8}});
    return kind == 2 ? ia32::load_local_table(guest.context, i)
                     : ia32::load_task_register_of(guest.context, i);
  }
  guest.machine.put(kOperand, data.ConsumeIntegral<std::uint16_t>());
  guest.machine.put(kOperand + 2, any_address(data));
  const auto modrm = kind == 0 ? std::uint8_t{0x15} : std::uint8_t{0x1d};
  auto i = decoded({0x0f, 0x01, modrm, 0x00, 0x00, 0x03, 0x00});
  if (data.ConsumeBool()) i.operand_size = 2;
  return kind == 0 ? ia32::load_gdt_register(guest.context, i)
                   : ia32::load_idt_register(guest.context, i);
}

bool names_monitor(std::uint32_t selector) {
  return (selector & 4) == 0 && (selector & 0xfff8) >= ia32::layout::kMonitorCs;
}

void check_gdt(FakeGuest& guest) {
  const auto gdt = guest.machine.guest_gdt();
  const std::size_t entries = (guest.vcpu.gdt.limit + 1) / 8;
  for (std::size_t n = 0; n < gdt.size(); ++n) {
    require(gdt[n] == ia32::deprivilege(gdt[n]), "a privileged descriptor");
    require(n < entries || gdt[n] == ia32::Descriptor{}, "a descriptor beyond the limit");
  }
}

void check_others(FakeGuest& guest) {
  const ia32::Vcpu& v = guest.vcpu;
  require(guest.machine.ldt == v.ldt_register, "two local tables");
  const std::uint64_t reach = std::min<std::uint64_t>(v.ldt.limit, 0xffff);
  require(v.ldt_register == 0 || v.ldt.base + reach < plan::kMonitorWindow,
          "a local table in the monitor");
  for (unsigned n = 0; n < 256; ++n) {
    const auto& gate = guest.machine.idt[n].gate;
    if (!gate) continue;
    const bool used = (v.used_gates[n / 32] >> n % 32 & 1) != 0;
    require((v.idt_settled || used) && !ia32::is_monitor_vector(n), "a gate of the monitor's");
    require(gate->dpl() >= 1 && !names_monitor(gate->selector()), "a gate into the monitor");
    require(gate->is_interrupt_gate() || gate->is_trap_gate(), "a gate of another kind");
  }
}

void run(FuzzedDataProvider& data) {
  FakeGuest guest;
  for (const std::uint32_t page : {0x20000u, 0x21000u, 0xffbff000u}) guest.machine.map(page, 1);
  guest.machine.map(kOperand, 1);
  if (data.ConsumeBool()) guest.vcpu.cr0 |= ia32::cr0::kPaging;
  if (data.ConsumeBool()) guest.machine.write_protect(FakeGuest::kIdt);
  if (data.ConsumeBool()) guest.machine.write_protect(0x20000);
  guest.vcpu.settles_by_use = data.ConsumeBool();
  guest.machine.maps_gdt_pages = data.ConsumeBool();
  const bool races = data.ConsumeBool();
  for (int n = data.ConsumeIntegralInRange(0, 16); n > 0; --n) scribble(guest.machine, data);
  if (races) guest.machine.after_read = [&](FakeMachine& machine) { scribble(machine, data); };
  while (data.remaining_bytes() > 0) {
    const Loaded before = loaded(guest);
    const Verdict verdict = load(guest, data);
    ia32::settle_gate(guest.context, data.ConsumeIntegral<std::uint8_t>());
    ia32::renew_used_gates(guest.context);
    if (verdict.kind == Kind::Stop) return;
    if (verdict.kind == Kind::Inject) {
      // #PF: the scribbler moves the segment that the operand is in.
      require(verdict.vector == 13 || verdict.vector == 11 || verdict.vector == 14,
              "a fault that loads do not raise");
      require(loaded(guest) == before, "a refused load changed something");
    } else {
      require(verdict.kind == Kind::Skip, "a verdict that loads do not give");
    }
    const bool new_gdt =
        guest.vcpu.gdt.base != before.gdt_base || guest.vcpu.gdt.limit != before.gdt_limit;
    // A page in place stays the guest's to write.
    if (new_gdt && !(races && guest.machine.gdt_in_place)) check_gdt(guest);
    check_others(guest);
  }
}

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  mezzo::test::run(data);
  return 0;
}
