// The folder of one run: where its sockets, logs and boot image are, and how other commands find
// it.
//
// $XDG_RUNTIME_DIR/mezzo/NAME (else /tmp/mezzo-UID/NAME) holds
//   lock         locked as long as the run lives
//   run.json     RunInfo: what other commands need
//   image.elf, qemu.log, monitor.log, qmp.sock, console-N.sock, control.lock
// The machine's memory is a file in /dev/shm if it has room, else in here, else in $TMPDIR.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.hpp"

namespace mezzo::run {

struct RunInfo {
  std::string name;
  int pid = 0;  // of the tool that runs it
  std::string system_file;
  std::filesystem::path ram;
  std::uint64_t status_offset = 0;  // of the status region in `ram`
  std::vector<std::string> partitions;
};

// A run of ours. Destruction removes the folder and the memory file.
class RunDirectory {
 public:
  // Named after `system`; if a run of that name lives, with a number appended. Leftovers of dead
  // runs are removed. Throws UserError.
  explicit RunDirectory(const std::string& system);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Where the memory file is to be made; chosen for `size` bytes. Throws UserError if there is no
  // room for them, because a machine whose memory cannot grow any more dies of SIGBUS.
  [[nodiscard]] std::filesystem::path choose_ram(std::uint64_t size);
  // Makes the run visible to other commands.
  void publish(const RunInfo& info) const;

 private:
  std::string name_;
  std::filesystem::path path_;
  std::filesystem::path ram_;
  base::Descriptor lock_;
};

// A file that could hold a machine's memory, and the bytes free on its disk.
struct RamPlace {
  std::filesystem::path file;
  std::uint64_t free;
};

// The first place with room for `size` bytes. Throws UserError that lists what there is.
[[nodiscard]] std::filesystem::path choose_ram_place(std::span<const RamPlace> places,
                                                     std::uint64_t size);

// Removes memory files in `directory` that a killed run of this user left: those that no process
// has locked.
void remove_stale_ram(const std::filesystem::path& directory);

// The folder above all runs of this user. Throws UserError if it cannot be made or is not the
// user's.
[[nodiscard]] std::filesystem::path runs_directory();

// A run that lives, ours or another process's.
struct LiveRun {
  std::filesystem::path path;
  RunInfo info;
};

[[nodiscard]] std::vector<LiveRun> live_runs();

// The run called `name`, or the only one if `name` is empty. Throws UserError if there is none, or
// if there are several to choose from.
[[nodiscard]] LiveRun find_run(const std::string& name);

// The number of the partition called `partition`. Throws UserError that lists those there are.
[[nodiscard]] std::uint32_t find_partition(const RunInfo& info, const std::string& partition);

// The socket of partition number `index`'s console in the run folder `run`.
[[nodiscard]] std::filesystem::path console_socket(const std::filesystem::path& run,
                                                   std::size_t index);

}  // namespace mezzo::run
