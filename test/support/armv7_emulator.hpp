// An ARM processor to compare with: Unicorn, without an MMU of its own, so that a guest's virtual
// addresses are what is mapped here. Runs one instruction at a time, so that every stop is exact.
#pragma once

#include <unicorn/unicorn.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "arch/armv7/registers.hpp"

namespace mezzo::test {

class Armv7Emulator {
 public:
  enum class Stop : std::uint8_t {
    Arrived,  // at the address that was given
    Fault,    // at `address`, which is not mapped
    Call,     // by SVC, or another exception; the PC is the instruction's
    TooLong,
  };
  struct Outcome {
    Stop stop = Stop::TooLong;
    std::uint32_t address = 0;
    unsigned steps = 0;  // instructions that came to their end
  };

  Armv7Emulator() {
    require(uc_open(UC_ARCH_ARM, UC_MODE_ARM, &engine_));
    require(uc_ctl_set_cpu_model(engine_, UC_CPU_ARM_CORTEX_A9));
    uc_hook hook = 0;
    require(uc_hook_add(engine_, &hook, UC_HOOK_MEM_INVALID, reinterpret_cast<void*>(&on_fault),
                        this, 1, 0));
  }
  ~Armv7Emulator() { uc_close(engine_); }
  Armv7Emulator(const Armv7Emulator&) = delete;
  Armv7Emulator& operator=(const Armv7Emulator&) = delete;

  enum class Use : std::uint8_t { Code, ReadOnly, Data };
  // Pages of the host's memory, page-aligned, at an address of the emulated processor; the same
  // ones may be at several.
  void map(std::uint32_t address, void* pages, std::uint32_t bytes, Use use) {
    const std::uint32_t also = use == Use::Code   ? UC_PROT_EXEC
                               : use == Use::Data ? UC_PROT_WRITE
                                                  : UC_PROT_NONE;
    require(uc_mem_map_ptr(engine_, address, bytes, UC_PROT_READ | also, pages));
  }
  // After code has been changed.
  void forget_code() { has_old_code_ = true; }

  // The general registers, PC and CPSR, with the mode; R13 and R14 are the mode's own.
  void set(const armv7::Frame& frame) {
    write(UC_ARM_REG_CPSR, frame.cpsr);
    for (unsigned n = 0; n < 15; ++n) write(kRegisters.at(n), frame.r[n]);
    pc_ = frame.pc;
  }
  [[nodiscard]] armv7::Frame get() const {
    armv7::Frame frame{};
    for (unsigned n = 0; n < 15; ++n) frame.r[n] = read(kRegisters.at(n));
    frame.pc = pc_;
    frame.cpsr = read(UC_ARM_REG_CPSR);
    return frame;
  }
  [[nodiscard]] std::uint32_t pc() const { return pc_; }
  void set_pc(std::uint32_t pc) { pc_ = pc; }
  // A word of what is mapped, if it is.
  [[nodiscard]] bool peek(std::uint32_t address, std::uint32_t& word) const {
    return uc_mem_read(engine_, address, &word, sizeof word) == UC_ERR_OK;
  }
  [[nodiscard]] std::uint32_t read(int number) const {
    std::uint32_t value = 0;
    require(uc_reg_read(engine_, number, &value));
    return value;
  }
  void write(int number, std::uint32_t value) { require(uc_reg_write(engine_, number, &value)); }

  // TPIDRURW.
  void set_user_thread(std::uint32_t value) {
    uc_arm_cp_reg reg{};
    reg.cp = 15;
    reg.crn = 13;
    reg.opc2 = 2;
    reg.val = value;
    require(uc_reg_write(engine_, UC_ARM_REG_CP_REG, &reg));
  }

  // Runs to `until`, where something must be mapped, or so many instructions. A fault leaves
  // everything as it was before the instruction.
  Outcome run(std::uint32_t until, unsigned most = 64) {
    if (has_old_code_) require(uc_ctl_flush_tlb(engine_));
    has_old_code_ = false;
    Outcome outcome;
    for (; outcome.steps < most; ++outcome.steps) {
      if (pc_ == until) {
        outcome.stop = Stop::Arrived;
        return outcome;
      }
      fault_.reset();
      const armv7::Frame before = get();
      const uc_err error = uc_emu_start(engine_, pc_, std::uint64_t{1} << 33, 0, 1);
      if (error == UC_ERR_OK) {
        pc_ = read(UC_ARM_REG_PC);
        continue;
      }
      set(before);
      outcome.stop = fault_ ? Stop::Fault : Stop::Call;
      outcome.address = fault_.value_or(0);
      return outcome;
    }
    if (pc_ == until) outcome.stop = Stop::Arrived;
    return outcome;
  }

 private:
  static constexpr std::array kRegisters{
      UC_ARM_REG_R0,  UC_ARM_REG_R1,  UC_ARM_REG_R2,  UC_ARM_REG_R3, UC_ARM_REG_R4,
      UC_ARM_REG_R5,  UC_ARM_REG_R6,  UC_ARM_REG_R7,  UC_ARM_REG_R8, UC_ARM_REG_R9,
      UC_ARM_REG_R10, UC_ARM_REG_R11, UC_ARM_REG_R12, UC_ARM_REG_SP, UC_ARM_REG_LR};

  static void require(uc_err error) {
    if (error == UC_ERR_OK) return;
    std::fprintf(stderr, "Unicorn: %s\n", uc_strerror(error));
    std::abort();
  }
  static bool on_fault(uc_engine*, uc_mem_type, std::uint64_t address, int, std::int64_t,
                       void* self) {
    static_cast<Armv7Emulator*>(self)->fault_ = static_cast<std::uint32_t>(address);
    return false;
  }

  uc_engine* engine_ = nullptr;
  bool has_old_code_ = false;
  std::uint32_t pc_ = 0;
  std::optional<std::uint32_t> fault_;
};

}  // namespace mezzo::test
