// A machine's memory for the patcher, and policies: pages of words from an address on, with a
// record of what happened in which order.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arch/armv7/patch.hpp"

namespace mezzo::test {

class PatchMemory {
 public:
  static constexpr std::uint32_t kBase = 0x60000000;

  enum class Step : std::uint8_t {
    Write,
    Clean,
    CleanToMemory,  // and invalidated
    Barrier,
    InvalidateInstructions,
    Patched,
    Unpatched
  };
  struct Event {
    Step step;
    std::uint32_t address = 0;
    std::uint32_t bytes = 0;
    bool operator==(const Event&) const = default;
  };

  explicit PatchMemory(std::uint32_t pages, std::uint32_t fill = 0xe1a00000)
      : words(pages * mem::kPageSize / 4, fill) {}

  [[nodiscard]] static mem::HostPhysical page(std::uint32_t number) {
    return mem::HostPhysical{kBase + number * mem::kPageSize};
  }
  [[nodiscard]] static mem::HostPhysical at(std::uint32_t word) {
    return mem::HostPhysical{kBase + word * 4};
  }

  [[nodiscard]] std::uint32_t read(mem::HostPhysical from) { return words.at(index(from)); }
  [[nodiscard]] const std::uint32_t* page_words(mem::HostPhysical page) const {
    return &words.at(index(page));
  }
  void write(mem::HostPhysical to, std::uint32_t value) {
    words.at(index(to)) = value;
    record({Step::Write, number(to), 4});
  }
  void clean_to_unification(mem::HostPhysical first, std::uint32_t bytes) {
    record({Step::Clean, number(first), bytes});
  }
  void clean_to_memory(mem::HostPhysical first, std::uint32_t bytes) {
    record({Step::CleanToMemory, number(first), bytes});
  }
  void barrier() { record({Step::Barrier}); }
  void invalidate_instructions() { record({Step::InvalidateInstructions}); }
  void page_patched(mem::HostPhysical page, bool patched) {
    record({patched ? Step::Patched : Step::Unpatched, number(page)});
  }

  std::vector<std::uint32_t> words;
  std::vector<Event> events;
  bool recording = false;

 private:
  static std::uint32_t number(mem::HostPhysical at) {
    return static_cast<std::uint32_t>(at.value());
  }
  static std::size_t index(mem::HostPhysical at) { return (number(at) - kBase) / 4; }
  void record(Event event) {
    if (recording) events.push_back(event);
  }
};

// CPSID I becomes a branch to a stub behind the page when it is executed, reads of TPIDRPRW
// another, MRS a third at once. What became a branch where is remembered for good.
class StubPolicy {
 public:
  static constexpr std::uint32_t kCpsid = 0xf10c0080, kReadThreadId = 0xee1d0f90, kMrs = 0xe10f3000;

  [[nodiscard]] static bool is_at_once(std::uint32_t word) { return word == kMrs; }
  [[nodiscard]] static std::optional<std::uint32_t> branch_of(std::uint32_t word,
                                                              mem::GuestVirtual address) {
    const bool reads = (word & 0xffff0fff) == kReadThreadId;
    if (word != kCpsid && word != kMrs && !reads) return std::nullopt;
    const std::uint32_t offset = word == kCpsid ? 0 : reads ? 0x40 : 0x80;
    const std::uint32_t stub = address.aligned_up(0x10000).value() + offset;
    return 0xea000000 | ((stub - address.value() - 8) >> 2 & 0xffffff);
  }
  [[nodiscard]] std::optional<std::uint32_t> branch(std::uint32_t word, mem::GuestVirtual address,
                                                    const armv7::Surroundings& around) {
    surroundings = around;
    const auto branch = branch_of(word, address);
    if (branch) {
      originals_[{address.value(), *branch}] = word;
      written.add(mem::HostPhysical{kCode});
    }
    return branch;
  }
  [[nodiscard]] std::optional<std::uint32_t> original(std::uint32_t word,
                                                      mem::GuestVirtual address) const {
    const auto found = originals_.find({address.value(), word});
    if (found == originals_.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] static bool may_have_become(std::uint32_t word, mem::GuestVirtual) {
    return (word & 0xff000000) == 0xea000000;
  }
  [[nodiscard]] static bool relies_on_others(std::uint32_t, mem::GuestVirtual) { return false; }
  [[nodiscard]] armv7::ChangedRange take_written() { return std::exchange(written, {}); }

  static constexpr std::uint32_t kCode = 0x70000000;  // where stubs would be
  armv7::ChangedRange written;
  armv7::Surroundings surroundings;  // of the last word that was asked for

 private:
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> originals_;
};

}  // namespace mezzo::test
