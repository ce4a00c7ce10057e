// The monitor's assembly as it is linked for the machine, for an emulated processor: one segment of
// an ELF file, and its symbols.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "support/armv7_emulator.hpp"

namespace mezzo::test {

class Armv7Image {
 public:
  explicit Armv7Image(const char* path) {
    std::ifstream in(path, std::ios::binary);
    file_.assign(std::istreambuf_iterator<char>(in), {});
    if (file_.size() < sizeof(Elf32_Ehdr)) std::abort();
    read_symbols();
  }

  // Maps what is to be loaded, as code.
  void map(Armv7Emulator& cpu) {
    const auto header = at<Elf32_Ehdr>(0);
    for (unsigned n = 0; n < header.e_phnum; ++n) {
      const auto segment = at<Elf32_Phdr>(header.e_phoff + n * sizeof(Elf32_Phdr));
      if (segment.p_type != PT_LOAD) continue;
      const std::uint32_t first = segment.p_vaddr & ~4095u;
      const std::uint32_t end = (segment.p_vaddr + segment.p_memsz + 4095) & ~4095u;
      pages_.emplace_back((end - first) / sizeof(Page));
      std::memcpy(reinterpret_cast<char*>(pages_.back().data()) + (segment.p_vaddr - first),
                  file_.data() + segment.p_offset, segment.p_filesz);
      cpu.map(first, pages_.back().data(), end - first, Armv7Emulator::Use::Code);
    }
  }
  [[nodiscard]] std::uint32_t symbol(const std::string& name) const { return symbols_.at(name); }

 private:
  struct alignas(4096) Page {
    char bytes[4096];
  };

  template <class T>
  [[nodiscard]] T at(std::size_t offset) const {
    T value;
    std::memcpy(&value, file_.data() + offset, sizeof value);
    return value;
  }
  void read_symbols() {
    const auto header = at<Elf32_Ehdr>(0);
    for (unsigned n = 0; n < header.e_shnum; ++n) {
      const auto table = at<Elf32_Shdr>(header.e_shoff + n * sizeof(Elf32_Shdr));
      if (table.sh_type != SHT_SYMTAB) continue;
      const auto names = at<Elf32_Shdr>(header.e_shoff + table.sh_link * sizeof(Elf32_Shdr));
      for (std::uint32_t offset = 0; offset < table.sh_size; offset += sizeof(Elf32_Sym)) {
        const auto symbol = at<Elf32_Sym>(table.sh_offset + offset);
        symbols_[file_.data() + names.sh_offset + symbol.st_name] = symbol.st_value;
      }
    }
  }

  std::vector<char> file_;
  std::vector<std::vector<Page>> pages_;
  std::map<std::string, std::uint32_t> symbols_;
};

}  // namespace mezzo::test
