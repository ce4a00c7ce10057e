// A guest kernel on an Armv7Machine, as far as emulation sees it, and the execution of one
// instruction word of it through the decoder.
#pragma once

#include <array>
#include <cstdint>

#include "arch/armv7/emulate.hpp"
#include "support/armv7_machine.hpp"

namespace mezzo::test {

constexpr std::array kArmv7Modes{
    armv7::psr::kUser,  armv7::psr::kFiq,       armv7::psr::kIrq,   armv7::psr::kSupervisor,
    armv7::psr::kAbort, armv7::psr::kUndefined, armv7::psr::kSystem};

struct Armv7Guest {
  static constexpr std::uint32_t kCode = 0xc0008000;
  static constexpr std::uint32_t kData = 0x00020000;  // two pages
  static constexpr std::uint32_t kProcessor = 0x10;   // the processor's mode: always User

  Armv7Machine machine;
  armv7::SharedState shared;
  armv7::Vcpu vcpu = armv7::Vcpu::at_entry(shared);
  armv7::Frame frame{};
  armv7::Context<Armv7Machine> context{machine, vcpu, frame};

  explicit Armv7Guest(std::uint32_t mode = armv7::psr::kSupervisor, bool cortex_a9 = true)
      : machine(cortex_a9) {
    machine.map(kData, 0x2000);
    in_mode(mode);
    frame.pc = kCode;
    frame.cpsr = kProcessor;
  }
  Armv7Guest(const Armv7Guest&) = delete;
  Armv7Guest& operator=(const Armv7Guest&) = delete;

  // Registers of each mode can be told apart: r8 to r14 are their number and the mode's, twice.
  void in_mode(std::uint32_t mode) {
    for (const std::uint32_t each : kArmv7Modes) {
      armv7::change_mode(vcpu, frame, each);
      for (unsigned n = 0; n < 15; ++n) {
        const bool banked = n >= 13 || (n >= 8 && each == armv7::psr::kFiq);
        if (banked) frame.r[n] = value_of(n, each);
        if (!banked && each != armv7::psr::kFiq) frame.r[n] = value_of(n, armv7::psr::kUser);
      }
      shared.spsr = armv7::psr::kUser;
    }
    armv7::change_mode(vcpu, frame, mode);
  }
  [[nodiscard]] static std::uint32_t value_of(unsigned number, std::uint32_t mode) {
    if (mode == armv7::psr::kSystem) mode = armv7::psr::kUser;
    return 0xab000000 | mode << 8 | number;
  }

  Verdict execute(std::uint32_t word) { return armv7::emulate(context, armv7::decode(word)); }
};

}  // namespace mezzo::test
