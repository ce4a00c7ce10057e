// The result file of a run: JSON whose schema is doc/result.schema.json, explained in
// doc/result-schema.md. Also what `stat` prints, which is a part of it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "abi/status.hpp"
#include "system/artifact.hpp"

namespace mezzo::run {

inline constexpr int kResultVersion = 3;

// What is known of a partition besides its status.
struct PartitionFacts {
  std::string name;
  std::string kernel_package, kernel_version, kernel_sha256;
  std::string initramfs_sha256;
  std::string cmdline;
  std::string console;  // text, as the guest wrote it
  bool has_script = false;
  bool script_done = false;
  std::optional<int> script_status;
};

struct RunFacts {
  std::string system, system_file;
  std::string outcome;
  int exit_status = 0;
  std::string started;  // ISO 8601, UTC
  double seconds = 0;   // of the whole run
  std::string qemu_version;
  std::vector<std::string> qemu_command;
  std::string monitor_log;
  std::vector<PartitionFacts> partitions;
};

// The whole result. `region` is the last snapshot, nothing if the monitor never started.
[[nodiscard]] nlohmann::json make_result(const RunFacts& facts,
                                         const std::optional<status::Region>& region);

// "monitor" of the result: versions, heartbeats, crash record. Null if it never started.
[[nodiscard]] nlohmann::json monitor_json(const std::optional<status::Region>& region);

// What the status region says of partition number `index`.
[[nodiscard]] nlohmann::json partition_json(const status::Region& region, std::size_t index);

// Text of `json`, indented; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string to_text(const nlohmann::json& json);

}  // namespace mezzo::run
