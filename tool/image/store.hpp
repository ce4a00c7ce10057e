// Collects the bytes that partitions are loaded with; equal ones are kept once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "system/artifact.hpp"

namespace mezzo::image {

class Store {
 public:
  // Keeps a copy of `bytes` and returns its offset, or the offset of an equal copy.
  std::uint32_t add(std::span<const std::uint8_t> bytes);

  [[nodiscard]] const system::Bytes& bytes() const { return bytes_; }
  [[nodiscard]] system::Bytes release() { return std::move(bytes_); }

 private:
  struct Entry {
    std::uint32_t offset;
    std::size_t size;
  };

  system::Bytes bytes_;
  std::vector<Entry> entries_;
};

}  // namespace mezzo::image
