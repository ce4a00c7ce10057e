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

void write_all(int fd, std::span<const std::uint8_t> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(fmt::format("cannot write {}", path.string()));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

// A device or a pipe is written to, never replaced by a file.
bool is_written_in_place(const std::filesystem::path& path) {
  std::error_code absent;
  const auto status = std::filesystem::status(path, absent);
  return std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
}

// Puts `bytes` into a file beside `path`, which then gets that name, or is removed if not `keep`.
void replace_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes,
                  bool keep) {
  const std::string temporary = fmt::format("{}.{}.partial", path.string(), getpid());
  try {
    Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file) throw_errno(fmt::format("cannot write {}", path.string()));
    write_all(file.get(), bytes, path);
    if (fsync(file.get()) != 0) throw_errno(fmt::format("cannot write {}", path.string()));
    file.reset();
    if (!keep) {
      unlink(temporary.c_str());
    } else if (rename(temporary.c_str(), path.c_str()) != 0) {
      throw_errno(fmt::format("cannot write {}", path.string()));
    }
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
}

}  // namespace

std::string remedy_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "The disk is full: free some space, or use another one (XDG_CACHE_HOME is where\n"
             "  downloads go, TMPDIR where temporary files do).";
    case EFBIG:
      return "A limit on the size of files is in the way: raise it (ulimit -f).";
    case EACCES:
    case EPERM:
    case EROFS:
      return "Choose a place that you may write to, or correct its permissions.";
    case ENOENT:
    case ENOTDIR:
      return "Correct the name, or make the folder that it is in.";
    case EISDIR:
      return "Name a file, not a folder.";
    default:
      return {};
  }
}

void throw_errno(const std::string& what) {
  const int error = errno;
  throw UserError(fmt::format("{}: {}", what, std::strerror(error)), remedy_for(error));
}

void Descriptor::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

std::string why_unreadable(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) return "does not exist";
  if (error) return fmt::format("cannot be read: {}", error.message());
  if (!std::filesystem::is_regular_file(status)) return "is not a regular file";
  return {};
}

Bytes read_file(const std::filesystem::path& path, Pipes pipes) {
  // Opening a pipe would wait for its writer; a regular file does not know O_NONBLOCK.
  const int wait = pipes == Pipes::Allowed ? 0 : O_NONBLOCK;
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | wait));
  struct stat facts{};
  if (!file || fstat(file.get(), &facts) != 0) {
    throw_errno(fmt::format("cannot read {}", path.string()));
  }
  if (!S_ISREG(facts.st_mode) && !(pipes == Pipes::Allowed && S_ISFIFO(facts.st_mode))) {
    throw UserError(fmt::format("cannot read {}: it is not a regular file", path.string()),
                    "Name a file, not a folder or a device.");
  }
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
  if (!is_written_in_place(path)) return replace_file(path, bytes, true);
  const Descriptor device(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!device) throw_errno(fmt::format("cannot write {}", path.string()));
  write_all(device.get(), bytes, path);
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

void check_writable(const std::filesystem::path& path) {
  constexpr std::array<std::uint8_t, 1> kByte{};
  if (!is_written_in_place(path)) return replace_file(path, kByte, false);
  // access() rather than open(), whose end would be the end of file of a pipe's reader.
  const bool folder = std::filesystem::is_directory(path);
  if (!folder && access(path.c_str(), W_OK) == 0) return;
  if (folder) errno = EISDIR;
  throw_errno(fmt::format("cannot write {}", path.string()));
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
