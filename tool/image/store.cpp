// The store's bytes, each copy on a 16-byte boundary.
#include "image/store.hpp"

#include <algorithm>

namespace mezzo::image {

std::uint32_t Store::add(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kAlignment = 16;
  for (const Entry& entry : entries_) {
    if (entry.size == bytes.size() &&
        std::ranges::equal(std::span(bytes_).subspan(entry.offset, entry.size), bytes)) {
      return entry.offset;
    }
  }
  bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment);
  const auto offset = static_cast<std::uint32_t>(bytes_.size());
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  entries_.push_back({offset, bytes.size()});
  return offset;
}

}  // namespace mezzo::image
