// The region of stubs on an emulated processor, with text of a guest's kernel that branches there;
// and a model guest, on which the monitor's emulation does the same as the stubs should.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>

#include "arch/armv7/stubs.hpp"
#include "support/armv7_emulator.hpp"
#include "support/armv7_guest.hpp"

namespace mezzo::test {

class StubBench {
 public:
  using Frame = armv7::Frame;
  using SharedState = armv7::SharedState;
  using Stubs = armv7::Stubs;
  struct alignas(4096) Page {
    std::array<std::uint32_t, 1024> words{};
  };

  explicit StubBench(const armv7::StubOptions& options = {})
      : code_(std::make_unique<std::array<Page, Stubs::kCodeBytes / sizeof(Page)>>()),
        stubs_(std::make_unique<Stubs>()) {
    std::array<std::uint32_t, Stubs::kTableEntries> entries{};
    stubs_->reset(code(), mem::HostPhysical{kCode}, options);
    Stubs::write_tables(entries, mem::HostPhysical{kCode}, mem::HostPhysical{kShared}, true);
    for (std::uint32_t n = 0; n < entries.size(); ++n) {
      const std::uint32_t machine = entries[n] & ~4095u;
      const std::uint32_t at = Stubs::kBase + n * 4096;
      if (machine == kShared) cpu.map(at, &shared_, 4096, Armv7Emulator::Use::Data);
      if (machine == 0 || machine == kShared) continue;
      cpu.map(at, &code_->at((machine - kCode) / 4096), 4096, Armv7Emulator::Use::Code);
    }
    cpu.map(Armv7Guest::kData, data_.data(), kDataBytes, Armv7Emulator::Use::Data);
  }

  Armv7Emulator cpu;

  [[nodiscard]] Stubs& stubs() { return *stubs_; }
  [[nodiscard]] std::span<std::uint32_t> code() {
    return {code_->front().words.data(), Stubs::kCodeBytes / 4};
  }
  [[nodiscard]] SharedState& shared() {
    return *reinterpret_cast<SharedState*>(shared_.words.data() + Stubs::kSharedOffset / 4);
  }
  [[nodiscard]] std::uint32_t& data(std::uint32_t address) {
    return data_.at((address - Armv7Guest::kData) / 4096).words.at(address % 4096 / 4);
  }
  static constexpr std::uint32_t kDataBytes = 0x2000;
  void clear_data() { std::memset(data_.data(), 0, kDataBytes); }
  [[nodiscard]] bool is_data_clear() const {
    static constexpr std::array<Page, kDataBytes / sizeof(Page)> kClear{};
    return std::memcmp(data_.data(), kClear.data(), kDataBytes) == 0;
  }
  // A word of the kernel's text.
  [[nodiscard]] std::uint32_t& text(std::uint32_t address) {
    auto& page = text_[address & ~4095u];
    if (!page) {
      page = std::make_unique<Page>();
      cpu.map(address & ~4095u, page.get(), 4096, Armv7Emulator::Use::Code);
    }
    cpu.forget_code();
    return page->words.at(address % 4096 / 4);
  }
  // Puts the branch to its stub there; false if the word has none among those around it.
  [[nodiscard]] bool patch(std::uint32_t word, std::uint32_t at,
                           const armv7::Surroundings& around = {}) {
    const auto branch = stubs_->branch(word, mem::GuestVirtual{at}, around);
    if (!branch) return false;
    text(at) = *branch;
    (void)text(at + 4);  // the processor looks there
    return true;
  }

  static constexpr std::uint32_t kCode = 0x70000000, kShared = 0x7f000000;

 private:
  Page shared_;
  std::array<Page, kDataBytes / sizeof(Page)> data_{};
  std::unique_ptr<std::array<Page, Stubs::kCodeBytes / sizeof(Page)>> code_;
  std::unique_ptr<Stubs> stubs_;
  std::map<std::uint32_t, std::unique_ptr<Page>> text_;
};

// A kernel about to execute an instruction, in the model and on the bench alike.
class StubCase {
 public:
  StubCase(StubBench& bench, std::mt19937& random, std::uint32_t mode)
      : guest_(mode), bench_(bench), random_(random) {
    armv7::SystemControl& control = guest_.vcpu.control;
    armv7::SharedState& shared = guest_.shared;
    for (unsigned n = 0; n < 15; ++n) guest_.frame.r[n] = any();
    guest_.frame.cpsr = (any() & 0xf80f0000) | armv7::psr::kUser;
    guest_.vcpu.set_masks(any());
    shared.tpidrprw = any();
    shared.tpidrurw = guest_.machine.thread_ids[0] = any();
    shared.dacr = any();
    shared.spsr = any() & ~armv7::psr::kReserved;
    shared.ttbr0 = control.ttbr0 = any();
    shared.sctlr = control.sctlr = any();
    shared.dfsr = control.dfsr = any();
    shared.ifsr = control.ifsr = any();
    shared.dfar = control.dfar = any();
    shared.ifar = control.ifar = any();
    shared.fpexc = control.fpexc = any() & armv7::fpexc::kEnable;
    control.cpacr = 0x00f00000;
    shared.ctr = guest_.machine.id_register(armv7::IdRegister::Ctr);
    shared.midr = guest_.machine.id_register(armv7::IdRegister::Midr);
    shared.user_sp = armv7::user_register(guest_.vcpu, guest_.frame, 13);
    shared.user_lr = armv7::user_register(guest_.vcpu, guest_.frame, 14);
    shared.kernels_thread = any();
    shared.process_thread = any();
    shared.doorbell = armv7::Stubs::kDoorbell;
    shared.last_users_slot = 4095;
    shared.saved = {any(), any()};
  }

  [[nodiscard]] armv7::Frame& frame() { return guest_.frame; }
  [[nodiscard]] armv7::SharedState& shared() { return guest_.shared; }
  [[nodiscard]] Armv7Guest& guest() { return guest_; }
  [[nodiscard]] std::uint32_t any() { return static_cast<std::uint32_t>(random_()); }

  // The bench is as the model is, about to execute the word at `at`.
  void load(std::uint32_t at) {
    guest_.frame.pc = at;
    bench_.cpu.set(guest_.frame);
    bench_.shared() = guest_.shared;
    bench_.clear_data();
  }
  // The model executes `word`, and shares what the monitor shares after an exit.
  [[nodiscard]] Verdict execute(std::uint32_t word) {
    const Verdict verdict = guest_.execute(word);
    guest_.shared.ttbr0 = guest_.vcpu.control.ttbr0;
    guest_.shared.tpidrurw = guest_.machine.thread_ids[0];
    guest_.shared.fpexc = guest_.vcpu.control.fpexc;
    if (verdict.kind == Verdict::Kind::Skip) armv7::finish_instruction(guest_.frame);
    return verdict;
  }
  // What differs between the bench and the model, borrowed registers' places aside; or null.
  [[nodiscard]] const char* difference() {
    const armv7::Frame there = bench_.cpu.get();
    const armv7::Frame& here = guest_.frame;
    for (unsigned n = 0; n < 15; ++n) {
      if (there.r[n] != here.r[n]) return "a register";
    }
    if (there.pc != here.pc) return "the PC";
    if (there.cpsr != here.cpsr) return "the flags";
    armv7::SharedState shared = bench_.shared();
    shared.saved = guest_.shared.saved;
    shared.spsr &= ~armv7::psr::kReserved;
    if (std::memcmp(&shared, &guest_.shared, sizeof shared) != 0) return "the shared state";
    if (guest_.machine.accesses == 0) return bench_.is_data_clear() ? nullptr : "memory";
    for (std::uint32_t n = 0; n < StubBench::kDataBytes; n += 4) {
      const std::uint32_t at = Armv7Guest::kData + n;
      if (bench_.data(at) != guest_.machine.get(at)) return "memory";
    }
    return nullptr;
  }

 private:
  Armv7Guest guest_;
  StubBench& bench_;
  std::mt19937& random_;
};

}  // namespace mezzo::test
