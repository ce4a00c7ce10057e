// Runs one suite on one machine: QEMU from start to the guest's "@end", its console split into
// rows.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mezzo::bench {

// What a guest said between "@begin NAME" and "@status N".
struct Row {
  std::string name;
  int status = -1;  // -1: the row has not ended
  std::string output;
};

struct Console {
  std::string kernel;                // "Linux 6.1.0-50-686 i686"
  std::vector<Row> rows;             // in order
  std::vector<std::string> missing;  // helpers that the guest did not find
  bool ended = false;                // "@end" was seen
};

// Reads the lines that bench/guest/init.sh prints among a guest's other words.
[[nodiscard]] Console parse_console(std::string_view text);

struct Execution {
  std::vector<std::string> command;  // QEMU's
  std::filesystem::path directory;   // where console.txt and QEMU's messages go
  bool has_neighbour = false;        // its console goes to neighbour.txt
  std::chrono::seconds timeout{};
  std::function<void(std::string_view row)> on_row;  // when a row begins
};

// Throws UserError if QEMU ends by itself, or the guest says nothing new within the timeout: named
// with the row that hangs. Throws Interrupted.
[[nodiscard]] Console execute(const Execution& execution);

}  // namespace mezzo::bench
