// check, fetch and image: what can be done with a system file without running it.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/file.hpp"
#include "command/command.hpp"
#include "command/prepare.hpp"
#include "image/compile.hpp"
#include "image/report.hpp"
#include "image/write.hpp"

namespace mezzo::command {

namespace {

struct Options {
  std::string file;
  std::string output;
  bool iso = false;
  bool refresh = false;
};

int check(const Options& options) {
  const system::System system = load(options.file);
  const image::CompiledImage image = compile(system, fetch_all(system, options.refresh));
  fmt::print("{}", image::report(system, image));
  return 0;
}

int fetch_only(const Options& options) {
  const system::System system = load(options.file);
  const system::Artifacts artifacts = fetch_all(system, options.refresh);
  for (std::size_t i = 0; i < artifacts.size(); ++i) {
    const system::KernelArtifact& kernel = artifacts[i].kernel;
    fmt::print("{}: {} {}\n  {}\n  SHA-256 {}\n", system.partitions[i].name,
               kernel.package.empty() ? "kernel file" : kernel.package, kernel.version,
               kernel.path.string(), kernel.sha256);
    if (artifacts[i].initramfs) {
      fmt::print("  initramfs: {}, SHA-256 {}\n", artifacts[i].initramfs->description,
                 artifacts[i].initramfs->sha256);
    }
    if (artifacts[i].disk) {
      fmt::print("  disk: {}, {}\n", artifacts[i].disk->path.string(),
                 artifacts[i].disk->description);
    }
  }
  return 0;
}

int make_image(const Options& options) {
  base::check_writable(options.output);
  const system::System system = load(options.file);
  const image::CompiledImage image = compile(system, fetch_all(system, options.refresh));
  const bool iso = options.iso || options.output.ends_with(".iso");
  const system::Bytes monitor = monitor_elf();
  const auto written = iso ? image::write_iso(image, monitor, options.output)
                           : image::write_elf(image, monitor, options.output);
  if (!written) show(written.error());
  fmt::print("{}: {}\n", options.output,
             iso ? "CD image with GRUB" : "multiboot ELF, for example for QEMU's -kernel");
  return 0;
}

CLI::App* add(CLI::App& app, const std::string& name, const std::string& description,
              const std::shared_ptr<Options>& options) {
  CLI::App* const command = app.add_subcommand(name, description);
  command->add_option("system", options->file, "the system file")
      ->required()
      ->type_name("SYSTEM.toml");
  command->add_flag("--update", options->refresh, "ask the mirror for newer packages first");
  return command;
}

}  // namespace

void add_system_commands(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  add(app, "check", "Find the mistakes in a system file; print the derived plan", options)
      ->callback([&action, options] { action = [options] { return check(*options); }; });
  add(app, "fetch", "Download what a system file needs into the cache", options)
      ->callback([&action, options] { action = [options] { return fetch_only(*options); }; });
  CLI::App* const image =
      add(app, "image", "Compile monitor, plan and guests into one boot image", options);
  image->add_option("-o,--output", options->output, "the file to write; *.iso makes a CD image")
      ->required()
      ->type_name("FILE");
  image->add_flag("--iso", options->iso, "make a CD image with GRUB, whatever FILE is called");
  image->callback([&action, options] { action = [options] { return make_image(*options); }; });
}

}  // namespace mezzo::command
