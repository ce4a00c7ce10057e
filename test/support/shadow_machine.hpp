// A machine for tests of the shadow engine: a partition of two pieces of memory and a device whose
// machine addresses differ from the guest's, page states, and a pool for the machine's tables, with
// a walker and a TLB as walked_tables.hpp has them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mem/shadow_types.hpp"
#include "support/walked_tables.hpp"

namespace mezzo::test {

template <class Hardware>
class ShadowMachine {
 public:
  using Backing = mem::Backing;
  using GuestPhysical = mem::GuestPhysical;
  using HostPhysical = mem::HostPhysical;

  // Guest memory: 8 MiB at kGuest, the machine's kMachine; then 1 MiB at kSecondGuest whose machine
  // pages lie before those, not at a multiple of 1 MiB.
  static constexpr std::uint32_t kGuest = 0x60000000, kMachine = 0x88000000, kBytes = 8u << 20;
  static constexpr std::uint32_t kSecondGuest = 0x70080000, kSecondMachine = 0x87e40000;
  static constexpr std::uint32_t kSecondBytes = 0x80000;
  static constexpr std::uint32_t kDevice = 0x10000000, kDeviceMachine = 0x1c000000;
  static constexpr std::uint32_t kDeviceBytes = 0x4000;
  static constexpr std::uint32_t kEmulated = 0x1e000000, kEmulatedBytes = 0x2000;
  static constexpr std::uint32_t kPool = 0x9f000000;
  static constexpr std::uint32_t kPages = (kBytes + kSecondBytes) / mem::kPageSize;

  struct PageState {
    bool writable = true, executable = false;
    bool operator==(const PageState&) const = default;
  };

  explicit ShadowMachine(std::uint32_t pool_bytes)
      : memory_(kBytes / 4),
        second_(kSecondBytes / 4),
        states_(kPages),
        tables(kPool, pool_bytes) {}

  // --- what the engine sees ---

  Backing backing(GuestPhysical at, std::uint32_t wanted, mem::GuestVirtual) {
    const auto machine = translate(at);
    if (!machine) {
      return within(at, kEmulated, kEmulatedBytes) ? Backing{.kind = Backing::Kind::Emulated}
                                                   : Backing{};
    }
    if (within(at, kDevice, kDeviceBytes)) {
      return {.kind = Backing::Kind::Device,
              .machine = *machine,
              .bytes = kDevice + kDeviceBytes - static_cast<std::uint32_t>(at.value()),
              .writable = true};
    }
    const PageState state = state_of(*machine);
    Backing result{.kind = Backing::Kind::Memory,
                   .machine = *machine,
                   .bytes = mem::kPageSize - static_cast<std::uint32_t>(at.offset_in()),
                   .writable = state.writable,
                   .executable = state.executable};
    result.frame = frame(*machine);
    while (result.bytes < wanted) {
      const auto next = translate(at + result.bytes);
      if (!next || *next != *machine + result.bytes || state_of(*next) != state) break;
      result.bytes += mem::kPageSize;
    }
    return result;
  }
  // At once only in the first piece, as long as it may be written.
  std::optional<Backing> page(GuestPhysical at, mem::GuestVirtual address) {
    if (!within(at, kGuest, kBytes)) return std::nullopt;
    const Backing found = backing(at, mem::kPageSize, address);
    return found.writable ? std::optional(found) : std::nullopt;
  }
  std::optional<HostPhysical> memory(GuestPhysical at) {
    return within(at, kDevice, kDeviceBytes) ? std::nullopt : translate(at);
  }
  // The second piece first, so that the blocks of the other do not begin at a multiple of their
  // size.
  std::uint32_t frame(HostPhysical machine) {
    const auto at = static_cast<std::uint32_t>(machine.value());
    if (at - kSecondMachine < kSecondBytes) return (at - kSecondMachine) / mem::kPageSize;
    if (at - kMachine < kBytes) return (at - kMachine + kSecondBytes) / mem::kPageSize;
    return 0xffffffff;
  }
  std::uint32_t read(HostPhysical at) {
    return tables.has(at.value()) ? tables.read(narrow(at)) : *word(at);
  }
  void write(HostPhysical at, std::uint32_t value) {
    if (tables.has(at.value())) return tables.write(narrow(at), value);
    *word(at) = value;
  }
  void clear(HostPhysical at, std::uint32_t bytes) { tables.clear(narrow(at), bytes); }
  void copy(HostPhysical to, HostPhysical from, std::uint32_t bytes) {
    tables.copy(narrow(to), narrow(from), bytes);
  }
  void clean(HostPhysical at, std::uint32_t bytes) { tables.clean(narrow(at), bytes); }
  void barrier() { tables.barrier(); }
  void invalidate_page(mem::GuestVirtual at, std::uint32_t context) {
    tables.invalidate_page(at, context);
  }
  void invalidate_context(std::uint32_t context) { tables.invalidate_context(context); }
  // The monitor has slots of its own where memory, devices and the pool are in the machine.
  bool may_be_global(mem::GuestVirtual at) const {
    const auto is_in = [&](std::uint32_t base, std::uint32_t bytes) {
      const std::uint32_t first = base / Hardware::kSlotBytes;
      const std::uint32_t last = (base + bytes - 1) / Hardware::kSlotBytes;
      return at.value() / Hardware::kSlotBytes - first <= last - first;
    };
    return !monitor_is_everywhere && !is_in(kMachine, kBytes) &&
           !is_in(kSecondMachine, kSecondBytes) && !is_in(kDeviceMachine, kDeviceBytes) &&
           !is_in(kPool, 1);
  }
  void invalidate_all() { tables.invalidate_all(); }

  // --- what the test does ---

  static std::optional<HostPhysical> translate(GuestPhysical at) {
    const auto offset = [&](std::uint32_t base) { return at.value() - base; };
    if (within(at, kGuest, kBytes)) return HostPhysical{kMachine + offset(kGuest)};
    if (within(at, kSecondGuest, kSecondBytes)) {
      return HostPhysical{kSecondMachine + offset(kSecondGuest)};
    }
    if (within(at, kDevice, kDeviceBytes)) return HostPhysical{kDeviceMachine + offset(kDevice)};
    return std::nullopt;
  }
  void make_executable() {
    for (PageState& state : states_) state.executable = true;
  }
  PageState& state_of(HostPhysical page) { return states_.at(frame(page)); }
  void put(GuestPhysical at, std::uint32_t value) { write(*translate(at), value); }
  std::uint32_t get(GuestPhysical at) { return read(*translate(at)); }
  static bool within(GuestPhysical at, std::uint32_t base, std::uint32_t bytes) {
    return at.value() >= base && at.value() - base < bytes;
  }

 private:
  static std::uint32_t narrow(HostPhysical at) { return static_cast<std::uint32_t>(at.value()); }
  std::uint32_t* word(HostPhysical at) {
    const auto offset = [&](std::uint32_t base) { return (at.value() - base) / 4; };
    if (at.value() >= kMachine) return &memory_.at(offset(kMachine));
    return &second_.at(offset(kSecondMachine));
  }

  std::vector<std::uint32_t> memory_, second_;
  std::vector<PageState> states_;

 public:
  bool monitor_is_everywhere = false;  // may_be_global: nowhere
  WalkedTables<Hardware> tables;
};

}  // namespace mezzo::test
