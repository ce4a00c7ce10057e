#include "common/tally.hpp"

namespace guest {
namespace {

std::uint32_t passed, failed;

}  // namespace

void begin_probe(const char* name, const char* where, bool good) {
  ++(good ? passed : failed);
  print("probe ");
  print(name);
  print(" ");
  print(where);
  print(" -> ");
}

void end_probe() { print("\n"); }

void skip(const char* name, const char* why) {
  print("probe ");
  print(name);
  print(" skipped: ");
  print(why);
  print("\n");
}

void summarize() {
  print("probe done: ");
  print_number(passed);
  print(" passed, ");
  print_number(failed);
  print(" failed\n");
}

}  // namespace guest
