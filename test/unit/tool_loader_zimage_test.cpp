// zImages: what is taken from sound files, and what is said of the others.
#include <gtest/gtest.h>
#include <lzma.h>

#include "loader/kernel.hpp"
#include "loader/unpack.hpp"
#include "tool_armv7_support.hpp"

namespace mezzo::loader {
namespace {

using plan::Architecture;
using system::KernelFormat;
using test::Bytes;
using test::make_zimage;
using test::ZImageOptions;

Result<KernelImage> read(const Bytes& bytes, KernelFormat format = KernelFormat::Auto) {
  system::KernelSpec spec;
  spec.format = format;
  return read_kernel(bytes, spec, Architecture::Armv7);
}

// What is said against the file, or "" if it is accepted.
std::string refusal(const Bytes& bytes, KernelFormat format = KernelFormat::Auto) {
  const auto kernel = read(bytes, format);
  if (kernel) return "";
  EXPECT_FALSE(kernel.error().remedy.empty());
  return kernel.error().what;
}

TEST(ZImage, TakesTheHeaderApartAndUnpacks) {
  const Bytes file = make_zimage();
  const auto kernel = read(file);
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->format, KernelFormat::ZImage);
  EXPECT_EQ(kernel->file.size(), file.size());
  const ZImage& zimage = kernel->zimage;
  EXPECT_EQ(zimage.text_offset, 0x208000U);
  EXPECT_EQ(zimage.bss_size, 0x5000U);
  EXPECT_EQ(zimage.unpacked, test::make_arm_kernel());
  EXPECT_EQ(zimage.unpacked_size, 0x8000U);
  EXPECT_EQ(zimage.version, "6.1.0-test-armmp");
  EXPECT_EQ(kernel->summary, "zImage, Linux 6.1.0-test-armmp");
}

TEST(ZImage, WithoutATableHasTheUsualTextOffset) {
  const auto kernel = read(make_zimage({.table = false}));
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->zimage.text_offset, 0x8000U);
  EXPECT_EQ(kernel->zimage.unpacked, test::make_arm_kernel());
}

TEST(ZImage, OfAnUnknownCompressionUnpacksItself) {
  const auto kernel = read(make_zimage({.packed = false}));
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_TRUE(kernel->zimage.unpacked.empty());
  EXPECT_EQ(kernel->zimage.unpacked_size, 0x8000U) << "the decompressor's table tells";
  EXPECT_NE(kernel->summary.find("neither gzip nor XZ"), std::string::npos);
}

TEST(ZImage, KernelsThatCannotRunAreRefused) {
  EXPECT_NE(refusal(make_zimage({.thumb2 = true})).find("Thumb-2"), std::string::npos);
  EXPECT_NE(refusal(make_zimage({.lpae = true})).find("LPAE"), std::string::npos);
  EXPECT_NE(refusal(make_zimage({.big_endian = true})).find("big-endian"), std::string::npos);
  EXPECT_NE(refusal(test::make_bzimage()).find("not for an Arm"), std::string::npos);
  EXPECT_NE(refusal(test::make_elf32(0x60100000)).find("not for little-endian 32-bit Arm"),
            std::string::npos);
  const auto on_pc = read_kernel(make_zimage(), {}, Architecture::Ia32);
  ASSERT_FALSE(on_pc);
  EXPECT_NE(on_pc.error().what.find("not for a PC"), std::string::npos);
}

TEST(ZImage, TruncatedAtAnyLengthIsRefused) {
  const Bytes whole = make_zimage();
  for (std::size_t size = 0; size < whole.size(); size += 61) {
    EXPECT_NE(refusal(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))), "")
        << size;
  }
}

TEST(ZImage, ADamagedPayloadIsNoticed) {
  const Bytes whole = make_zimage();
  for (std::size_t at = 0x340; at + 0x80 < whole.size(); at += 101) {
    Bytes damaged = whole;
    damaged[at] ^= 0x20;
    EXPECT_NE(refusal(damaged), "") << at;
  }
}

TEST(ZImage, EveryDamagedHeaderIsReadWithoutHarm) {
  const Bytes whole = make_zimage();
  for (std::size_t at = 0x1c; at < 0x21c; ++at) {
    if (at == 0x40) at = 0x200;  // the table
    for (const std::uint8_t value : std::initializer_list<std::uint8_t>{0x00, 0x7f, 0xff}) {
      Bytes damaged = whole;
      damaged[at] = value;
      (void)read(damaged);  // under sanitizers
    }
  }
}

TEST(ArmElf, IsReadAndMustStartInArmState) {
  const auto kernel = read(test::make_arm_elf(0x60100000));
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->format, KernelFormat::Elf);
  EXPECT_EQ(kernel->segments.front().address, 0x60100000U);
  Bytes thumb = test::make_arm_elf(0x60100000);
  thumb[24] |= 1;
  EXPECT_NE(refusal(thumb).find("is not Arm code"), std::string::npos);
}

TEST(ArmElf, AMultibootHeaderMeansNothing) {
  Bytes file = test::make_elf32(0x60100000, 64, 0);
  put(std::span<std::uint8_t>(file), 18, std::uint16_t{40});
  const auto kernel = read(file);
  ASSERT_TRUE(kernel) << kernel.error().what;
  EXPECT_EQ(kernel->format, KernelFormat::Elf);
}

Bytes xz(const Bytes& bytes) {
  Bytes packed(lzma_stream_buffer_bound(bytes.size()));
  std::size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, nullptr, bytes.data(), bytes.size(),
                                    packed.data(), &size, packed.size()),
            LZMA_OK);
  packed.resize(size);
  return packed;
}

TEST(Unpack, GivesBackWhatWasPackedAndIgnoresWhatFollows) {
  const Bytes original = test::make_arm_kernel({.kernel_size = 3 << 20});
  for (const bool with_xz : {false, true}) {
    Bytes packed = with_xz ? xz(original) : test::gzip(original);
    const std::size_t size = packed.size();
    packed.insert(packed.end(), 100, 0x5a);
    const auto unpack = with_xz ? unpack_xz : unpack_gzip;
    const auto unpacked = unpack(packed, original.size());
    ASSERT_TRUE(unpacked);
    EXPECT_EQ(unpacked->bytes, original);
    EXPECT_EQ(unpacked->consumed, size);
    EXPECT_FALSE(unpack(packed, original.size() - 1)) << "larger than allowed";
    EXPECT_FALSE(unpack(std::span(packed).first(size - 1), original.size())) << "truncated";
    packed[size / 2] ^= 1;
    EXPECT_FALSE(unpack(packed, original.size())) << "damaged";
  }
}

}  // namespace
}  // namespace mezzo::loader
