// The order of work behind fetch.hpp: packages once each, then kernels, device trees, initramfs and
// disks.
#include "fetch/fetch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "base/sha256.hpp"
#include "fetch/debian_disk.hpp"
#include "fetch/initramfs.hpp"
#include "fetch/links.hpp"
#include "fetch/package_cache.hpp"
#include "system/board.hpp"

namespace mezzo::fetch {

namespace {

constexpr char kBusybox[] = "busybox-static";

// Opens the cache when the first package is asked for, and asks it for each name once.
class Packages {
 public:
  Packages(const Options& options, Archive archive)
      : options_(options), archive_(std::move(archive)) {}

  const Package& get(const std::string& name) {
    if (const auto known = known_.find(name); known != known_.end()) return known->second;
    if (!cache_) {
      cache_.emplace(packages_folder(options_.cache, archive_.architecture), options_.progress,
                     options_.refresh, archive_);
    }
    return known_.emplace(name, cache_->get(name)).first->second;
  }

 private:
  const Options& options_;
  Archive archive_;
  std::optional<PackageCache> cache_;
  std::map<std::string, Package> known_;
};

system::KernelArtifact fetch_kernel(const system::KernelSpec& spec, Packages& packages) {
  system::KernelArtifact artifact;
  if (spec.package.empty()) {
    artifact.path = spec.file;
  } else {
    const Package& package = packages.get(spec.package);
    artifact.path = spec.path.empty() ? kernel_file(package) : file_in(package, spec.path);
    artifact.package = package.name;
    artifact.version = package.version;
  }
  artifact.bytes = base::read_file(artifact.path);
  artifact.sha256 = base::sha256(artifact.bytes);
  return artifact;
}

// Without a package there is a device tree only if the user names one.
std::optional<system::DeviceTreeArtifact> fetch_device_tree(const system::BoardInfo& board,
                                                            const system::Partition& partition,
                                                            Packages& packages) {
  if (!board.is_armv7()) return std::nullopt;
  system::DeviceTreeArtifact artifact;
  artifact.path = partition.armv7.device_tree;
  if (artifact.path.empty()) {
    if (partition.kernel.package.empty()) return std::nullopt;
    artifact.path =
        device_tree_file(packages.get(partition.kernel.package), board.armv7.device_tree);
  }
  artifact.bytes = base::read_file(artifact.path);
  artifact.sha256 = base::sha256(artifact.bytes);
  return artifact;
}

std::optional<system::InitramfsArtifact> fetch_initramfs(const system::System& system,
                                                         const system::Partition& partition,
                                                         const Options& options,
                                                         Packages& packages) {
  if (!partition.initramfs) return std::nullopt;
  system::InitramfsSpec spec = *partition.initramfs;
  if (!spec.file.empty()) {
    system::InitramfsArtifact artifact;
    artifact.path = spec.file;
    artifact.bytes = base::read_file(spec.file);
    artifact.sha256 = base::sha256(artifact.bytes);
    artifact.description = spec.file.filename().string();
    return artifact;
  }
  const std::filesystem::path kernel_root = partition.kernel.package.empty()
                                                ? std::filesystem::path()
                                                : packages.get(partition.kernel.package).root;
  add_links(system, partition, options.slip_program, spec);
  for (const auto& [name, paths] : spec.packages) {
    add_package_files(packages.get(name), paths, spec);
  }
  return build_initramfs(spec, partition.name, packages.get(kBusybox), kernel_root);
}

// All zeros, which takes no room. Runs write to overlays of their own, so that it stays so.
system::DiskArtifact make_empty_disk(std::uint64_t size, const std::filesystem::path& cache) {
  const auto disks = cache / "disks";
  const auto image = disks / fmt::format("empty-{}.img", size);
  base::make_directory(disks);
  if (!std::filesystem::exists(image)) {
    const base::TemporaryDirectory partial(disks, "partial");
    base::write_file(partial.path() / "disk.img", "");
    std::filesystem::resize_file(partial.path() / "disk.img", size);
    std::filesystem::rename(partial.path() / "disk.img", image);
  }
  return {image, fmt::format("empty, {} KiB", size / 1024)};
}

// The package cache's lock is held while a disk is made: `packages` has opened the cache before.
std::optional<system::DiskArtifact> fetch_disk(const system::Partition& partition,
                                               const Options& options) {
  if (!partition.disk) return std::nullopt;
  const system::DiskSpec& spec = *partition.disk;
  if (spec.debian) return make_debian_disk(spec, options.cache, options.refresh, options.progress);
  if (spec.file.empty()) return make_empty_disk(spec.size, options.cache);
  return system::DiskArtifact{spec.file, spec.file.filename().string()};
}

}  // namespace

system::Artifacts fetch(const system::System& system, const Options& options) {
  const system::BoardInfo& board = system::board_info(system.machine.board);
  Packages packages(options, {.architecture = board.is_armv7() ? "armhf" : "i386"});
  system::Artifacts artifacts;
  for (const system::Partition& partition : system.partitions) {
    base::check_interrupt();
    system::PartitionArtifacts& entry = artifacts.emplace_back();
    entry.kernel = fetch_kernel(partition.kernel, packages);
    entry.device_tree = fetch_device_tree(board, partition, packages);
    entry.initramfs = fetch_initramfs(system, partition, options, packages);
    entry.disk = fetch_disk(partition, options);
  }
  return artifacts;
}

}  // namespace mezzo::fetch
