// The steps from a system file to an image that the commands have, too.
#include "bench/image.hpp"

#include "base/file.hpp"
#include "command/prepare.hpp"
#include "image/write.hpp"

namespace mezzo::bench {

image::CompiledImage make_image(std::string_view text, const Sources& sources) {
  const auto file = sources.directory / "mezzo-bench.toml";
  base::write_file(file, "# Written by `mezzo bench`.\n" + std::string(text));
  const system::System system = command::load(file.string());
  return command::take(image::compile(system, command::fetch_all(system, sources.refresh)));
}

std::filesystem::path write_image(const image::CompiledImage& image, const Sources& sources) {
  const auto elf = sources.directory / "mezzo-bench.elf";
  const auto monitor = command::monitor_elf(image.plan.architecture);
  if (const auto written = image::write_elf(image, monitor, elf); !written) {
    command::show(written.error());
  }
  return elf;
}

}  // namespace mezzo::bench
