// What the benchmark's fork+exec runs: the static twin of lmbench's `hello`.
#include "posix.hpp"

int main(int, char**) {
  puts("Hello world");
  return 0;
}
