// Guests for tests of the shadow engine: random page tables in a partition's memory, and what they
// say by the manuals. The reference reads entries bit by bit and shares no code with what is
// tested.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "arch/armv7/short_descriptor.hpp"
#include "mem/shadow_ia32.hpp"
#include "support/shadow_hardware.hpp"
#include "support/shadow_machine.hpp"

namespace mezzo::test {

// The entries that a walk reads.
struct RawWalk {
  std::array<std::uint64_t, 3> entry{};
  unsigned count = 0;
  bool unreadable = false, disabled = false;
  bool operator==(const RawWalk&) const = default;
};

// What they say.
struct Reading {
  std::optional<std::uint32_t> fault;  // the format's own number for it
  std::uint64_t physical = 0;
  std::uint32_t span = 0;
  unsigned kernel = 0, user = 0;                // rights: 1 read, 2 write, 4 execute
  unsigned kernel_cached = 0, user_cached = 0;  // those that the TLB may have without a mark
  bool global = false;
};

// A number below its argument, from whoever drives the test.
template <class Choose>
concept Chooser = std::is_invocable_r_v<std::uint32_t, Choose&, std::uint32_t>;

template <std::size_t N>
std::uint32_t any_of(Chooser auto& choose, const std::uint32_t (&values)[N]) {
  return values[choose(static_cast<std::uint32_t>(N))];
}
// Each bit of the mask, or not.
std::uint32_t any_bits(Chooser auto& choose, std::uint32_t mask) {
  return (choose(0x10000) << 16 | choose(0x10000)) & mask;
}

using AnyMachine = ShadowMachine<ArmHardware>;  // for its constants
inline constexpr std::uint32_t kPagesWanted[] = {
    AnyMachine::kGuest + 0x100000,
    AnyMachine::kGuest + 0x101000,
    AnyMachine::kGuest + 0x102000,
    AnyMachine::kGuest + 0x1ff000,
    AnyMachine::kGuest + 0x200000,
    AnyMachine::kGuest + 0x3ff000,
    AnyMachine::kGuest + 0x7ff000,
    AnyMachine::kSecondGuest,
    AnyMachine::kSecondGuest + 0x1000,
    AnyMachine::kSecondGuest + 0x7f000,
    AnyMachine::kDevice,
    AnyMachine::kDevice + 0x3000,
};
// Outside, emulated, and machine addresses that are no guest addresses.
inline constexpr std::uint32_t kPagesUnwanted[] = {
    AnyMachine::kEmulated,         0x40000000, AnyMachine::kMachine, AnyMachine::kPool,
    AnyMachine::kGuest + 0x800000,
};
std::uint32_t any_page(Chooser auto& choose) {
  return choose(8) == 0 ? any_of(choose, kPagesUnwanted) : any_of(choose, kPagesWanted);
}

class ArmGuest {
 public:
  using Hardware = ArmHardware;
  using Format = armv7::ShortDescriptor;
  using Machine = ShadowMachine<ArmHardware>;

  static constexpr std::uint32_t kContexts = 5;
  static constexpr bool kHasContexts = true;
  static constexpr bool kIsPatched = true;  // its kernel runs what the partition lets it
  static constexpr std::uint32_t kMonitor = 0xffa00000;
  static constexpr std::uint32_t kMonitorEntries[] = {
      Format::monitor_table(mem::HostPhysical{0xa0000000}),
      Format::monitor_table(mem::HostPhysical{0xa0000400})};
  static constexpr std::uint32_t kSlots[] = {0,
                                             0x00100000,
                                             0x00200000,
                                             0xc0000000,
                                             0xc0100000,
                                             0xfff00000,
                                             0xd0000000,
                                             0xd0100000,
                                             0xd0f00000,
                                             Machine::kMachine,
                                             Machine::kDeviceMachine};

  ArmGuest() {
    now.sctlr = 1;
    now.dacr = 0x55555555;
    now.prrr = 0xff0a81a8;
    now.nmrr = 0x40e040e0;
    now.ttbr1 = first_table(kContexts);
    use(0);
  }

  Format::Controls now;
  std::uint32_t context = 0;

  void use(std::uint32_t number) {
    context = number;
    now.ttbr0 = first_table(number);
    now.contextidr = 0x100 | context_number(number);
  }
  static std::uint32_t context_number(std::uint32_t number) { return 3 + 50 * number; }
  static std::uint32_t fault_number(const Format::Fault& fault) { return fault.data_status(); }
  static std::uint32_t directory(mem::Root root) {
    return static_cast<std::uint32_t>(root.table.value());
  }

  RawWalk fetch(Machine& machine, std::uint32_t number, std::uint32_t at) const {
    RawWalk walk;
    if (!bit(now.sctlr, 0)) return walk;
    const auto n = static_cast<unsigned>(bits(now.ttbcr, 2, 0));
    const bool low = n == 0 || bits(at, 31, 32 - n) == 0;
    walk.disabled = bit(now.ttbcr, low ? 4 : 5);
    if (walk.disabled) return walk;
    const std::uint32_t table = first_table(low ? number : kContexts);
    read(machine, walk, table + static_cast<std::uint32_t>(bits(at, 31, 20)) * 4);
    if (walk.count == 1 && bits(walk.entry[0], 1, 0) == 1) {
      read(machine, walk,
           static_cast<std::uint32_t>((bits(walk.entry[0], 31, 10) << 10) + bits(at, 19, 12) * 4));
    }
    return walk;
  }
  [[nodiscard]] Reading interpret(const RawWalk& walk, std::uint32_t at) const {
    if (!bit(now.sctlr, 0)) {
      return {.fault = {},
              .physical = at,
              .span = 1u << 20,
              .kernel = 7,
              .user = 7,
              .kernel_cached = 7,
              .user_cached = 7,
              .global = true};
    }
    if (walk.disabled) return {.fault = 0x05};
    if (walk.count == 0) return {.fault = 0x0c};
    const std::uint64_t first = walk.entry[0];
    if (bits(first, 1, 0) == 2) return read_section(first, at);
    if (bits(first, 1, 0) != 1) return {.fault = 0x05};
    const auto domain = static_cast<std::uint32_t>(bits(first, 8, 5));
    if (walk.unreadable) return {.fault = 0x0e | domain << 4};
    const std::uint64_t second = walk.entry[1];
    if (bits(second, 1, 0) == 0) return {.fault = 0x07 | domain << 4};
    const bool small = bit(second, 1);
    if (bit(now.sctlr, 29) && !bit(second, 4)) return {.fault = 0x06 | domain << 4};
    const auto access = bits(now.dacr, 2 * domain + 1, 2 * domain);
    if (access == 0 || access == 2) return {.fault = 0x0b | domain << 4};
    Reading reading;
    reading.span = small ? 0x1000 : 0x10000;
    reading.physical = small ? bits(second, 31, 12) << 12 | bits(at, 11, 0)
                             : bits(second, 31, 16) << 16 | bits(at, 15, 0);
    reading.global = !bit(second, 11);
    set_rights(reading, bit(second, 9), bits(second, 5, 4), bit(second, small ? 0 : 15),
               access == 3);
    return reading;
  }
  static std::uint32_t permission_fault(const RawWalk& walk) {
    const bool section = bits(walk.entry[0], 1, 0) == 2;
    const bool super = section && bit(walk.entry[0], 18);
    const auto domain = static_cast<std::uint32_t>(super ? 0 : bits(walk.entry[0], 8, 5));
    return (section ? 0x0du : 0x0fu) | domain << 4;
  }
  static bool is_marked(const RawWalk&, bool) { return true; }

  void prepare(Machine&) {}
  // Writes something random into the tables, of the current context or of all.
  void scribble(Machine& machine, Chooser auto& choose) {
    const std::uint32_t at = any_of(choose, kSlots);
    const bool everywhere = at >= 0xc0000000 ? choose(8) != 0 : choose(8) == 0;
    if (choose(4) == 0) {
      const std::uint32_t entry = any_first(choose, at);
      for (std::uint32_t n = 0; n <= kContexts; ++n) {
        if (everywhere || n == context) put_first(machine, n, at, entry);
      }
      return;
    }
    const std::uint32_t table = second_table(choose(kTables));
    const std::uint32_t index = any_of(choose, {0, 1, 2, 3, 15, 16, 17, 31, 200, 254, 255});
    const std::uint32_t entry = any_second(choose);
    put_second(machine, table, index, entry);
  }
  // Changes what takes effect without maintenance.
  void change_access(Chooser auto& choose) {
    now.dacr = choose(4) != 0 ? any_of(choose, {0x55555555, 0x55555551, 0xffffffff, 0x5555555d})
                              : any_bits(choose, 0xffffffff);
  }
  // Changes how tables are read. True if the engine drops everything.
  bool change_format(Chooser auto& choose) {
    const std::uint32_t before = now.sctlr;
    switch (choose(6)) {
      case 0:
        now.sctlr = 1;
        now.ttbcr = 0;
        break;
      case 1:
        now.sctlr ^= 1;
        break;
      case 2:
        now.sctlr ^= 1u << 29;
        break;
      case 3:
        now.sctlr ^= 1u << 28;
        break;
      default:
        now.ttbcr = any_of(choose, {0, 0, 0, 0, 1, 2, 7, 0x10, 0x21});
    }
    return now.sctlr != before;
  }
  // As if every key were open.
  [[nodiscard]] Reading interpret_opened(const RawWalk& walk, std::uint32_t at) const {
    ArmGuest opened = *this;
    opened.now.dacr = 0xffffffff;
    return opened.interpret(walk, at);
  }

 private:
  static constexpr std::uint32_t kTables = 10;

  static std::uint32_t first_table(std::uint32_t number) {
    return Machine::kGuest + 0x10000 + number * 0x4000;
  }
  static std::uint32_t second_table(std::uint32_t number) {
    return Machine::kGuest + 0x40000 + number * 0x400;
  }
  static void put(Machine& machine, std::uint32_t at, std::uint32_t entry) {
    machine.put(mem::GuestPhysical{at}, entry);
  }
  // Large pages and supersections are sixteen equal entries: if one of them goes, all do.
  static void put_second(Machine& machine, std::uint32_t table, std::uint32_t index,
                         std::uint32_t entry) {
    const auto is_large = [](std::uint32_t e) { return (e & 3) == 1; };
    const std::uint32_t old = machine.get(mem::GuestPhysical{table + index * 4});
    put_one_or_all(machine, table, index, entry, is_large(old), is_large(entry));
  }
  static void put_first(Machine& machine, std::uint32_t number, std::uint32_t at,
                        std::uint32_t entry) {
    const auto is_super = [](std::uint32_t e) { return (e & 3) == 2 && bit(e, 18); };
    const std::uint32_t table = first_table(number);
    const std::uint32_t old = machine.get(mem::GuestPhysical{table + (at >> 20) * 4});
    put_one_or_all(machine, table, at >> 20, entry, is_super(old), is_super(entry));
  }
  static void put_one_or_all(Machine& machine, std::uint32_t table, std::uint32_t index,
                             std::uint32_t entry, bool were_all, bool all) {
    for (std::uint32_t n = 0; n < 16; ++n) {
      const std::uint32_t at = table + ((index & ~15u) + n) * 4;
      if (all || n == index % 16) {
        put(machine, at, entry);
      } else if (were_all) {
        put(machine, at, 0);
      }
    }
  }
  static void read(Machine& machine, RawWalk& walk, std::uint32_t at) {
    const auto where = mem::GuestPhysical{at};
    if (!Machine::translate(where) || Machine::within(where, Machine::kDevice, 0x4000)) {
      walk.unreadable = true;
      return;
    }
    walk.entry[walk.count++] = machine.get(where);
  }
  static std::uint32_t any_first(Chooser auto& choose, std::uint32_t at) {
    const std::uint32_t domain = (choose(3) == 0 ? choose(16) : choose(3)) << 5;
    switch (choose(16)) {
      case 0:
        return any_bits(choose, 0xffffffff) & ~3u;
      case 1:
        return any_bits(choose, 0xffffffff) | 3;
      case 2:
      case 3:
      case 6: {
        const std::uint32_t where =
            any_of(choose, {Machine::kGuest + 0x100000, Machine::kGuest + 0x200000,
                            Machine::kGuest + 0x300000, Machine::kGuest + 0x700000, 0x70000000,
                            Machine::kDevice, 0x40000000, Machine::kPool});
        return where | any_bits(choose, 0x3fc1c) | domain | 2 | likely_rights(choose) << 10;
      }
      case 4: {
        if ((at & 0xf0000000) != 0xd0000000) return 0;
        const std::uint32_t where = any_of(choose, {Machine::kGuest, 0x70000000, 0x10000000});
        return where | any_bits(choose, 0x3fc1c) | 1u << 18 | 2 |
               (choose(4) == 0 ? any_bits(choose, 0xf001e0) : 0);
      }
      case 5:
        return any_of(choose, {0x12300000, 0x5fffc000, Machine::kDevice, 0x70100000}) | domain | 1;
      default:
        return second_table(choose(kTables)) | domain | any_bits(choose, 0x8) | 1;
    }
  }
  static std::uint32_t any_second(Chooser auto& choose) {
    const std::uint32_t where = any_page(choose);
    switch (choose(8)) {
      case 0:
        return any_bits(choose, 0xffffffff) & ~3u;
      case 1:
        return (where & 0xffff0000) | any_bits(choose, 0xfe3c) | 1;
      default:
        return where | (any_bits(choose, 0xfff) & ~0x30u) | 2 | likely_rights(choose) << 4;
    }
  }
  static std::uint32_t likely_rights(Chooser auto& choose) {
    return any_of(choose, {0, 1, 1, 2, 3, 3});
  }

  [[nodiscard]] Reading read_section(std::uint64_t entry, std::uint32_t at) const {
    const bool super = bit(entry, 18);
    const auto domain = static_cast<std::uint32_t>(super ? 0 : bits(entry, 8, 5));
    if (bit(now.sctlr, 29) && !bit(entry, 10)) return {.fault = 0x03 | domain << 4};
    const auto access = bits(now.dacr, 2 * domain + 1, 2 * domain);
    if (access == 0 || access == 2) return {.fault = 0x09 | domain << 4};
    Reading reading;
    reading.span = super ? 1u << 24 : 1u << 20;
    reading.physical = super ? bits(entry, 8, 5) << 36 | bits(entry, 23, 20) << 32 |
                                   bits(entry, 31, 24) << 24 | bits(at, 23, 0)
                             : bits(entry, 31, 20) << 20 | bits(at, 19, 0);
    reading.global = !bit(entry, 17);
    set_rights(reading, bit(entry, 15), bits(entry, 11, 10), bit(entry, 4), access == 3);
    return reading;
  }
  // Table B3-8 and, with the access flag, B3-9.
  void set_rights(Reading& reading, bool ap2, std::uint64_t ap10, bool xn, bool manager) const {
    unsigned kernel = 0, user = 0;
    if (bit(now.sctlr, 29)) {
      kernel = ap2 ? 1 : 3;
      user = bit(ap10, 1) ? kernel : 0;
    } else if (!ap2) {
      kernel = ap10 == 0 ? 0 : 3;
      user = ap10 == 3 ? 3 : ap10 == 2 ? 1 : 0;
    } else {
      kernel = ap10 == 0 ? 0 : 1;
      user = ap10 >= 2 ? 1 : 0;
    }
    if (!xn && (kernel & 1) != 0) kernel |= 4;
    if (!xn && (user & 1) != 0) user |= 4;
    reading.kernel = reading.kernel_cached = manager ? 7 : kernel;
    reading.user = reading.user_cached = manager ? 7 : user;
  }
};

}  // namespace mezzo::test
