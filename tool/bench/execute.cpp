// The watch over QEMU behind execute.hpp.
#include "bench/execute.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "run/qemu.hpp"

namespace mezzo::bench {

namespace {

constexpr int kLookEveryMs = 200;

bool takes(std::string_view& line, std::string_view prefix) {
  if (!line.starts_with(prefix)) return false;
  line.remove_prefix(prefix.size());
  return true;
}

std::string text_of(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return {};
  const base::Bytes bytes = base::read_file(path);
  return {bytes.begin(), bytes.end()};
}

// What a reader of the error needs of a console that went wrong.
std::string last_lines(std::string_view text) {
  constexpr std::size_t kEnough = 1500;
  return std::string(text.substr(text.size() > kEnough ? text.size() - kEnough : 0));
}

}  // namespace

Console parse_console(std::string_view text) {
  Console console;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    while (line.ends_with('\r')) line.remove_suffix(1);
    Row* const open =
        console.rows.empty() || console.rows.back().status >= 0 ? nullptr : &console.rows.back();
    if (takes(line, "@begin ")) {
      console.rows.push_back({.name = std::string(line), .status = -1, .output = {}});
    } else if (takes(line, "@status ")) {
      if (open == nullptr) continue;
      std::from_chars(line.data(), line.data() + line.size(), open->status);
    } else if (takes(line, "@kernel ")) {
      console.kernel = line;
    } else if (takes(line, "@missing ")) {
      console.missing.emplace_back(line);
    } else if (line == "@end") {
      console.ended = true;
    } else if (open != nullptr) {
      open->output += std::string(line) + "\n";
    }
  }
  return console;
}

Console execute(const Execution& execution) {
  base::make_directory(execution.directory);
  const auto serial = execution.directory / "console.txt";
  base::write_file(serial, "");
  std::vector<std::string> command = execution.command;
  command.insert(command.end(), {"-serial", fmt::format("file:{}", serial.string())});
  if (execution.has_neighbour) {
    const auto other = execution.directory / "neighbour.txt";
    command.insert(command.end(), {"-serial", fmt::format("file:{}", other.string())});
  }
  const run::Qemu qemu(command, execution.directory / "qemu.txt");
  auto deadline = std::chrono::steady_clock::now() + execution.timeout;
  std::size_t length = 0, rows = 0;
  for (;;) {
    pollfd ended = {.fd = qemu.fd(), .events = POLLIN, .revents = 0};
    const bool gone = poll(&ended, 1, kLookEveryMs) > 0;
    base::check_interrupt();
    const std::string text = text_of(serial);
    Console console = parse_console(text);
    for (; rows < console.rows.size(); ++rows) execution.on_row(console.rows[rows].name);
    if (console.ended) return console;
    const std::string where = console.rows.empty()
                                  ? "while it started"
                                  : fmt::format("in '{}'", console.rows.back().name);
    if (gone) {
      throw UserError(
          fmt::format("the machine ended {}:\n{}{}", where, qemu.messages(), last_lines(text)),
          fmt::format("Its whole console is in {}.", serial.string()));
    }
    if (text.size() != length) deadline = std::chrono::steady_clock::now() + execution.timeout;
    length = text.size();
    if (std::chrono::steady_clock::now() > deadline) {
      throw UserError(fmt::format("the guest has said nothing for {} s {}:\n{}",
                                  execution.timeout.count(), where, last_lines(text)),
                      fmt::format("Its whole console is in {}. A slow host may need a longer "
                                  "--timeout.",
                                  serial.string()));
    }
  }
}

}  // namespace mezzo::bench
