// What the files that read a system file's parts share. For parse.cpp and parse_partition.cpp only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/places.hpp"
#include "system/board.hpp"
#include "system/model.hpp"
#include "system/toml_reader.hpp"

namespace mezzo::system {

struct Context {
  std::string file;
  std::filesystem::path directory;
  Diagnostics& diagnostics;
  const BoardInfo* board = &board_info(Board::Pc);  // decides which keys mean something

  // "mezzo:NAME" is a guest or program of our own, wherever the build is.
  [[nodiscard]] std::filesystem::path resolve(const std::string& name) const {
    constexpr std::string_view kOwn = "mezzo:";
    if (name.starts_with(kOwn)) return base::build_directory() / "guest" / name.substr(kOwn.size());
    return directory / name;  // an absolute name replaces the directory
  }
};

// Reads one [[partition]]; mistakes go to context.diagnostics.
[[nodiscard]] Partition parse_partition(const toml::table& table, const Context& context);

// The serial port under `key`: its number from 1, 0 for "none" or after a complaint.
[[nodiscard]] unsigned parse_uart(TomlReader& reader, std::string_view key, const Context& context,
                                  bool none_allowed);

// The whole file as text. Throws UserError.
[[nodiscard]] std::string read_text(const std::filesystem::path& path);

}  // namespace mezzo::system
