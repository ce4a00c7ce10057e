// The keys of a system file. doc/system-file.md is their reference for users.
#include "system/parse.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>

#include "base/file.hpp"
#include "system/parse_parts.hpp"

namespace mezzo::system {
namespace {

constexpr std::uint32_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kDefaultHeartbeat = 20'000;  // microseconds

Machine parse_machine(const toml::table& table, const Context& context) {
  TomlReader reader(table, "[machine]", context.file, context.diagnostics);
  Machine machine;
  machine.where = reader.where();
  machine.board = static_cast<Board>(reader.choice("board", board_names()).value_or(0));
  const BoardInfo& board = board_info(machine.board);
  machine.memory = reader.size("memory", true).value_or(0);
  machine.memory_where = reader.where("memory");
  machine.cpus = static_cast<unsigned>(reader.number("cpus", 255).value_or(0));
  machine.cpus_where = reader.where("cpus");
  if (board.is_armv7()) reader.refuse({"cpu"}, board.name);
  machine.cpu_model = reader.string("cpu").value_or(std::string(board.cpu_model));
  machine.cpu_model_where = reader.where("cpu");
  machine.heartbeat_us = reader.microseconds("heartbeat").value_or(kDefaultHeartbeat);
  machine.heartbeat_where = reader.where("heartbeat");
  reader.finish();
  return machine;
}

// As many processors as the highest partition needs.
unsigned default_cpus(const System& system) {
  unsigned cpus = 1;
  for (const Partition& partition : system.partitions) cpus = std::max(cpus, partition.cpu + 1);
  return cpus;
}

// The index of the partition called `name`; 0 after a complaint.
std::size_t find_partition(TomlReader& reader, Position where, const std::string& name,
                           const System& system) {
  const auto owner = std::ranges::find(system.partitions, name, &Partition::name);
  if (owner != system.partitions.end()) {
    return static_cast<std::size_t>(owner - system.partitions.begin());
  }
  reader.error(where, fmt::format("there is no partition '{}'", name),
               "name one of the [[partition]] tables");
  return 0;
}

LinkEnd parse_link_end(const toml::table& table, const Context& context, const System& system) {
  TomlReader reader(table, "an end of a [[link]]", context.file, context.diagnostics);
  LinkEnd end;
  end.where = reader.where();
  const std::string name = reader.string("partition", true).value_or("");
  end.partition = find_partition(reader, reader.where("partition"), name, system);
  end.com = parse_uart(reader, "port", context, false);
  if (end.com == 0) {
    reader.error(end.where, "an end of a link needs a serial port", "add port = \"com3\"");
    end.com = 1;
  }
  end.address = reader.string("address", true).value_or("");
  reader.finish();
  return end;
}

Link parse_link(const toml::table& table, const Context& context, const System& system) {
  TomlReader reader(table, "[[link]]", context.file, context.diagnostics);
  Link link;
  link.where = reader.where();
  const toml::node* ends = reader.node("ends", true);
  const toml::array* list = ends == nullptr ? nullptr : ends->as_array();
  if (list != nullptr && list->size() == link.ends.size() && list->is_homogeneous<toml::table>()) {
    for (std::size_t i = 0; i < link.ends.size(); ++i) {
      link.ends[i] = parse_link_end(*list->get(i)->as_table(), context, system);
    }
  } else if (ends != nullptr) {
    reader.error(position_of(ends->source()), "a link has two ends",
                 "write ends = [{ partition = \"a\", port = \"com3\", address = \"10.77.0.1\" }, "
                 "{ partition = \"b\", port = \"com4\", address = \"10.77.0.2\" }]");
  }
  reader.finish();
  return link;
}

TimeWindow parse_time_window(const toml::table& table, const Context& context,
                             const System& system) {
  TomlReader reader(table, "a window", context.file, context.diagnostics);
  TimeWindow window;
  window.where = reader.where();
  const std::string name = reader.string("partition", true).value_or("");
  window.partition = find_partition(reader, reader.where("partition"), name, system);
  window.start_us = reader.microseconds("start", true).value_or(0);
  window.length_us = reader.microseconds("length", true).value_or(0);
  reader.finish();
  return window;
}

Schedule parse_schedule(const toml::table& table, const Context& context, const System& system) {
  TomlReader reader(table, "[[schedule]]", context.file, context.diagnostics);
  Schedule schedule;
  schedule.where = reader.where();
  schedule.cpu = static_cast<unsigned>(reader.number("cpu", 255, true).value_or(0));
  schedule.cpu_where = reader.where("cpu");
  schedule.frame_us = reader.microseconds("frame", true).value_or(0);
  schedule.frame_where = reader.where("frame");
  schedule.tolerance_us = reader.microseconds("tolerance").value_or(Schedule::kDefaultTolerance);
  constexpr plan::OverrunPolicy kPolicies[] = {plan::OverrunPolicy::Log, plan::OverrunPolicy::Stop};
  schedule.on_overrun = kPolicies[reader.choice("on_overrun", {"log", "stop"}).value_or(0)];
  const toml::node* windows = reader.node("windows", true);
  const toml::array* list = windows == nullptr ? nullptr : windows->as_array();
  if (list != nullptr && list->is_homogeneous<toml::table>()) {
    for (const toml::node& element : *list) {
      schedule.windows.push_back(parse_time_window(*element.as_table(), context, system));
    }
    std::ranges::sort(schedule.windows, {}, &TimeWindow::start_us);
  } else if (windows != nullptr) {
    reader.error(position_of(windows->source()), "'windows' is a list of tables, and not empty",
                 "write windows = [{ partition = \"a\", start = \"0 ms\", length = \"2 ms\" }, "
                 "{ partition = \"b\", start = \"2 ms\", length = \"8 ms\" }]");
  }
  reader.finish();
  return schedule;
}

Channel parse_channel(const toml::table& table, const Context& context, const System& system) {
  TomlReader reader(table, "[[channel]]", context.file, context.diagnostics);
  Channel channel;
  channel.where = reader.where();
  channel.name = reader.string("name", true).value_or("");
  channel.name_where = reader.where("name");
  channel.size = reader.size("size", true).value_or(0);
  channel.size_where = reader.where("size");
  channel.ends_where = reader.where("ends");
  const bool given = reader.node("ends", true) != nullptr;
  const auto names = reader.strings("ends");
  if (names.size() == channel.ends.size()) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      channel.ends[i] = find_partition(reader, names[i].second, names[i].first, system);
    }
  } else if (given) {
    reader.error(channel.ends_where, "a channel has two ends",
                 "name two partitions: ends = [\"a\", \"b\"]");
  }
  reader.finish();
  return channel;
}

// The elements of the list of tables under `key`, each as `parse` reads it.
template <class T, class Parse>
void parse_tables(TomlReader& reader, std::string_view key, const Context& context,
                  const System& system, std::vector<T>& to, Parse parse) {
  const toml::node* tables = reader.node(key);
  if (tables == nullptr) return;
  const toml::array* list = tables->as_array();
  if (list == nullptr || !list->is_homogeneous<toml::table>()) {
    reader.error(position_of(tables->source()), fmt::format("'{}' must be a list of tables", key),
                 fmt::format("start each {0} with a line [[{0}]]", key));
    return;
  }
  for (const toml::node& element : *list) {
    to.push_back(parse(*element.as_table(), context, system));
  }
}

void parse_root(const toml::table& root, Context& context, System& system) {
  TomlReader reader(root, "the system file", context.file, context.diagnostics);
  if (const auto name = reader.string("name")) system.name = *name;
  if (const toml::table* machine =
          reader.table("machine", true, "{ memory = \"512 MiB\" } or as [machine]")) {
    system.machine = parse_machine(*machine, context);
    context.board = &board_info(system.machine.board);
  }
  const toml::node* partitions = reader.node("partition", true);
  if (partitions != nullptr) {
    const toml::array* list = partitions->as_array();
    if (list == nullptr || !(list->empty() || list->is_homogeneous<toml::table>())) {
      reader.error(position_of(partitions->source()), "'partition' must be a list of tables",
                   "start each partition with a line [[partition]]");
    } else {
      for (const toml::node& element : *list) {
        system.partitions.push_back(parse_partition(*element.as_table(), context));
      }
    }
  }
  parse_tables(reader, "schedule", context, system, system.schedules, parse_schedule);
  if (context.board->is_armv7()) {
    reader.refuse({"link", "channel"}, context.board->name);
  } else {
    parse_tables(reader, "link", context, system, system.links, parse_link);
    parse_tables(reader, "channel", context, system, system.channels, parse_channel);
  }
  reader.finish();
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  const base::Bytes bytes = base::read_file(path);
  return {bytes.begin(), bytes.end()};
}

unsigned parse_uart(TomlReader& reader, std::string_view key, const Context& context,
                    bool none_allowed) {
  std::vector<std::string> names;
  if (none_allowed) names.emplace_back("none");
  for (const BoardUart& uart : context.board->uarts) names.emplace_back(uart.key);
  const auto chosen = reader.choice(key, names);
  return static_cast<unsigned>(!chosen ? 0 : none_allowed ? *chosen : *chosen + 1);
}

std::optional<std::uint32_t> parse_microseconds(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{}) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit == "us") return value;
  if (unit == "ms" && value <= kMax32 / 1000) return value * 1000;
  if (unit == "s" && value <= kMax32 / 1'000'000) return value * 1'000'000;
  return std::nullopt;
}

std::string time_text(std::uint32_t microseconds) {
  return microseconds % 1000 == 0 ? fmt::format("{} ms", microseconds / 1000)
                                  : fmt::format("{} us", microseconds);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const char* const end = std::to_address(text.end());
  const auto [stop, failure] = std::from_chars(std::to_address(text.begin()), end, value, base);
  if (failure != std::errc{}) return std::nullopt;
  std::string_view unit(stop, static_cast<std::size_t>(end - stop));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  unsigned shift = 0;
  if (unit == "KiB") {
    shift = 10;
  } else if (unit == "MiB") {
    shift = 20;
  } else if (unit == "GiB") {
    shift = 30;
  } else if (!unit.empty() && unit != "B") {
    return std::nullopt;
  }
  if (value > (std::numeric_limits<std::uint64_t>::max() >> shift)) return std::nullopt;
  return value << shift;
}

Result<System> parse_system(std::string_view text, const std::filesystem::path& file) {
  Diagnostics diagnostics;
  Context context{file.string(), file.parent_path(), diagnostics};
  const toml::parse_result parsed = toml::parse(text, file.string());
  if (!parsed) {
    const toml::parse_error& failure = parsed.error();
    diagnostics.push_back({Severity::Error,
                           {context.file, position_of(failure.source())},
                           std::string(failure.description()),
                           "correct the TOML syntax here (https://toml.io)"});
    return std::unexpected(diagnostics);
  }
  System system;
  system.file = context.file;
  system.name = file.stem().string();
  parse_root(parsed.table(), context, system);
  if (system.machine.cpus == 0) system.machine.cpus = default_cpus(system);
  if (!diagnostics.empty()) return std::unexpected(diagnostics);
  return system;
}

Result<System> load_system(const std::filesystem::path& path) {
  if (const std::string problem = base::why_unreadable(path); !problem.empty()) {
    return std::unexpected(
        Diagnostics{{Severity::Error,
                     {path.string(), {}},
                     fmt::format("cannot read the system file: it {}", problem),
                     "name an existing file, for example one of example/*.toml"}});
  }
  return parse_system(read_text(path), path);
}

}  // namespace mezzo::system
