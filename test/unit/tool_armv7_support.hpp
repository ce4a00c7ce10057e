// Small zImages and device trees made on the spot, for the tests of the tool's ARMv7 side.
#pragma once

#include <libfdt.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tool_system_support.hpp"

namespace mezzo::test {

struct ZImageOptions {
  std::string version = "6.1.0-test-armmp";
  std::uint32_t text_offset = 0x208000;
  std::uint32_t bss_size = 0x5000;
  std::size_t kernel_size = 0x8000;  // unpacked
  bool lpae = false;
  bool thumb2 = false;
  bool big_endian = false;
  bool table = true;
  bool packed = true;  // else what is inside is in a format that nobody knows
};

// What the zImage unpacks to: code of a sort, the banner, filling.
inline Bytes make_arm_kernel(const ZImageOptions& options = {}) {
  using loader::put;
  Bytes kernel(options.kernel_size, 0);
  const std::span<std::uint8_t> bytes(kernel);
  for (std::size_t i = 0x1000; i < kernel.size(); ++i) {
    kernel[i] = static_cast<std::uint8_t>(i * i >> 7);
  }
  put(bytes, 0, std::uint32_t{0xe10f9000});  // mrs r9, cpsr
  if (options.lpae) {
    put(bytes, 0x40, std::uint32_t{0xee103f91});
    put(bytes, 0x44, std::uint32_t{0xe203300f});
    put(bytes, 0x48, std::uint32_t{0xe3530005});
  }
  using namespace std::string_literals;
  const std::string banner = "%s Linux version %s\0Linux version "s + options.version + " (gcc)";
  std::memcpy(&kernel[0x800], banner.data(), banner.size());
  return kernel;
}

// A zImage with a sound header: decompressor with a false start of a stream in it, payload, table.
inline Bytes make_zimage(const ZImageOptions& options = {}) {
  using loader::put;
  constexpr std::size_t kTable = 0x200, kPayload = 0x301;
  const Bytes kernel = make_arm_kernel(options);
  Bytes payload = options.packed ? gzip(kernel) : Bytes(2000, 0x11);
  if (options.packed) payload[8] = 2, payload[9] = 3;  // as gzip -9 on Unix
  Bytes file(kPayload, 0);
  file.insert(file.end(), payload.begin(), payload.end());
  // gzip's own last word is the size; other formats have it behind.
  if (!options.packed) file.insert(file.end(), {0, 0x80, 0, 0});
  const auto end_of_payload = static_cast<std::uint32_t>(file.size() - 4);
  file.resize(file.size() + 100);
  const std::span<std::uint8_t> bytes(file);
  for (std::size_t at = 0; at < 0x20; at += 4) put(bytes, at, std::uint32_t{0xe1a00000});  // nop
  if (options.thumb2) put(bytes, 0x1c, std::uint32_t{0xe24ff003});
  put(bytes, 0x20, std::uint32_t{0xea00003f});  // b
  put(bytes, 0x24, std::uint32_t{0x016f2818});
  put(bytes, 0x2c, static_cast<std::uint32_t>(file.size()));
  put(bytes, 0x30, options.big_endian ? std::uint32_t{0x01020304} : std::uint32_t{0x04030201});
  if (options.table) {
    put(bytes, 0x34, std::uint32_t{0x45454545});
    put(bytes, 0x38, static_cast<std::uint32_t>(kTable));
    const std::uint32_t words[] = {
        6, 0x5a534c4b, end_of_payload, options.bss_size, options.text_offset, 0x10000, 0};
    for (std::size_t i = 0; i < std::size(words); ++i) put(bytes, kTable + i * 4, words[i]);
  }
  const std::uint8_t false_start[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xff, 0xff};
  if (options.packed) std::memcpy(&file[0x280], false_start, sizeof false_start);
  return file;
}

// An ELF32 executable for Arm, otherwise as make_elf32().
inline Bytes make_arm_elf(std::uint32_t address, std::size_t code = 64) {
  Bytes file = make_elf32(address, code);
  loader::put(std::span<std::uint8_t>(file), 18, std::uint16_t{40});
  return file;
}

// Writes a device tree node by node.
class TreeWriter {
 public:
  TreeWriter() : blob_(16 << 10) {
    fdt_create(blob_.data(), static_cast<int>(blob_.size()));
    fdt_finish_reservemap(blob_.data());
    fdt_begin_node(blob_.data(), "");
  }

  TreeWriter& begin(const char* name) { return fdt_begin_node(blob_.data(), name), *this; }
  TreeWriter& end() { return fdt_end_node(blob_.data()), *this; }
  TreeWriter& text(const char* name, std::string_view value) {
    const std::string terminated(value);
    fdt_property(blob_.data(), name, terminated.c_str(), static_cast<int>(terminated.size()) + 1);
    return *this;
  }
  TreeWriter& cells(const char* name, std::initializer_list<std::uint32_t> values) {
    std::vector<fdt32_t> data;
    for (const std::uint32_t value : values) fdt32_st(&data.emplace_back(), value);
    fdt_property(blob_.data(), name, data.data(), static_cast<int>(data.size() * 4));
    return *this;
  }
  TreeWriter& device(const char* name, std::string_view compatible, std::uint32_t address) {
    return begin(name).text("compatible", compatible).cells("reg", {address, 0x1000});
  }

  [[nodiscard]] Bytes finish() {
    fdt_end_node(blob_.data());
    fdt_finish(blob_.data());
    blob_.resize(fdt_totalsize(blob_.data()));
    return blob_;
  }

 private:
  Bytes blob_;
};

struct TreeOptions {
  std::string compatible = "arm,vexpress,v2p-ca9";
  bool memory = true;
  bool cpus = true;
};

// A tree shaped like the vexpress board's: buses inside buses, clocks behind the system registers,
// four processors.
inline Bytes make_vexpress_tree(const TreeOptions& options = {}) {
  TreeWriter tree;
  tree.text("model", "test").text("compatible", options.compatible);
  tree.cells("#address-cells", {1}).cells("#size-cells", {1});
  tree.begin("aliases")
      .text("serial0", "/bus/fpga/uart@9000")
      .text("serial1", "/bus/fpga/uart@a000");
  tree.end();
  tree.begin("chosen").text("bootargs", "of the boot loader").end();
  if (options.cpus) {
    tree.begin("cpus").cells("#address-cells", {1}).cells("#size-cells", {0});
    for (std::uint32_t i = 0; i < 4; ++i) {
      tree.begin(fmt::format("cpu@{}", i).c_str()).text("device_type", "cpu").cells("reg", {i});
      tree.cells("next-level-cache", {7}).end();
    }
    tree.end();
  }
  if (options.memory) {
    tree.begin("memory@60000000").text("device_type", "memory");
    tree.cells("reg", {0x60000000, 0x40000000}).end();
  }
  tree.begin("bus").text("compatible", "simple-bus");
  tree.cells("#address-cells", {2}).cells("#size-cells", {1});
  tree.cells("ranges", {0, 0, 0x40000000, 0x4000000, 3, 0, 0x4c000000, 0x4000000,  //
                        7, 0, 0x10000000, 0x20000});
  tree.begin("flash@0,0").text("compatible", "cfi-flash").cells("reg", {0, 0, 0x1000}).end();
  tree.begin("ethernet@3,2000000").text("compatible", "smsc,lan9118");
  tree.cells("reg", {3, 0x2000000, 0x10000}).cells("vdd33a-supply", {9}).end();
  tree.begin("fpga").text("compatible", "simple-bus");
  tree.cells("#address-cells", {1}).cells("#size-cells", {1}).cells("ranges", {0, 7, 0, 0x20000});
  tree.device("sysreg@0", "arm,vexpress-sysreg", 0);
  tree.begin("gpio@48").cells("reg", {0x48, 4}).cells("phandle", {6}).end().end();
  tree.device("mmci@5000", "arm,pl180", 0x5000).cells("cd-gpios", {6, 0, 0}).end();
  tree.device("uart@9000", "arm,pl011", 0x9000).cells("clocks", {5}).end();
  tree.device("uart@a000", "arm,pl011", 0xa000).cells("clocks", {5}).end();
  tree.device("timer@11000", "arm,sp804", 0x11000).cells("clocks", {8, 0, 8, 1, 5}).end();
  tree.device("timer@12000", "arm,sp804", 0x12000).cells("clocks", {8, 2, 8, 3, 5}).end();
  tree.device("i2c@16000", "arm,versatile-i2c", 0x16000);
  tree.cells("#address-cells", {1}).cells("#size-cells", {0});
  tree.begin("eeprom@39").cells("reg", {0x39}).end().end();
  tree.end();
  tree.begin("regulator").text("compatible", "regulator-fixed").cells("phandle", {9}).end();
  tree.begin("mcc").text("compatible", "arm,vexpress,config-bus");
  tree.begin("osc2")
      .text("compatible", "arm,vexpress-osc")
      .cells("freq-range", {24000000, 24000001});
  tree.cells("#clock-cells", {0}).cells("phandle", {5}).end();
  tree.begin("reboot").text("compatible", "arm,vexpress-reboot").end();
  tree.end();
  tree.end();
  tree.begin("timer@1e000600").text("compatible", "arm,cortex-a9-twd-timer");
  tree.cells("reg", {0x1e000600, 0x20}).end();
  tree.begin("watchdog@1e000620").text("compatible", "arm,cortex-a9-twd-wdt");
  tree.cells("reg", {0x1e000620, 0x20}).end();
  tree.begin("gic@1e001000").text("compatible", "arm,cortex-a9-gic");
  tree.cells("reg", {0x1e001000, 0x1000, 0x1e000100, 0x100}).cells("phandle", {1}).end();
  tree.begin("cache@1e00a000").text("compatible", "arm,pl310-cache");
  tree.cells("reg", {0x1e00a000, 0x1000}).cells("phandle", {7}).end();
  tree.begin("pmu").text("compatible", "arm,cortex-a9-pmu").end();
  return tree.finish();
}

// A system file's text for the board vexpress-a9.
inline std::string vexpress_text(std::string_view partitions, std::string_view machine = "") {
  return fmt::format("[machine]\nboard = \"vexpress-a9\"\nmemory = \"512 MiB\"\n{}\n{}", machine,
                     partitions);
}

// One partition's table: name on its second line, cpu third, memory fourth, kernel fifth, `rest`
// from the sixth.
inline std::string armv7_partition(std::string_view name, int cpu, std::string_view rest = "",
                                   std::string_view memory = "\"128 MiB\"",
                                   std::string_view kernel = "package = \"linux-image-armmp\"") {
  return fmt::format("[[partition]]\nname = \"{}\"\ncpu = {}\nmemory = {}\nkernel = {{ {} }}\n{}\n",
                     name, cpu, memory, kernel, rest);
}

// As make_artifacts(), with the same device tree for each partition.
inline system::Artifacts make_armv7_artifacts(const system::System& system, const Bytes& kernel,
                                              const Bytes& tree) {
  system::Artifacts artifacts = make_artifacts(system, kernel);
  for (system::PartitionArtifacts& entry : artifacts) {
    entry.device_tree = system::DeviceTreeArtifact{"board.dtb", tree, "00"};
  }
  return artifacts;
}

}  // namespace mezzo::test
