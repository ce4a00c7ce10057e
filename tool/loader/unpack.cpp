// zlib and liblzma, with a bound on what they may produce.
#include "loader/unpack.hpp"

#include <lzma.h>
#include <zlib.h>

#include <algorithm>

namespace mezzo::loader {
namespace {

constexpr std::size_t kStep = std::size_t{1} << 20;

// Calls step(out, space) until it has nothing more to say. `step` returns how many bytes it wrote
// and sets `done` at the stream's end; it returns nothing on an error.
template <class Step>
std::optional<std::vector<std::uint8_t>> collect(std::size_t limit, Step step) {
  std::vector<std::uint8_t> bytes;
  for (bool done = false; !done;) {
    const std::size_t size = bytes.size();
    if (size > limit) return std::nullopt;
    bytes.resize(size + kStep);
    const std::optional<std::size_t> written = step(bytes.data() + size, kStep, done);
    if (!written) return std::nullopt;
    bytes.resize(size + *written);
  }
  if (bytes.size() > limit) return std::nullopt;
  return bytes;
}

}  // namespace

std::optional<Unpacked> unpack_gzip(std::span<const std::uint8_t> packed, std::size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return std::nullopt;
  stream.next_in = const_cast<Bytef*>(packed.data());  // zlib's interface; it only reads
  stream.avail_in = static_cast<uInt>(packed.size());
  auto bytes = collect(
      limit,
      [&stream](std::uint8_t* out, std::size_t space, bool& done) -> std::optional<std::size_t> {
        stream.next_out = out;
        stream.avail_out = static_cast<uInt>(space);
        const int status = inflate(&stream, Z_NO_FLUSH);
        done = status == Z_STREAM_END;
        if (!done && (status != Z_OK || stream.avail_out != 0)) return std::nullopt;
        return space - stream.avail_out;
      });
  const std::size_t consumed = packed.size() - stream.avail_in;
  inflateEnd(&stream);
  if (!bytes) return std::nullopt;
  return Unpacked{std::move(*bytes), consumed};
}

std::optional<Unpacked> unpack_xz(std::span<const std::uint8_t> packed, std::size_t limit) {
  constexpr std::uint64_t kMemory = std::uint64_t{256} << 20;
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMemory, 0) != LZMA_OK) return std::nullopt;
  stream.next_in = packed.data();
  stream.avail_in = packed.size();
  auto bytes = collect(
      limit,
      [&stream](std::uint8_t* out, std::size_t space, bool& done) -> std::optional<std::size_t> {
        stream.next_out = out;
        stream.avail_out = space;
        const lzma_ret status = lzma_code(&stream, LZMA_RUN);
        done = status == LZMA_STREAM_END;
        if (!done && (status != LZMA_OK || stream.avail_out != 0)) return std::nullopt;
        return space - stream.avail_out;
      });
  const std::size_t consumed = packed.size() - stream.avail_in;
  lzma_end(&stream);
  if (!bytes) return std::nullopt;
  return Unpacked{std::move(*bytes), consumed};
}

}  // namespace mezzo::loader
