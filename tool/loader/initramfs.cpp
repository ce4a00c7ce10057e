// Checks archives of an initramfs. The kernel accepts several in a row, plain and compressed, with
// zero bytes between (Documentation/driver-api/early-userspace/buffer-format.rst).
#include "loader/initramfs.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include <fmt/format.h>
#include <zlib.h>

namespace mezzo::loader {
namespace {

constexpr std::size_t kCpioHeader = 110;

bool starts_with(ByteView bytes, std::string_view magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

Problem corrupted(std::string_view how) {
  return {fmt::format("the initramfs is corrupted: {}", how), "make or copy the file again"};
}

// One of the header's 8-digit hexadecimal fields.
std::optional<std::size_t> cpio_field(ByteView header, std::size_t index) {
  std::array<char, 8> digits{};
  for (std::size_t i = 0; i < digits.size(); ++i) {
    digits[i] = static_cast<char>(header[6 + index * 8 + i]);
  }
  std::size_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + 8, value, 16);
  if (failure != std::errc{} || end != digits.data() + 8) return std::nullopt;
  return value;
}

// Walks one cpio archive to its trailer. Returns the bytes it takes, or nothing if it is damaged.
std::optional<std::size_t> cpio_length(ByteView bytes) {
  std::size_t at = 0;
  while (true) {
    if (at > bytes.size() || bytes.size() - at < kCpioHeader) return std::nullopt;
    const ByteView header = bytes.subspan(at);
    if (!starts_with(header, "070701") && !starts_with(header, "070702")) return std::nullopt;
    const auto file_size = cpio_field(header, 6);
    const auto name_size = cpio_field(header, 11);
    if (!file_size || !name_size) return std::nullopt;
    const std::size_t data = (at + kCpioHeader + *name_size + 3) & ~std::size_t{3};
    const std::size_t next = (data + *file_size + 3) & ~std::size_t{3};
    if (data + *file_size > bytes.size()) return std::nullopt;
    if (starts_with(header.subspan(kCpioHeader), "TRAILER!!!")) return std::min(next, bytes.size());
    at = next;
  }
}

struct Unpacked {
  std::size_t consumed;             // compressed bytes
  std::vector<std::uint8_t> bytes;  // what was inside
};

// Unpacks one gzip member; zlib verifies its checksum and length.
std::optional<Unpacked> unpack_gzip(ByteView bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return std::nullopt;
  const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&stream, inflateEnd);
  std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  stream.next_in = input.data();
  stream.avail_in = static_cast<uInt>(input.size());
  Unpacked result{};
  std::array<std::uint8_t, 65536> chunk;
  int status = Z_OK;
  while (status == Z_OK) {
    stream.next_out = chunk.data();
    stream.avail_out = chunk.size();
    status = inflate(&stream, Z_NO_FLUSH);
    result.bytes.insert(result.bytes.end(), chunk.begin(), chunk.end() - stream.avail_out);
  }
  if (status != Z_STREAM_END) return std::nullopt;
  result.consumed = input.size() - stream.avail_in;
  return result;
}

bool has_other_magic(ByteView bytes) {
  using namespace std::string_view_literals;
  constexpr std::array kMagics = {"\xfd\x37zXZ\0"sv,    "\x28\xb5\x2f\xfd"sv, "BZh"sv,
                                  "\x02\x21\x4c\x18"sv, "\x5d\0\0"sv,         "\x89LZO"sv};
  return std::ranges::any_of(kMagics, [bytes](auto magic) { return starts_with(bytes, magic); });
}

}  // namespace

std::optional<Problem> check_initramfs(ByteView bytes) {
  const std::size_t whole = bytes.size();
  while (!bytes.empty()) {
    if (bytes.front() == 0 && bytes.size() != whole) {
      bytes = bytes.subspan(1);
    } else if (starts_with(bytes, "0707")) {
      const auto length = cpio_length(bytes);
      if (!length) return corrupted("its cpio archive is truncated or damaged");
      bytes = bytes.subspan(*length);
    } else if (starts_with(bytes, "\x1f\x8b")) {
      const auto unpacked = unpack_gzip(bytes);
      if (!unpacked) return corrupted("its gzip checksum or length does not match");
      if (!cpio_length(unpacked->bytes)) return corrupted("there is no cpio archive in the gzip");
      bytes = bytes.subspan(unpacked->consumed);
    } else if (has_other_magic(bytes)) {
      return std::nullopt;
    } else {
      return Problem{whole == bytes.size()
                         ? "this is no initramfs: neither a cpio archive nor a compressed one"
                         : "the initramfs has something unknown after its first archive",
                     "make it with cpio -H newc, optionally through gzip, xz or zstd"};
    }
  }
  if (whole == 0) return Problem{"the initramfs is empty", "make or copy the file again"};
  return std::nullopt;
}

}  // namespace mezzo::loader
