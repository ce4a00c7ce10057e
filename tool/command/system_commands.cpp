// check, fetch and image: what can be done with a system file without running it.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/file.hpp"
#include "command/command.hpp"
#include "command/prepare.hpp"
#include "image/compile.hpp"
#include "image/report.hpp"
#include "image/uimage.hpp"
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
    if (const auto& tree = artifacts[i].device_tree) {
      fmt::print("  device tree: {}, SHA-256 {}\n", tree->path.string(), tree->sha256);
    }
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

enum class ImageKind { Elf, Iso, UImage };

ImageKind kind_of(const Options& options) {
  if (options.iso || options.output.ends_with(".iso")) return ImageKind::Iso;
  return options.output.ends_with(".uimage") ? ImageKind::UImage : ImageKind::Elf;
}

int make_image(const Options& options) {
  base::check_writable(options.output);
  const system::System system = load(options.file);
  const image::CompiledImage image = compile(system, fetch_all(system, options.refresh));
  const bool armv7 = image.plan.architecture == plan::Architecture::Armv7;
  const system::Bytes monitor = monitor_elf(image.plan.architecture);
  switch (kind_of(options)) {
    case ImageKind::Iso:
      take(image::write_iso(image, monitor, options.output));
      fmt::print("{}: CD image with GRUB\n", options.output);
      break;
    case ImageKind::UImage:
      take(image::write_uimage(image, monitor, uimage_head(), options.output));
      fmt::print("{}: uImage, for U-Boot's bootm\n", options.output);
      break;
    case ImageKind::Elf:
      take(image::write_elf(image, monitor, options.output));
      fmt::print("{}: {}ELF, for example for QEMU's -kernel\n", options.output,
                 armv7 ? "" : "multiboot ");
  }
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
  image
      ->add_option("-o,--output", options->output,
                   "the file to write; *.iso makes a CD image, *.uimage one for U-Boot")
      ->required()
      ->type_name("FILE");
  image->add_flag("--iso", options->iso, "make a CD image with GRUB, whatever FILE is called");
  image->callback([&action, options] { action = [options] { return make_image(*options); }; });
}

}  // namespace mezzo::command
