// Initramfs archives: sound ones pass, damaged ones are named as such.
#include <gtest/gtest.h>

#include "loader/initramfs.hpp"
#include "tool_system_support.hpp"

namespace mezzo::loader {
namespace {

using test::Bytes;
using test::gzip;
using test::make_cpio;

std::string verdict(const Bytes& bytes) {
  const auto problem = check_initramfs(bytes);
  if (!problem) return "";
  EXPECT_FALSE(problem->remedy.empty());
  return problem->what;
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(Initramfs, AcceptsArchivesPlainCompressedAndInARow) {
  EXPECT_EQ(verdict(make_cpio()), "");
  EXPECT_EQ(verdict(gzip(make_cpio())), "");
  EXPECT_EQ(verdict(joined({make_cpio(), Bytes(512, 0), gzip(make_cpio("x"))})), "");
  EXPECT_EQ(verdict(joined({make_cpio(), {0xfd, '7', 'z', 'X', 'Z', 0, 1, 2}})), "");
  EXPECT_EQ(verdict({0x28, 0xb5, 0x2f, 0xfd, 9, 9}), "");
}

TEST(Initramfs, NoticesEveryFlippedBitInGzip) {
  const Bytes sound =
      gzip(make_cpio("a script of some length, so that there is something to flip"));
  for (std::size_t at = 10; at < sound.size(); ++at) {
    Bytes damaged = sound;
    damaged[at] ^= 4;
    EXPECT_NE(verdict(damaged), "") << "byte " << at;
  }
}

TEST(Initramfs, NoticesTruncation) {
  Bytes packed = gzip(make_cpio());
  packed.resize(packed.size() - 5);
  EXPECT_NE(verdict(packed).find("corrupted"), std::string::npos);
  Bytes plain = make_cpio();
  plain.resize(plain.size() - 30);
  EXPECT_NE(verdict(plain).find("cpio archive is truncated"), std::string::npos);
}

TEST(Initramfs, NoticesGzipOfSomethingElse) {
  EXPECT_NE(verdict(gzip(Bytes(300, 'x'))).find("no cpio archive"), std::string::npos);
}

TEST(Initramfs, RefusesOtherFiles) {
  EXPECT_NE(verdict({}).find("empty"), std::string::npos);
  EXPECT_NE(verdict({'h', 'e', 'l', 'l', 'o'}).find("no initramfs"), std::string::npos);
  EXPECT_NE(verdict(joined({make_cpio(), {'x'}})).find("something unknown"), std::string::npos);
}

}  // namespace
}  // namespace mezzo::loader
