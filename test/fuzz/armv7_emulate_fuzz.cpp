// Fuzzer: a hostile ARMv7 guest against the emulation. Registers, memory, the page it shares with
// the monitor and the instructions are the fuzzer's; somebody changes memory and that page after
// every access; exceptions come in between. Whatever happens, the guest's mode is one that exists,
// the processor's mode and masks are not the guest's, its kernel is in ARM state, and a process
// reaches nothing that is its kernel's.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support/armv7_guest.hpp"

namespace mezzo::test {
namespace {

using armv7::Exception;
namespace psr = armv7::psr;
using Kind = Verdict::Kind;

// One word of each instruction with an effect; the fuzzer changes some bits of it, or none.
constexpr std::array<std::uint32_t, 44> kWords{
    0xf10c0080, 0xf10801c0, 0xf1020010, 0xf10e00d2, 0xf1010200, 0xe10f3000, 0xe12ff002, 0xe321f0d2,
    0xe14f3000, 0xe16ff002, 0xe1b0f00e, 0xe25ef004, 0xe091f102, 0xe8fd800f, 0xe9708002, 0xe8d07f00,
    0xe8c07f00, 0xe940e002, 0xf8b10a00, 0xf9310a00, 0xf8ed0513, 0xf96d0512, 0xe4313004, 0xe6b13102,
    0xe07130d1, 0xe4a13004, 0xe06130b2, 0xe5b13004, 0xe591f000, 0xe7813102, 0xe1e140d8, 0xe04140f8,
    0xe8b18014, 0xe9218014, 0xe320f003, 0xe1600070, 0xef000000, 0xee110f10, 0xee010f10, 0xee070f18,
    0xee080f37, 0xee070f5e, 0xeef83a10, 0xeee83a10};

constexpr std::array kExceptions{Exception::Undefined,     Exception::SupervisorCall,
                                 Exception::PrefetchAbort, Exception::DataAbort,
                                 Exception::Irq,           Exception::Fiq};

void require(bool condition, const char* what, const Armv7Guest& guest) {
  if (condition) return;
  std::fprintf(stderr, "%s: mode %#x pc %#x cpsr %#x shared psr %#x spsr %#x\n", what,
               guest.vcpu.mode, guest.frame.pc, guest.frame.cpsr, guest.shared.psr,
               guest.shared.spsr);
  std::abort();
}

// What a process must leave alone.
struct KernelState {
  armv7::SystemControl control;
  std::uint32_t dacr, tpidrprw, mode, masks;
  std::array<armv7::Bank, 6> banks;
  std::array<std::uint32_t, 5> other_high;

  explicit KernelState(const Armv7Guest& guest)
      : control(guest.vcpu.control),
        dacr(guest.shared.dacr),
        tpidrprw(guest.shared.tpidrprw),
        mode(guest.vcpu.mode),
        masks(guest.vcpu.masks()),
        banks(guest.vcpu.banks),
        other_high(guest.vcpu.other_high) {}
};

class Fuzz {
 public:
  explicit Fuzz(FuzzedDataProvider& data) : data_(data), guest_(some_mode(), data.ConsumeBool()) {
    using Rights = Armv7Machine::Rights;
    guest_.machine.map(0x30000, 0x1000, Rights{data.ConsumeBool(), data.ConsumeBool(), false});
    scribble();
    if (data.ConsumeBool()) {
      guest_.machine.after_access = [this](Armv7Machine&) {
        if (data_.ConsumeBool()) scribble();
      };
    }
  }

  void run() {
    while (data_.remaining_bytes() > 0) {
      disturb();
      if (data_.ConsumeIntegralInRange(0, 7) == 0) {
        if (!settle(raise_any())) return;
      } else if (!step()) {
        return;
      }
    }
  }

 private:
  std::uint32_t some_mode() { return data_.PickValueInArray(kArmv7Modes); }
  std::uint32_t word() { return data_.ConsumeIntegral<std::uint32_t>(); }

  // The guest writes the shared page at any time, and its memory.
  void scribble() {
    switch (data_.ConsumeIntegralInRange(0, 6)) {
      case 0:
        guest_.shared.psr = word();
        break;
      case 1:
        guest_.shared.spsr = word();
        break;
      case 2:
        guest_.shared.sctlr = guest_.shared.irq_pending = word();
        break;
      case 3:
        guest_.machine.map(0x30000, 0x1000, {data_.ConsumeBool(), data_.ConsumeBool(), true});
        break;
      default:
        guest_.machine.put(Armv7Guest::kData + (word() & 0x1ffc), word());
    }
  }

  // Between two exits the guest runs: its registers are what it likes.
  void disturb() {
    for (int n = data_.ConsumeIntegralInRange(0, 3); n > 0; --n) {
      const std::uint32_t value = word();
      guest_.frame.r[data_.ConsumeIntegralInRange<std::size_t>(0, 14)] =
          data_.ConsumeBool() ? Armv7Guest::kData + (value & 0x1fff) : value;
    }
    const std::uint32_t live =
        guest_.vcpu.is_user() ? psr::kLive : psr::kLive & ~(psr::kThumb | psr::kIfThen);
    if (data_.ConsumeBool()) guest_.frame.cpsr = (word() & live) | Armv7Guest::kProcessor;
    if (data_.ConsumeBool()) guest_.frame.pc = word();
    // The processor has no other PC, whatever it branched to.
    guest_.frame.pc &= (guest_.frame.cpsr & psr::kThumb) != 0 ? ~1u : ~3u;
    if (data_.ConsumeBool()) scribble();
  }

  Verdict raise_any() {
    const auto exception = data_.PickValueInArray(kExceptions);
    return armv7::abort_verdict(exception, word(), mem::GuestVirtual{word()});
  }

  std::uint32_t instruction() {
    if (data_.ConsumeIntegralInRange(0, 3) == 0) return word();
    std::uint32_t chosen = data_.PickValueInArray(kWords);
    for (int n = data_.ConsumeIntegralInRange(0, 4); n > 0; --n) {
      chosen ^= 1u << data_.ConsumeIntegralInRange(0, 31);
    }
    return chosen;
  }

  bool step() {
    const bool process = guest_.vcpu.is_user();
    // Other than the emulation, the fuzzer itself changes the shared page in the middle.
    const bool comparable = process && !guest_.machine.after_access;
    guest_.machine.used_kernel_rights = false;
    const KernelState before(guest_);
    const auto changes = guest_.machine.translation_changes.size() + guest_.machine.tlb.size() +
                         guest_.machine.caches.size();
    const Verdict verdict = guest_.execute(instruction());
    if (process) {
      require(!guest_.machine.used_kernel_rights, "a process with the kernel's rights", guest_);
      require(changes == guest_.machine.translation_changes.size() + guest_.machine.tlb.size() +
                             guest_.machine.caches.size(),
              "maintenance by a process", guest_);
      require(guest_.machine.floating_point_changes == floating_point_changes_, "FPEXC", guest_);
      require(std::memcmp(&before.control, &guest_.vcpu.control, sizeof before.control) == 0,
              "control registers written by a process", guest_);
      require(guest_.vcpu.is_user(), "a process became its kernel", guest_);
    }
    if (comparable) {
      const KernelState after(guest_);
      require(std::memcmp(&before, &after, sizeof before) == 0, "a process changed its kernel",
              guest_);
    }
    floating_point_changes_ = guest_.machine.floating_point_changes;
    return settle(verdict);
  }

  // Applies a verdict as the monitor does. False if the guest has ended.
  bool settle(const Verdict& verdict) {
    check();
    switch (verdict.kind) {
      case Kind::Skip:
      case Kind::Wait:
        armv7::finish_instruction(guest_.frame);
        break;
      case Kind::Inject: {
        require(verdict.vector >= 1 && verdict.vector <= 7 && verdict.vector != 5, "no exception",
                guest_);
        const Verdict delivered = armv7::deliver(guest_.context, verdict);
        if (delivered.kind == Kind::Stop) return false;
        require(delivered.kind == Kind::Resume, "a delivery's verdict", guest_);
        require(!guest_.vcpu.is_user(), "a handler without privileges", guest_);
        require((guest_.vcpu.masks() & psr::kIrqOff) != 0, "a handler with interrupts", guest_);
        break;
      }
      case Kind::Resume:
        break;
      case Kind::Stop:
      case Kind::Restart:
        return false;
    }
    check();
    const bool thumb = (guest_.frame.cpsr & psr::kThumb) != 0;
    require(!thumb || guest_.vcpu.is_user(), "a kernel in Thumb state", guest_);
    require(guest_.frame.pc % (thumb ? 2 : 4) == 0, "an odd PC", guest_);
    return true;
  }

  void check() {
    require(psr::is_mode(guest_.vcpu.mode), "no mode", guest_);
    require((guest_.frame.cpsr & ~psr::kLive) == Armv7Guest::kProcessor,
            "the processor's own status", guest_);
    require((guest_.vcpu.status(guest_.frame) & psr::kReserved) == 0, "reserved bits", guest_);
    require(!guest_.machine.broke_contract, "an access across a word", guest_);
    const std::uint32_t sctlr = guest_.vcpu.control.sctlr;
    require((sctlr & ~armv7::sctlr::kWritable) == armv7::sctlr::kAlwaysSet, "SCTLR", guest_);
    require((sctlr & (armv7::sctlr::kThumbEntry | armv7::sctlr::kBigEndianEntry)) == 0,
            "SCTLR.TE or EE", guest_);
    require((guest_.vcpu.control.fpexc & ~armv7::fpexc::kEnable) == 0, "FPEXC", guest_);
  }

  FuzzedDataProvider& data_;
  Armv7Guest guest_;
  unsigned floating_point_changes_ = 0;
};

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  mezzo::test::Fuzz(data).run();
  return 0;
}
