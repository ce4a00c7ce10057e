// Derives a Linux guest's command line: what it must be told, each part with its reason.
#pragma once

#include <string>
#include <vector>

#include "image/compile.hpp"
#include "loader/kernel.hpp"
#include "system/model.hpp"

namespace mezzo::image {

struct Cmdline {
  std::string text;
  std::size_t tsc_khz_offset = 0;  // of ten blanks in `text`, for the monitor to fill
  std::vector<CmdlineAddition> additions;
};

// The derived part first, the user's after it (so that "-- ..." for init stays last).
[[nodiscard]] Cmdline derive_cmdline(const system::System& system,
                                     const system::Partition& partition,
                                     const loader::LinuxImage& kernel);

// The same for an ARMv7 board, whose monitor fills nothing in.
[[nodiscard]] Cmdline derive_armv7_cmdline(const system::System& system,
                                           const system::Partition& partition);

}  // namespace mezzo::image
