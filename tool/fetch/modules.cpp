// .modinfo parsing and the walk over dependencies behind modules.hpp.
#include "fetch/modules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mezzo::fetch {

namespace {

// Module names are the same with - and _.
std::string canonical(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

class Resolver {
 public:
  explicit Resolver(const std::filesystem::path& root) : root_(root) {
    const auto modules = root / "lib/modules";
    std::error_code error;
    for (const auto& version : std::filesystem::directory_iterator(modules, error)) {
      read_built_in(version.path() / "modules.builtin");
    }
    for (const auto& file : std::filesystem::recursive_directory_iterator(modules, error)) {
      if (file.path().extension() != ".ko") continue;
      paths_.emplace(canonical(file.path().stem().string()), file.path());
    }
  }

  void add(const std::string& name) {
    const std::string key = canonical(name);
    if (built_in_.contains(key) || !seen_.insert(key).second) return;
    const auto found = paths_.find(key);
    if (found == paths_.end()) {
      throw UserError(fmt::format("the kernel package has no module '{}'", name),
                      "Correct the name under `modules` in the system file; "
                      "`ls` the package's lib/modules in the cache for what there is.");
    }
    const base::Bytes bytes = base::read_file(found->second);
    for (const std::string& dependency : module_dependencies(bytes)) add(dependency);
    order_.push_back({.name = found->second.stem().string(),
                      .path = std::filesystem::relative(found->second, root_)});
  }

  [[nodiscard]] std::vector<Module> take() { return std::move(order_); }

 private:
  void read_built_in(const std::filesystem::path& list) {
    if (!std::filesystem::exists(list)) return;
    const base::Bytes bytes = base::read_file(list);
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      built_in_.insert(canonical(std::filesystem::path(line).stem().string()));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
  }

  const std::filesystem::path& root_;
  std::map<std::string, std::filesystem::path> paths_;
  std::set<std::string> built_in_, seen_;
  std::vector<Module> order_;
};

}  // namespace

std::vector<std::string> module_dependencies(std::span<const std::uint8_t> module) {
  // .modinfo is a run of NUL-terminated "key=value"; the key starts the file's only such string.
  constexpr std::string_view kKey("\0depends=", 9);
  const std::string_view text(reinterpret_cast<const char*>(module.data()), module.size());
  const auto start = text.find(kKey);
  if (start == std::string_view::npos) return {};
  std::string_view list = text.substr(start + kKey.size());
  list = list.substr(0, list.find('\0'));
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    if (!name.empty()) names.emplace_back(name);
    list.remove_prefix(std::min(list.size(), name.size() + 1));
  }
  return names;
}

std::vector<Module> resolve_modules(const std::filesystem::path& root,
                                    const std::vector<std::string>& names) {
  Resolver resolver(root);
  for (const std::string& name : names) resolver.add(name);
  return resolver.take();
}

}  // namespace mezzo::fetch
