// Fetching without a network: archive bytes, module order, apt's texts, the package cache.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"
#include "fetch/apt.hpp"
#include "fetch/cpio.hpp"
#include "fetch/initramfs.hpp"
#include "fetch/links.hpp"
#include "fetch/modules.hpp"
#include "fetch/package_cache.hpp"

namespace mezzo::fetch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Bytes gunzip(const Bytes& compressed) {
  Bytes plain(16u << 20);
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = const_cast<Bytef*>(compressed.data());
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = plain.data();
  stream.avail_out = static_cast<uInt>(plain.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  plain.resize(stream.total_out);
  inflateEnd(&stream);
  return plain;
}

class FetchTest : public testing::Test {
 protected:
  // Lists `archive` as cpio sees it.
  std::string cpio_list(const Bytes& archive) {
    base::write_file(directory_.path() / "archive", archive);
    const auto finished = base::run({.argv = {"sh", "-c", "cpio --quiet -tvn <archive"},
                                     .directory = directory_.path(),
                                     .environment = {{"TZ", "UTC"}, {"LC_ALL", "C"}}});
    EXPECT_EQ(finished.status, 0) << finished.output;
    return finished.output;
  }

  // Makes the file `path` under the test's folder, with the folders above it.
  std::filesystem::path put(const std::filesystem::path& path, std::string_view text) {
    const auto full = directory_.path() / path;
    base::make_directory(full.parent_path());
    base::write_file(full, text);
    return full;
  }

  base::TemporaryDirectory directory_{std::filesystem::temp_directory_path(), "mezzo-test"};
};

TEST(Sha256, MatchesTheStandardsExamples) {
  EXPECT_EQ(base::sha256({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(base::sha256(bytes_of("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(base::sha256(bytes_of(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PadsAtTheBlockBoundary) {
  EXPECT_EQ(base::sha256(bytes_of(std::string(55, 'a'))),
            "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(base::sha256(bytes_of(std::string(56, 'a'))),
            "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  EXPECT_EQ(base::sha256(bytes_of(std::string(64, 'a'))),
            "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

TEST_F(FetchTest, CpioReadsTheArchiveBack) {
  CpioWriter cpio;
  cpio.directory("dev");
  cpio.character_device("dev/console", 5, 1);
  cpio.file("init", "#!/bin/sh\n", 0755);
  cpio.symlink("link", "init");
  cpio.file("odd", "123");
  const std::string list = cpio_list(cpio.finish());
  EXPECT_THAT(list, HasSubstr("drwxr-xr-x   2 0        0               0 Jan  1  1970 dev\n"));
  EXPECT_THAT(list,
              HasSubstr("crw-------   1 0        0          5,   1 Jan  1  1970 dev/console\n"));
  EXPECT_THAT(list, HasSubstr("-rwxr-xr-x   1 0        0              10 Jan  1  1970 init\n"));
  EXPECT_THAT(list, HasSubstr("link -> init\n"));
  EXPECT_THAT(list, HasSubstr("              3 Jan  1  1970 odd\n"));
}

TEST_F(FetchTest, CpioHasExactlyTheBytesOfTheFormat) {
  CpioWriter cpio;
  cpio.file("a", "xy", 0644);
  const Bytes archive = cpio.finish();
  const std::string text(archive.begin(), archive.end());
  const std::string first =
      "070701"
      "00000001"
      "000081a4"
      "00000000"
      "00000000"
      "00000001"
      "00000000"
      "00000002"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000002"
      "00000000";
  ASSERT_EQ(first.size(), 110u);
  EXPECT_EQ(text.substr(0, 116), first + std::string("a\0xy\0\0", 6).substr(0, 6));
  EXPECT_EQ(archive.size() % 4, 0u);
  EXPECT_THAT(text, HasSubstr("TRAILER!!!"));
}

TEST(Cpio, ParentsAreMadeOnce) {
  CpioWriter cpio;
  cpio.parents("lib/modules/x.ko");
  cpio.parents("lib/modules/y.ko");
  const Bytes archive = cpio.finish();
  const std::string text(archive.begin(), archive.end());
  EXPECT_EQ(text.find("lib/modules"), text.rfind("lib/modules"));
}

TEST(Gzip, IsDeterministicAndReversible) {
  const std::string text(100000, 'z');
  const Bytes once = gzip(bytes_of(text));
  EXPECT_EQ(once, gzip(bytes_of(text)));
  EXPECT_EQ(once[4] | once[5] | once[6] | once[7], 0) << "a time is in the header";
  const Bytes back = gunzip(once);
  EXPECT_EQ(std::string(back.begin(), back.end()), text);
}

TEST(ModuleDependencies, AreReadFromModinfo) {
  const std::string module = std::string(
      "\x7f"
      "ELF junk\0license=GPL\0depends=jbd2,crc16\0x=1\0",
      45);
  EXPECT_THAT(module_dependencies(bytes_of(module)), ElementsAre("jbd2", "crc16"));
  EXPECT_THAT(module_dependencies(bytes_of(std::string("a\0depends=\0b", 12))), ElementsAre());
  EXPECT_THAT(module_dependencies(bytes_of("nothing")), ElementsAre());
  EXPECT_THAT(module_dependencies(bytes_of(std::string("a\0depends=cut", 13))), ElementsAre("cut"));
}

TEST_F(FetchTest, ModulesComeAfterWhatTheyNeed) {
  const auto module = [&](const char* name, const char* depends) {
    put(std::string("lib/modules/6.1/kernel/") + name + ".ko",
        std::string("\0depends=", 9) + depends + std::string(1, '\0'));
  };
  module("top", "mid-dle,base,inbuilt");
  module("mid_dle", "base");
  module("base", "");
  put("lib/modules/6.1/modules.builtin", "kernel/lib/inbuilt.ko\n");
  std::vector<std::string> order;
  for (const Module& found : resolve_modules(directory_.path(), {"top", "base"})) {
    order.push_back(found.path.string());
  }
  EXPECT_THAT(order,
              ElementsAre("lib/modules/6.1/kernel/base.ko", "lib/modules/6.1/kernel/mid_dle.ko",
                          "lib/modules/6.1/kernel/top.ko"));
  EXPECT_THROW(static_cast<void>(resolve_modules(directory_.path(), {"absent"})), UserError);
}

TEST_F(FetchTest, InitramfsHoldsShellModulesAndFiles) {
  Package busybox{.name = "busybox-static",
                  .version = "1",
                  .sha256 = "",
                  .deb = {},
                  .root = directory_.path() / "bb"};
  put("bb/bin/busybox", "not really");
  put("k/lib/modules/6.1/kernel/e1000.ko", std::string("\0depends=\0", 10));
  system::InitramfsSpec spec;
  spec.busybox = true;
  spec.modules = {"e1000"};
  spec.script = "echo hello\n";
  spec.files["/opt/data/file"] = put("host-file", "contents");
  const auto artifact = build_initramfs(spec, "alpha", busybox, directory_.path() / "k");
  const std::string list = cpio_list(gunzip(artifact.bytes));
  for (const char* path :
       {" init\n", " bin/busybox\n", " dev/console\n", " etc/mezzo-script\n",
        " lib/modules/6.1/kernel/e1000.ko\n", " opt/data\n", " opt/data/file\n"}) {
    EXPECT_THAT(list, HasSubstr(path));
  }
  EXPECT_EQ(artifact.sha256, base::sha256(artifact.bytes));
  EXPECT_EQ(artifact.bytes, build_initramfs(spec, "alpha", busybox, directory_.path() / "k").bytes);
  EXPECT_THROW(static_cast<void>(build_initramfs(spec, "alpha", busybox, {})), UserError);
}

TEST_F(FetchTest, InitramfsTakesFilesOfPackages) {
  const Package package{
      .name = "rt-tests", .version = "2", .sha256 = "", .deb = {}, .root = directory_.path() / "p"};
  put("p/usr/bin/cyclictest", "program");
  system::InitramfsSpec spec;
  add_package_files(package, {"/usr/bin/cyclictest"}, spec);
  EXPECT_EQ(spec.files.at("/usr/bin/cyclictest"), package.root / "usr/bin/cyclictest");
  EXPECT_THROW(add_package_files(package, {"/usr/bin"}, spec), UserError);
  EXPECT_THROW(add_package_files(package, {"/usr/bin/absent"}, spec), UserError);
}

TEST(Links, BringUpBothEndsAndLeadOutside) {
  system::System system;
  system.partitions.resize(2);
  system.partitions[0].network.emplace();
  system.links.push_back({{{{0, 3, "10.77.0.1", {}}, {1, 4, "10.77.0.2", {}}}}, {}});
  system::InitramfsSpec alpha, beta;
  alpha.script = "own";
  add_links(system, system.partitions[0], "/built/slip", alpha);
  add_links(system, system.partitions[1], "/built/slip", beta);
  EXPECT_THAT(alpha.modules, ElementsAre("slip"));
  EXPECT_EQ(alpha.files.at("/sbin/mezzo-slip"), "/built/slip");
  EXPECT_THAT(alpha.script, HasSubstr("mezzo-slip /dev/ttyS2 &"));
  EXPECT_THAT(alpha.script, HasSubstr("ip addr add 10.77.0.1 peer 10.77.0.2 dev sl0"));
  EXPECT_THAT(alpha.script, HasSubstr("ip_forward"));
  EXPECT_TRUE(alpha.script.ends_with("own")) << "the user's script comes last";
  EXPECT_THAT(beta.script, HasSubstr("mezzo-slip /dev/ttyS3 &"));
  EXPECT_THAT(beta.script, HasSubstr("ip addr add 10.77.0.2 peer 10.77.0.1 dev sl0"));
  EXPECT_THAT(beta.script, HasSubstr("default dev sl0"));
  system.links.clear();
  system::InitramfsSpec none;
  add_links(system, system.partitions[0], "/built/slip", none);
  EXPECT_TRUE(none.script.empty() && none.modules.empty() && none.files.empty());
}

TEST(Apt, FindsTheMirrorOfTheSystem) {
  EXPECT_EQ(bookworm_mirror("'http://m.example/debian/dists/bookworm/InRelease' x 0 \n"),
            "http://m.example/debian");
  EXPECT_EQ(bookworm_mirror("'http://a/debian/dists/trixie/InRelease' y 0\n"
                            "'http://b/deb/dists/bookworm-updates/InRelease' y 0\n"),
            "http://deb.debian.org/debian");
  EXPECT_EQ(bookworm_mirror(""), "http://deb.debian.org/debian");
}

TEST(Apt, ReadsAStanza) {
  const IndexEntry entry = parse_stanza(
      "Package: linux-image-686\nVersion: 6.1.176-1\n"
      "Depends: linux-image-6.1.0-50-686 (= 6.1.176-1), a | b,c:any\nSHA256: e6e6\n\nPackage: x\n");
  EXPECT_EQ(entry.name, "linux-image-686");
  EXPECT_EQ(entry.version, "6.1.176-1");
  EXPECT_EQ(entry.sha256, "e6e6");
  EXPECT_THAT(entry.depends, ElementsAre("linux-image-6.1.0-50-686", "a", "c"));
  EXPECT_THROW(static_cast<void>(parse_stanza("Package: x\nVersion: 1\n")), UserError);
}

// A cache whose one package was fetched before; nothing in these tests may need the network.
class PackageCacheTest : public FetchTest {
 protected:
  void SetUp() override {
    put("tree/DEBIAN/control",
        "Package: busybox-static\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\n"
        "Description: t\n");
    put("tree/bin/busybox", "the shell");
    base::make_directory(packages_);
    const auto finished =
        base::run({.argv = {"dpkg-deb", "--build", "--root-owner-group", "tree", deb_.string()},
                   .directory = directory_.path()});
    ASSERT_EQ(finished.status, 0) << finished.output;
    base::write_file(packages_ / "busybox-static.json",
                     "{\"package\": \"busybox-static\", \"version\": \"1\", \"sha256\": \"" +
                         base::sha256(base::read_file(deb_)) +
                         "\", \"deb\": \"busybox-static_1.deb\"}");
  }

  PackageCache open() {
    return PackageCache(
        directory_.path() / "cache",
        [&](std::string_view what, int) { said_ += std::string(what) + "\n"; }, false);
  }

  std::filesystem::path packages_ = directory_.path() / "cache/packages";
  std::filesystem::path deb_ = packages_ / "busybox-static_1.deb";
  std::string said_;
};

TEST_F(PackageCacheTest, GivesWhatItHasWithoutNetwork) {
  const Package package = open().get("busybox-static");
  EXPECT_EQ(package.version, "1");
  const auto busybox = base::read_file(package.root / "bin/busybox");
  EXPECT_EQ(std::string(busybox.begin(), busybox.end()), "the shell");
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "cache/apt")) << "apt was asked";
}

TEST_F(PackageCacheTest, SweepsWhatAKilledProcessLeft) {
  put("cache/packages/download.abc/half.deb", "half");
  put("cache/packages/unpack.abc/contents/file", "half");
  open();
  EXPECT_FALSE(std::filesystem::exists(packages_ / "download.abc"));
  EXPECT_FALSE(std::filesystem::exists(packages_ / "unpack.abc"));
}

TEST_F(PackageCacheTest, NeverUsesADamagedPackage) {
  base::write_file(deb_, "cut short");
  // Keep apt from the network, whatever this machine has.
  setenv("http_proxy", "http://127.0.0.1:9", 1);
  setenv("https_proxy", "http://127.0.0.1:9", 1);
  EXPECT_THROW(static_cast<void>(open().get("busybox-static")), UserError);
  unsetenv("http_proxy");
  unsetenv("https_proxy");
  EXPECT_THAT(said_, HasSubstr("is damaged; fetching it anew"));
}

TEST(PackagesFolder, OfEachArchitecture) {
  EXPECT_EQ(packages_folder("/cache", "i386"), "/cache");
  EXPECT_EQ(packages_folder("/cache", "armhf"), "/cache/armhf");
}

TEST_F(FetchTest, DeviceTreeIsFoundInAKernelPackage) {
  const Package package{.name = "linux-image-6.1-armmp",
                        .version = "1",
                        .sha256 = "",
                        .deb = {},
                        .root = directory_.path() / "k"};
  put("k/usr/lib/linux-image-6.1-armmp/board.dtb", "tree");
  EXPECT_EQ(device_tree_file(package, "board.dtb").filename(), "board.dtb");
  try {
    static_cast<void>(device_tree_file(package, "other.dtb"));
    FAIL() << "was found";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("holds no device tree other.dtb"));
    EXPECT_THAT(error.remedy(), HasSubstr("'device_tree'"));
  }
}

// An apt of our own, first in PATH: how a mirror behaves that is being updated.
class FakeAptTest : public FetchTest {
 protected:
  void SetUp() override {
    path_ = std::getenv("PATH");
    setenv("PATH", (directory_.path().string() + ":" + path_).c_str(), 1);
    provide("apt-config", "");
    provide("apt-cache", "cat shown/\"$3\" 2>/dev/null || exit 100");
  }
  void TearDown() override { setenv("PATH", path_.c_str(), 1); }

  // `text` runs in the test's folder, for every call but the one that asks for the mirror's name.
  void provide(const std::string& program, const std::string& text) {
    const auto file = put(program, "#!/bin/sh\ncase \"$*\" in *--print-uris*) exit 0 ;; esac\ncd " +
                                       directory_.path().string() + " || exit 1\n" + text + "\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  }
  // Fails `failures` times with `message` on stderr, then succeeds.
  void provide_apt_get(int failures, const std::string& message) {
    provide("apt-get", "echo . >>calls\n[ $(wc -l <calls) -gt " + std::to_string(failures) +
                           " ] || { echo '" + message + "' >&2; exit 100; }\n" +
                           "[ ! -d new ] || mv new/* shown");
  }
  [[nodiscard]] std::size_t calls() {
    return base::read_file(directory_.path() / "calls").size() / 2;
  }
  Progress progress() {
    return [&](std::string_view what, int) { said_ += std::string(what) + "\n"; };
  }

  std::string path_, said_;
};

constexpr char kSyncing[] = "E: Failed to fetch x  File has unexpected size (1 != 2). Mirror sync?";

TEST_F(FakeAptTest, AMirrorBeingUpdatedIsAskedAgain) {
  provide_apt_get(2, kSyncing);
  Apt apt(directory_.path() / "state", {}, progress(), std::chrono::milliseconds(1));
  apt.update(true);
  EXPECT_EQ(calls(), 3u);
  EXPECT_THAT(said_, HasSubstr("the mirror is being updated"));
}

TEST_F(FakeAptTest, AMirrorThatStaysOutOfStepIsAnErrorWithARemedy) {
  provide_apt_get(99, kSyncing);
  Apt apt(directory_.path() / "state", {.architecture = "armhf"}, progress(),
          std::chrono::milliseconds(1));
  try {
    apt.update(true);
    FAIL() << "it never succeeded";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("bookworm (armhf) could not be fetched"));
    EXPECT_THAT(error.what(), HasSubstr("unexpected size"));
    EXPECT_EQ(error.remedy(), kMirrorRemedy);
  }
  EXPECT_EQ(calls(), 3u);
}

TEST_F(FakeAptTest, OtherFailuresAreNotRepeated) {
  provide_apt_get(99, "E: Could not connect");
  Apt apt(directory_.path() / "state", {}, progress(), std::chrono::milliseconds(1));
  EXPECT_THROW(apt.update(true), UserError);
  EXPECT_EQ(calls(), 1u);
}

TEST_F(FakeAptTest, AMetapackageAheadOfItsKernelRefreshesTheIndexOnce) {
  const auto stanza = [](const std::string& name, const std::string& depends) {
    return "Package: " + name + "\nVersion: 1\nSHA256: 00\nDepends: " + depends + "\n";
  };
  put("shown/linux-image-armmp", stanza("linux-image-armmp", "linux-image-2-armmp (= 1)"));
  provide_apt_get(0, "");
  const auto open = [&] {
    return PackageCache(directory_.path() / "cache", progress(), false, {.architecture = "armhf"});
  };
  try {
    static_cast<void>(open().get("linux-image-armmp"));
    FAIL() << "there is no kernel";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("linux-image-armmp needs linux-image-2-armmp, which the"));
    EXPECT_EQ(error.remedy(), kMirrorRemedy);
  }
  EXPECT_EQ(calls(), 2u) << "the index was fetched, and fetched anew";
  // The second index has it. It cannot be downloaded from our apt, which is another matter.
  put("new/linux-image-2-armmp", stanza("linux-image-2-armmp", "kmod"));
  try {
    static_cast<void>(open().get("linux-image-armmp"));
    FAIL() << "nothing was downloaded";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("linux-image-2-armmp 1 could not be fetched"));
  }
}

TEST(WriteFile, LeavesTheOldFileIfTheNewOneFails) {
  const base::TemporaryDirectory directory(std::filesystem::temp_directory_path(), "mezzo-test");
  EXPECT_THROW(base::write_file(directory.path() / "absent/file", "x"), UserError);
  base::write_file(directory.path() / "file", "old");
  base::write_file(directory.path() / "file", "new");
  const auto bytes = base::read_file(directory.path() / "file");
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
}

TEST(WriteFile, IsTriedWithoutAChange) {
  const base::TemporaryDirectory directory(std::filesystem::temp_directory_path(), "mezzo-test");
  EXPECT_THROW(base::check_writable(directory.path() / "absent/file"), UserError);
  EXPECT_THROW(base::check_writable(directory.path()), UserError);
  base::check_writable(directory.path() / "new");
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  base::write_file(directory.path() / "file", "old");
  base::check_writable(directory.path() / "file");
  EXPECT_EQ(base::read_file(directory.path() / "file").size(), 3u);
  base::check_writable("/dev/null");
  EXPECT_THROW(base::write_file("/dev/full", "x"), UserError);
}

TEST(ReadFile, RefusesWhatIsNoRegularFileWithoutWaiting) {
  const base::TemporaryDirectory directory(std::filesystem::temp_directory_path(), "mezzo-test");
  const auto pipe = directory.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const auto& path : {pipe, directory.path(), std::filesystem::path("/dev/zero")}) {
    EXPECT_EQ(base::why_unreadable(path), "is not a regular file");
    EXPECT_THROW(static_cast<void>(base::read_file(path)), UserError);
  }
  EXPECT_THROW(static_cast<void>(base::read_file("/dev/zero", base::Pipes::Allowed)), UserError);
  EXPECT_EQ(base::why_unreadable(directory.path() / "absent"), "does not exist");
}

TEST(Process, ReportsStatusOutputAndMissingPrograms) {
  EXPECT_EQ(base::run({.argv = {"sh", "-c", "echo out; echo err >&2; exit 3"}}).status, 3);
  std::string lines;
  const auto finished = base::run({.argv = {"printf", "a\\nb\\nrest"}},
                                  [&](std::string_view line) { lines += std::string(line) + ";"; });
  EXPECT_EQ(lines, "a;b;");
  EXPECT_EQ(finished.output, "a\nb\nrest");
  EXPECT_EQ(base::run({.argv = {"mezzo-no-such-program"}}).status, 127);
  EXPECT_FALSE(base::find_program("sh").empty());
  EXPECT_TRUE(base::find_program("mezzo-no-such-program").empty());
}

}  // namespace
}  // namespace mezzo::fetch
