// Configuration and invocation of apt-get and apt-cache behind apt.hpp.
#include "fetch/apt.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "base/process.hpp"

namespace mezzo::fetch {

namespace {

constexpr std::string_view kDefaultMirror = "http://deb.debian.org/debian";
constexpr char kKeyring[] = "/usr/share/keyrings/debian-archive-keyring.gpg";
constexpr int kAttempts = 3;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// What apt says of a mirror whose index and files are of different times: it has moved on since its
// index came, or is being updated right now.
bool out_of_step(std::string_view output) {
  return contains(output, " 404 ") || contains(output, "Hash Sum mismatch") ||
         contains(output, "File has unexpected size");
}

// Throws Interrupted if a signal ends the wait.
void wait(std::chrono::milliseconds time) {
  pollfd interrupt = {.fd = base::interrupt_fd(), .events = POLLIN, .revents = 0};
  poll(&interrupt, 1, static_cast<int>(time.count()));
  base::check_interrupt();
}

// The lines of apt's output in which it gives reasons.
std::string reasons(std::string_view output) {
  std::string text;
  while (!output.empty()) {
    const std::string_view line = output.substr(0, output.find('\n'));
    if (line.starts_with("E: ") || line.starts_with("W: ") || line.starts_with("  ")) {
      text += fmt::format("\n    {}", line);
    }
    output.remove_prefix(std::min(output.size(), line.size() + 1));
  }
  return text;
}

std::string remedy_for(std::string_view output, const std::filesystem::path& directory) {
  if (contains(output, "No space left on device") || contains(output, "enough free space")) {
    return fmt::format("The disk that holds {} is full: free some space, or set XDG_CACHE_HOME.",
                       directory.string());
  }
  if (contains(output, "NO_PUBKEY") || contains(output, "not signed")) {
    return "Install or update the package debian-archive-keyring.";
  }
  if (out_of_step(output)) return std::string(kMirrorRemedy);
  return "Check the network connection and the proxy (apt's Acquire::http::Proxy is used).\n"
         "  With packages fetched once before, no network is needed.";
}

// The value of `field` in a stanza, or nothing.
std::optional<std::string_view> field_of(std::string_view stanza, std::string_view field) {
  while (!stanza.empty()) {
    const std::string_view line = stanza.substr(0, stanza.find('\n'));
    if (line.empty()) break;
    if (line.starts_with(field) && line.substr(field.size()).starts_with(": ")) {
      return line.substr(field.size() + 2);
    }
    stanza.remove_prefix(std::min(stanza.size(), line.size() + 1));
  }
  return std::nullopt;
}

// "a (>= 1), b | c" -> {"a", "b"}
std::vector<std::string> dependency_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    const auto start = item.find_first_not_of(' ');
    if (start != std::string_view::npos) {
      names.emplace_back(item.substr(start, item.find_first_of(" :(|", start) - start));
    }
    text.remove_prefix(std::min(text.size(), item.size() + 1));
  }
  return names;
}

// Turns apt's status line "dlstatus:1:45.3:Retrieving..." into a percentage, others into nothing.
std::optional<int> download_percent(std::string_view line) {
  if (!line.starts_with("dlstatus:")) return std::nullopt;
  const auto start = line.find(':', sizeof("dlstatus:") - 1);
  if (start == std::string_view::npos) return std::nullopt;
  int percent = 0;
  const auto number = line.substr(start + 1);
  const auto result = std::from_chars(number.data(), number.data() + number.size(), percent);
  return result.ec == std::errc{} ? std::optional(percent) : std::nullopt;
}

}  // namespace

std::string bookworm_mirror(std::string_view print_uris) {
  constexpr std::string_view kEnd = "/dists/bookworm/InRelease'";
  const auto end = print_uris.find(kEnd);
  if (end == std::string_view::npos) return std::string(kDefaultMirror);
  const auto quote = print_uris.rfind('\'', end);
  if (quote == std::string_view::npos) return std::string(kDefaultMirror);
  return std::string(print_uris.substr(quote + 1, end - quote - 1));
}

std::string system_mirror() {
  return bookworm_mirror(base::run({.argv = {"apt-get", "--print-uris", "-o",
                                             "Dir::State::Lists=/nonexistent", "update"}})
                             .output);
}

std::string acquire_configuration() {
  return base::run({.argv = {"apt-config", "dump", "Acquire"}}).output;
}

IndexEntry parse_stanza(std::string_view text) {
  const auto required = [&](std::string_view field) {
    const auto value = field_of(text, field);
    if (!value) {
      throw UserError(fmt::format("the package index has an entry without the field {}", field),
                      "Fetch it anew: mezzo fetch --update SYSTEM.toml");
    }
    return std::string(*value);
  };
  return {.name = required("Package"),
          .version = required("Version"),
          .sha256 = required("SHA256"),
          .depends = dependency_names(field_of(text, "Depends").value_or(""))};
}

Apt::Apt(std::filesystem::path directory, Archive archive, Progress progress,
         std::chrono::milliseconds pause)
    : directory_(std::move(directory)),
      archive_(std::move(archive)),
      progress_(std::move(progress)),
      pause_(pause) {
  if (base::find_program("apt-get").empty()) {
    throw UserError("there is no apt-get on this machine",
                    "Guests come from Debian packages; run Mezzo on Debian, or name kernel files "
                    "in the system file.");
  }
  if (!std::filesystem::exists(kKeyring)) {
    throw UserError(fmt::format("{} is missing", kKeyring),
                    "Install it: apt-get install debian-archive-keyring");
  }
}

void Apt::write_configuration() {
  for (const char* part : {"state/lists/partial", "cache/archives/partial"}) {
    base::make_directory(directory_ / part);
  }
  if (!std::filesystem::exists(directory_ / "state/status")) {
    base::write_file(directory_ / "state/status", "");
  }
  const std::string mirror = system_mirror();
  std::string sources;
  for (const std::string& suite : archive_.suites) {
    sources += fmt::format("deb [arch={} signed-by={}] {} {} {}\n", archive_.architecture, kKeyring,
                           mirror, suite, archive_.components);
  }
  base::write_file(directory_ / "sources.list", sources);
  base::write_file(
      directory_ / "apt.conf",
      fmt::format("Dir::Etc::main \"/dev/null\";\n"
                  "Dir::Etc::parts \"/dev/null\";\n"
                  "Dir::Etc::sourcelist \"{0}/sources.list\";\n"
                  "Dir::Etc::sourceparts \"/dev/null\";\n"
                  "Dir::Etc::preferences \"/dev/null\";\n"
                  "Dir::Etc::preferencesparts \"/dev/null\";\n"
                  "Dir::State \"{0}/state\";\n"
                  "Dir::State::status \"{0}/state/status\";\n"
                  "Dir::Cache \"{0}/cache\";\n"
                  "Dir::Log \"{0}\";\n"
                  "APT::Architecture \"{2}\";\n"
                  "APT::Architectures {{ \"{2}\"; }};\n"
                  "APT::Sandbox::User \"\";\n"
                  "APT::Update::Error-Mode \"any\";\n"
                  "Acquire::Languages \"none\";\n"
                  "{1}",
                  directory_.string(), acquire_configuration(), archive_.architecture));
}

Apt::Outcome Apt::apt(const std::vector<std::string>& arguments, std::string_view what,
                      const std::filesystem::path& directory) {
  const base::Command command = {
      .argv = arguments,
      .directory = directory,
      .environment = {{"APT_CONFIG", (directory_ / "apt.conf").string()}, {"LC_ALL", "C.UTF-8"}}};
  base::Finished finished = base::run(command, [&](std::string_view line) {
    if (const auto percent = download_percent(line)) progress_(what, *percent);
  });
  return {finished.status, std::move(finished.output)};
}

void Apt::update(bool force) {
  const auto lists = directory_ / "state/lists";
  const std::string index =
      fmt::format("_{}_main_binary-{}_Packages", archive_.suites.front(), archive_.architecture);
  const auto has_index = [&] {
    std::error_code error;
    return std::ranges::any_of(std::filesystem::directory_iterator(lists, error), [&](auto& file) {
      return contains(file.path().filename().string(), index);
    });
  };
  write_configuration();
  if (!force && has_index()) return;
  Outcome outcome{};
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    progress_("fetching the package index", 0);
    outcome = apt({"apt-get", "-q", "-o", "APT::Status-Fd=1", "-o", "Acquire::Retries=3", "update"},
                  "fetching the package index", {});
    if (outcome.status == 0) return;
    if (!out_of_step(outcome.output) || attempt == kAttempts) break;
    progress_("the mirror is being updated; trying again in a moment", -1);
    wait(pause_ * attempt);
  }
  throw UserError(
      fmt::format("the package index of Debian {} ({}) could not be fetched, "
                  "and what is needed is not in the cache{}",
                  archive_.suites.front(), archive_.architecture, reasons(outcome.output)),
      remedy_for(outcome.output, directory_));
}

std::optional<IndexEntry> Apt::find(const std::string& package) {
  const Outcome outcome = apt({"apt-cache", "show", "--no-all-versions", package}, "", {});
  if (outcome.status != 0 || !outcome.output.starts_with("Package: ")) return std::nullopt;
  return parse_stanza(outcome.output);
}

IndexEntry Apt::show(const std::string& package) {
  if (std::optional<IndexEntry> entry = find(package)) return *std::move(entry);
  throw UserError(
      fmt::format("there is no package '{}' for {} in Debian {} ({})", package,
                  archive_.architecture, archive_.suites.front(), archive_.components),
      "Correct its name in the system file, or refresh the index: mezzo fetch --update");
}

std::filesystem::path Apt::download(IndexEntry& entry, const std::filesystem::path& directory) {
  Outcome outcome{};
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    const std::string what = fmt::format("fetching {} {}", entry.name, entry.version);
    progress_(what, 0);
    outcome = apt({"apt-get", "-q", "-o", "APT::Status-Fd=1", "-o", "Acquire::Retries=3",
                   "download", fmt::format("{}={}", entry.name, entry.version)},
                  what, directory);
    if (outcome.status == 0) {
      for (const auto& file : std::filesystem::directory_iterator(directory)) {
        const std::string name = file.path().filename().string();
        if (name.starts_with(entry.name + "_") && name.ends_with(".deb")) return file.path();
      }
    }
    if (!out_of_step(outcome.output) || attempt == kAttempts) break;
    progress_(fmt::format("{} is no longer on the mirror as the index says; refreshing the index",
                          entry.name),
              -1);
    if (attempt > 1) wait(pause_);
    update(true);
    entry = show(entry.name);
  }
  throw UserError(fmt::format("the package {} {} could not be fetched{}", entry.name, entry.version,
                              reasons(outcome.output)),
                  remedy_for(outcome.output, directory_));
}

}  // namespace mezzo::fetch
