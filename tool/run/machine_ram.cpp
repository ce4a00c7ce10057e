// mmap, and careful reading of memory that a running machine writes.
#include "run/machine_ram.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace mezzo::run {

namespace {

// Reads a counter that a 32-bit processor writes in two halves.
std::uint64_t settled(const std::uint64_t& counter) {
  const volatile std::uint64_t* const live = &counter;
  std::uint64_t first = *live;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::uint64_t second = *live;
    if (first >> 32 == second >> 32) return second;
    first = second;
  }
  return first;
}

void settle(status::Region& copy, const status::Region& live) {
  copy.now_tsc = settled(live.now_tsc);
  for (std::size_t p = 0; p < plan::kMaxPartitions; ++p) {
    copy.partitions[p].started_tsc = settled(live.partitions[p].started_tsc);
    copy.partitions[p].stopped_tsc = settled(live.partitions[p].stopped_tsc);
    for (std::size_t cause = 0; cause < status::kExitCauses; ++cause) {
      copy.partitions[p].exits[cause] = settled(live.partitions[p].exits[cause]);
    }
  }
}

}  // namespace

MachineRam::MachineRam(base::Descriptor file, std::uint64_t size)
    : file_(std::move(file)), size_(size) {
  void* const bytes = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (bytes == MAP_FAILED) base::throw_errno("cannot map the machine's memory");
  bytes_ = static_cast<std::uint8_t*>(bytes);
}

MachineRam MachineRam::create(const std::filesystem::path& path, std::uint64_t size) {
  const auto check = [&path](bool good) {
    if (!good) base::throw_errno(fmt::format("cannot make {}", path.string()));
  };
  for (;;) {
    base::Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    check(static_cast<bool>(file));
    check(flock(file.get(), LOCK_EX) == 0);
    struct stat facts{};
    check(fstat(file.get(), &facts) == 0);
    // Another tool may have taken it for stale before it was locked.
    if (facts.st_nlink == 0) continue;
    check(ftruncate(file.get(), static_cast<off_t>(size)) == 0);
    return {std::move(file), size};
  }
}

MachineRam MachineRam::open(const std::filesystem::path& path) {
  base::Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat facts{};
  if (!file || fstat(file.get(), &facts) != 0) {
    base::throw_errno(fmt::format("cannot open the machine's memory {}", path.string()));
  }
  return {std::move(file), static_cast<std::uint64_t>(facts.st_size)};
}

MachineRam::MachineRam(MachineRam&& other) noexcept
    : file_(std::move(other.file_)),
      bytes_(std::exchange(other.bytes_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MachineRam::~MachineRam() {
  if (bytes_ != nullptr) munmap(bytes_, size_);
}

status::Region& MachineRam::region(std::uint64_t offset) const {
  if (offset % alignof(status::Region) != 0 || offset > size_ ||
      size_ - offset < sizeof(status::Region)) {
    throw UserError(
        fmt::format("the monitor's place {:#x} is outside of the machine's memory", offset));
  }
  return *reinterpret_cast<status::Region*>(bytes_ + offset);
}

std::optional<status::Region> snapshot(const status::Region& region) {
  if (*const_cast<const volatile std::uint32_t*>(&region.magic) != status::kMagic) {
    return std::nullopt;
  }
  status::Region copy;
  std::memcpy(&copy, &region, sizeof(copy));
  if (copy.version != status::kVersion || copy.size != sizeof(status::Region)) {
    throw UserError(
        fmt::format("the running monitor's status has version {} and {} bytes; this tool knows "
                    "version {} with {}",
                    copy.version, copy.size, status::kVersion, sizeof(status::Region)),
        "Use the tool and the monitor of the same build.");
  }
  copy.partition_count = std::min(copy.partition_count, plan::kMaxPartitions);
  copy.cpu_count = std::min(copy.cpu_count, status::kMaxCpus);
  settle(copy, region);
  return copy;
}

std::string log_text(const status::Log& log) {
  const std::uint32_t written = log.written;
  if (written <= status::kLogSize) return {log.text, written};
  const std::uint32_t start = written % status::kLogSize;
  std::string text(log.text + start, status::kLogSize - start);
  text.append(log.text, start);
  const auto line_end = text.find('\n');
  return line_end == std::string::npos ? text : text.substr(line_end + 1);
}

}  // namespace mezzo::run
