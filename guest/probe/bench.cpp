// Mode `bench`: single exits between the counting plugin's markers, a fixed number of times each.
// On a bare machine the same instructions are measured without a monitor; only the hypercall is
// left out there.
#include "abi/hypercall.hpp"
#include "bench/guest/x86/marker.hpp"
#include "probe.hpp"

namespace probe {
namespace {

using mezzo::bench::measure;
using mezzo::bench::Operation;

constexpr u32 kWarmUp = 16, kTimes = 256;
constexpr u32 kApicBase = 0x1b;

// Repeats `body`, the last times of them between markers.
template <Operation operation, class Body>
void repeat(Body body) {
  for (u32 n = 0; n < kWarmUp; ++n) body();
  for (u32 n = 0; n < kTimes; ++n) measure<operation>(body);
}

void null_hypercall() {
  repeat<Operation::NullHypercall>([] {
    auto call = mezzo::hypercall::Call::Null;
    asm volatile("int %[vector]" : "+a"(call) : [vector] "i"(mezzo::hypercall::kVector) : "memory");
  });
}

}  // namespace

void bench_exits() {
  print("@begin monitor\n");
  const u32 root = read_cr<3>();
  if (under_monitor()) null_hypercall();
  repeat<Operation::Wbinvd>([] { asm volatile("wbinvd" : : : "memory"); });
  repeat<Operation::ReadCr2>([] { (void)read_cr<2>(); });
  repeat<Operation::WriteCr3>([root] { write_cr<3>(root); });
  repeat<Operation::ReadCr3>([] { (void)read_cr<3>(); });
  repeat<Operation::Invlpg>([] { invalidate(kTestKernelRead); });
  repeat<Operation::CliSti>([] { asm volatile("cli; sti" : : : "memory"); });
  asm volatile("cli");
  repeat<Operation::Popf>([] { asm volatile("pushfl; popfl" : : : "memory"); });
  repeat<Operation::ReadCr0>([] { (void)read_cr<0>(); });
  repeat<Operation::Rdmsr>([] { (void)read_msr(kApicBase); });
  print("@status 0\n@end\n");
}

}  // namespace probe
