// Derives a Linux guest's command line: what it must be told, each part with its reason.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "image/compile.hpp"
#include "loader/kernel.hpp"
#include "system/model.hpp"

namespace mezzo::image {

struct Cmdline {
  std::string text;
  // Of ten blanks in `text`, for the monitor to fill; none for what is no Linux.
  std::optional<std::size_t> tsc_khz_offset;
  std::vector<CmdlineAddition> additions;
};

// The derived part first, the user's after it (so that "-- ..." for init stays last). What is no
// Linux gets the user's only.
[[nodiscard]] Cmdline derive_cmdline(const system::System& system,
                                     const system::Partition& partition,
                                     const loader::LinuxImage& kernel);

// The same for an ARMv7 board, whose monitor fills nothing in.
[[nodiscard]] Cmdline derive_armv7_cmdline(const system::System& system,
                                           const system::Partition& partition);

}  // namespace mezzo::image
