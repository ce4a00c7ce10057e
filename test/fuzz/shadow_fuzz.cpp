// Fuzzer: the shadow engine between a hostile guest and a machine, in all its instantiations. The
// fuzzer chooses what the guest does to its tables, which accesses it makes and which maintenance
// it leaves out; support/shadow_world.hpp says what must hold after each step.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "support/shadow_guest_ia32.hpp"
#include "support/shadow_world.hpp"

namespace mezzo::test {
namespace {

// The tables a guest begins with come from a number; from then on every choice is the fuzzer's.
struct Choices {
  FuzzedDataProvider& data;
  std::minstd_rand setup;
  bool is_set_up = false;

  std::uint32_t operator()(std::uint32_t end) {
    if (!is_set_up) return static_cast<std::uint32_t>(setup() >> 4) % end;
    return data.ConsumeIntegralInRange<std::uint32_t>(0, end - 1);
  }
};

template <class Guest>
void run(FuzzedDataProvider& data) {
  using World = ShadowWorld<Guest, Choices>;
  const auto separation = data.ConsumeBool() ? mem::Separation::TwoRoots : mem::Separation::OneRoot;
  const mem::ShadowShape shape{
      .contexts = 3, .pages = World::Machine::kPages, .separation = separation};
  const std::uint32_t tables = data.ConsumeBool() ? 8 : 40;
  Choices choices{data, std::minstd_rand(data.ConsumeIntegral<std::uint8_t>())};
  World world(choices, separation, World::Engine::pool_bytes(shape, tables));
  choices.is_set_up = true;
  while (data.remaining_bytes() > 0) {
    world.step();
    if (world.problem().empty()) continue;
    std::fprintf(stderr, "%s\n", world.problem().c_str());
    std::abort();
  }
}

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  switch (data.ConsumeIntegralInRange(0, 3)) {
    case 0:
      mezzo::test::run<mezzo::test::Ia32Guest<std::uint32_t>>(data);
      break;
    case 1:
      mezzo::test::run<mezzo::test::Ia32Guest<std::uint64_t>>(data);
      break;
    default:
      mezzo::test::run<mezzo::test::ArmGuest>(data);
  }
  return 0;
}
