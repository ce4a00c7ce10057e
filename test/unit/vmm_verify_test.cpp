// The monitor's own check of a plan: every kind of damage is found and named, and nothing that is
// not a valid plan is read beyond its end. The good plan here is two partitions on a machine of 512
// MiB.
#include "core/verify.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace mezzo {
namespace {

constexpr std::uint32_t kMiB = 1u << 20;
constexpr std::array kRam = {MemoryRange{0, 0x9fc00}, MemoryRange{kMiB, 511ull * kMiB}};

std::uint32_t checksum(plan::Plan plan) {
  plan.crc32 = 0;
  return plan::crc32(reinterpret_cast<const unsigned char*>(&plan), sizeof plan);
}

struct Image {
  plan::Plan plan{};
  std::vector<unsigned char> store;

  void seal() { plan.crc32 = checksum(plan); }
  [[nodiscard]] PlanCheck check(std::uint32_t cpus = 2) const {
    for (const PlanCheck& part :
         {verify_header(plan, plan::Architecture::Ia32), verify_memory(plan, kRam)}) {
      if (!part.good()) return part;
    }
    const PlanCheck copies = verify_store(plan, store.data());
    return copies.good() ? verify_partitions(plan, cpus) : copies;
  }
};

plan::Load load_of(Image& image, std::uint32_t destination, std::string_view text,
                   std::uint32_t memory_size) {
  plan::Load load{};
  load.destination = destination;
  load.store_offset = static_cast<std::uint32_t>(image.store.size());
  load.file_size = static_cast<std::uint32_t>(text.size());
  load.memory_size = memory_size;
  image.store.insert(image.store.end(), text.begin(), text.end());
  load.crc32 = plan::crc32(image.store.data() + load.store_offset, load.file_size);
  return load;
}

Image good_image() {
  Image image;
  plan::Plan& p = image.plan;
  p.magic = plan::kMagic;
  p.version = plan::kVersion;
  p.size = sizeof p;
  p.heartbeat_us = 20000;
  p.partition_count = 2;
  p.piece_count = 3;
  p.load_count = 3;
  p.pieces[0] = {0, 0x90000, 0};
  p.pieces[1] = {kMiB, 255 * kMiB, kMiB};
  p.pieces[2] = {256 * kMiB, 128 * kMiB, 256 * kMiB};
  p.loads[0] = load_of(image, 0x10000, "boot parameters", 4096);
  p.loads[1] = load_of(image, kMiB, "a kernel", 8);
  p.loads[2] = load_of(image, 384 * kMiB - 8, "another ", 8);
  std::strcpy(p.partitions[0].name, "first");
  p.partitions[0].cpu = 0;
  p.partitions[0].first_piece = 0, p.partitions[0].piece_count = 2;
  p.partitions[0].first_load = 0, p.partitions[0].load_count = 2;
  p.partitions[0].entry = kMiB;
  p.partitions[0].tsc_khz_field = 0x10000;
  std::strcpy(p.partitions[1].name, "second");
  p.partitions[1].cpu = 1;
  p.partitions[1].first_piece = 2, p.partitions[1].piece_count = 1;
  p.partitions[1].first_load = 2, p.partitions[1].load_count = 1;
  p.partitions[1].entry = 256 * kMiB;
  p.monitor_base = 511 * kMiB;
  p.monitor_size = plan::kMonitorSize;
  p.store_base = 500 * kMiB;
  p.store_size = static_cast<std::uint32_t>(image.store.size());
  image.seal();
  return image;
}

// What the check says about the good image after `change`, its checksum made right again.
PlanCheck after(const std::function<void(Image&)>& change, std::uint32_t cpus = 2) {
  Image image = good_image();
  change(image);
  image.seal();
  return image.check(cpus);
}
void expect(const PlanCheck& check, PlanError error, std::uint32_t index = 0) {
  EXPECT_STREQ(describe(check.error), describe(error));
  EXPECT_EQ(check.index, index);
}

TEST(VerifyPlan, AcceptsAGoodOne) { expect(good_image().check(), PlanError::None); }

TEST(VerifyPlan, ChecksumIsTheOneOfZlib) {
  const unsigned char text[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  EXPECT_EQ(plan::crc32(text, 9), 0xcbf43926u);
  EXPECT_EQ(plan::crc32(text + 4, 5, plan::crc32(text, 4)), 0xcbf43926u);
}

TEST(VerifyPlan, ChecksumIsZlibsForEveryLengthAndSplit) {
  std::array<unsigned char, 67> bytes{};
  for (std::size_t n = 0; n < bytes.size(); ++n) bytes[n] = static_cast<unsigned char>(n * 151 + 7);
  for (std::uint32_t size = 0; size <= bytes.size(); ++size) {
    const auto zlib = static_cast<std::uint32_t>(::crc32(0, bytes.data(), size));
    const std::uint32_t head = size / 3;
    EXPECT_EQ(plan::crc32(bytes.data(), size), zlib) << size;
    EXPECT_EQ(plan::crc32(bytes.data() + head, size - head, plan::crc32(bytes.data(), head)), zlib);
  }
}

TEST(VerifyPlan, EveryFlippedBitIsFound) {
  const Image good = good_image();
  auto damaged = std::make_unique<plan::Plan>(good.plan);
  auto* bytes = reinterpret_cast<unsigned char*>(damaged.get());
  for (std::size_t n = 0; n < sizeof(plan::Plan); ++n) {
    bytes[n] ^= 0x10;
    EXPECT_FALSE(verify_header(*damaged, plan::Architecture::Ia32).good()) << n;
    bytes[n] ^= 0x10;
  }
  EXPECT_TRUE(verify_header(*damaged, plan::Architecture::Ia32).good());
}

TEST(VerifyPlan, HeaderFieldsAreNamed) {
  expect(after([](Image& i) { i.plan.magic ^= 1; }), PlanError::BadMagic);
  expect(after([](Image& i) { ++i.plan.version; }), PlanError::BadVersion);
  expect(after([](Image& i) { i.plan.size += 4; }), PlanError::BadSize);
  // Each monitor takes what it takes, whatever the plan keeps free for it.
  for (const std::uint32_t size : {0u, plan::kMonitorSize - 4096, plan::kArmv7MonitorSize}) {
    expect(after([&](Image& i) { i.plan.monitor_size = size; }), PlanError::BadMonitorSize);
  }
  Image image = good_image();
  image.plan.crc32 ^= 1;
  expect(image.check(), PlanError::BadChecksum);
}

TEST(VerifyPlan, RowsMustExist) {
  expect(after([](Image& i) { i.plan.partition_count = 0; }), PlanError::BadCounts);
  expect(after([](Image& i) { i.plan.partition_count = plan::kMaxPartitions + 1; }),
         PlanError::BadCounts);
  expect(after([](Image& i) { i.plan.piece_count = plan::kMaxPieces + 1; }), PlanError::BadCounts);
  expect(after([](Image& i) { i.plan.load_count = plan::kMaxLoads + 1; }), PlanError::BadCounts);
  expect(after([](Image& i) { i.plan.partitions[1].piece_count = 0; }), PlanError::BadCounts, 1);
  expect(after([](Image& i) { i.plan.partitions[1].piece_count = 2; }), PlanError::BadCounts, 1);
  expect(after([](Image& i) { i.plan.partitions[1].first_piece = ~0u; }), PlanError::BadCounts, 1);
  expect(after([](Image& i) { i.plan.partitions[1].load_count = ~0u; }), PlanError::BadCounts, 1);
  expect(after([](Image& i) { i.plan.partitions[1].first_load = 4; }), PlanError::BadCounts, 1);
  expect(after([](Image& i) { i.plan.partitions[1].bus_master_count = plan::kMaxBusMasters + 1; }),
         PlanError::BadCounts, 1);
}

TEST(VerifyPlan, APieceBelongsToOnePartition) {
  expect(after([](Image& i) { i.plan.partitions[1].first_piece = 1; }), PlanError::BadCounts, 1);
  expect(after([](Image& i) {
           i.plan.partitions[1].first_piece = 0;
           i.plan.partitions[1].piece_count = 3;
         }),
         PlanError::BadCounts, 1);
}

// Two partitions of one CPU, and a table for it.
PlanCheck with_schedule(
    const std::function<void(plan::Schedule&)>& change,
    const std::function<void(plan::Plan&)>& more = [](plan::Plan&) {}) {
  plan::Plan p = good_image().plan;
  p.architecture = plan::Architecture::Armv7;
  p.partitions[1].cpu = 0;
  p.schedule_count = 1;
  p.schedules[0] = {.cpu = 0,
                    .frame_us = 10'000,
                    .tolerance_us = 100,
                    .on_overrun = plan::OverrunPolicy::Log,
                    .window_count = 3,
                    .windows = {{0, 0, 1000}, {1, 1000, 5000}, {0, 9000, 1000}}};
  change(p.schedules[0]);
  more(p);
  return verify_partitions(p, 4);
}

TEST(VerifyPlan, ATimeTableMayShareACpu) {
  expect(with_schedule([](plan::Schedule&) {}), PlanError::None);
  expect(with_schedule([](plan::Schedule& s) { s.cpu = 1; }), PlanError::CpuTwice, 1);
  expect(with_schedule([](plan::Schedule&) {},
                       [](plan::Plan& p) { p.architecture = plan::Architecture::Ia32; }),
         PlanError::CpuTwice, 1);
}

TEST(VerifyPlan, WindowsAreInOrderLongEnoughAndInTheFrame) {
  const auto bad = [](const std::function<void(plan::Schedule&)>& change) {
    expect(with_schedule(change), PlanError::BadSchedule, 0);
  };
  bad([](plan::Schedule& s) { s.window_count = 0; });
  bad([](plan::Schedule& s) { s.window_count = plan::kMaxTimeWindows + 1; });
  bad([](plan::Schedule& s) { s.frame_us = 0; });
  bad([](plan::Schedule& s) { s.frame_us = 9999; });
  bad([](plan::Schedule& s) { s.frame_us = plan::kMaxFrameUs + 1; });
  bad([](plan::Schedule& s) { s.windows[1].start_us = 999; });
  bad([](plan::Schedule& s) { s.windows[1].length_us = plan::kMinTimeWindowUs - 1; });
  bad([](plan::Schedule& s) { s.windows[1].length_us = 0xffffffff; });
  bad([](plan::Schedule& s) { s.windows[2].start_us = 0xffffff00; });
  expect(with_schedule([](plan::Schedule&) {},
                       [](plan::Plan& p) {
                         p.schedule_count = 2;
                         p.schedules[1] = p.schedules[0];
                       }),
         PlanError::BadSchedule, 1);
  expect(after([](Image& i) { i.plan.schedule_count = plan::kMaxSchedules + 1; }),
         PlanError::BadCounts);
}

TEST(VerifyPlan, ATimeTableServesItsCpu) {
  const auto bad = [](const std::function<void(plan::Schedule&)>& change) {
    expect(with_schedule(change), PlanError::ScheduleOfOthers, 0);
  };
  bad([](plan::Schedule& s) { s.windows[1].partition = 0; });
  bad([](plan::Schedule& s) { s.windows[1].partition = 2; });
  bad([](plan::Schedule& s) { s.windows[1].partition = ~0u; });
  expect(with_schedule([](plan::Schedule& s) { s.window_count = 1; },
                       [](plan::Plan& p) { p.partitions[1].cpu = 1; }),
         PlanError::ScheduleOfOthers, 0);
}

TEST(VerifyPlan, WatchdogsAreBounded) {
  expect(after([](Image& i) { i.plan.partitions[1].watchdog_us = plan::kMaxWatchdogUs + 1; }),
         PlanError::BadWatchdog, 1);
  expect(after([](Image& i) { i.plan.partitions[0].watchdog_boot_us = ~0u; }),
         PlanError::BadWatchdog, 0);
  expect(after([](Image& i) {
           i.plan.partitions[0].on_watchdog = static_cast<plan::WatchdogPolicy>(3);
         }),
         PlanError::BadWatchdog, 0);
}

TEST(VerifyPlan, NamesEnd) {
  expect(after([](Image& i) {
           std::memset(i.plan.partitions[0].name, 'x', sizeof i.plan.partitions[0].name);
         }),
         PlanError::BadName, 0);
}

TEST(VerifyPlan, MonitorAndStoreLieInRamAndApart) {
  for (const std::uint32_t base : {511 * kMiB + 1, 511 * kMiB + 4096, 0u, 0xa0000u, 0xfff00000u}) {
    expect(after([&](Image& i) { i.plan.monitor_base = base; }), PlanError::MonitorNotRam);
  }
  for (const std::uint32_t base : {500 * kMiB + 8, 0x9f000u, 0xfffff000u, 511 * kMiB}) {
    expect(after([&](Image& i) {
             i.plan.store_base = base;
             i.plan.store_size = 0x2000;
           }),
           PlanError::MonitorNotRam);
  }
}

TEST(VerifyPlan, PiecesAreWholePages) {
  expect(after([](Image& i) { i.plan.pieces[1].base += 8; }), PlanError::PieceMisaligned, 1);
  expect(after([](Image& i) { i.plan.pieces[2].size += 8; }), PlanError::PieceMisaligned, 2);
  expect(after([](Image& i) { i.plan.pieces[2].size = 0; }), PlanError::PieceMisaligned, 2);
}

TEST(VerifyPlan, PiecesAreRam) {
  expect(after([](Image& i) { i.plan.pieces[0].size = 0xa0000; }), PlanError::PieceNotRam, 0);
  expect(after([](Image& i) { i.plan.pieces[2].base = i.plan.pieces[2].guest_base = 512 * kMiB; }),
         PlanError::PieceNotRam, 2);
  expect(after([](Image& i) { i.plan.pieces[2].size = 0xfffff000; }), PlanError::PieceNotRam, 2);
}

// The last page of a 32-bit address space and the first one are not neighbours.
TEST(VerifyPlan, PiecesDoNotWrapAt4GiB) {
  Image image = good_image();
  image.plan.pieces[2] = {0xfffff000, 0x2000, 0xfffff000};
  const std::array ram = {MemoryRange{0, 1ull << 33}};
  expect(verify_memory(image.plan, ram), PlanError::PieceNotRam, 2);
  image.plan.pieces[2] = {0xfffff000, 0x1000, 0xfffff000};
  expect(verify_memory(image.plan, ram), PlanError::None);
}

TEST(VerifyPlan, NobodysMemoryIsAnothers) {
  expect(after([](Image& i) { i.plan.pieces[2] = {256 * kMiB - 4096, kMiB, 256 * kMiB - 4096}; }),
         PlanError::PiecesOverlap, 2);
  expect(after([](Image& i) { i.plan.pieces[2].guest_base += 4096; }), PlanError::PieceMoved, 2);
  expect(after([](Image& i) { i.plan.pieces[2] = {511 * kMiB, 4096, 511 * kMiB}; }),
         PlanError::PiecesOverlap, 2);
  expect(after([](Image& i) { i.plan.pieces[2] = {512 * kMiB - 4096, 4096, 512 * kMiB - 4096}; }),
         PlanError::PiecesOverlap, 2);
  expect(after([](Image& i) { i.plan.pieces[2] = {500 * kMiB, 4096, 500 * kMiB}; }),
         PlanError::PiecesOverlap, 2);
  expect(after([](Image& i) { i.plan.pieces[2] = {256 * kMiB, 245 * kMiB, 256 * kMiB}; }),
         PlanError::PiecesOverlap, 2);
}

TEST(VerifyPlan, LoadsStayInsideOnePieceOfTheirPartition) {
  expect(after([](Image& i) { i.plan.loads[2].destination += 1; }), PlanError::LoadOutsidePartition,
         2);
  expect(after([](Image& i) { i.plan.loads[1].destination = 256 * kMiB; }),
         PlanError::LoadOutsidePartition, 1);
  expect(after([](Image& i) { i.plan.loads[0].memory_size = kMiB; }),
         PlanError::LoadOutsidePartition, 0);
  expect(after([](Image& i) { i.plan.loads[2].destination = i.plan.monitor_base; }),
         PlanError::LoadOutsidePartition, 2);
  expect(after([](Image& i) { i.plan.loads[2].memory_size = ~0u; }),
         PlanError::LoadOutsidePartition, 2);
}

TEST(VerifyPlan, LoadsAreNotLargerThanTheirMemory) {
  expect(after([](Image& i) { i.plan.loads[1].memory_size = 7; }), PlanError::LoadOutsideStore, 1);
}

TEST(VerifyPlan, CopiesOutsideTheStoreAreNotRead) {
  for (const std::uint32_t offset : {0x80000000u, ~0u, 1u << 16}) {
    expect(after([&](Image& i) { i.plan.loads[1].store_offset = offset; }),
           PlanError::LoadOutsideStore, 1);
  }
  expect(after([](Image& i) { i.plan.loads[2].file_size = ~0u; }), PlanError::LoadOutsideStore, 2);
  expect(after([](Image& i) { --i.plan.store_size; }), PlanError::LoadOutsideStore, 2);
  // Also those that no partition uses.
  expect(after([](Image& i) {
           i.plan.load_count = 4;
           i.plan.loads[3] = {0, 0x40000000, 0x1000, 0x1000, 0};
         }),
         PlanError::LoadOutsideStore, 3);
}

TEST(VerifyPlan, DamagedCopiesAreNamed) {
  Image image = good_image();
  image.store[image.plan.loads[1].store_offset] ^= 1;
  expect(image.check(), PlanError::BadStoreChecksum, 1);
}

TEST(VerifyPlan, CpusExistAndHaveOnePartition) {
  expect(good_image().check(1), PlanError::NoSuchCpu, 1);
  expect(after([](Image& i) { i.plan.partitions[1].cpu = 0; }), PlanError::CpuTwice, 1);
  expect(after([](Image& i) { i.plan.partitions[0].cpu = ~0u; }), PlanError::NoSuchCpu, 0);
}

TEST(VerifyPlan, TimersHaveOneOwnerAndForwardersAreOtherCpus) {
  const auto changed = [](const std::function<void(plan::Partition&)>& change) {
    return after([&](Image& i) {
      plan::Partition& row = i.plan.partitions[1];
      row.interrupts = plan::InterruptController::Pic;
      row.ia32 = {1, plan::IdleWait::Poll, plan::Timer::Pit, 1, 0, 0x20};
      change(row);
    });
  };
  EXPECT_TRUE(changed([](plan::Partition&) {}).good());
  const std::function<void(plan::Partition&)> wrong[] = {
      [](plan::Partition& p) { p.ia32.real_time = 2; },
      [](plan::Partition& p) { p.ia32.idle = plan::IdleWait{2}; },
      [](plan::Partition& p) { p.ia32.timer = plan::Timer{3}; },
      [](plan::Partition& p) { p.interrupts = plan::InterruptController::None; },
      [](plan::Partition& p) { p.ia32.timer = plan::Timer::Hpet; },  // cannot be forwarded
      [](plan::Partition& p) { p.ia32.forwarder = 1; },
      [](plan::Partition& p) { p.ia32.forwarder = 2; },
      [](plan::Partition& p) { p.ia32.timer_vector = 31; },
      [](plan::Partition& p) { p.ia32.timer_vector = 256; },
  };
  for (const auto& change : wrong) expect(changed(change), PlanError::BadTimer, 1);
  expect(after([](Image& i) {
           i.plan.partitions[0].ia32.timer = plan::Timer::Hpet;
           i.plan.partitions[1].ia32.timer = plan::Timer::Hpet;
         }),
         PlanError::BadTimer, 1);
}

TEST(VerifyPlan, ACpuOfAPcIsSharedByARealTimePartitionAndOneWithThePic) {
  const auto shared = [](const std::function<void(plan::Plan&)>& change) {
    return after([&](Image& i) {
      plan::Partition &other = i.plan.partitions[0], &urgent = i.plan.partitions[1];
      other.interrupts = plan::InterruptController::Pic;
      urgent.interrupts = plan::InterruptController::None;
      urgent.ia32.real_time = 1;
      urgent.cpu = 0;
      i.plan.channel_count = 0;
      change(i.plan);
    });
  };
  EXPECT_TRUE(shared([](plan::Plan&) {}).good());
  const std::function<void(plan::Plan&)> wrong[] = {
      [](plan::Plan& p) { p.partitions[1].ia32.real_time = 0; },
      [](plan::Plan& p) { p.partitions[0].ia32.real_time = 1; },
      [](plan::Plan& p) { p.partitions[1].ia32.timer = plan::Timer::Hpet; },
      [](plan::Plan& p) { p.partitions[1].ia32.idle = plan::IdleWait::Poll; },
      [](plan::Plan& p) { p.partitions[0].ia32.idle = plan::IdleWait::Poll; },
      [](plan::Plan& p) { p.partitions[0].interrupts = plan::InterruptController::None; },
      [](plan::Plan& p) { p.partitions[0].interrupts = plan::InterruptController::IoApic; },
      [](plan::Plan& p) { p.partitions[1].interrupts = plan::InterruptController::Pic; },
  };
  for (const auto& change : wrong) expect(shared(change), PlanError::CpuTwice, 1);
}

TEST(VerifyPlan, WhoSharesACpuWithARealTimePartitionHearsNoDoorbell) {
  Image image = good_image();
  plan::Plan& p = image.plan;
  p.partitions[0].interrupts = plan::InterruptController::Pic;
  p.partitions[1].interrupts = plan::InterruptController::None;
  p.partitions[1].ia32.real_time = 1;
  p.partitions[1].cpu = 0;
  p.channel_count = 1;
  p.channels[0].ends[0] = {1, plan::kNoLine};
  p.channels[0].ends[1] = {2, plan::kNoLine};
  expect(verify_partitions(p, 2), PlanError::None);
  p.channels[0].ends[1] = {0, plan::kNoLine};
  expect(verify_partitions(p, 2), PlanError::CpuTwice, 1);
}

TEST(VerifyPlan, ACpuOfArmv7HasOnePartitionOfEachPriority) {
  Image image = good_image();
  image.plan.architecture = plan::Architecture::Armv7;
  image.plan.partitions[1].cpu = 0;
  image.plan.partitions[1].armv7.priority = 0;
  expect(verify_partitions(image.plan, 2), PlanError::CpuTwice, 1);
  image.plan.partitions[1].armv7.priority = 1;
  expect(verify_partitions(image.plan, 2), PlanError::None);
}

TEST(VerifyPlan, GuestsStartInTheirOwnMemory) {
  for (const std::uint32_t entry : {0x90000u, 511 * kMiB, 0xffffffffu, 384 * kMiB}) {
    expect(after([&](Image& i) { i.plan.partitions[1].entry = entry; }),
           PlanError::EntryOutsidePartition, 1);
  }
}

// The monitor writes ten bytes there.
TEST(VerifyPlan, TheClockFieldLiesInItsPartition) {
  for (const std::uint32_t field : {1u, 511 * kMiB, 384 * kMiB - 9, 0xfffffffcu, 0xa0000u}) {
    expect(after([&](Image& i) { i.plan.partitions[1].tsc_khz_field = field; }),
           PlanError::FieldOutsidePartition, 1);
  }
  expect(after([](Image& i) { i.plan.partitions[1].tsc_khz_field = 384 * kMiB - 10; }),
         PlanError::None);
}

// The monitor writes there itself.
TEST(VerifyPlan, SilencedRegistersAreInADeviceThatTheirPartitionHas) {
  const auto with = [](const plan::Silence& row) {
    return after([&row](Image& i) {
      plan::Plan& p = i.plan;
      p.board.ram_base = 0, p.board.ram_size = 512 * kMiB;
      p.window_count = 4;
      p.windows[0] = {0xa0000000, 0xa0000000, 0x1000, plan::WindowKind::Direct};
      p.windows[1] = {0xa0001000, 0xa0001000, 0x2000, plan::WindowKind::Direct};
      p.windows[2] = {0xa0003000, 0xa0003000, 0x1000, plan::WindowKind::Distributor};
      p.windows[3] = {0xb0000000, 256 * kMiB, 0x1000, plan::WindowKind::Direct};
      p.partitions[0].window_count = 1;
      p.partitions[1].first_window = 1, p.partitions[1].window_count = 3;
      p.silence_count = 2;
      p.silences[0] = {0, 0xa0000ffc, 0, 0};
      p.silences[1] = row;
    });
  };
  for (const std::uint32_t address : {0xa0001000u, 0xa0002ffcu}) {
    expect(with({1, address, ~0u, 1}), PlanError::None);
  }
  // Unaligned; the other partition's; a filtered chip; nobody's; memory, as a window or not.
  for (const std::uint32_t address :
       {0xa0001002u, 0xa0002fffu, 0xa0000000u, 0xa0000ffcu, 0xa0003000u, 0xb0000000u, 0u,
        0xfffffffcu, 256 * kMiB, 511 * kMiB}) {
    expect(with({1, address, 0, 0}), PlanError::SilenceOutsideDevices, 1);
  }
  // Partitions that do not exist.
  for (const std::uint32_t partition : {2u, plan::kMaxPartitions, ~0u}) {
    expect(with({partition, 0xa0001000, 0, 0}), PlanError::SilenceOutsideDevices, 1);
  }
  expect(after([](Image& i) { i.plan.silence_count = plan::kMaxSilences + 1; }),
         PlanError::BadCounts);
}

TEST(VerifyPlan, EveryErrorHasItsOwnWords) {
  std::set<std::string> words;
  for (std::uint32_t n = 0; n <= static_cast<std::uint32_t>(PlanError::SilenceOutsideDevices);
       ++n) {
    EXPECT_TRUE(words.insert(describe(static_cast<PlanError>(n))).second) << n;
  }
  EXPECT_FALSE(words.contains("unknown error"));
}

TEST(Arithmetic, ContainsAndOverlapDoNotWrap) {
  EXPECT_TRUE(contains(10, 5, 10, 5));
  EXPECT_TRUE(contains(10, 5, 15, 0));
  EXPECT_FALSE(contains(10, 5, 16, 0));
  EXPECT_FALSE(contains(10, 5, 9, 1));
  EXPECT_FALSE(contains(10, 5, 14, 2));
  EXPECT_FALSE(contains(0, 100, 1, ~0ull));
  EXPECT_FALSE(contains(0, 100, ~0ull, 2));
  EXPECT_TRUE(overlap(0, 2, 1, 2));
  EXPECT_FALSE(overlap(0, 2, 2, 2));
  EXPECT_FALSE(overlap(0xfffff000, 0x1000, 0, 0x1000));
}

}  // namespace
}  // namespace mezzo
