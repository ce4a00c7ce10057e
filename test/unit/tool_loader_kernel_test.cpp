// Kernel formats: what is taken from sound files, and what is said of the others.
#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "loader/kernel.hpp"
#include "tool_system_support.hpp"

namespace mezzo::loader {
namespace {

using system::KernelFormat;
using test::Bytes;
using test::KernelOptions;
using test::make_bzimage;
using test::make_elf32;

system::KernelSpec of_format(KernelFormat format) {
  system::KernelSpec spec;
  spec.format = format;
  return spec;
}

// What read_kernel() says against the file, or "" if it accepts it.
std::string refusal(const Bytes& bytes, KernelFormat format = KernelFormat::Auto) {
  const auto kernel = read_kernel(bytes, of_format(format));
  if (kernel) return "";
  EXPECT_FALSE(kernel.error().remedy.empty());
  return kernel.error().what;
}

TEST(BzImage, TakesTheHeaderApart) {
  const Bytes file = make_bzimage();
  const auto kernel = read_kernel(file, {});
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->format, KernelFormat::BzImage);
  const LinuxImage& image = kernel->linux_image;
  EXPECT_EQ(image.version, "6.1.0-test-686 (test) #1 SMP");
  EXPECT_TRUE(image.is_linux);
  EXPECT_EQ(image.protocol, 0x20f);
  EXPECT_TRUE(image.relocatable);
  EXPECT_EQ(image.alignment, 0x1000000U);
  EXPECT_EQ(image.preferred_address, 0x1000000U);
  EXPECT_EQ(image.init_size, 0x1000000U);
  EXPECT_EQ(image.initrd_max, 0x7fffffffU);
  EXPECT_EQ(image.cmdline_max, 2047U);
  EXPECT_EQ(image.setup_header.data(), file.data() + 0x1f1);
  EXPECT_EQ(image.setup_header.size(), 0x202U + 0x6a - 0x1f1);
  EXPECT_EQ(image.payload.data(), file.data() + 2048);
  EXPECT_EQ(image.payload.size(), 8192U);
}

TEST(BzImage, AcceptsASignatureAfterTheImage) {
  EXPECT_EQ(refusal(make_bzimage({.signed_image = true})), "");
}

TEST(BzImage, NoticesEveryFlippedBitOfThePayload) {
  const Bytes sound = make_bzimage();
  for (std::size_t at = 2048; at < sound.size(); at += 997) {
    Bytes damaged = sound;
    damaged[at] ^= 0x10;
    EXPECT_NE(refusal(damaged).find("checksum does not match"), std::string::npos) << at;
  }
}

TEST(BzImage, NoticesTruncation) {
  const Bytes sound = make_bzimage();
  for (const std::size_t size : {sound.size() - 1, sound.size() / 2, std::size_t{0x300}}) {
    const Bytes cut(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_NE(refusal(cut).find("truncated"), std::string::npos) << size << refusal(cut);
  }
}

TEST(BzImage, KnowsPaeByNameAndByRequiredFeatures) {
  const auto needs_pae = [](const Bytes& bytes) {
    const auto kernel = read_kernel(bytes, {});
    return kernel && kernel->linux_image.needs_pae;
  };
  EXPECT_FALSE(needs_pae(make_bzimage()));
  EXPECT_TRUE(needs_pae(make_bzimage({.version = "6.1.0-50-686-pae (x)"})));
  EXPECT_TRUE(needs_pae(make_bzimage({.features = 0x8141})));
}

TEST(BzImage, Refuses64BitByFlagNameAndRequiredFeatures) {
  EXPECT_NE(refusal(make_bzimage({.xloadflags = 0x7f})).find("64-bit"), std::string::npos);
  EXPECT_NE(refusal(make_bzimage({.version = "6.1.0-50-amd64 (x)"})).find("64-bit"),
            std::string::npos);
  EXPECT_NE(
      refusal(make_bzimage({.features = 0x700a169, .features_high = 1U << 29})).find("64-bit"),
      std::string::npos);
}

TEST(BzImage, RefusesOldProtocolsAndContradictions) {
  EXPECT_NE(refusal(make_bzimage({.protocol = 0x204})).find("boot protocol 2.4 is too old"),
            std::string::npos);
  EXPECT_NE(refusal(make_bzimage({.alignment = 0x3000})).find("contradicts itself"),
            std::string::npos);
  EXPECT_NE(refusal(make_bzimage({.init_size = 16})).find("contradicts itself"), std::string::npos);
}

// Such as memtest86+: no checksum, no padding.
TEST(BzImage, ThatIsNoLinuxIsTakenAsItIs) {
  Bytes file = make_bzimage({.version = "Memtest86+ v6.10", .relocatable = false});
  file.resize(file.size() - 9);
  file.back() ^= 0xff;
  const auto kernel = read_kernel(file, {});
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_FALSE(kernel->linux_image.is_linux);
  EXPECT_EQ(kernel->linux_image.payload.size(), 8192U - 9);
  file.resize(file.size() - 7);
  EXPECT_NE(refusal(file).find("truncated"), std::string::npos);
  std::ranges::fill(std::span(file).subspan(0x1f4, 4), std::uint8_t{0});  // it wants no payload
  file.resize((file[0x1f1] + 1) * 512U - 9);
  EXPECT_NE(refusal(file).find("truncated"), std::string::npos) << "a part of the setup code";
}

TEST(Elf, GivesSegmentsWithTheirAddresses) {
  const Bytes file = make_elf32(0x400000);
  const auto kernel = read_kernel(file, {});
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->format, KernelFormat::Elf);
  ASSERT_EQ(kernel->segments.size(), 1U);
  EXPECT_EQ(kernel->segments[0].address, 0x400000U);
  EXPECT_EQ(kernel->segments[0].file.data(), file.data() + 0x1000);
  EXPECT_EQ(kernel->segments[0].file.size(), 64U);
  EXPECT_EQ(kernel->segments[0].memory_size, 128U);
  EXPECT_EQ(kernel->entry, 0x400010U);
}

TEST(Elf, RefusesWhatItCannotLoad) {
  Bytes file = make_elf32(0x400000);
  file[4] = 2;
  EXPECT_NE(refusal(file).find("ELF64"), std::string::npos);
  file = make_elf32(0x400000);
  file[18] = 40;  // ARM
  EXPECT_NE(refusal(file).find("is for Arm, not for 32-bit x86"), std::string::npos);
  file[18] = 77;
  EXPECT_NE(refusal(file).find("is for machine 77, not for"), std::string::npos);
  file[5] = 2;
  EXPECT_NE(refusal(file).find("is for a big-endian processor, not for"), std::string::npos);
  file = make_elf32(0x400000);
  file[16] = 3;  // shared object
  EXPECT_NE(refusal(file).find("fixed addresses"), std::string::npos);
  file = make_elf32(0x400000);
  file.resize(0x1020);
  EXPECT_NE(refusal(file).find("truncated"), std::string::npos);
  file.resize(20);
  EXPECT_NE(refusal(file).find("truncated"), std::string::npos);
  file = make_elf32(0x400000);
  put(std::span(file), 24, std::uint32_t{0x500000});
  EXPECT_NE(refusal(file).find("in none of its segments"), std::string::npos);
  file = make_elf32(0x400000);
  put(std::span(file), 52, std::uint32_t{4});  // a note instead of PT_LOAD
  EXPECT_NE(refusal(file).find("nothing to load"), std::string::npos);
  file = make_elf32(0x400000);
  put(std::span(file), 28, std::uint32_t{0xfffffff0});  // program headers far away
  EXPECT_NE(refusal(file).find("truncated"), std::string::npos);
  file = make_elf32(0xffffffc0);  // wraps around
  EXPECT_NE(refusal(file).find("damaged"), std::string::npos);
}

TEST(Multiboot, IsDetectedAndItsFlagsAreChecked) {
  const auto kernel = read_kernel(make_elf32(0x400000, 64, 3), {});
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->format, KernelFormat::Multiboot);
  EXPECT_NE(refusal(make_elf32(0x400000, 64, 4)).find("asks for what a partition lacks"),
            std::string::npos);
  EXPECT_NE(refusal(make_elf32(0x400000), KernelFormat::Multiboot).find("is elf, not multiboot"),
            std::string::npos);
}

TEST(Multiboot, MayBeLoadedAsPlainElf) {
  const Bytes file = make_elf32(0x400000, 64, 3);
  const auto kernel = read_kernel(file, of_format(KernelFormat::Elf));
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->format, KernelFormat::Elf);
}

// A flat image of `size` bytes with a header at `header`, linked at 1 MiB, entered behind the
// header.
Bytes make_flat_multiboot(std::size_t size = 0x400, std::uint32_t header = 0x40,
                          std::uint32_t load_end = 0, std::uint32_t bss_end = 0) {
  Bytes file(size, 0x90);
  const std::span<std::uint8_t> bytes(file);
  constexpr std::uint32_t kMagic = 0x1badb002, kFlags = 0x10003, kBase = 0x100000;
  put(bytes, header, kMagic);
  put(bytes, header + 4, kFlags);
  put(bytes, header + 8, 0U - kMagic - kFlags);
  put(bytes, header + 12, kBase + header);
  put(bytes, header + 16, kBase);
  put(bytes, header + 20, load_end);
  put(bytes, header + 24, bss_end);
  put(bytes, header + 28, kBase + header + 32);
  return file;
}

TEST(Multiboot, AFlatImageSaysItselfWhereItGoes) {
  const Bytes file = make_flat_multiboot(0x400, 0x40, 0x100300, 0x100800);
  const auto kernel = read_kernel(file, {});
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->format, KernelFormat::Multiboot);
  ASSERT_EQ(kernel->segments.size(), 1U);
  EXPECT_EQ(kernel->segments[0].address, 0x100000U);
  EXPECT_EQ(kernel->segments[0].file.data(), file.data());
  EXPECT_EQ(kernel->segments[0].file.size(), 0x300U);
  EXPECT_EQ(kernel->segments[0].memory_size, 0x800U);
  EXPECT_EQ(kernel->entry, 0x100060U);
  // Without an end it is the whole file; what is in front of the load address stays out.
  Bytes behind = make_flat_multiboot();
  put(std::span(behind), 0x40 + 16, std::uint32_t{0x100020});
  const auto whole = read_kernel(behind, {});
  ASSERT_TRUE(whole) << whole.error().what;
  EXPECT_EQ(whole->segments[0].file.data(), behind.data() + 0x20);
  EXPECT_EQ(whole->segments[0].file.size(), 0x3e0U);
  EXPECT_EQ(whole->segments[0].memory_size, 0x3e0U);
}

TEST(Multiboot, AddressFieldsAreChecked) {
  EXPECT_NE(refusal(make_flat_multiboot(0x400, 0x40, 0x100401)).find("truncated"),
            std::string::npos);
  EXPECT_NE(refusal(make_flat_multiboot(0x400, 0x40, 0xfffff)).find("truncated"),
            std::string::npos);
  Bytes file = make_flat_multiboot(0x400, 0x3e0);  // the header itself is cut off
  file.resize(0x400 - 4);
  EXPECT_NE(refusal(file).find("truncated"), std::string::npos);
  const auto with = [](std::size_t field, std::uint32_t value) {
    Bytes changed = make_flat_multiboot();
    put(std::span(changed), 0x40 + field, value);
    return refusal(changed);
  };
  EXPECT_NE(with(16, 0xff000).find("before the file"), std::string::npos);
  EXPECT_NE(with(16, 0x100041).find("before the file"), std::string::npos);
  EXPECT_NE(with(28, 0xfffff).find("entry 0xfffff is outside"), std::string::npos);
  EXPECT_NE(with(28, 0x100400).find("entry 0x100400 is outside"), std::string::npos);
  Bytes high = make_flat_multiboot();
  put(std::span(high), 0x40 + 12, std::uint32_t{0xffffff40});
  put(std::span(high), 0x40 + 16, std::uint32_t{0xffffff00});
  EXPECT_NE(refusal(high).find("loaded"), std::string::npos);
}

TEST(Raw, IsLoadedWhereTheUserSays) {
  const Bytes file(100, 0x90);
  system::KernelSpec spec = of_format(KernelFormat::Raw);
  spec.load = 0x100000;
  spec.entry = 0x100010;
  const auto kernel = read_kernel(file, spec);
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->segments[0].address, 0x100000U);
  EXPECT_EQ(kernel->segments[0].memory_size, 100U);
  EXPECT_EQ(kernel->entry, 0x100010U);
  spec.entry = 0x100064;
  EXPECT_FALSE(read_kernel(file, spec)) << "the entry is behind the image";
  spec.load = 0xfffffff0;
  EXPECT_FALSE(read_kernel(file, spec)) << "the image does not fit below 4 GiB";
}

TEST(Kernel, RefusesOtherFiles) {
  EXPECT_NE(refusal({}).find("empty"), std::string::npos);
  EXPECT_NE(refusal(Bytes(5000, 'x')).find("this is no kernel"), std::string::npos);
  EXPECT_NE(refusal(make_bzimage(), KernelFormat::Elf).find("is bzimage, not elf"),
            std::string::npos);
}

}  // namespace
}  // namespace mezzo::loader
