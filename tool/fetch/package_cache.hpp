// Debian packages that are kept: downloaded once, checked, unpacked, and found again without
// network.
//
// Layout below the cache folder (default ~/.cache/mezzo; for other architectures than i386, a
// folder of that name in it):
//   apt/                       apt's private state (apt.hpp)
//   packages/NAME.json         which .deb the name stands for, its version and SHA-256
//   packages/FILE.deb          as downloaded
//   packages/FILE/             its contents
// Every file and folder in there appears whole or not at all. One process at a time changes it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.hpp"
#include "fetch/apt.hpp"

namespace mezzo::fetch {

struct Package {
  std::string name;  // of the real package, at the end of the chain of metapackages
  std::string version;
  std::string sha256;  // of the .deb, as the signed index has it
  std::filesystem::path deb;
  std::filesystem::path root;  // unpacked contents
};

// Where in the cache folder `cache` a PackageCache for Debian's `architecture` lives.
[[nodiscard]] std::filesystem::path packages_folder(const std::filesystem::path& cache,
                                                    std::string_view architecture);

// The vmlinuz in a kernel package's boot/. Throws UserError if there is none.
[[nodiscard]] std::filesystem::path kernel_file(const Package& package);

// The file `path` ("/boot/x.bin", with or without the slash) of the package. Throws UserError if it
// has none.
[[nodiscard]] std::filesystem::path file_in(const Package& package, std::string_view path);

// The device tree `name` ("vexpress-v2p-ca9.dtb") in a kernel package of Arm. Throws UserError if
// there is none.
[[nodiscard]] std::filesystem::path device_tree_file(const Package& package, std::string_view name);

class PackageCache {
 public:
  // Takes the cache's lock for its lifetime; waits for another process's. `refresh`: ask the mirror
  // for newer versions even if the cache has one.
  PackageCache(const std::filesystem::path& directory, Progress progress, bool refresh,
               Archive archive = {});

  // The package `name`; if it is a kernel's metapackage (linux-image-686), the kernel it depends
  // on. From the cache if it is there and intact, from the mirror otherwise. Throws UserError.
  [[nodiscard]] Package get(const std::string& name);

 private:
  [[nodiscard]] std::unique_ptr<Package> recall(const std::string& name);
  // What is to be downloaded for `name`: itself, or the kernel it only stands for.
  [[nodiscard]] IndexEntry look_up(Apt& apt, const std::string& name);
  [[nodiscard]] Package download(const std::string& name);
  void unpack(const Package& package);

  std::filesystem::path directory_;
  Progress progress_;
  bool refresh_;
  Archive archive_;
  base::FileLock lock_;
};

}  // namespace mezzo::fetch
