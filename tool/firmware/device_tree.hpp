// Makes a guest's device tree from the board's: what the partition has stays, the rest goes.
//
// Removed is every node whose registers lie outside the partition's windows, so that the tree and
// what the monitor maps cannot disagree; the board's own file (device_tree_boards.cpp) adds what
// stands for a removed part: fixed clocks, power-off. The monitor parses none of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "abi/plan.hpp"
#include "firmware/fdt.hpp"
#include "loader/kernel.hpp"
#include "system/board.hpp"

namespace mezzo::firmware {

struct DeviceTreeInput {
  system::Board board = system::Board::VexpressA9;
  std::span<const plan::Piece> memory;    // by guest_base and size
  std::span<const plan::Window> windows;  // by guest_base and size
  std::string cmdline;
  std::uint32_t initramfs_address = 0, initramfs_size = 0;  // 0: none
  const system::BoardUart* console = nullptr;
  bool has_disk = false;  // something is in the card slot
};

struct DeviceTree {
  std::vector<std::uint8_t> blob;
  std::vector<std::string> summary;  // for reports: devices kept, one line each
};

// Why `tree` cannot be the base of a guest's tree on `board`: not a device tree, another board's,
// without memory or processor. Nothing if it can.
[[nodiscard]] std::optional<loader::Problem> check_device_tree(loader::ByteView tree,
                                                               system::Board board);

// `tree` must have passed check_device_tree().
[[nodiscard]] DeviceTree make_device_tree(loader::ByteView tree, const DeviceTreeInput& input);

// What only one board's tree needs, after the general part. In device_tree_boards.cpp.
void adapt_to_board(Fdt& tree, const DeviceTreeInput& input);

}  // namespace mezzo::firmware
