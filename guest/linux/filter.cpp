// Socket filters that the kernel compiles, if net.core.bpf_jit_enable is set: a classic one, and
// one of bpf(2), of which it tells the size of the code. Each lets every second datagram through;
// the status is 1 if it did not.
#include "linux/linux.hpp"

namespace guest {
namespace {

constexpr u32 kDatagrams = 1000;

struct ClassicStep {
  u16 code;
  u8 if_true, if_false;
  u32 value;
};
struct Step {
  u8 code, registers;
  u16 offset;
  u32 value;
};
static_assert(sizeof(ClassicStep) == 8 && sizeof(Step) == 8);

// Keeps a datagram whose first byte is odd. linux/bpf_common.h, linux/bpf.h
constexpr ClassicStep kClassic[] = {{0x30, 0, 0, 0},       // A := byte 0
                                    {0x54, 0, 0, 1},       // A &= 1
                                    {0x15, 0, 1, 1},       // A == 1?
                                    {0x06, 0, 0, 0xffff},  // all of it
                                    {0x06, 0, 0, 0}};      // nothing
constexpr Step kExtended[] = {{0xbf, 0x16, 0, 0},          // r6 := r1, the datagram
                              {0x30, 0x00, 0, 0},          // r0 := byte 0
                              {0x57, 0x00, 0, 1},          // r0 &= 1
                              {0x67, 0x00, 0, 16},         // r0 <<= 16
                              {0x95, 0x00, 0, 0}};         // return r0: how much is kept

struct Pair {
  int ends[2];
};

Pair open_pair() {
  constexpr u32 kLocal = 1, kDatagram = 2, kNonBlocking = 04000;
  Pair pair = {};
  (void)need(call(Call::SocketPair, kLocal, kDatagram | kNonBlocking, 0, address_of(pair.ends)),
             "socketpair");
  return pair;
}

void attach(const Pair& pair, u32 option, const void* value, u32 size) {
  constexpr u32 kSocket = 1;
  (void)need(call(Call::SetSocketOption, static_cast<u32>(pair.ends[1]), kSocket, option,
                  address_of(value), size),
             "filter");
}

// How many datagrams the filter of the second end lets through.
u32 passed(const Pair& pair) {
  u32 received = 0;
  for (u32 n = 0; n < kDatagrams; ++n) {
    u8 byte = static_cast<u8>(n);
    (void)call(Call::Write, static_cast<u32>(pair.ends[0]), address_of(&byte), 1);
    byte = 0;
    if (call(Call::Read, static_cast<u32>(pair.ends[1]), address_of(&byte), 1) == 1) {
      received += byte % 2 != 0 ? 1 : kDatagrams;
    }
  }
  return received;
}

bool report(const char* what, u32 through) {
  print(what);
  print(": ");
  print(u64{through});
  print(" of ");
  print(u64{kDatagrams});
  print(" passed\n");
  return through == kDatagrams / 2;
}

bool classic() {
  constexpr u32 kAttachFilter = 26;
  const struct {
    u16 length;
    const ClassicStep* steps;
  } program = {sizeof kClassic / sizeof *kClassic, kClassic};
  const Pair pair = open_pair();
  attach(pair, kAttachFilter, &program, sizeof program);
  return report("classic filter", passed(pair));
}

// The leading members of union bpf_attr, for the two commands below.
struct Load {
  u32 type, length;
  u64 steps, license;
  u32 log_level, log_size;
  u64 log;
};
struct AskInformation {
  u32 program, size;
  u64 to;
};

u32 compiled_bytes(u32 program) {
  constexpr u32 kInformation = 15, kCompiledSize = 4;  // struct bpf_prog_info: jited_prog_len
  u32 information[kCompiledSize + 1] = {};
  const AskInformation ask = {program, sizeof information, address_of(information)};
  (void)need(call(Call::Bpf, kInformation, address_of(&ask), sizeof ask), "bpf information");
  return information[kCompiledSize];
}

bool extended() {
  constexpr u32 kLoadProgram = 5, kSocketFilter = 1, kAttachProgram = 50;
  const Load load = {.type = kSocketFilter,
                     .length = sizeof kExtended / sizeof *kExtended,
                     .steps = address_of(kExtended),
                     .license = address_of("GPL"),
                     .log_level = 0,
                     .log_size = 0,
                     .log = 0};
  const int program = need(call(Call::Bpf, kLoadProgram, address_of(&load), sizeof load), "bpf");
  const Pair pair = open_pair();
  attach(pair, kAttachProgram, &program, sizeof program);
  const bool good = report("extended filter", passed(pair));
  print("compiled to ");
  print(u64{compiled_bytes(static_cast<u32>(program))});
  print(" bytes\n");
  return good;
}

}  // namespace

extern "C" [[noreturn]] void run() {
  const bool first = classic(), second = extended();
  leave(first && second ? 0 : 1);
}

}  // namespace guest
