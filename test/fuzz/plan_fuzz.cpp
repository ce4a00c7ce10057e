// Fuzzer: a damaged plan against the monitor's verification. The input overwrites rows of a good
// plan, the checksum is made right again, and a plan that passes is checked a second time by
// simpler means.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/verify.hpp"

namespace mezzo::test {
namespace {

constexpr std::uint32_t kMiB = 1u << 20, kCpus = 2, kStoreSize = 8192;
constexpr std::array kRam{MemoryRange{0, 0x9fc00}, MemoryRange{kMiB, 255 * std::uint64_t{kMiB}}};

void require(bool condition) {
  if (!condition) std::abort();
}

plan::Plan good_plan() {
  plan::Plan plan{};
  plan.magic = plan::kMagic;
  plan.version = plan::kVersion;
  plan.size = sizeof plan;
  plan.monitor_base = 255 * kMiB;
  plan.monitor_size = plan::kMonitorSize;
  plan.store_base = 254 * kMiB;
  plan.store_size = kStoreSize;
  plan.board.ram_base = 0;
  plan.board.ram_size = 256 * kMiB;
  plan.partition_count = plan.piece_count = plan.load_count = 2;
  plan.window_count = plan.silence_count = 2;
  for (std::uint32_t n = 0; n < 2; ++n) {
    plan::Partition& row = plan.partitions[n];
    row.cpu = row.first_piece = row.first_load = row.first_window = n;
    row.piece_count = row.load_count = row.window_count = 1;
    plan.pieces[n] = {(n + 1) * 64 * kMiB, 32 * kMiB, (n + 1) * 64 * kMiB};
    row.entry = plan.pieces[n].base;
    plan.loads[n] = {plan.pieces[n].base, n * 4096, 100, 4096, 0};
    const std::uint32_t device = (16 + n) * 16 * kMiB;
    plan.windows[n] = {device, device, plan::kPageSize, plan::WindowKind::Direct};
    plan.silences[n] = {n, device + 8 * n, 1, 1};
  }
  plan.channel_count = 2;
  plan.partitions[1].interrupts = plan::InterruptController::IoApic;
  for (std::uint32_t n = 0; n < 2; ++n) {
    plan.channels[n] = {(208 + 16 * n) * kMiB, 0x10000, {{n, plan::kNoLine}, {1 - n, 20 + n}}};
  }
  plan.channels[1].ends[1].line = plan::kNoLine;
  return plan;
}

// The input: pairs of a word's number and its new value.
void damage(plan::Plan& plan, FuzzedDataProvider& data) {
  auto* bytes = reinterpret_cast<unsigned char*>(&plan);
  // The header after the checksum, and the rows in use.
  struct Words {
    std::size_t first, count;
  };
  constexpr std::array<Words, 7> kParts{
      {{4, 7},
       {offsetof(plan::Plan, partitions) / 4, 3 * sizeof(plan::Partition) / 4},
       {offsetof(plan::Plan, pieces) / 4, 6},
       {offsetof(plan::Plan, loads) / 4, 15},
       {offsetof(plan::Plan, windows) / 4, 12},
       {offsetof(plan::Plan, silence_count) / 4, 1 + 12},
       {offsetof(plan::Plan, channel_count) / 4, 1 + 12}}};
  while (data.remaining_bytes() >= 6) {
    const Words part = kParts[data.ConsumeIntegralInRange<std::size_t>(0, kParts.size() - 1)];
    const auto word = part.first + data.ConsumeIntegralInRange<std::size_t>(0, part.count - 1);
    // Anything, or a round address in RAM, or a small number.
    const auto any = data.ConsumeIntegral<std::uint32_t>();
    constexpr std::array<std::uint32_t, 3> kUnits{1, kMiB, 16 * kMiB};
    const auto unit = data.ConsumeIntegralInRange<std::size_t>(0, kUnits.size());
    const std::uint32_t value = unit == kUnits.size() ? any : any % 17 * kUnits[unit];
    std::memcpy(bytes + word * 4, &value, 4);
  }
}

void seal(plan::Plan& plan, const std::vector<unsigned char>& store) {
  for (plan::Load& load : plan.loads) {
    const bool inside = std::uint64_t{load.store_offset} + load.file_size <= store.size();
    if (inside) load.crc32 = plan::crc32(store.data() + load.store_offset, load.file_size);
  }
  plan.crc32 = 0;
  plan.crc32 = plan::crc32(reinterpret_cast<const unsigned char*>(&plan), sizeof plan);
}

// What the monitor writes to silence devices is a word of a device's pages that their partition
// has, and of no memory.
void check_silences(const plan::Plan& plan) {
  for (std::uint32_t n = 0; n < plan.silence_count; ++n) {
    const plan::Silence& row = plan.silences[n];
    require(row.partition < plan.partition_count && row.address % 4 == 0);
    require(row.address < plan.board.ram_base ||
            row.address >= std::uint64_t{plan.board.ram_base} + plan.board.ram_size);
    const plan::Partition& owner = plan.partitions[row.partition];
    bool found = false;
    for (std::uint32_t w = 0; w < owner.window_count; ++w) {
      const plan::Window& window = plan.windows[owner.first_window + w];
      const std::uint64_t end = std::uint64_t{window.base} + window.size;
      found = found || (window.kind == plan::WindowKind::Direct && row.address >= window.base &&
                        row.address + std::uint64_t{4} <= end);
    }
    require(found);
  }
}

// Every page of RAM belongs to nobody or to one owner; what is loaded lies in its partition's
// pages.
void check_again(const plan::Plan& plan) {
  constexpr std::uint8_t kNobody = 0xff, kMonitor = 0xfe, kShared = 0xfd;
  static std::vector<std::uint8_t> owner;
  owner.assign(256 * kMiB / plan::kPageSize, kNobody);
  const auto take = [](std::uint64_t base, std::uint64_t size, std::uint8_t who) {
    for (std::uint64_t at = base / plan::kPageSize; at * plan::kPageSize < base + size; ++at) {
      require(at < owner.size() && owner[at] == kNobody);
      owner[at] = who;
    }
  };
  take(plan.monitor_base, plan::kMonitorSize, kMonitor);
  take(plan.store_base, plan.store_size, kMonitor);
  for (std::uint32_t n = 0; n < plan.channel_count; ++n) {
    const plan::Channel& row = plan.channels[n];
    take(row.base, row.size, kShared);
    require(row.ends[0].partition != row.ends[1].partition);
    for (const plan::ChannelEnd& end : row.ends) {
      require(end.partition < plan.partition_count);
      if (end.line == plan::kNoLine) continue;
      const plan::Partition& driver = plan.partitions[end.partition];
      require(end.line < 120 && driver.interrupts == plan::InterruptController::IoApic);
    }
  }
  for (std::uint8_t n = 0; n < plan.partition_count; ++n) {
    const plan::Partition& row = plan.partitions[n];
    require(row.cpu < kCpus && row.bus_master_count <= plan::kMaxBusMasters);
    for (std::uint32_t p = 0; p < row.piece_count; ++p) {
      const plan::Piece& piece = plan.pieces[row.first_piece + p];
      take(piece.base, piece.size, n);
    }
    const auto mine = [&](std::uint64_t base, std::uint64_t size) {
      for (std::uint64_t at = base / plan::kPageSize; at * plan::kPageSize < base + size; ++at) {
        require(at < owner.size() && owner[at] == n);
      }
    };
    mine(row.entry, 1);
    for (std::uint32_t l = 0; l < row.load_count; ++l) {
      const plan::Load& load = plan.loads[row.first_load + l];
      mine(load.destination, load.memory_size);
      require(load.file_size <= load.memory_size);
      require(std::uint64_t{load.store_offset} + load.file_size <= plan.store_size);
    }
  }
}

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mezzo;
  FuzzedDataProvider data(bytes, size);
  plan::Plan plan = test::good_plan();
  test::damage(plan, data);
  std::vector<unsigned char> store(test::kStoreSize, 0x5a);
  test::seal(plan, store);
  if (!verify_header(plan, plan::Architecture::Ia32).good() ||
      !verify_memory(plan, test::kRam).good())
    return 0;
  constexpr std::uint32_t kLargestStore = 1u << 20;  // more would only take longer
  if (plan.store_size > kLargestStore) return 0;
  store.resize(plan.store_size, 0x5a);
  if (!verify_store(plan, store.data()).good()) return 0;
  if (!verify_partitions(plan, test::kCpus).good()) return 0;
  test::check_again(plan);
  test::check_silences(plan);
  return 0;
}
