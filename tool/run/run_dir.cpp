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
  info.status_offset = json.value("status_offset", std::uint64_t{0});
  info.partitions = json.value("partitions", std::vector<std::string>());
  return info;
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

// How the names of this user's memory files begin, outside of run folders.
std::string ram_prefix() { return fmt::format("mezzo-{}-", geteuid()); }

// Bytes that we can still write below `directory`; 0 if we cannot write there.
std::uint64_t free_bytes(const std::filesystem::path& directory) {
  struct statvfs facts{};
  if (access(directory.c_str(), W_OK) != 0 || statvfs(directory.c_str(), &facts) != 0) return 0;
  return std::uint64_t{facts.f_bavail} * facts.f_frsize;
}

std::filesystem::path temporary_folder() {
  std::error_code error;
  const auto path = std::filesystem::temp_directory_path(error);
  return error ? "/tmp" : path;
}

void sweep_dead_runs(const std::filesystem::path& parent) {
  std::error_code error;
  for (const auto& run : std::filesystem::directory_iterator(parent, error)) {
    std::error_code ignored;
    if (const base::Descriptor lock = try_lock(run.path())) {
      std::filesystem::remove_all(run.path(), ignored);
    }
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
  for (const auto& folder : {std::filesystem::path(kSharedMemory), temporary_folder()}) {
    remove_stale_ram(folder);
  }
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
  const std::string name = fmt::format("{}{}-{}.ram", ram_prefix(), getpid(), name_);
  std::vector<RamPlace> places;
  for (const auto& file :
       {std::filesystem::path(kSharedMemory) / name, path_ / "ram", temporary_folder() / name}) {
    places.push_back({file, free_bytes(file.parent_path())});
  }
  ram_ = choose_ram_place(places, size);
  return ram_;
}

std::filesystem::path choose_ram_place(std::span<const RamPlace> places, std::uint64_t size) {
  std::vector<std::string> free;
  for (const RamPlace& place : places) {
    if (place.free >= size) return place.file;
    free.push_back(
        fmt::format("{} MiB in {}", place.free >> 20, place.file.parent_path().string()));
  }
  throw UserError(
      fmt::format("there is no room for the machine's memory of {} MiB; free are {}", size >> 20,
                  fmt::join(free, ", ")),
      "Free some space there, set TMPDIR to a folder with room, or lower 'memory' in [machine].");
}

void remove_stale_ram(const std::filesystem::path& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(ram_prefix()) || !name.ends_with(".ram")) continue;
    const base::Descriptor file(open(entry.path().c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (file && flock(file.get(), LOCK_EX | LOCK_NB) == 0) unlink(entry.path().c_str());
  }
}

void RunDirectory::publish(const RunInfo& info) const {
  const nlohmann::json json = {{"name", info.name},
                               {"pid", info.pid},
                               {"system_file", info.system_file},
                               {"ram", info.ram.string()},
                               {"status_offset", info.status_offset},
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
