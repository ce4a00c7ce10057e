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

// Throws UserError made of `what` and errno, with a remedy for a full disk or missing rights.
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

// The whole file. Throws UserError if it cannot be read.
[[nodiscard]] Bytes read_file(const std::filesystem::path& path);

// Replaces `path` by `bytes` in one step: a reader sees the old file or the new one, and a crash or
// a full disk leaves the old one. Throws UserError.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);

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
