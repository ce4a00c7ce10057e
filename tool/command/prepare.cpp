// load, check, fetch: the common way of run, check, fetch and image.
#include "command/prepare.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "base/places.hpp"
#include "fetch/fetch.hpp"
#include "system/check.hpp"
#include "system/parse.hpp"

namespace mezzo::command {

namespace {

// A part of the monitor's build.
system::Bytes built(const char* file) {
  const auto path = base::build_directory() / "vmm" / file;
  if (!std::filesystem::exists(path)) {
    throw UserError(fmt::format("the monitor {} is not built", path.string()),
                    "Start the tool by ./mezzo, which builds what has changed.");
  }
  return base::read_file(path);
}

}  // namespace

void show(const system::Diagnostics& diagnostics) {
  for (const system::Diagnostic& diagnostic : diagnostics) {
    fmt::print(stderr, "{}\n", to_string(diagnostic));
  }
  if (has_errors(diagnostics)) throw UserError("nothing was done, because of the errors above");
}

system::System load(const std::string& file) {
  system::System system = take(system::load_system(file));
  show(system::check(system));
  return system;
}

fetch::Progress show_progress() {
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const auto last = std::make_shared<std::string>();
  return [terminal, last](std::string_view what, int percent) {
    if (terminal && percent >= 0) {
      fmt::print(stderr, "\r\033[Kmezzo: {} {}%{}", what, percent, percent == 100 ? "\n" : "");
    } else if (*last != what) {
      fmt::print(stderr, "mezzo: {}\n", what);
    }
    *last = what;
    std::fflush(stderr);
  };
}

system::Artifacts fetch_all(const system::System& system, bool refresh) {
  system::Artifacts artifacts =
      fetch::fetch(system, {.cache = base::cache_directory(),
                            .refresh = refresh,
                            .progress = show_progress(),
                            .slip_program = base::build_directory() / "guest" / "mezzo-slip"});
  base::check_interrupt();
  return artifacts;
}

image::CompiledImage compile(const system::System& system, const system::Artifacts& artifacts) {
  image::CompiledImage image = take(image::compile(system, artifacts));
  show(image.warnings);
  base::check_interrupt();
  return image;
}

system::Bytes monitor_elf(plan::Architecture architecture) {
  return built(architecture == plan::Architecture::Armv7 ? "mezzo-vmm-armv7.elf" : "mezzo-vmm.elf");
}

system::Bytes uimage_head() { return built("mezzo-uimage-head.bin"); }

}  // namespace mezzo::command
