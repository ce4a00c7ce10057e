// One core, several partitions: which of them an interrupt is for, and which of them is to run.
// Priorities are fixed and are the order in which the partitions are added: the first one runs
// whenever it has something to do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "irq/gic.hpp"
#include "irq/line.hpp"

namespace mezzo::irq {

// `Gic`: a VirtualGic.
template <class Gic, std::size_t kMaxPartitions>
class SharedCore {
 public:
  // Gives a partition its lines; the most urgent partition first. False, and nothing is changed, if
  // there are too many or a shared line has an owner already. Private lines are virtual: everybody
  // has his own.
  [[nodiscard]] bool add(Gic& gic, const LineSet& lines) {
    LineSet shared = lines;
    shared.set_word(0, 0);
    if (count_ == kMaxPartitions || shared.intersects(owned_)) return false;
    shared.for_each([&](Line line) {
      owned_.add(line);
      owners_[line.number] = static_cast<std::uint8_t>(count_);
    });
    gics_[count_++] = &gic;
    return true;
  }

  // Gives an acknowledged interrupt to its partition, whose place is returned; the caller ends it
  // in the chip afterwards. Nothing if it is nobody's: then it is the monitor's own, or to be
  // masked.
  std::optional<std::size_t> forward(Line line) const {
    if (!owned_.contains(line)) return std::nullopt;
    const std::size_t owner = owners_[line.number];
    gics_[owner]->forward(line);
    return owner;
  }

  // The first partition that is to run: it is runnable (bit n of `runnable`: partition n), or it
  // waits for an interrupt (likewise `waiting`) and has one. One that is neither does not run.
  // Nothing: the core sleeps.
  [[nodiscard]] std::optional<std::size_t> first_to_run(std::uint32_t runnable,
                                                        std::uint32_t waiting) const {
    for (std::size_t n = 0; n < count_; ++n) {
      if ((runnable >> n & 1) != 0 || ((waiting >> n & 1) != 0 && gics_[n]->signals())) return n;
    }
    return std::nullopt;
  }

 private:
  static_assert(kMaxPartitions <= 32);
  std::array<Gic*, kMaxPartitions> gics_{};
  std::size_t count_ = 0;
  LineSet owned_{};
  std::array<std::uint8_t, kMaxLines> owners_{};  // of the lines in owned_
};

}  // namespace mezzo::irq
