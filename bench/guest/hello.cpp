// What the benchmark's fork+exec runs: the static twin of lmbench's `hello`.
#include <stdio.h>

int main() {
  puts("Hello world");
  return 0;
}
