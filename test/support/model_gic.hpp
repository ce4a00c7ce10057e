// A GIC in software, for tests of what drives one: distributor and CPU interfaces with the
// specification's banking, priorities and states. It aborts on what a driver must never do: an
// access of a wrong size or place, or one CPU's code at another CPU's interface.
// Source: ARM IHI 0048B, chapters 3 and 4.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace mezzo::test {

class ModelGic {
 public:
  static constexpr std::uint32_t kLines = 256, kCpus = 4;
  enum class Architecture : std::uint8_t { One, Two };

  struct LineState {
    bool enabled = false, pending = false, active = false, level = false;
    std::uint8_t priority = 0, target = 0, configuration = 0, senders = 0;
    bool operator==(const LineState&) const = default;
  };
  struct CpuState {
    std::array<LineState, 32> banked{};
    bool enabled = false;
    std::uint32_t threshold = 0, binary_point = 0;
    std::vector<std::uint32_t> running{};  // priorities of what is active, the last on top
    bool operator==(const CpuState&) const = default;
  };
  struct State {
    bool enabled = false;
    std::array<LineState, kLines> lines{};  // [0, 32) unused
    std::array<CpuState, kCpus> cpus{};
    bool operator==(const State&) const = default;
  };

  explicit ModelGic(Architecture architecture = Architecture::One, std::uint32_t lines = 96)
      : architecture_(architecture), count_(lines) {}

  State state;

  // Offset 0 is the distributor's base, as `cpu` reaches it.
  struct Distributor {
    ModelGic* gic;
    std::uint32_t cpu;
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
      return gic->read(cpu, offset);
    }
    void write32(std::uint32_t offset, std::uint32_t value) const {
      gic->write(cpu, offset, value);
    }
    void write8(std::uint32_t offset, std::uint8_t value) const {
      gic->write_byte(cpu, offset, value);
    }
  };
  struct Interface {
    ModelGic* gic;
    std::uint32_t cpu;
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
      return gic->read_interface(cpu, offset);
    }
    void write32(std::uint32_t offset, std::uint32_t value) const {
      gic->write_interface(cpu, offset, value);
    }
    void write8(std::uint32_t, std::uint8_t) const { fail("a byte to the CPU interface", 0); }
  };
  [[nodiscard]] Distributor distributor(std::uint32_t cpu) { return {this, cpu}; }
  [[nodiscard]] Interface interface(std::uint32_t cpu) { return {this, cpu}; }

  [[nodiscard]] LineState& line(std::uint32_t number, std::uint32_t cpu = 0) {
    return number < 32 ? state.cpus[cpu].banked[number] : state.lines[number];
  }

  // The device's wire.
  void set_level(std::uint32_t number, bool level, std::uint32_t cpu = 0) {
    LineState& wired = line(number, cpu);
    if (level && !wired.level && is_edge(number, wired)) wired.pending = true;
    wired.level = level;
  }

  // Whether `cpu` is being interrupted.
  [[nodiscard]] bool signals(std::uint32_t cpu) {
    const std::uint32_t best = highest(cpu);
    return best != kNone && can_preempt(cpu, best);
  }

 private:
  static constexpr std::uint32_t kNone = 1023;

  [[noreturn]] static void fail(const char* what, std::uint32_t offset) {
    std::fprintf(stderr, "model GIC: %s at %#x\n", what, offset);
    std::abort();
  }
  static void require(bool condition, const char* what, std::uint32_t offset) {
    if (!condition) fail(what, offset);
  }
  [[nodiscard]] static bool is_edge(std::uint32_t number, const LineState& wired) {
    return number < 16 || (wired.configuration & 2) != 0;
  }
  [[nodiscard]] static bool is_pending(std::uint32_t number, const LineState& wired) {
    return number < 16 ? wired.senders != 0
                       : wired.pending || (!is_edge(number, wired) && wired.level);
  }

  [[nodiscard]] std::uint32_t highest(std::uint32_t cpu) {
    const CpuState& own = state.cpus[cpu];
    if (!state.enabled || !own.enabled) return kNone;
    std::uint32_t best = kNone;
    for (std::uint32_t n = 0; n < count_; ++n) {
      const LineState& candidate = line(n, cpu);
      const bool is_here = n < 32 || (candidate.target >> cpu & 1) != 0;
      const bool is_ready =
          is_here && candidate.enabled && is_pending(n, candidate) && !candidate.active;
      if (!is_ready) continue;
      if (best == kNone || candidate.priority < line(best, cpu).priority) best = n;
    }
    return best;
  }
  [[nodiscard]] bool can_preempt(std::uint32_t cpu, std::uint32_t number) {
    const CpuState& own = state.cpus[cpu];
    const std::uint32_t priority = line(number, cpu).priority;
    if (priority >= own.threshold) return false;
    const std::uint32_t group = ~((2u << own.binary_point) - 1) & 0xff;
    return own.running.empty() || (priority & group) < (own.running.back() & group);
  }

  // -- Distributor --

  [[nodiscard]] std::uint32_t read(std::uint32_t cpu, std::uint32_t offset) {
    require(offset < 0x1000 && offset % 4 == 0, "a bad distributor read", offset);
    if (offset == 0) return state.enabled ? 1 : 0;
    if (offset == 4) return (kCpus - 1) << 5 | (count_ / 32 - 1) | 1u << 10;
    if (offset == 8) return 0x0102043b;
    if (offset >= 0xfd0) return offset;
    std::uint32_t value = 0;
    if (offset >= 0x100 && offset < 0x400) {
      for (std::uint32_t bit = 0; bit < 32; ++bit) {
        const std::uint32_t number = offset % 0x80 * 8 + bit;
        if (number >= count_) break;
        value |= std::uint32_t{bank_bit(offset & ~0x7fu, number, line(number, cpu))} << bit;
      }
      return value;
    }
    if (offset >= 0xc00 && offset < 0xd00) {
      for (std::uint32_t n = 0; n < 16; ++n) {
        const std::uint32_t number = (offset - 0xc00) * 4 + n;
        if (number >= count_) break;
        const std::uint32_t two = number < 16 ? 2 : line(number, cpu).configuration;
        value |= two << n * 2;
      }
      return value;
    }
    if (offset >= 0xd00 && offset < 0xd20) {
      const std::uint32_t first = offset == 0xd00 ? 16 : (offset - 0xd00) * 8;
      for (std::uint32_t n = 0; n < (first == 16 ? 16u : 32u) && first + n < count_; ++n) {
        value |= std::uint32_t{line(first + n, cpu).level} << n;
      }
      return value;
    }
    for (std::uint32_t n = 0; n < 4; ++n) {
      if (const std::uint8_t* byte = byte_at(cpu, offset + n))
        value |= std::uint32_t{*byte} << n * 8;
    }
    return value;
  }
  [[nodiscard]] static bool bank_bit(std::uint32_t bank, std::uint32_t number,
                                     const LineState& of) {
    if (bank < 0x200) return of.enabled;
    return bank < 0x300 ? is_pending(number, of) : of.active;
  }

  // The byte registers: priorities, targets, and of architecture 2 the software interrupts.
  [[nodiscard]] std::uint8_t* byte_at(std::uint32_t cpu, std::uint32_t offset) {
    const std::uint32_t number = offset % 0x400;
    if (offset >= 0x400 && offset < 0x800) {
      return number < count_ ? &line(number, cpu).priority : nullptr;
    }
    if (offset >= 0x800 && offset < 0xc00) {
      return number < count_ ? &line(number, cpu).target : nullptr;
    }
    if (offset >= 0xf10 && offset < 0xf30 && architecture_ == Architecture::Two) {
      return &line(offset % 16, cpu).senders;
    }
    return nullptr;
  }

  void write(std::uint32_t cpu, std::uint32_t offset, std::uint32_t value) {
    require(offset < 0x1000 && offset % 4 == 0, "a bad distributor write", offset);
    if (offset == 0) {
      state.enabled = (value & 1) != 0;
    } else if (offset == 0xf00) {
      send(cpu, value);
    } else if (offset >= 0x100 && offset < 0x400) {
      for (std::uint32_t bit = 0; bit < 32; ++bit) {
        const std::uint32_t number = offset % 0x80 * 8 + bit;
        if (number < count_ && (value >> bit & 1) != 0) write_bit(cpu, offset & ~0x7fu, number);
      }
    } else if (offset >= 0xc00 && offset < 0xd00) {
      for (std::uint32_t n = 0; n < 16; ++n) {
        const std::uint32_t number = (offset - 0xc00) * 4 + n;
        if (number >= 16 && number < count_) {
          line(number, cpu).configuration = static_cast<std::uint8_t>(value >> n * 2 & 3);
        }
      }
    } else if ((offset >= 0x400 && offset < 0xc00) || (offset >= 0xf10 && offset < 0xf30)) {
      for (std::uint32_t n = 0; n < 4; ++n) {
        write_byte(cpu, offset + n, static_cast<std::uint8_t>(value >> n * 8));
      }
    }
  }

  void write_bit(std::uint32_t cpu, std::uint32_t bank, std::uint32_t number) {
    LineState& of = line(number, cpu);
    switch (bank) {
      case 0x100:
        of.enabled = true;
        return;
      case 0x180:
        if (number >= 16 || architecture_ == Architecture::Two) of.enabled = false;
        return;
      case 0x200:
        of.pending |= number >= 16;
        return;
      case 0x280:
        of.pending &= number < 16;
        return;
      case 0x300:
        of.active |= architecture_ == Architecture::Two;
        return;
      default:
        of.active &= architecture_ != Architecture::Two;
    }
  }

  void write_byte(std::uint32_t cpu, std::uint32_t offset, std::uint8_t value) {
    const bool is_byte_register =
        (offset >= 0x400 && offset < 0xc00) || (offset >= 0xf10 && offset < 0xf30);
    require(is_byte_register, "a byte write", offset);
    std::uint8_t* byte = byte_at(cpu, offset);
    const bool is_banked_target = offset >= 0x800 && offset < 0x820;
    if (byte == nullptr || is_banked_target) return;
    if (offset >= 0xf20) {
      *byte |= value;
    } else if (offset >= 0xf10) {
      *byte &= static_cast<std::uint8_t>(~value);
    } else {
      *byte = value;
    }
  }

  void send(std::uint32_t cpu, std::uint32_t value) {
    const std::uint32_t filter = value >> 24 & 3;
    std::uint32_t to = value >> 16 & 0xff;
    if (filter == 1) to = ~(1u << cpu) & ((1u << kCpus) - 1);
    if (filter == 2) to = 1u << cpu;
    for (std::uint32_t n = 0; n < kCpus && filter != 3; ++n) {
      if ((to >> n & 1) != 0) {
        state.cpus[n].banked[value & 15].senders |= static_cast<std::uint8_t>(1u << cpu);
      }
    }
  }

  // -- CPU interface --

  [[nodiscard]] std::uint32_t read_interface(std::uint32_t cpu, std::uint32_t offset) {
    require(offset < 0x100 && offset % 4 == 0, "a bad interface read", offset);
    CpuState& own = state.cpus[cpu];
    switch (offset) {
      case 0x00:
        return own.enabled ? 1 : 0;
      case 0x04:
        return own.threshold;
      case 0x08:
        return own.binary_point;
      case 0x0c:
        return acknowledge(cpu);
      case 0x14:
        return own.running.empty() ? 0xff : own.running.back();
      case 0x18: {
        const std::uint32_t best = highest(cpu);
        return best < 16 ? best | first_sender(cpu, best) << 10 : best;
      }
      case 0xfc:
        return 0x3901043b;
      default:
        return 0;
    }
  }
  [[nodiscard]] std::uint32_t first_sender(std::uint32_t cpu, std::uint32_t number) {
    std::uint32_t sender = 0;
    while ((line(number, cpu).senders >> sender & 1) == 0) ++sender;
    return sender;
  }
  [[nodiscard]] std::uint32_t acknowledge(std::uint32_t cpu) {
    const std::uint32_t best = highest(cpu);
    if (best == kNone || !can_preempt(cpu, best)) return kNone;
    LineState& of = line(best, cpu);
    std::uint32_t raw = best;
    if (best < 16) {
      const std::uint32_t sender = first_sender(cpu, best);
      of.senders &= static_cast<std::uint8_t>(~(1u << sender));
      raw |= sender << 10;
    }
    of.pending = false;
    of.active = true;
    state.cpus[cpu].running.push_back(of.priority);
    return raw;
  }

  void write_interface(std::uint32_t cpu, std::uint32_t offset, std::uint32_t value) {
    require(offset < 0x100 && offset % 4 == 0, "a bad interface write", offset);
    CpuState& own = state.cpus[cpu];
    if (offset == 0x00) own.enabled = (value & 1) != 0;
    if (offset == 0x04) own.threshold = value & 0xff;
    if (offset == 0x08) own.binary_point = value & 7;
    if (offset != 0x10 || (value & 0x3ff) >= count_) return;
    if (!own.running.empty()) own.running.pop_back();
    line(value & 0x3ff, cpu).active = false;
  }

  Architecture architecture_;
  std::uint32_t count_;
};

// A lock that only knows whether it is held.
struct ModelLock {
  bool is_held = false;
  std::uint32_t times = 0;
  void lock() {
    if (is_held) std::abort();
    is_held = true;
    ++times;
  }
  void unlock() { is_held = false; }
};

}  // namespace mezzo::test
