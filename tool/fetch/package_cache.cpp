// Records, downloads and unpacking behind package_cache.hpp.
#include "fetch/package_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"

namespace mezzo::fetch {

namespace {

constexpr int kMaxMetapackages = 4;

std::filesystem::path made(const std::filesystem::path& directory) {
  base::make_directory(directory);
  return directory;
}

// The package that `entry` only stands for, or empty if it is no metapackage of a kernel.
std::string kernel_behind(const IndexEntry& entry) {
  if (!entry.name.starts_with("linux-image-")) return {};
  const auto found = std::ranges::find_if(entry.depends, [](const std::string& dependency) {
    return dependency.starts_with("linux-image-");
  });
  return found == entry.depends.end() ? std::string() : *found;
}

}  // namespace

std::filesystem::path packages_folder(const std::filesystem::path& cache,
                                      std::string_view architecture) {
  return architecture == Archive{}.architecture ? cache : cache / architecture;
}

std::filesystem::path kernel_file(const Package& package) {
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(package.root / "boot", error)) {
    if (file.path().filename().string().starts_with("vmlinuz-")) return file.path();
  }
  throw UserError(fmt::format("the package {} {} holds no kernel (boot/vmlinuz-*)", package.name,
                              package.version),
                  "Name a kernel's package in the system file, for example linux-image-686 or "
                  "linux-image-armmp, or the file in this one under 'path'.");
}

std::filesystem::path file_in(const Package& package, std::string_view path) {
  auto file = package.root / path.substr(path.starts_with('/') ? 1 : 0);
  if (std::filesystem::is_regular_file(file)) return file;
  throw UserError(
      fmt::format("the package {} {} has no file {}", package.name, package.version, path),
      fmt::format("See `dpkg-deb -c {}` for those that it has.", package.deb.string()));
}

std::filesystem::path device_tree_file(const Package& package, std::string_view name) {
  const auto folders = package.root / "usr/lib";
  std::error_code error;
  for (const auto& folder : std::filesystem::directory_iterator(folders, error)) {
    if (!folder.path().filename().string().starts_with("linux-image-")) continue;
    if (auto file = folder.path() / name; std::filesystem::exists(file)) return file;
  }
  throw UserError(
      fmt::format("the package {} {} holds no device tree {}", package.name, package.version, name),
      "Name a kernel's package for the board, for example linux-image-armmp, or a file "
      "under 'device_tree'.");
}

PackageCache::PackageCache(const std::filesystem::path& directory, Progress progress, bool refresh,
                           Archive archive)
    : directory_(made(directory / "packages").parent_path()),
      progress_(std::move(progress)),
      refresh_(refresh),
      archive_(std::move(archive)),
      lock_(directory_ / "lock",
            [this] { progress_("waiting for another mezzo to finish fetching", -1); }) {
  // We hold the lock: what has a temporary name was left by a process that was killed.
  for (const auto& file : std::filesystem::directory_iterator(directory_ / "packages")) {
    const std::string name = file.path().filename().string();
    std::error_code ignored;
    if (name.starts_with("download.") || name.starts_with("unpack.") ||
        name.ends_with(".partial")) {
      std::filesystem::remove_all(file.path(), ignored);
    }
  }
}

Package PackageCache::get(const std::string& name) {
  if (!refresh_) {
    if (const auto package = recall(name)) {
      unpack(*package);
      return *package;
    }
  }
  Package package = download(name);
  unpack(package);
  return package;
}

std::unique_ptr<Package> PackageCache::recall(const std::string& name) {
  const auto record_path = directory_ / "packages" / (name + ".json");
  if (!std::filesystem::exists(record_path)) return nullptr;
  const auto record = nlohmann::json::parse(base::read_file(record_path), nullptr, false);
  if (!record.is_object()) return nullptr;
  Package package{.name = record.value("package", ""),
                  .version = record.value("version", ""),
                  .sha256 = record.value("sha256", ""),
                  .deb = directory_ / "packages" / record.value("deb", ""),
                  .root = {}};
  package.root = std::filesystem::path(package.deb).replace_extension();
  std::error_code error;
  if (!std::filesystem::is_regular_file(package.deb, error)) return nullptr;
  if (base::sha256(base::read_file(package.deb)) == package.sha256) {
    return std::make_unique<Package>(std::move(package));
  }
  progress_(fmt::format("{} in the cache is damaged; fetching it anew", package.deb.string()), -1);
  std::filesystem::remove_all(package.root, error);
  return nullptr;
}

IndexEntry PackageCache::look_up(Apt& apt, const std::string& name) {
  IndexEntry entry = apt.show(name);
  bool fresh = refresh_;
  for (int depth = 0; depth < kMaxMetapackages;) {
    const std::string behind = kernel_behind(entry);
    if (behind.empty()) break;
    if (std::optional<IndexEntry> next = apt.find(behind)) {
      entry = *std::move(next);
      ++depth;
      continue;
    }
    if (fresh) {
      throw UserError(fmt::format("{} needs {}, which the package index of {} does not have",
                                  entry.name, behind, archive_.architecture),
                      std::string(kMirrorRemedy));
    }
    progress_(fmt::format("the package index lacks {}; refreshing it", behind), -1);
    apt.update(true);
    fresh = true;
    entry = apt.show(name);
    depth = 0;
  }
  return entry;
}

Package PackageCache::download(const std::string& name) {
  Apt apt(directory_ / "apt", archive_, progress_);
  apt.update(refresh_);
  IndexEntry entry = look_up(apt, name);
  const base::TemporaryDirectory partial(directory_ / "packages", "download");
  const auto file = apt.download(entry, partial.path());
  const std::string actual = base::sha256(base::read_file(file));
  if (actual != entry.sha256) {
    throw UserError(fmt::format("{} has SHA-256 {}, but the package index says {}",
                                file.filename().string(), actual, entry.sha256),
                    "Try again; if it stays so, use another mirror.");
  }
  const auto kept =
      directory_ / "packages" / fmt::format("{}_{}.deb", entry.name, entry.sha256.substr(0, 16));
  std::filesystem::rename(file, kept);
  const nlohmann::json record = {{"package", entry.name},
                                 {"version", entry.version},
                                 {"sha256", entry.sha256},
                                 {"deb", kept.filename().string()}};
  base::write_file(directory_ / "packages" / (name + ".json"), record.dump(2) + "\n");
  return {.name = entry.name,
          .version = entry.version,
          .sha256 = entry.sha256,
          .deb = kept,
          .root = std::filesystem::path(kept).replace_extension()};
}

void PackageCache::unpack(const Package& package) {
  if (std::filesystem::is_directory(package.root)) return;
  progress_(fmt::format("unpacking {} {}", package.name, package.version), -1);
  const base::TemporaryDirectory partial(directory_ / "packages", "unpack");
  const auto contents = partial.path() / "contents";
  const base::Finished finished =
      base::run({.argv = {"dpkg-deb", "--extract", package.deb.string(), contents.string()},
                 .environment = {{"LC_ALL", "C.UTF-8"}}});
  if (finished.status != 0) {
    const bool full = finished.output.find("No space left on device") != std::string::npos;
    throw UserError(
        fmt::format("{} could not be unpacked:\n{}", package.deb.string(), finished.output),
        full ? fmt::format("The disk that holds {} is full: free some space, or set "
                           "XDG_CACHE_HOME.",
                           directory_.string())
             : fmt::format("Remove the file and try again; dpkg-deb is in the package dpkg."));
  }
  std::filesystem::rename(contents, package.root);
}

}  // namespace mezzo::fetch
