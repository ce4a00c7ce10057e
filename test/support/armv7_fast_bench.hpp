// The monitor's assembly (fast_path.S, transfers.S, entry.S) on an emulated processor: a
// CPU's own memory, the page that is shared with the guest, some of the guest's, and the exceptions
// that lead into the assembly and out of it.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "abi/status.hpp"
#include "arch/armv7/fast_path.hpp"
#include "arch/armv7/layout.hpp"
#include "arch/armv7/registers.hpp"
#include "arch/armv7/vcpu.hpp"
#include "support/armv7_emulator.hpp"
#include "support/armv7_image.hpp"

namespace mezzo::test {

class FastBench {
 public:
  using Frame = armv7::Frame;
  struct alignas(4096) Page {
    std::array<std::uint32_t, 1024> words{};
  };

  enum class End : std::uint8_t {
    Guest,    // back in the guest
    Monitor,  // handle_trap() is called
    Broken,   // a fault where none may be, or no end
  };
  struct Result {
    End end = End::Broken;
    std::uint32_t pc = 0;                      // Broken: where
    std::optional<std::uint32_t> access;       // what DACR has been written with
    std::optional<std::uint32_t> thread;       // likewise TPIDRURO
    std::optional<std::uint32_t> user_thread;  // and TPIDRURW
    std::optional<std::uint32_t> table, asid;  // and TTBR0 and CONTEXTIDR, last
    unsigned invalidations = 0;                // of all instructions, or of branch prediction
    bool filled = false;                       // fill_missed() has been called, which is played
    unsigned steps = 0;
  };

  explicit FastBench(const char* image) : image_(image) {
    namespace layout = armv7::layout;
    image_.map(cpu);
    cpu.map(layout::kCpuArea, area_.data(), sizeof area_, Armv7Emulator::Use::Data);
    cpu.map(layout::kSharedPage, &shared_, sizeof shared_, Armv7Emulator::Use::Data);
  }

  Armv7Emulator cpu;

  [[nodiscard]] Frame& frame() { return at<Frame>(armv7::layout::kFrame); }
  [[nodiscard]] armv7::FastPath& fast() {
    return at<armv7::FastPath>(armv7::layout::kFrame + MEZZO_FAST);
  }
  // What assembly reaches of struct Vcpu, which has pointers of the host's behind.
  struct VcpuHead {
    std::uint32_t mode;
    std::array<armv7::Bank, static_cast<std::size_t>(armv7::BankName::Count)> banks;
  };
  [[nodiscard]] VcpuHead& vcpu() { return at<VcpuHead>(armv7::layout::kFrame + MEZZO_VCPU); }
  [[nodiscard]] armv7::SharedState& shared() {
    return *reinterpret_cast<armv7::SharedState*>(shared_.words.data() + 512);
  }
  [[nodiscard]] std::uint64_t& counter(status::Armv7Exit cause) {
    return at<std::uint64_t>(kCounters + 8 * static_cast<std::uint32_t>(cause));
  }
  // What the assembly knows of contexts of the guest, by ASID.
  struct Context {
    std::uint32_t table, asid;
  };
  [[nodiscard]] Context& context(std::uint32_t asid) {
    return at<Context>(MEZZO_CONTEXTS + asid * sizeof(Context));
  }
  [[nodiscard]] std::uint32_t& contextidr() {
    return at<std::uint32_t>(armv7::layout::kFrame + MEZZO_VCPU_CONTEXTIDR);
  }
  static constexpr std::uint32_t kCounters = armv7::layout::kCpuArea + 0x6000;

  // Guest memory.
  void map(std::uint32_t address) {
    auto& page = memory_[address & ~4095u];
    if (page) return;
    page = std::make_unique<Page>();
    cpu.map(address & ~4095u, page.get(), sizeof(Page), Armv7Emulator::Use::Data);
  }
  [[nodiscard]] std::uint32_t& word(std::uint32_t address) {
    map(address);
    return memory_.at(address & ~4095u)->words.at(address % 4096 / 4);
  }
  [[nodiscard]] bool has(std::uint32_t address) const { return memory_.contains(address & ~4095u); }

  // The guest, whose registers these are, executes an undefined instruction in ARM state; frame.pc
  // is the one behind it.
  Result undefined(const Frame& registers) {
    enter(registers, registers.pc, 0x1b, image_.symbol("enter_undefined"));
    return run();
  }
  // The guest, whose registers these are, executes SVC; frame.pc is the instruction behind it.
  Result call(const Frame& registers) {
    enter(registers, registers.pc, 0x13, image_.symbol("enter_supervisor_call"));
    return run();
  }
  // All of the CPU's memory but frame, FastPath, the head of Vcpu, CONTEXTIDR, contexts and
  // counters.
  [[nodiscard]] bool is_rest_untouched() const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(area_.data());
    const auto is_known = [](std::uint32_t n) {
      constexpr std::uint32_t kFrame = MEZZO_STACK_SIZE - MEZZO_FRAME_ROOM;
      constexpr std::uint32_t kHead = MEZZO_FRAME_ROOM + sizeof(armv7::FastPath) + sizeof(VcpuHead);
      return n - kFrame < kHead || n - (kFrame + MEZZO_VCPU_CONTEXTIDR) < 4 ||
             n - (MEZZO_CONTEXTS - armv7::layout::kCpuArea) < 256 * sizeof(Context) ||
             n - (kCounters - armv7::layout::kCpuArea) < 8 * status::kExitCauses;
    };
    for (std::uint32_t n = 0; n < sizeof area_; ++n) {
      if (!is_known(n) && bytes[n] != 0) return false;
    }
    return true;
  }

 private:
  static constexpr std::uint32_t kAccessWrite = 0xee030f10, kThreadWrite = 0xee0d0f70,
                                 kUserThreadWrite = 0xee0d0f50;
  static constexpr std::uint32_t kTableWrite = 0xee020f10, kContextWrite = 0xee0d0f30;
  static constexpr std::uint32_t kInstructions = 0xee070f15, kPrediction = 0xee070fd5;

  template <class T>
  [[nodiscard]] T& at(std::uint32_t address) {
    return *reinterpret_cast<T*>(reinterpret_cast<char*>(area_.data()) +
                                 (address - armv7::layout::kCpuArea));
  }
  // An exception of the processor's in `mode` with this preferred return address.
  void enter(const Frame& from, std::uint32_t return_address, std::uint32_t mode,
             std::uint32_t vector) {
    Frame user = from;
    user.cpsr = (from.cpsr & ~0x20u & ~0x1fu) | 0x10;
    cpu.set(user);
    enter_mode(mode, from.cpsr, return_address, vector);
  }
  void enter_mode(std::uint32_t mode, std::uint32_t saved, std::uint32_t return_address,
                  std::uint32_t vector) {
    cpu.write(UC_ARM_REG_CPSR, (saved & 0xf8000000) | 0x1c0 | mode);
    cpu.write(UC_ARM_REG_SPSR, saved);
    cpu.write(UC_ARM_REG_SP, armv7::layout::kFrame);
    cpu.write(UC_ARM_REG_LR, return_address);
    cpu.set_pc(vector);
  }
  Result run() {
    Result result;
    const std::uint32_t monitor = image_.symbol("handle_trap");
    const std::uint32_t fill = image_.symbol("fill_missed");
    for (; result.steps < 400; ++result.steps) {
      result.pc = cpu.pc();
      if (result.pc == monitor) {
        result.end = End::Monitor;
        return result;
      }
      if (result.pc == fill) {
        result.filled = true;
        play_fill();
        continue;
      }
      note(result);
      if (returns()) {
        if ((cpu.read(UC_ARM_REG_CPSR) & armv7::psr::kModeMask) != armv7::psr::kUser) continue;
        result.end = End::Guest;
        return result;
      }
      const auto outcome = cpu.run(~0u, 1);
      if (outcome.stop == Armv7Emulator::Stop::Call) return result;
      if (outcome.stop == Armv7Emulator::Stop::Fault) abort();
    }
    return result;
  }
  // A function of C++ that unblocks returns; what it need not keep, it does not (AAPCS).
  void play_fill() {
    fast().blocked &= ~armv7::FastPath::kMissed;
    const std::uint32_t link = cpu.read(UC_ARM_REG_LR);
    for (const int lost : {UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3,
                           UC_ARM_REG_R12, UC_ARM_REG_LR}) {
      cpu.write(lost, 0xdeadbeef);
    }
    cpu.set_pc(link);
  }
  // MOVS PC, LR and RFEIA LR, done here: nothing need be mapped where they lead.
  bool returns() {
    constexpr std::uint32_t kMoves = 0xe1b0f00e, kReturnFrom = 0xf89e0a00;
    std::uint32_t word = 0;
    if (!cpu.peek(cpu.pc(), word) || (word != kMoves && word != kReturnFrom)) return false;
    std::uint32_t status = cpu.read(UC_ARM_REG_SPSR), to = cpu.read(UC_ARM_REG_LR);
    if (word == kReturnFrom && (!cpu.peek(to + 4, status) || !cpu.peek(to, to))) return false;
    cpu.write(UC_ARM_REG_CPSR, status);
    cpu.set_pc(to & ((status & armv7::psr::kThumb) != 0 ? ~1u : ~3u));
    return true;
  }
  // Coprocessor writes that are about to happen.
  void note(Result& result) {
    std::uint32_t word = 0;
    if (!cpu.peek(cpu.pc(), word)) return;
    if ((word & 0x0f000f10) != 0x0e000f10) return;  // no MCR of coprocessor 15
    const Frame frame = cpu.get();
    const bool passes = word >> 28 == 14 || (word >> 28 == 1 && (frame.cpsr >> 30 & 1) == 0);
    const std::uint32_t transfer = (word & 0x0fff0fff) | 0xe0000000;
    if (!passes) return;
    if (transfer == kAccessWrite) result.access = frame.r[word >> 12 & 15];
    if (transfer == kThreadWrite) result.thread = frame.r[word >> 12 & 15];
    if (transfer == kUserThreadWrite) result.user_thread = frame.r[word >> 12 & 15];
    if (transfer == kTableWrite) result.table = frame.r[word >> 12 & 15];
    if (transfer == kContextWrite) result.asid = frame.r[word >> 12 & 15];
    if (transfer == kInstructions || transfer == kPrediction) ++result.invalidations;
  }
  // A data abort of the monitor's own access.
  void abort() {
    const std::uint32_t pc = cpu.pc(), cpsr = cpu.read(UC_ARM_REG_CPSR);
    enter_mode(armv7::psr::kAbort, cpsr, pc + 8, image_.symbol("enter_data_abort"));
  }

  Armv7Image image_;
  std::array<Page, 8> area_{};
  Page shared_;
  std::map<std::uint32_t, std::unique_ptr<Page>> memory_;
};

}  // namespace mezzo::test
