// POSIX file calls behind file.hpp.
#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "base/interrupt.hpp"

namespace mezzo::base {

namespace {

std::string remedy_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "The disk is full: free some space, or point XDG_CACHE_HOME to another disk.";
    case EACCES:
    case EPERM:
    case EROFS:
      return "Choose a place that you may write to, or correct its permissions.";
    default:
      return {};
  }
}

void write_all(int fd, std::span<const std::uint8_t> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(fmt::format("cannot write {}", path.string()));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace

void throw_errno(const std::string& what) {
  const int error = errno;
  throw UserError(fmt::format("{}: {}", what, std::strerror(error)), remedy_for(error));
}

void Descriptor::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Bytes read_file(const std::filesystem::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw_errno(fmt::format("cannot read {}", path.string()));
  Bytes bytes;
  std::array<std::uint8_t, 65536> buffer{};
  for (;;) {
    const ssize_t count = read(file.get(), buffer.data(), buffer.size());
    if (count == 0) return bytes;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(fmt::format("cannot read {}", path.string()));
    bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + count);
  }
}

void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  // A device or a pipe is written to, never replaced by a file.
  if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path)) {
    const Descriptor device(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!device) throw_errno(fmt::format("cannot write {}", path.string()));
    return write_all(device.get(), bytes, path);
  }
  const std::string temporary = fmt::format("{}.{}.partial", path.string(), getpid());
  try {
    Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file) throw_errno(fmt::format("cannot write {}", path.string()));
    write_all(file.get(), bytes, path);
    if (fsync(file.get()) != 0) throw_errno(fmt::format("cannot write {}", path.string()));
    file.reset();
    if (rename(temporary.c_str(), path.c_str()) != 0) {
      throw_errno(fmt::format("cannot write {}", path.string()));
    }
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

void make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error && !std::filesystem::is_directory(path)) {
    errno = error.value();
    throw_errno(fmt::format("cannot make the folder {}", path.string()));
  }
}

TemporaryDirectory::TemporaryDirectory(const std::filesystem::path& parent,
                                       std::string_view prefix) {
  make_directory(parent);
  std::string name = (parent / fmt::format("{}.XXXXXX", prefix)).string();
  if (mkdtemp(name.data()) == nullptr) {
    throw_errno(fmt::format("cannot make a folder in {}", parent.string()));
  }
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

FileLock::FileLock(const std::filesystem::path& path, const std::function<void()>& on_wait)
    : file_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  if (!file_) throw_errno(fmt::format("cannot open the lock {}", path.string()));
  if (flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK && on_wait) on_wait();
  while (flock(file_.get(), LOCK_EX) != 0) {
    if (errno != EINTR) throw_errno(fmt::format("cannot lock {}", path.string()));
    check_interrupt();
  }
}

bool is_locked(const std::filesystem::path& path) {
  const Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  return file && flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::filesystem::path cache_directory() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    return std::filesystem::path(cache) / "mezzo";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache" / "mezzo";
  }
  throw UserError("no place for downloads: neither XDG_CACHE_HOME nor HOME is set",
                  "Set XDG_CACHE_HOME to a folder that you may write to.");
}

}  // namespace mezzo::base
