// Reads ELF32 executables: for IA-32, plain and with a multiboot 1 header, and for Arm.
//
// Sources: the System V ABI (Intel386 supplement), the ELF for the Arm Architecture (ARM IHI 0044)
// and the Multiboot Specification 0.6.96, section 3.1.
#include <algorithm>

#include <fmt/format.h>

#include "loader/bytes.hpp"
#include "loader/kernel.hpp"

namespace mezzo::loader {
namespace {

constexpr std::size_t kHeaderSize = 52;
constexpr std::size_t kProgramHeaderSize = 32;
constexpr std::uint8_t kClass32 = 1;
constexpr std::uint8_t kLittleEndian = 1;
constexpr std::uint16_t kExecutable = 2;
constexpr std::uint16_t kMachine386 = 3, kMachineArm = 40;
constexpr std::uint32_t kLoadable = 1;
constexpr std::uint32_t kAddressFields = 1U << 16;  // of a multiboot header's flags

Problem damaged() {
  return {"the ELF file is truncated or damaged", "build or copy the file again"};
}

// What e_machine says, for the architectures that somebody may try.
std::string name_of_machine(std::uint16_t machine) {
  switch (machine) {
    case kMachine386:
      return "32-bit x86";
    case kMachineArm:
      return "Arm";
    case 8:
      return "MIPS";
    case 20:
      return "PowerPC";
    case 62:
      return "64-bit x86";
    case 92:
      return "OpenRISC";
    case 183:
      return "64-bit Arm";
    case 243:
      return "RISC-V";
    default:
      return fmt::format("machine {}", machine);
  }
}

std::optional<Problem> check_header(ByteView bytes, plan::Architecture architecture) {
  const bool arm = architecture == plan::Architecture::Armv7;
  if (bytes.size() < kHeaderSize) return damaged();
  if (bytes[4] != kClass32) {
    return Problem{"a 64-bit kernel is not supported yet (ELF64)",
                   arm ? "build it for ARMv7-A" : "build it for 32-bit x86"};
  }
  const bool little = bytes[5] == kLittleEndian;
  const auto machine = get<std::uint16_t>(bytes, 18);
  if (!little || machine != (arm ? kMachineArm : kMachine386)) {
    const std::string found = little ? name_of_machine(machine) : "a big-endian processor";
    return arm ? Problem{fmt::format("the ELF file is for {}, not for little-endian 32-bit Arm",
                                     found),
                         "build it for ARMv7-A"}
               : Problem{fmt::format("the ELF file is for {}, not for 32-bit x86", found),
                         "build it for i386"};
  }
  if (get<std::uint16_t>(bytes, 16) != kExecutable) {
    return Problem{"the ELF file is not an executable with fixed addresses",
                   "link it statically, without -pie"};
  }
  return std::nullopt;
}

Result<std::vector<Segment>> read_segments(ByteView bytes) {
  const std::size_t table = get<std::uint32_t>(bytes, 28);
  const std::size_t entry_size = get<std::uint16_t>(bytes, 42);
  const std::size_t count = get<std::uint16_t>(bytes, 44);
  if (entry_size < kProgramHeaderSize || table + entry_size * count > bytes.size()) {
    return std::unexpected(damaged());
  }
  std::vector<Segment> segments;
  for (std::size_t i = 0; i < count; ++i) {
    const ByteView header = bytes.subspan(table + i * entry_size, kProgramHeaderSize);
    if (get<std::uint32_t>(header, 0) != kLoadable) continue;
    const std::size_t offset = get<std::uint32_t>(header, 4);
    const auto address = get<std::uint32_t>(header, 12);
    const auto file_size = get<std::uint32_t>(header, 16);
    const auto memory_size = get<std::uint32_t>(header, 20);
    if (memory_size == 0) continue;
    if (offset + file_size > bytes.size() || file_size > memory_size ||
        memory_size > 0xffffffffU - address) {
      return std::unexpected(damaged());
    }
    segments.push_back({address, bytes.subspan(offset, file_size), memory_size});
  }
  if (segments.empty()) {
    return std::unexpected(
        Problem{"the ELF file has nothing to load", "link it as an executable, not as an object"});
  }
  return segments;
}

// A flat image: the header says itself what goes where (Multiboot Specification, 3.1.3).
Result<KernelImage> read_address_fields(ByteView bytes, std::size_t header) {
  const auto impossible = [](std::string what) {
    return std::unexpected(Problem{std::move(what), "correct the address fields of its header"});
  };
  if (header + 32 > bytes.size()) return std::unexpected(damaged());
  const auto field = [&](std::size_t offset) { return get<std::uint32_t>(bytes, header + offset); };
  const std::uint32_t own = field(12), load = field(16), load_end = field(20), bss_end = field(24);
  const std::uint32_t entry = field(28);
  if (load > own || own - load > header) {
    return impossible(fmt::format(
        "the multiboot header at {:#x} says that loading begins at {:#x}, before the file", own,
        load));
  }
  const std::size_t start = header - (own - load);
  const std::size_t available = bytes.size() - start;
  if (load_end != 0 && (load_end < load || load_end - load > available)) {
    return std::unexpected(
        Problem{fmt::format("the kernel is truncated: its multiboot header wants {:#x}-{:#x}, the "
                            "file has {} bytes for it",
                            load, load_end, available),
                "build or copy the file again"});
  }
  const std::size_t size = load_end != 0 ? load_end - load : available;
  const std::uint64_t end = std::max<std::uint64_t>(load + std::uint64_t{size}, bss_end);
  if (size == 0 || end > 0xffffffff) {
    return impossible(fmt::format("the multiboot header wants {:#x}-{:#x} loaded", load, end));
  }
  if (entry < load || entry >= end) {
    return impossible(
        fmt::format("entry {:#x} is outside the image at {:#x}-{:#x}", entry, load, end - 1));
  }
  KernelImage kernel;
  kernel.format = system::KernelFormat::Multiboot;
  kernel.segments = {{load, bytes.subspan(start, size), static_cast<std::uint32_t>(end - load)}};
  kernel.entry = entry;
  kernel.summary = fmt::format("multiboot image, {} bytes", size);
  return kernel;
}

}  // namespace

bool has_multiboot_addresses(ByteView bytes) {
  const auto header = find_multiboot_header(bytes);
  return header && (get<std::uint32_t>(bytes, *header + 4) & kAddressFields) != 0;
}

std::optional<std::size_t> find_multiboot_header(ByteView bytes) {
  constexpr std::uint32_t kMagic = 0x1badb002;
  const std::size_t end = std::min<std::size_t>(bytes.size(), 8192);
  for (std::size_t at = 0; at + 12 <= end; at += 4) {
    if (get<std::uint32_t>(bytes, at) != kMagic) continue;
    const std::uint32_t sum =
        kMagic + get<std::uint32_t>(bytes, at + 4) + get<std::uint32_t>(bytes, at + 8);
    if (sum == 0) return at;
  }
  return std::nullopt;
}

Result<KernelImage> read_elf(ByteView bytes, plan::Architecture architecture) {
  if (auto problem = check_header(bytes, architecture)) return std::unexpected(*problem);
  auto segments = read_segments(bytes);
  if (!segments) return std::unexpected(segments.error());
  KernelImage kernel;
  kernel.format = system::KernelFormat::Elf;
  kernel.segments = std::move(*segments);
  kernel.entry = get<std::uint32_t>(bytes, 24);
  if (architecture == plan::Architecture::Armv7 && (kernel.entry & 3) != 0) {
    return std::unexpected(Problem{
        fmt::format("the ELF file's entry {:#x} is not Arm code", kernel.entry),
        "let it start in Arm state: give the first function the attribute target(\"arm\")"});
  }
  const bool inside = std::ranges::any_of(kernel.segments, [&kernel](const Segment& segment) {
    return kernel.entry >= segment.address && kernel.entry - segment.address < segment.memory_size;
  });
  if (!inside) {
    return std::unexpected(
        Problem{fmt::format("the ELF file's entry {:#x} is in none of its segments", kernel.entry),
                "link it so that the entry is a physical address (p_vaddr = p_paddr)"});
  }
  kernel.summary = fmt::format("ELF, {} segments", kernel.segments.size());
  return kernel;
}

Result<KernelImage> read_multiboot(ByteView bytes) {
  const auto header = find_multiboot_header(bytes);
  if (!header) {
    return std::unexpected(Problem{"the file has no multiboot header in its first 8 KiB",
                                   "say format = \"elf\", or link the header to the front"});
  }
  const auto flags = get<std::uint32_t>(bytes, *header + 4);
  constexpr std::uint32_t kUnderstood = 0x3;  // page-aligned modules, memory information
  constexpr std::uint32_t kMustUnderstand = 0xffff;
  if ((flags & kMustUnderstand & ~kUnderstood) != 0) {
    return std::unexpected(Problem{
        fmt::format("the multiboot header asks for what a partition lacks (flags {:#x})", flags),
        "ask only for memory information and aligned modules (bits 0 and 1)"});
  }
  if ((flags & kAddressFields) != 0) return read_address_fields(bytes, *header);
  auto kernel = read_elf(bytes);
  if (!kernel) return kernel;
  kernel->format = system::KernelFormat::Multiboot;
  kernel->summary = "multiboot " + kernel->summary;
  return kernel;
}

}  // namespace mezzo::loader
