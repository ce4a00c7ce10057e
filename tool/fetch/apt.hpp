// apt with a private state: finds and downloads Debian packages of any architecture without
// touching the system's package database, sources or architectures. Keeps no packages;
// package_cache.hpp does.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mezzo::fetch {

// Which part of Debian bookworm an apt looks at.
struct Archive {
  std::string architecture = "i386";
  std::string components = "main";  // separated by spaces
  std::vector<std::string> suites = {"bookworm", "bookworm-updates"};
};

// What the package index says of a package.
struct IndexEntry {
  std::string name;
  std::string version;
  std::string sha256;                // of the .deb
  std::vector<std::string> depends;  // names only, first alternatives, in order
};

// What to do about a mirror whose index does not fit its files.
inline constexpr std::string_view kMirrorRemedy =
    "The mirror is probably being updated: try again in some minutes, or name another one in the "
    "system's package sources.";

// How a download's progress is shown: `what` is being done and `percent` of it, -1 if unknown.
using Progress = std::function<void(std::string_view what, int percent)>;

// The mirror of Debian bookworm that the text of `apt-get --print-uris update` names, or
// deb.debian.org if it names none.
[[nodiscard]] std::string bookworm_mirror(std::string_view print_uris);

// The mirror of Debian bookworm among the system's package sources, or deb.debian.org.
[[nodiscard]] std::string system_mirror();

// What the system's apt configuration says about reaching the network (proxies, time-outs).
[[nodiscard]] std::string acquire_configuration();

// The first stanza of the output of `apt-cache show`. Throws UserError if a field is missing.
[[nodiscard]] IndexEntry parse_stanza(std::string_view text);

class Apt {
 public:
  // `directory` holds the private state; it is made if absent. `pause` lies between two attempts
  // with a mirror that is being updated.
  Apt(std::filesystem::path directory, Archive archive, Progress progress,
      std::chrono::milliseconds pause = std::chrono::seconds(4));

  // Fetches the package index if there is none yet, or in any case if `force`.
  // Throws UserError if there is no usable index afterwards.
  void update(bool force);

  // The newest version in the index; nothing, or UserError from show(), if there is no such
  // package.
  [[nodiscard]] std::optional<IndexEntry> find(const std::string& package);
  [[nodiscard]] IndexEntry show(const std::string& package);

  // Downloads `entry`'s .deb into `directory`, checked against the index by apt, and returns its
  // path. If the mirror no longer has what the index says, the index is refreshed, and what `entry`
  // has become there is downloaded (and `entry` updated). Throws UserError.
  std::filesystem::path download(IndexEntry& entry, const std::filesystem::path& directory);

 private:
  struct Outcome {
    int status;
    std::string output;
  };
  Outcome apt(const std::vector<std::string>& arguments, std::string_view what,
              const std::filesystem::path& directory);
  void write_configuration();

  std::filesystem::path directory_;
  Archive archive_;
  Progress progress_;
  std::chrono::milliseconds pause_;
};

}  // namespace mezzo::fetch
