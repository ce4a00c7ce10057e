// A partition's memory of some pages, with the roots of a guest that has PAE in it, for the code
// that takes them. Every access of another page than the partition's ends the test.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>

#include "arch/ia32/pae.hpp"
#include "core/partition.hpp"

namespace mezzo::test {

class PaeMemory {
 public:
  static constexpr std::uint32_t kBase = 0x00400000, kPages = 8;
  static constexpr std::uint32_t kEnd = kBase + kPages * plan::kPageSize;
  static constexpr std::uint32_t kWords = kPages * plan::kPageSize / 8;
  static constexpr std::uint32_t kMonitor = 0x0ff00000;
  static constexpr ia32::pae::Window kWindow{{kMonitor | 0x9023, kMonitor | 0xa023},
                                             kMonitor | 0xb001};

  ia32::pae::Pointers pointers{};  // as last taken

  [[nodiscard]] std::uint64_t& word(std::uint32_t machine) {
    if (machine < kBase || machine >= kEnd || machine % 8 != 0) std::abort();
    return memory_[(machine - kBase) / 8];
  }
  [[nodiscard]] ia32::pae::Pointers& table(std::uint32_t machine) {
    (void)word(machine + sizeof(ia32::pae::Pointers) - 8);
    return *reinterpret_cast<ia32::pae::Pointers*>(&word(machine));
  }
  [[nodiscard]] ia32::RootResult take(std::uint32_t cr3) {
    const auto map_page = [this](std::uint32_t machine) {
      if (machine % plan::kPageSize != 0) std::abort();
      return &word(machine);
    };
    plan::Plan plan{};
    plan.partition_count = plan.piece_count = plan.partitions[0].piece_count = 1;
    plan.pieces[0] = {.base = kBase, .size = kEnd - kBase, .guest_base = kBase};
    status::PartitionStatus status{};
    const Partition partition(plan, plan.partitions[0], status);
    return ia32::pae::take_root(partition, cr3, kWindow, map_page, pointers);
  }

  [[nodiscard]] const std::array<std::uint64_t, kWords>& words() const { return memory_; }

 private:
  std::array<std::uint64_t, kWords> memory_{};
};

}  // namespace mezzo::test
