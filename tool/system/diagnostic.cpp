// Formats diagnostics the way compilers do, so that editors can jump to them.
#include "system/diagnostic.hpp"

#include <algorithm>

namespace mezzo::system {

std::string to_string(const Diagnostic& diagnostic) {
  std::string text;
  if (!diagnostic.where.file.empty()) {
    text += diagnostic.where.file;
    const Position position = diagnostic.where.position;
    if (position.line != 0) text += fmt::format(":{}:{}", position.line, position.column);
    text += ": ";
  }
  text += diagnostic.severity == Severity::Error ? "error: " : "warning: ";
  text += diagnostic.what;
  if (!diagnostic.remedy.empty()) text += "\n    do this: " + diagnostic.remedy;
  return text;
}

bool has_errors(const Diagnostics& diagnostics) {
  return std::ranges::any_of(diagnostics,
                             [](const Diagnostic& d) { return d.severity == Severity::Error; });
}

}  // namespace mezzo::system
