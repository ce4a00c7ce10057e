// Of the functions that a freestanding compiler may call without being asked, those for which no
// processor has a better way than this one. The others: runtime.cpp of each architecture.
#include <cstddef>

extern "C" {

int memcmp(const void* left, const void* right, std::size_t bytes) {
  const auto* a = static_cast<const unsigned char*>(left);
  const auto* b = static_cast<const unsigned char*>(right);
  for (; bytes > 0; --bytes, ++a, ++b) {
    if (*a != *b) return *a - *b;
  }
  return 0;
}

std::size_t strlen(const char* text) {
  std::size_t length = 0;
  while (text[length] != 0) ++length;
  return length;
}

}  // extern "C"
