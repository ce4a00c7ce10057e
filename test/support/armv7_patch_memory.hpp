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

// CPSID I becomes a branch to a stub 4 KiB after the page, reads of TPIDRPRW another; WFE traps;
// SEV, which is not sensitive, is asked for and left, as is CPSIE A. What became a branch where is
// remembered for good.
class StubPolicy {
 public:
  static constexpr std::uint32_t kCpsid = 0xf10c0080, kReadThreadId = 0xee1d0f90, kSev = 0xe320f004,
                                 kWfe = 0xe320f002, kCpsieA = 0xf1080100;

  [[nodiscard]] static bool is_candidate(std::uint32_t word) {
    return (word & 0xffff0fff) == kReadThreadId || word == kSev || word == kWfe;
  }
  [[nodiscard]] static armv7::Choice choice_of(std::uint32_t word, mem::GuestVirtual address) {
    using Kind = armv7::Choice::Kind;
    if (word == kSev || word == kCpsieA) return {.kind = Kind::Leave};
    if (word != kCpsid && (word & 0xffff0fff) != kReadThreadId) return {};
    const std::uint32_t stub = address.aligned_up(0x10000).value() + (word == kCpsid ? 0 : 0x40);
    return {.kind = Kind::Branch,
            .branch = 0xea000000 | ((stub - address.value() - 8) >> 2 & 0xffffff)};
  }
  [[nodiscard]] armv7::Choice choose(std::uint32_t word, mem::GuestVirtual address) {
    const armv7::Choice choice = choice_of(word, address);
    if (choice.kind == armv7::Choice::Kind::Branch) {
      originals_[{address.value(), choice.branch}] = word;
      written.add(mem::HostPhysical{kCode});
    }
    return choice;
  }
  [[nodiscard]] std::optional<std::uint32_t> original(std::uint32_t word,
                                                      mem::GuestVirtual address) const {
    const auto found = originals_.find({address.value(), word});
    if (found == originals_.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] static bool relies_on_next(std::uint32_t, mem::GuestVirtual) { return false; }
  [[nodiscard]] armv7::ChangedRange take_written() { return std::exchange(written, {}); }

  static constexpr std::uint32_t kCode = 0x70000000;  // where stubs would be
  armv7::ChangedRange written;

 private:
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> originals_;
};

}  // namespace mezzo::test
