// Files that are whole or absent, locks between processes, folders that vanish, open descriptors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mezzo::base {

using Bytes = std::vector<std::uint8_t>;

// What to do about the errno value `error`: a full disk, missing rights and the like; else empty.
[[nodiscard]] std::string remedy_for(int error);

// Throws UserError made of `what` and errno, with its remedy.
[[noreturn]] void throw_errno(const std::string& what);

// Owns a file descriptor; negative: none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_;
};

// Why `path` is no file to read: "does not exist", "is not a regular file", "cannot be read: ...".
// Empty if it is one, or a link to one.
[[nodiscard]] std::string why_unreadable(const std::filesystem::path& path);

enum class Pipes { Refused, Allowed };

// The whole file. Throws UserError if it cannot be read, or is not a regular file: a device may
// have no end, a pipe no writer. `pipes`: whether a pipe will do, as in `--script <(command)`.
[[nodiscard]] Bytes read_file(const std::filesystem::path& path, Pipes pipes = Pipes::Refused);

// Replaces `path` by `bytes` in one step: a reader sees the old file or the new one, and a crash or
// a full disk leaves the old one. Throws UserError.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);

// Throws UserError if write_file() would fail now: no such folder, no rights, no room for a byte.
// Leaves `path` as it is.
void check_writable(const std::filesystem::path& path);

// Makes the folder and those above it. Throws UserError.
void make_directory(const std::filesystem::path& path);

// A folder with a name of its own inside `parent`, removed with its contents on destruction.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::filesystem::path& parent, std::string_view prefix = "tmp");
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// An exclusive lock (flock) on the file `path`, which is made if it is absent, held until
// destruction. The kernel releases it however the process ends.
class FileLock {
 public:
  // Waits for the lock; `on_wait` is called once before waiting. Throws Interrupted or UserError.
  explicit FileLock(const std::filesystem::path& path, const std::function<void()>& on_wait = {});

 private:
  Descriptor file_;
};

// True if some process holds the lock.
[[nodiscard]] bool is_locked(const std::filesystem::path& path);

// $XDG_CACHE_HOME/mezzo, else $HOME/.cache/mezzo. Throws UserError if neither variable is set.
[[nodiscard]] std::filesystem::path cache_directory();

}  // namespace mezzo::base
