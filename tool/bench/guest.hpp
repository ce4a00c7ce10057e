// What boots on a machine: Linux from Debian's packages with an initramfs of our own, or a kernel
// of our own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/package_cache.hpp"

namespace mezzo::bench {

// Linux with a shell script (see bench/guest/init.sh), or the probe (guest/probe) or the real-time
// kernel (guest/rtos), bare kernels for i386, with a command line.
enum class Guest { Linux, Probe, Rtos };
struct Workload {
  Guest guest;
  std::string text;
  std::vector<std::string> modules{};  // of Linux's, in /modules
};

// A Debian package or file that takes part in a run.
struct Part {
  std::string name, version, sha256;
};

struct Sources {
  std::filesystem::path cache;      // base::cache_directory()
  std::filesystem::path build;      // of the guest programs and the monitor
  std::filesystem::path guest;      // bench/guest in the checkout
  std::filesystem::path directory;  // where boot files are written
  bool refresh = false;
  fetch::Progress progress;
};

struct Files {
  std::filesystem::path kernel, initramfs;  // bare kernels have no initramfs
  std::string cmdline;                      // without the console's name
  std::filesystem::path device_tree{};      // of the board; only for Arm
};

// Where things are in Debian's packages of one architecture.
struct Distribution;

// Fetches packages of one architecture (Debian's name) and assembles guests from them. Throws
// UserError.
class GuestBuilder {
 public:
  GuestBuilder(std::string_view architecture, const Sources& sources);

  [[nodiscard]] Files build(const Workload& workload);
  [[nodiscard]] fetch::Package package(const std::string& name);
  // Everything that was taken so far.
  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }

 private:
  [[nodiscard]] std::filesystem::path program(const std::string& name) const;
  [[nodiscard]] std::filesystem::path initramfs(const Workload& workload,
                                                const fetch::Package& kernel);
  [[nodiscard]] fetch::PackageCache& cache();

  const Distribution& distribution_;
  const Sources& sources_;
  std::unique_ptr<fetch::PackageCache> cache_;  // from the first package on
  std::vector<Part> parts_;
};

}  // namespace mezzo::bench
