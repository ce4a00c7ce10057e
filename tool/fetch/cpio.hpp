// Writes the archive format of a Linux initramfs: cpio "newc" (magic 070701), compressed by gzip.
// The bytes depend on nothing but the entries: no times, no inode numbers of the host.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mezzo::fetch {

using Bytes = std::vector<std::uint8_t>;

// Entries are written in the order of the calls; a folder must come before what is in it. Paths are
// relative to the root, without a leading slash.
class CpioWriter {
 public:
  void directory(std::string_view path, std::uint32_t permissions = 0755);
  void file(std::string_view path, std::span<const std::uint8_t> contents,
            std::uint32_t permissions = 0644);
  void file(std::string_view path, std::string_view contents, std::uint32_t permissions = 0644);
  void symlink(std::string_view path, std::string_view target);
  void character_device(std::string_view path, std::uint32_t major, std::uint32_t minor,
                        std::uint32_t permissions = 0600);

  // Makes those folders above `path` that no call has made yet.
  void parents(std::string_view path);

  // Adds the trailer and returns the archive. The writer is empty afterwards.
  [[nodiscard]] Bytes finish();

 private:
  struct Header {
    std::uint32_t mode = 0;
    std::uint32_t links = 1;
    std::uint32_t major = 0, minor = 0;  // of a device
  };
  void entry(std::string_view path, const Header& header, std::span<const std::uint8_t> contents);
  void pad();

  Bytes archive_;
  std::vector<std::string> directories_;
  std::uint32_t next_inode_ = 1;
};

// gzip (RFC 1952) without name and time. Throws UserError if memory runs out.
[[nodiscard]] Bytes gzip(std::span<const std::uint8_t> bytes);

}  // namespace mezzo::fetch
