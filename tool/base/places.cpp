#include "base/places.hpp"

#include <cstdlib>

#include "mezzo_build.hpp"

namespace mezzo::base {

namespace {

std::filesystem::path directory_from(const char* variable, const char* otherwise) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

}  // namespace

std::filesystem::path source_directory() {
  return directory_from("MEZZO_SOURCE_DIR", build::kSourceDir);
}

std::filesystem::path build_directory() {
  return directory_from("MEZZO_BUILD_DIR", build::kBuildDir);
}

}  // namespace mezzo::base
