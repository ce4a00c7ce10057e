// Tells whether the bytes of an initramfs can be unpacked, before a guest panics over them.
#pragma once

#include <optional>
#include <string>

#include "loader/kernel.hpp"

namespace mezzo::loader {

// Nothing if `bytes` is a cpio archive ("newc") or a gzip, xz, zstd, bzip2, lz4, lzma or lzo
// stream. A gzip stream is unpacked, so that its checksum is verified and a cpio archive must be
// inside; of the other compressions only the magic number is looked at.
[[nodiscard]] std::optional<Problem> check_initramfs(ByteView bytes);

}  // namespace mezzo::loader
