// A boot image of Mezzo's for a benchmark, from the text of a system file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "bench/guest.hpp"
#include "image/compile.hpp"

namespace mezzo::bench {

// Compiled as `mezzo image` would. The text is kept in the sources' directory. Throws UserError.
[[nodiscard]] image::CompiledImage make_image(std::string_view text, const Sources& sources);

// The ELF file for QEMU's -kernel, in the sources' directory. Throws UserError.
[[nodiscard]] std::filesystem::path write_image(const image::CompiledImage& image,
                                                const Sources& sources);

}  // namespace mezzo::bench
