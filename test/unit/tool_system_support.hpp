// What the tests of the tool's system, loader, firmware and image code share: small kernels and
// archives made on the spot, and a short way to state a system and expect a diagnostic.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/compile.hpp"
#include "loader/bytes.hpp"
#include "system/artifact.hpp"
#include "system/diagnostic.hpp"
#include "system/parse.hpp"

namespace mezzo::test {

using Bytes = std::vector<std::uint8_t>;

inline std::uint32_t zlib_crc(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint32_t>(crc32(0, bytes.data(), static_cast<uInt>(bytes.size())));
}

// Sum of all bytes modulo 256: 0 for a sound firmware table.
inline unsigned byte_sum(std::span<const std::uint8_t> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), 0U) & 0xff;
}

struct KernelOptions {
  std::string version = "6.1.0-test-686 (test) #1 SMP";
  std::uint16_t protocol = 0x20f;
  std::uint16_t xloadflags = 4;
  std::uint32_t features = 0x8101;  // FPU, CX8, CMOV
  std::uint32_t features_high = 0;
  std::uint32_t alignment = 0x1000000;
  std::uint32_t init_size = 0x1000000;
  std::size_t payload = 8192;  // bytes, a multiple of 16
  bool relocatable = true;
  bool signed_image = false;  // with a PE header changed after the checksum was made
};

// A bzImage with a sound header and checksum, whose code is not meant to run.
inline Bytes make_bzimage(const KernelOptions& options = {}) {
  using loader::put;
  constexpr std::size_t kSetup = 4 * 512;
  Bytes file(kSetup + options.payload, 0);
  const std::span<std::uint8_t> bytes(file);
  for (std::size_t i = kSetup; i < file.size(); ++i) file[i] = static_cast<std::uint8_t>(i * 7);
  put(bytes, 0x3c, std::uint32_t{0x40});
  std::memcpy(&file[0x40], "PE\0\0", 4);
  put(bytes, 0x40 + 24, std::uint16_t{0x10b});
  file[0x1f1] = 3;  // setup sectors after the first
  put(bytes, 0x1f4, static_cast<std::uint32_t>(options.payload / 16));
  put(bytes, 0x1fe, std::uint16_t{0xaa55});
  put(bytes, 0x200, std::uint16_t{0x6aeb});  // jump: the header ends at 0x26c
  std::memcpy(&file[0x202], "HdrS", 4);
  put(bytes, 0x206, options.protocol);
  put(bytes, 0x20e, std::uint16_t{0x400});  // version string at 0x600
  file[0x211] = 1;
  put(bytes, 0x22c, std::uint32_t{0x7fffffff});
  put(bytes, 0x230, options.alignment);
  file[0x234] = options.relocatable ? 1 : 0;
  put(bytes, 0x236, options.xloadflags);
  put(bytes, 0x238, std::uint32_t{2047});
  put(bytes, 0x258, std::uint64_t{0x1000000});
  put(bytes, 0x260, options.init_size);
  put(bytes, 0x500, options.features);
  put(bytes, 0x504, options.features_high);
  std::memcpy(&file[0x600], options.version.c_str(), options.version.size() + 1);
  const std::uint32_t checksum = zlib_crc(bytes.first(file.size() - 4));
  put(bytes, file.size() - 4, ~checksum);
  if (options.signed_image) {
    put(bytes, 0x40 + 24 + 64, std::uint32_t{0x5896bf});
    put(bytes, 0x40 + 24 + 128, std::uint64_t{0x5c000057e2});
    file.resize(file.size() + 1472, 0x5a);  // the signature
  }
  return file;
}

// An ELF32 executable with one segment of `code` bytes (twice that in memory) at `address`; with
// `multiboot_flags`, it starts with a multiboot header.
inline Bytes make_elf32(std::uint32_t address, std::size_t code = 64, int multiboot_flags = -1) {
  using loader::put;
  Bytes file(0x1000 + code, 0);
  const std::span<std::uint8_t> bytes(file);
  std::memcpy(file.data(),
              "\x7f"
              "ELF\x01\x01\x01",
              7);
  put(bytes, 16, std::uint16_t{2});
  put(bytes, 18, std::uint16_t{3});
  put(bytes, 20, std::uint32_t{1});
  put(bytes, 24, address + 16);
  put(bytes, 28, std::uint32_t{52});
  put(bytes, 40, std::uint16_t{52});
  put(bytes, 42, std::uint16_t{32});
  put(bytes, 44, std::uint16_t{1});
  put(bytes, 52, std::uint32_t{1});
  put(bytes, 56, std::uint32_t{0x1000});
  put(bytes, 60, address);
  put(bytes, 64, address);
  put(bytes, 68, static_cast<std::uint32_t>(code));
  put(bytes, 72, static_cast<std::uint32_t>(2 * code));
  put(bytes, 76, std::uint32_t{7});
  put(bytes, 80, std::uint32_t{0x1000});
  if (multiboot_flags >= 0) {
    const auto flags = static_cast<std::uint32_t>(multiboot_flags);
    put(bytes, 0x1000, std::uint32_t{0x1badb002});
    put(bytes, 0x1004, flags);
    put(bytes, 0x1008, 0U - 0x1badb002U - flags);
  }
  return file;
}

// A newc cpio archive with one file.
inline Bytes make_cpio(std::string_view content = "#!/bin/sh\n") {
  Bytes archive;
  const auto add = [&archive](std::string_view name, std::string_view data, unsigned mode) {
    std::string header = "070701";
    const std::size_t fields[] = {1, mode, 0, 0, 1, 0, data.size(), 0, 0, 0, 0, name.size() + 1, 0};
    for (const std::size_t field : fields) header += fmt::format("{:08X}", field);
    const auto append = [&archive](std::string_view text) {
      archive.insert(archive.end(), text.begin(), text.end());
    };
    append(header);
    append(name);
    archive.push_back(0);
    archive.resize((archive.size() + 3) & ~std::size_t{3});
    append(data);
    archive.resize((archive.size() + 3) & ~std::size_t{3});
  };
  add("init", content, 0100755);
  add("TRAILER!!!", "", 0);
  return archive;
}

inline Bytes gzip(std::span<const std::uint8_t> bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    return {};
  Bytes input(bytes.begin(), bytes.end());
  Bytes packed(bytes.size() + 1024);
  stream.next_in = input.data();
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// A system file's text: a machine and the given partitions.
inline std::string system_text(std::string_view partitions, std::string_view machine = "") {
  return fmt::format("[machine]\nmemory = \"512 MiB\"\ncpus = 2\n{}\n{}", machine, partitions);
}

// One partition's table. `rest` may hold more keys.
inline std::string partition_text(std::string_view name, int cpu,
                                  std::string_view memory = "\"128 MiB\"",
                                  std::string_view rest = "") {
  return fmt::format(
      "[[partition]]\nname = \"{}\"\ncpu = {}\nmemory = {}\n"
      "kernel = {{ package = \"linux-image-686\" }}\n{}\n",
      name, cpu, memory, rest);
}

// Artifacts for each partition: the given kernel and, where the system has one, an initramfs.
inline system::Artifacts make_artifacts(const system::System& system, const Bytes& kernel) {
  system::Artifacts artifacts;
  for (const system::Partition& partition : system.partitions) {
    system::PartitionArtifacts entry;
    entry.kernel = {"vmlinuz", kernel, partition.kernel.package, "1.0", "00"};
    if (partition.initramfs) {
      entry.initramfs = system::InitramfsArtifact{"", gzip(make_cpio()), "test", "00"};
    }
    artifacts.push_back(std::move(entry));
  }
  return artifacts;
}

// The load of a partition that the report calls `what`, or null.
inline const plan::Load* find_load(const image::CompiledImage& image, std::size_t partition,
                                   std::string_view what) {
  const image::PartitionReport& report = image.partitions[partition];
  for (std::size_t i = 0; i < report.loads.size(); ++i) {
    if (report.loads[i].what == what) {
      return &image.plan.loads[image.plan.partitions[partition].first_load + i];
    }
  }
  return nullptr;
}

// Its bytes in the image's store.
inline std::span<const std::uint8_t> stored(const image::CompiledImage& image,
                                            const plan::Load& load) {
  return std::span(image.store).subspan(load.store_offset, load.file_size);
}

// The diagnostic whose text contains `words`, or null.
inline const system::Diagnostic* find(const system::Diagnostics& diagnostics,
                                      std::string_view words) {
  const auto found = std::ranges::find_if(diagnostics, [words](const system::Diagnostic& each) {
    return each.what.find(words) != std::string::npos;
  });
  return found != diagnostics.end() ? &*found : nullptr;
}

// All of them, for a failure's message.
inline std::string all(const system::Diagnostics& diagnostics) {
  std::string text;
  for (const system::Diagnostic& each : diagnostics) text += to_string(each) + "\n";
  return text;
}

}  // namespace mezzo::test
