// A chip's registers, as the code that drives or filters the chip sees them: offsets from the
// chip's base, through a policy, so that host tests put a model in the place of the chip.
#pragma once

#include <concepts>
#include <cstdint>

#include "mem/address.hpp"

namespace mezzo::io {

template <class T>
concept RegisterBlock =
    requires(const T block, std::uint32_t offset, std::uint32_t word, std::uint8_t byte) {
      { block.read32(offset) } -> std::same_as<std::uint32_t>;  // offset: a multiple of 4
      block.write32(offset, word);                              // likewise
      block.write8(offset, byte);  // only where the chip's manual allows byte accesses
    };

// The chip itself, where machine addresses are mapped flat as device memory: only inside the
// monitor's own address space.
class MachineRegisters {
 public:
  explicit constexpr MachineRegisters(mem::HostPhysical base) : base_(base.value()) {}

  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
    return *pointer<std::uint32_t>(offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) const {
    *pointer<std::uint32_t>(offset) = value;
  }
  void write8(std::uint32_t offset, std::uint8_t value) const {
    *pointer<std::uint8_t>(offset) = value;
  }

 private:
  template <class T>
  [[nodiscard]] volatile T* pointer(std::uint32_t offset) const {
    return reinterpret_cast<volatile T*>(static_cast<std::uintptr_t>(base_ + offset));  // NOLINT
  }
  std::uint64_t base_;
};
static_assert(RegisterBlock<MachineRegisters>);

// What a read-modify-write of a register shared by several CPUs holds meanwhile. Taken with
// interrupts off, for a few instructions, never nested.
template <class T>
concept Lock = requires(T lock) {
  lock.lock();
  lock.unlock();
};

template <Lock L>
class [[nodiscard]] Locked {
 public:
  explicit Locked(L& lock) : lock_(lock) { lock_.lock(); }
  ~Locked() { lock_.unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  L& lock_;
};

}  // namespace mezzo::io
