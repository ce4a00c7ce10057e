// Quiets the devices that a partition drives itself, by the writes that the plan lists for it
// (plan::Silence): when its guest has ended, and before its memory is loaded (again). Knows no
// device: what to write is in the board's description, of which the tool makes the rows.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include "abi/plan.hpp"

namespace mezzo::device {

// 32-bit registers by their machine addresses, a barrier after each access. False if the bus
// refuses it: nothing answers there.
template <class T>
concept MachineBus = requires(T bus, std::uint32_t address, std::uint32_t word) {
  { bus.store(address, word) } -> std::same_as<bool>;
  { bus.load(address, word) } -> std::same_as<bool>;  // into `word`
};

// How often a register is read, at most, until its busy bits are gone: some tenths of a second on
// silicon, where a device's register takes 100 ns or more.
inline constexpr std::uint32_t kSilencePatience = 1'000'000;

// Carries out the rows of `partition` in their order. Returns how many of them the device has not
// obeyed in time: it may still write to memory. A device that does not answer has none to wait for.
// Called on the partition's CPU, when its guest does not run; takes a bounded time whatever a guest
// has done to its devices.
template <MachineBus Bus>
[[nodiscard]] std::uint32_t silence(const plan::Plan& plan, std::uint32_t partition, Bus bus,
                                    std::uint32_t patience = kSilencePatience) {
  std::uint32_t disobeyed = 0;
  for (const plan::Silence& row : std::span(plan.silences).first(plan.silence_count)) {
    if (row.partition != partition || !bus.store(row.address, row.value) || row.busy == 0) continue;
    std::uint32_t left = patience;
    std::uint32_t word = 0;
    while (left > 0 && bus.load(row.address, word) && (word & row.busy) != 0) --left;
    if (left == 0) ++disobeyed;
  }
  return disobeyed;
}

}  // namespace mezzo::device
