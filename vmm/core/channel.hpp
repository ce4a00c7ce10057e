// Channels between partitions at run time: who has which end, and by which vector of its processor
// an end is told that the other one rang. Knows no architecture, and looks at no channel's memory.
#pragma once

#include <cstdint>
#include <optional>

#include "abi/plan.hpp"

namespace mezzo {

// A partition's end of a channel.
struct ChannelEnd {
  std::uint32_t channel;  // index in the plan
  std::uint32_t which;    // 0 or 1
};

// The partition's end of channel `number` of the plan, if it has one.
[[nodiscard]] inline std::optional<ChannelEnd> end_of_channel(const plan::Plan& plan,
                                                              std::uint32_t partition,
                                                              std::uint32_t number) {
  if (number >= plan.channel_count) return std::nullopt;
  for (std::uint32_t which = 0; which < 2; ++which) {
    if (plan.channels[number].ends[which].partition == partition) return ChannelEnd{number, which};
  }
  return std::nullopt;
}

// The partition's n-th end, counted from 0 in the order of the plan.
[[nodiscard]] inline std::optional<ChannelEnd> nth_end(const plan::Plan& plan,
                                                       std::uint32_t partition, std::uint32_t n) {
  for (std::uint32_t number = 0; number < plan.channel_count; ++number) {
    const auto end = end_of_channel(plan, partition, number);
    if (end && n-- == 0) return end;
  }
  return std::nullopt;
}

// Whom a doorbell interrupts.
struct Interrupt {
  std::uint32_t cpu;
  std::uint8_t vector;
};

// The vectors of all ends. Each is written on its own partition's CPU and read on the other's: a
// byte that is there or not yet.
class Doorbells {
 public:
  // Vectors below are the processor's.
  static constexpr std::uint32_t kFirstVector = 32;

  // `vector`: 0, the end is told nothing; or from kFirstVector to 255.
  void listen(const ChannelEnd& end, std::uint8_t vector) { at(end.channel, end.which) = vector; }
  [[nodiscard]] std::uint8_t vector_of(const ChannelEnd& end) const {
    return vectors_[end.channel][end.which];
  }
  // All of a partition's ends are told nothing: its guest has ended.
  void forget(const plan::Plan& plan, std::uint32_t partition) {
    for (std::uint32_t number = 0; number < plan.channel_count; ++number) {
      if (const auto end = end_of_channel(plan, partition, number)) listen(*end, 0);
    }
  }
  // Who is to be interrupted when the holder of `end` rings: nobody, if the other one does not
  // listen.
  [[nodiscard]] std::optional<Interrupt> ring(const plan::Plan& plan, const ChannelEnd& end) const {
    const std::uint32_t other = 1 - end.which;
    const std::uint8_t vector = vectors_[end.channel][other];
    if (vector == 0) return std::nullopt;
    const plan::ChannelEnd& peer = plan.channels[end.channel].ends[other];
    return Interrupt{plan.partitions[peer.partition].cpu, vector};
  }

 private:
  volatile std::uint8_t& at(std::uint32_t channel, std::uint32_t which) {
    return vectors_[channel][which];
  }
  volatile std::uint8_t vectors_[plan::kMaxChannels][2]{};
};

}  // namespace mezzo
