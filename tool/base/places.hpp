// Where this program's own files are.
#pragma once

#include <filesystem>

namespace mezzo::base {

// Folders of this checkout and its build: MEZZO_SOURCE_DIR and MEZZO_BUILD_DIR, else where it was
// built.
[[nodiscard]] std::filesystem::path source_directory();
[[nodiscard]] std::filesystem::path build_directory();

}  // namespace mezzo::base
