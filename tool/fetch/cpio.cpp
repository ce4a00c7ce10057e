// The newc header, and zlib's gzip wrapper.
#include "fetch/cpio.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.hpp"

namespace mezzo::fetch {

namespace {

// File types of st_mode, as the format has them on every host.
constexpr std::uint32_t kDirectory = 0040000;
constexpr std::uint32_t kRegular = 0100000;
constexpr std::uint32_t kSymlink = 0120000;
constexpr std::uint32_t kCharacterDevice = 0020000;

constexpr std::size_t kAlignment = 4;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

void CpioWriter::pad() {
  archive_.resize((archive_.size() + kAlignment - 1) / kAlignment * kAlignment);
}

void CpioWriter::entry(std::string_view path, const Header& header,
                       std::span<const std::uint8_t> contents) {
  // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor,
  // namesize, check
  fmt::format_to(std::back_inserter(archive_),
                 "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}"
                 "{:08x}",
                 next_inode_++, header.mode, 0, 0, header.links, 0, contents.size(), 0, 0,
                 header.major, header.minor, path.size() + 1, 0);
  archive_.insert(archive_.end(), path.begin(), path.end());
  archive_.push_back(0);
  pad();
  archive_.insert(archive_.end(), contents.begin(), contents.end());
  pad();
}

void CpioWriter::directory(std::string_view path, std::uint32_t permissions) {
  directories_.emplace_back(path);
  entry(path, {.mode = kDirectory | permissions, .links = 2}, {});
}

void CpioWriter::file(std::string_view path, std::span<const std::uint8_t> contents,
                      std::uint32_t permissions) {
  entry(path, {.mode = kRegular | permissions}, contents);
}

void CpioWriter::file(std::string_view path, std::string_view contents, std::uint32_t permissions) {
  file(path, bytes_of(contents), permissions);
}

void CpioWriter::symlink(std::string_view path, std::string_view target) {
  entry(path, {.mode = kSymlink | 0777}, bytes_of(target));
}

void CpioWriter::character_device(std::string_view path, std::uint32_t major, std::uint32_t minor,
                                  std::uint32_t permissions) {
  entry(path, {.mode = kCharacterDevice | permissions, .major = major, .minor = minor}, {});
}

void CpioWriter::parents(std::string_view path) {
  for (auto slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    const std::string_view parent = path.substr(0, slash);
    if (std::ranges::find(directories_, parent) == directories_.end()) directory(parent);
  }
}

Bytes CpioWriter::finish() {
  next_inode_ = 0;
  entry("TRAILER!!!", {}, {});
  directories_.clear();
  next_inode_ = 1;
  return std::exchange(archive_, {});
}

Bytes gzip(std::span<const std::uint8_t> bytes) {
  constexpr int kWindowBits = 15 + 16;  // the largest window; 16 selects gzip's header
  constexpr int kMemoryLevel = 8;
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kWindowBits, kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw UserError("not enough memory to compress an initramfs");
  }
  Bytes compressed(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = compressed.data();
  stream.avail_out = static_cast<uInt>(compressed.size());
  const int result = deflate(&stream, Z_FINISH);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw UserError("an initramfs could not be compressed");
  return compressed;
}

}  // namespace mezzo::fetch
