// Reads a system file (TOML) into the model.
//
// Everything that is wrong in itself is found here: syntax, unknown keys, wrong types, unreadable
// sizes. What is wrong only together with something else is the checker's (check.hpp).
#pragma once

#include <filesystem>
#include <string_view>

#include "system/diagnostic.hpp"
#include "system/model.hpp"

namespace mezzo::system {

// Reads and parses `path`. All mistakes are collected; a Result with a value has none.
[[nodiscard]] Result<System> load_system(const std::filesystem::path& path);

// Same for text already read. `file` is used in messages; relative file names inside the text are
// resolved against its directory.
[[nodiscard]] Result<System> parse_system(std::string_view text, const std::filesystem::path& file);

// "192 MiB", "64KiB", "1 GiB", "4096" -> bytes. Binary units only; nothing for anything else.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

// "500 us", "20 ms", "3 s" -> microseconds; nothing for anything else.
[[nodiscard]] std::optional<std::uint32_t> parse_microseconds(std::string_view text);

// The same as text, in the larger unit if that is exact.
[[nodiscard]] std::string time_text(std::uint32_t microseconds);

}  // namespace mezzo::system
