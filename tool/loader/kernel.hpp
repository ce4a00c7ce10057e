// Takes kernel files apart: what has to be copied where, and how the kernel wants to be started.
//
// The formats are bzImage, zImage, ELF, multiboot (ELF or flat) and raw. A file that is damaged, or
// a kernel that this monitor cannot run (64-bit, LPAE, Thumb-2), is refused with a reason. Nothing
// here chooses an address.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "abi/plan.hpp"
#include "system/model.hpp"

namespace mezzo::loader {

using ByteView = std::span<const std::uint8_t>;

// Why a file was refused. The caller knows which file and where it was named.
struct Problem {
  std::string what;
  std::string remedy;
};

template <class T>
using Result = std::expected<T, Problem>;

// A part of a kernel that has a fixed address.
struct Segment {
  std::uint32_t address;
  ByteView file;              // into the kernel's bytes
  std::uint32_t memory_size;  // >= file.size(); the rest is zero
};

// What a bzImage's setup header says (Documentation/arch/x86/boot.rst).
struct LinuxImage {
  std::string version;
  bool is_linux = true;  // false: another program that starts as Linux does
  std::uint16_t protocol = 0;
  bool relocatable = false;
  std::uint32_t alignment = 0;  // of the load address
  std::uint32_t preferred_address = 0;
  std::uint32_t init_size = 0;    // memory needed from the load address on
  std::uint32_t initrd_max = 0;   // highest address of an initramfs' last byte
  std::uint32_t cmdline_max = 0;  // bytes without the terminating zero
  ByteView setup_header;          // file offset 0x1f1 up to the header's end
  bool needs_pae = false;         // does not run on a processor without PAE
  ByteView payload;               // the protected-mode part
};

// What a zImage holds and how it wants to be placed.
struct ZImage {
  std::string version;                 // "6.1.0-50-armmp ..." from its banner; empty if unknown
  std::uint32_t text_offset = 0;       // of the unpacked kernel from the base of its memory
  std::uint32_t bss_size = 0;          // zeroed memory behind the unpacked kernel
  std::uint32_t unpacked_size = 0;     // 0: not known
  std::uint32_t memory_size = 0;       // what the zImage itself needs where it is started
  std::string unpack_problem;          // why `unpacked` is empty
  std::vector<std::uint8_t> unpacked;  // the kernel proper, or empty
};

struct KernelImage {
  system::KernelFormat format = system::KernelFormat::Auto;
  LinuxImage linux_image;         // BzImage only
  ZImage zimage;                  // ZImage only
  ByteView file;                  // ZImage only: the file without what follows the image
  std::vector<Segment> segments;  // all others
  std::uint32_t entry = 0;        // all others
  std::string summary;            // for reports
};

// `bytes` must outlive the result. `spec` gives the format the user asked for and, for raw images,
// the load and entry addresses.
[[nodiscard]] Result<KernelImage> read_kernel(
    ByteView bytes, const system::KernelSpec& spec,
    plan::Architecture architecture = plan::Architecture::Ia32);

// The format that the bytes themselves show; Raw if none is recognized.
[[nodiscard]] system::KernelFormat detect_format(ByteView bytes);

// One format each. They are declared here for their tests; read_kernel() chooses.
[[nodiscard]] Result<KernelImage> read_bzimage(ByteView bytes);
[[nodiscard]] Result<KernelImage> read_zimage(ByteView bytes);
[[nodiscard]] Result<KernelImage> read_elf(
    ByteView bytes, plan::Architecture architecture = plan::Architecture::Ia32);
[[nodiscard]] Result<KernelImage> read_multiboot(ByteView bytes);

// Offset of a valid multiboot 1 header in the file's first 8 KiB, or nothing.
[[nodiscard]] std::optional<std::size_t> find_multiboot_header(ByteView bytes);
// Whether there is one that says itself what goes where, whatever kind of file it is in.
[[nodiscard]] bool has_multiboot_addresses(ByteView bytes);

}  // namespace mezzo::loader
