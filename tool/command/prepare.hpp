// The steps that several commands share: from a system file to artifacts and a compiled image, with
// progress and diagnostics on stderr.
#pragma once

#include <filesystem>
#include <string>
#include <type_traits>

#include "fetch/apt.hpp"
#include "image/compile.hpp"
#include "system/artifact.hpp"
#include "system/diagnostic.hpp"
#include "system/model.hpp"

namespace mezzo::command {

// Prints all diagnostics; throws UserError if one of them is an error.
void show(const system::Diagnostics& diagnostics);

// The value of `result`, if it has one, or its errors shown and UserError thrown.
template <class T>
T take(system::Result<T> result) {
  if (!result) show(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

// Reads and checks the system file, as far as that is possible without its kernels. Throws
// UserError.
[[nodiscard]] system::System load(const std::string& file);

// Progress on one line of a terminal, or as lines elsewhere.
[[nodiscard]] fetch::Progress show_progress();

// Everything the system needs, from the cache or the network. Throws UserError or Interrupted.
[[nodiscard]] system::Artifacts fetch_all(const system::System& system, bool refresh);

// The plan and all that is loaded, with warnings shown. Throws UserError or Interrupted.
[[nodiscard]] image::CompiledImage compile(const system::System& system,
                                           const system::Artifacts& artifacts);

// The monitor's ELF for `architecture`, as built. Throws UserError if it is not there.
[[nodiscard]] system::Bytes monitor_elf(plan::Architecture architecture);

// What a uImage begins with (image/uimage.hpp), as built. Throws UserError if it is not there.
[[nodiscard]] system::Bytes uimage_head();

}  // namespace mezzo::command
