// An ARMv7 guest needs little: what a PC's guest is told, its device tree says here.
#include <fmt/format.h>

#include "image/cmdline.hpp"
#include "system/board.hpp"

namespace mezzo::image {

Cmdline derive_armv7_cmdline(const system::System& system, const system::Partition& partition) {
  Cmdline cmdline;
  const auto add = [&cmdline](std::string text, std::string why) {
    cmdline.text += (cmdline.text.empty() ? "" : " ") + text;
    cmdline.additions.push_back({std::move(text), std::move(why)});
  };
  if (!(" " + partition.cmdline).contains(" panic=")) {
    add("panic=-1", "a panic ends the partition at once");
  }
  if (partition.console != 0) {
    const system::BoardInfo& board = system::board_info(system.machine.board);
    add(fmt::format("console={}", board.uart(partition.console).console),
        "this partition's console");
  }
  if (!partition.cmdline.empty()) {
    cmdline.text += (cmdline.text.empty() ? "" : " ") + partition.cmdline;
  }
  return cmdline;
}

}  // namespace mezzo::image
