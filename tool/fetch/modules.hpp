// Finds kernel modules in an unpacked kernel package, with what they need and in the order in which
// they have to be loaded. The package has no modules.dep, so the modules themselves are asked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace mezzo::fetch {

struct Module {
  std::string name;            // as in the file's name, without .ko
  std::filesystem::path path;  // relative to the package's root: lib/modules/VERSION/kernel/...
};

// The names after "depends=" in a module's .modinfo section; empty if there are none.
[[nodiscard]] std::vector<std::string> module_dependencies(std::span<const std::uint8_t> module);

// The modules `names` and all they depend on, dependencies first, each once. Names may use - for _.
// What is built into the kernel is left out. Throws UserError for a module that does not exist.
[[nodiscard]] std::vector<Module> resolve_modules(const std::filesystem::path& root,
                                                  const std::vector<std::string>& names);

}  // namespace mezzo::fetch
