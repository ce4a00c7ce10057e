// Text output of our guests, over the one function that each machine provides: put.
#pragma once

#include <cstdint>

namespace guest {

// Sends one character to the console.
void put(char c);

void print(const char* text);  // with a carriage return before each line feed
void print_number(std::uint32_t number);
void print_hex(std::uint32_t number);
void print_hex64(std::uint64_t number);

}  // namespace guest
