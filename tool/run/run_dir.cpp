// Folders, locks and the record of a run.
#include "run/run_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.hpp"

namespace mezzo::run {

namespace {

constexpr unsigned kMaxRunsOfAName = 100;
constexpr char kSharedMemory[] = "/dev/shm";

bool owned_by_us(const std::filesystem::path& path) {
  struct stat facts{};
  return lstat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == geteuid();
}

RunInfo read_info(const std::filesystem::path& run) {
  const auto json = nlohmann::json::parse(base::read_file(run / "run.json"), nullptr, false);
  RunInfo info;
  if (!json.is_object()) return info;
  info.name = json.value("name", "");
  info.pid = json.value("pid", 0);
  info.system_file = json.value("system_file", "");
  info.ram = json.value("ram", "");
  info.monitor_base = json.value("monitor_base", 0u);
  info.partitions = json.value("partitions", std::vector<std::string>());
  return info;
}

// Removes what a dead run left; the caller holds its lock.
void remove_run(const std::filesystem::path& run) {
  std::error_code ignored;
  if (std::filesystem::exists(run / "ram-path")) {
    const base::Bytes path = base::read_file(run / "ram-path");
    std::filesystem::remove(std::string(path.begin(), path.end()), ignored);
  }
  std::filesystem::remove_all(run, ignored);
}

// Takes the lock of `run`, which is made if it is absent; nothing if a live run has it.
base::Descriptor try_lock(const std::filesystem::path& run) {
  for (;;) {
    base::make_directory(run);
    base::Descriptor lock(open((run / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock) {
      if (errno == ENOENT) continue;  // its owner has just removed it
      base::throw_errno(fmt::format("cannot make {}", (run / "lock").string()));
    }
    if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return base::Descriptor();
    // The folder may have been removed between open and flock: then this lock is of no file.
    struct stat ours{};
    struct stat named{};
    if (fstat(lock.get(), &ours) == 0 && stat((run / "lock").c_str(), &named) == 0 &&
        ours.st_ino == named.st_ino) {
      return lock;
    }
  }
}

void sweep_dead_runs(const std::filesystem::path& parent) {
  std::error_code error;
  for (const auto& run : std::filesystem::directory_iterator(parent, error)) {
    if (const base::Descriptor lock = try_lock(run.path())) remove_run(run.path());
  }
}

}  // namespace

std::filesystem::path runs_directory() {
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  const bool usable = runtime != nullptr && *runtime == '/' && access(runtime, W_OK) == 0;
  const std::filesystem::path path =
      usable ? std::filesystem::path(runtime) / "mezzo"
             : std::filesystem::path(fmt::format("/tmp/mezzo-{}", geteuid()));
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    base::throw_errno(fmt::format("cannot make the folder {}", path.string()));
  }
  if (!owned_by_us(path)) {
    throw UserError(fmt::format("{} belongs to another user", path.string()),
                    "Remove it, or set XDG_RUNTIME_DIR to a folder of your own.");
  }
  return path;
}

RunDirectory::RunDirectory(const std::string& system) {
  const auto parent = runs_directory();
  sweep_dead_runs(parent);
  for (unsigned number = 1; number <= kMaxRunsOfAName; ++number) {
    name_ = number == 1 ? system : fmt::format("{}-{}", system, number);
    path_ = parent / name_;
    lock_ = try_lock(path_);
    if (lock_) return;
  }
  throw UserError(fmt::format("{} runs of '{}' are alive already", kMaxRunsOfAName, system),
                  "End some of them.");
}

RunDirectory::~RunDirectory() {
  std::error_code ignored;
  if (!ram_.empty()) std::filesystem::remove(ram_, ignored);
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path RunDirectory::choose_ram(std::uint64_t size) {
  struct statvfs facts{};
  const bool room = statvfs(kSharedMemory, &facts) == 0 && access(kSharedMemory, W_OK) == 0 &&
                    std::uint64_t{facts.f_bavail} * facts.f_frsize > size;
  ram_ = room ? std::filesystem::path(kSharedMemory) /
                    fmt::format("mezzo-{}-{}-{}.ram", geteuid(), getpid(), name_)
              : path_ / "ram";
  base::write_file(path_ / "ram-path", ram_.string());
  return ram_;
}

void RunDirectory::publish(const RunInfo& info) const {
  const nlohmann::json json = {{"name", info.name},
                               {"pid", info.pid},
                               {"system_file", info.system_file},
                               {"ram", info.ram.string()},
                               {"monitor_base", info.monitor_base},
                               {"partitions", info.partitions}};
  base::write_file(path_ / "run.json", json.dump(2) + "\n");
}

std::vector<LiveRun> live_runs() {
  std::vector<LiveRun> runs;
  std::error_code error;
  for (const auto& run : std::filesystem::directory_iterator(runs_directory(), error)) {
    if (!base::is_locked(run.path() / "lock") ||
        !std::filesystem::exists(run.path() / "run.json")) {
      continue;
    }
    runs.push_back({.path = run.path(), .info = read_info(run.path())});
  }
  std::ranges::sort(runs, {}, [](const LiveRun& run) { return run.info.name; });
  return runs;
}

LiveRun find_run(const std::string& name) {
  std::vector<LiveRun> runs = live_runs();
  std::vector<std::string> names;
  for (const LiveRun& run : runs) names.push_back(run.info.name);
  if (name.empty() && runs.size() == 1) return runs.front();
  for (LiveRun& run : runs) {
    if (!name.empty() && run.info.name == name) return std::move(run);
  }
  if (runs.empty()) {
    throw UserError("no monitor is running",
                    "Start one in another terminal: ./mezzo demo, or ./mezzo run SYSTEM.toml");
  }
  if (name.empty()) {
    throw UserError(fmt::format("several monitors are running: {}", fmt::join(names, ", ")),
                    "Choose one with --run NAME.");
  }
  throw UserError(fmt::format("no run is called '{}'", name),
                  fmt::format("These are running: {}", fmt::join(names, ", ")));
}

std::uint32_t find_partition(const RunInfo& info, const std::string& partition) {
  const auto found = std::ranges::find(info.partitions, partition);
  if (found == info.partitions.end()) {
    throw UserError(fmt::format("'{}' has no partition '{}'", info.name, partition),
                    fmt::format("Its partitions: {}", fmt::join(info.partitions, ", ")));
  }
  return static_cast<std::uint32_t>(found - info.partitions.begin());
}

std::filesystem::path console_socket(const std::filesystem::path& run, std::size_t index) {
  return run / fmt::format("console-{}.sock", index);
}

}  // namespace mezzo::run
