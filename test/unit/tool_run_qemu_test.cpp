// The tool's side of QEMU: its command line for each board, and which program is run. No machine: a
// script plays QEMU.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.hpp"
#include "base/file.hpp"
#include "run/qemu.hpp"

namespace mezzo::run {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

system::System example_system() {
  system::System system;
  system.name = "two";
  system.machine.memory = 512u << 20;
  system.machine.cpus = 2;
  system.machine.cpu_model = "pentium3";
  system::Partition& alpha = system.partitions.emplace_back();
  alpha.name = "alpha";
  alpha.devices.push_back({"e1000", {}});
  alpha.network.emplace();
  alpha.network->forwards = {"tcp:2222:22"};
  alpha.disk.emplace();
  alpha.disk->read_only = true;
  return system;
}

TEST(QemuArguments, DescribeTheMachine) {
  const auto arguments = qemu_arguments(
      example_system(),
      {.image = "/i/image.elf", .ram = "/r/ram", .directory = "/run", .disks = {"/d,isk.img"}},
      {7, -1, 9, -1});
  for (const char* expected :
       {"tcg,thread=multi", "2,sockets=2,cores=1,threads=1", "512M", "hpet.msi=on", "/i/image.elf",
        "memory-backend-file,id=ram,size=512M,mem-path=/r/ram,share=on", "socket,id=com1,fd=7",
        "isa-serial,index=0,irq=4,chardev=com1", "socket,id=com3,fd=9",
        "isa-serial,index=2,irq=5,chardev=com3", "user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22",
        "e1000,netdev=net0,addr=3", "if=none,id=disk0,file=/d,,isk.img,format=raw,snapshot=on",
        "ich9-ahci,id=ahci0,addr=4", "ide-hd,drive=disk0,bus=ahci0.0"}) {
    EXPECT_THAT(arguments, Contains(expected));
  }
  EXPECT_THAT(arguments, Not(Contains(HasSubstr("com2"))));
}

// Two guests on one of the Arm boards, each with a network and a disk.
system::System arm_system(system::Board board, std::vector<std::string> first,
                          std::vector<std::string> second) {
  system::System system;
  system.machine.board = board;
  system.machine.memory = 512u << 20;
  system.machine.cpus = 2;
  for (const auto& devices : {first, second}) {
    system::Partition& partition = system.partitions.emplace_back();
    for (const std::string& device : devices) partition.devices.push_back({device, {}});
    partition.network.emplace();
    partition.disk.emplace();
  }
  return system;
}

// The argument behind `option` that holds `part`, or empty.
std::string behind(const std::vector<std::string>& arguments, const std::string& option,
                   const std::string& part) {
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i - 1] == option && arguments[i].find(part) != std::string::npos) {
      return arguments[i];
    }
  }
  return {};
}

TEST(QemuArguments, DescribeAnArmMachine) {
  const auto arguments =
      qemu_arguments(arm_system(system::Board::VexpressA9, {"smsc911x", "pl181"}, {"virtio"}),
                     {.image = "/i/image.elf",
                      .ram = "/r/ram",
                      .directory = "/run",
                      .disks = {"/card.img", "/disk.img"}},
                     {7, -1, 9, -1});
  EXPECT_EQ(arguments.front(), "qemu-system-arm");
  EXPECT_EQ(behind(arguments, "-machine", ""), "vexpress-a9,memory-backend=ram");
  EXPECT_EQ(behind(arguments, "-smp", ""), "2");
  EXPECT_EQ(behind(arguments, "-kernel", ""), "/i/image.elf");
  EXPECT_EQ(behind(arguments, "-net", ""), "nic,netdev=net0");
  EXPECT_EQ(behind(arguments, "-device", "net"),
            "virtio-net-device,netdev=net1,bus=virtio-mmio-bus.0");
  EXPECT_EQ(behind(arguments, "-drive", "card"), "if=sd,id=disk0,file=/card.img,format=raw");
  EXPECT_EQ(behind(arguments, "-drive", "/disk"), "if=none,id=disk1,file=/disk.img,format=raw");
  EXPECT_EQ(behind(arguments, "-device", "blk"),
            "virtio-blk-device,drive=disk1,bus=virtio-mmio-bus.1");
  std::vector<std::string> serial;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i - 1] == "-serial") serial.push_back(arguments[i]);
  }
  EXPECT_THAT(serial, testing::ElementsAre("chardev:uart0", "none", "chardev:uart2", "none"));
  EXPECT_THAT(arguments, Contains("socket,id=uart2,fd=9"));
  EXPECT_THAT(arguments, Not(Contains("-debugcon")));
  EXPECT_THAT(arguments, Not(Contains("-cpu")));
}

TEST(QemuArguments, DescribeACubieboard) {
  const auto arguments = qemu_arguments(
      arm_system(system::Board::Cubieboard, {"emac", "mmc0"}, {"sata"}),
      {.image = "/i", .ram = "/r", .directory = "/run", .disks = {"/card.img", "/disk.img"}},
      {7, -1, -1, -1});
  EXPECT_EQ(behind(arguments, "-machine", ""), "cubieboard,memory-backend=ram");
  EXPECT_EQ(behind(arguments, "-serial", ""), "chardev:uart0");
  EXPECT_EQ(behind(arguments, "-net", ""), "nic,netdev=net0");
  EXPECT_EQ(behind(arguments, "-drive", "card"), "if=sd,id=disk0,file=/card.img,format=raw");
  EXPECT_EQ(behind(arguments, "-device", "ide"), "ide-hd,drive=disk1,bus=ide.0");
}

TEST(QemuArguments, DescribeASabreLite) {
  const auto arguments = qemu_arguments(
      arm_system(system::Board::Sabrelite, {"fec", "usdhc4"}, {}),
      {.image = "/i", .ram = "/r", .directory = "/run", .disks = {"/card.img", "/"}}, {-1, 8});
  EXPECT_EQ(behind(arguments, "-machine", ""), "sabrelite,memory-backend=ram");
  EXPECT_EQ(behind(arguments, "-serial", ""), "none");
  EXPECT_EQ(behind(arguments, "-serial", "uart"), "chardev:uart1");
  EXPECT_EQ(behind(arguments, "-net", ""), "nic,netdev=net0");
  EXPECT_EQ(behind(arguments, "-drive", "card"), "if=none,id=disk0,file=/card.img,format=raw");
  EXPECT_EQ(behind(arguments, "-device", "sd-card"), "sd-card,drive=disk0");
}

TEST(QemuArguments, DescribeAZynq) {
  const auto arguments = qemu_arguments(
      arm_system(system::Board::Zynq, {"gem0", "sdio0"}, {}),
      {.image = "/i", .ram = "/r", .directory = "/run", .disks = {"/card.img", "/"}}, {7, -1});
  EXPECT_EQ(behind(arguments, "-machine", ""), "xilinx-zynq-a9,memory-backend=ram");
  EXPECT_EQ(behind(arguments, "-net", ""), "nic,netdev=net0");
  EXPECT_EQ(behind(arguments, "-drive", "card"), "if=sd,id=disk0,file=/card.img,format=raw");
}

TEST(QemuArguments, RefuseACardOfAnOddSize) {
  const base::TemporaryDirectory directory(std::filesystem::temp_directory_path(), "mezzo-test");
  const auto card = directory.path() / "card.img";
  base::write_file(card, std::string(600, 'x'));
  const auto system = arm_system(system::Board::VexpressA9, {"pl181"}, {"virtio"});
  const QemuFiles files = {
      .image = "/i", .ram = "/r", .directory = "/run", .disks = {card, "/disk.img"}};
  try {
    static_cast<void>(qemu_arguments(system, files, {}));
    FAIL() << "QEMU would refuse it";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("600 bytes cannot be an SD card"));
    EXPECT_THAT(error.remedy(), HasSubstr("truncate -s 1024 "));
  }
}

TEST(QemuVersion, IsReadAndCompared) {
  EXPECT_EQ(parse_qemu_version("QEMU emulator version 7.2.22 (Debian 1:7.2)\nC"), std::pair(7, 2));
  EXPECT_EQ(parse_qemu_version("QEMU emulator version 10.0"), std::pair(10, 0));
  EXPECT_EQ(parse_qemu_version("no such thing"), std::nullopt);
  EXPECT_EQ(parse_qemu_version("version x.y"), std::nullopt);
}

// Puts a qemu-system-i386 of our own first in PATH.
class FakeQemu : public testing::Test {
 protected:
  void provide(const std::string& script, const char* name = "qemu-system-i386") {
    const auto program = directory_.path() / name;
    base::write_file(program, script);
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  }
  void SetUp() override {
    path_ = std::getenv("PATH");
    setenv("PATH", (directory_.path().string() + ":/nonexistent").c_str(), 1);
  }
  void TearDown() override { setenv("PATH", path_.c_str(), 1); }

  base::TemporaryDirectory directory_{std::filesystem::temp_directory_path(), "mezzo-test"};
  std::string path_;
};

TEST_F(FakeQemu, MissingOrTooOldIsAnErrorWithARemedy) {
  const auto expect_error = [](const char* text) {
    try {
      static_cast<void>(find_qemu(plan::Architecture::Ia32));
      ADD_FAILURE() << "was accepted";
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(text));
      EXPECT_THAT(error.remedy(), HasSubstr("apt-get install qemu-system-x86"));
    }
  };
  expect_error("not in PATH");
  provide("#!/bin/sh\necho 'QEMU emulator version 6.2.0'\n");
  expect_error("version 6.2, which is too old");
  provide("#!/bin/sh\nexit 1\n");
  expect_error("does not work");
  provide("#!/bin/sh\necho 'QEMU emulator version 8.1.2 (Distribution)'\n");
  EXPECT_EQ(find_qemu(plan::Architecture::Ia32).text, "8.1.2 (Distribution)");
}

TEST_F(FakeQemu, OfTheBoardsArchitectureIsLookedFor) {
  provide("#!/bin/sh\necho 'QEMU emulator version 8.1.2'\n");
  try {
    static_cast<void>(find_qemu(plan::Architecture::Armv7));
    FAIL() << "there is only one for PCs";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("qemu-system-arm is not in PATH"));
    EXPECT_THAT(error.remedy(), HasSubstr("apt-get install qemu-system-arm"));
  }
  provide("#!/bin/sh\necho 'QEMU emulator version 8.1.2'\n", "qemu-system-arm");
  EXPECT_EQ(find_qemu(plan::Architecture::Armv7).text, "8.1.2");
}

TEST_F(FakeQemu, IsGoneAfterwards) {
  provide("#!/bin/sh\ntrap '' TERM\nwhile :; do /bin/sleep 1; done\n");
  const auto log = directory_.path() / "log";
  const auto fd_is_ready = [](int fd) {
    pollfd entry = {.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&entry, 1, 0) == 1;
  };
  int fd = -1;
  {
    const Qemu qemu({"qemu-system-i386"}, log);
    EXPECT_FALSE(fd_is_ready(qemu.fd()));
    fd = dup(qemu.fd());
  }
  EXPECT_TRUE(fd_is_ready(fd)) << "the process lives, although it was to be killed";
  close(fd);
}

}  // namespace
}  // namespace mezzo::run
