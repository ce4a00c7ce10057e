// A chip that is only memory: for tests of what reads and writes its registers.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace mezzo::test {

struct ModelRegisters {
  std::map<std::uint32_t, std::uint32_t> words;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> writes;  // offset and value, in order

  // What drivers take: a reference that is passed by value.
  struct Block {
    ModelRegisters* chip;
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
      const auto found = chip->words.find(offset);
      return found == chip->words.end() ? 0 : found->second;
    }
    void write32(std::uint32_t offset, std::uint32_t value) const {
      chip->words[offset] = value;
      chip->writes.emplace_back(offset, value);
    }
    void write8(std::uint32_t offset, std::uint8_t value) const {
      const std::uint32_t shift = offset % 4 * 8;
      const std::uint32_t word = offset & ~3u;
      write32(word, (read32(word) & ~(0xffu << shift)) | std::uint32_t{value} << shift);
    }
  };
  [[nodiscard]] Block block() { return {this}; }
};

}  // namespace mezzo::test
