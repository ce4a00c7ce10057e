// What each channel must satisfy: a name and a size that can be, and two partitions.
#include <algorithm>

#include "system/check.hpp"

namespace mezzo::system {
namespace {

constexpr std::uint64_t kMaxSize = 16 << 20;

void check_size(const System& system, const Channel& channel, Diagnostics& diagnostics) {
  const std::uint64_t pages = (channel.size + plan::kPageSize - 1) / plan::kPageSize;
  const std::uint64_t possible =
      std::clamp<std::uint64_t>(pages * plan::kPageSize, plan::kPageSize, kMaxSize);
  if (channel.size == possible) return;
  add_error(
      system, channel.size_where,
      fmt::format("a channel of {} bytes is not a multiple of 4 KiB up to 16 MiB", channel.size),
      fmt::format("use \"{} KiB\"", possible >> 10), diagnostics);
}

}  // namespace

void check_channels(const System& system, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < system.channels.size(); ++i) {
    const Channel& channel = system.channels[i];
    const auto error = [&](Position where, std::string what, std::string remedy) {
      add_error(system, where, std::move(what), std::move(remedy), diagnostics);
    };
    if (!is_name(channel.name)) {
      error(channel.name_where, fmt::format("'{}' cannot be a channel's name", channel.name),
            fmt::format("use 1 to {} letters, digits, '-' and '_'", plan::kNameSize - 1));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (system.channels[j].name != channel.name) continue;
      error(channel.name_where,
            fmt::format("the name '{}' is taken by the channel of line {}", channel.name,
                        system.channels[j].name_where.line),
            "give each channel a name of its own");
    }
    check_size(system, channel, diagnostics);
    if (channel.ends[0] == channel.ends[1] && channel.ends[0] < system.partitions.size()) {
      error(channel.ends_where,
            fmt::format("both ends of {} are {}", channel.name,
                        system.partitions[channel.ends[0]].name),
            "name two partitions");
    }
    if (i == plan::kMaxChannels) {
      error(channel.where,
            fmt::format("{} channels are more than {}", system.channels.size(), plan::kMaxChannels),
            "let one carry what two did; it has a direction for each end");
    }
  }
}

}  // namespace mezzo::system
