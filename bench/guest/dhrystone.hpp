// The statement mix of Dhrystone (R. P. Weicker, Communications of the ACM 27(10), 1984;
// version 2.1 of 1988): assignments, control flow and procedure calls on integers, records, arrays
// and strings in the published proportions. Written anew for this project, so its counts compare
// systems that run this program, not machines in the published lists.
#pragma once

#include "posix.hpp"

class Dhrystone {
 public:
  // One pass through the main loop. The procedures are not inlined, as the rules ask.
  void iterate() {
    assign_globals();
    int one = 2, two = 3, three = 0;
    strcpy(second_string_, "DHRYSTONE PROGRAM, 2'ND STRING");
    Kind kind = Kind::Second;
    flag_ = !compare_strings(first_string_, second_string_);
    while (one < two) {
      three = 5 * one - two;
      scale(one, two, three);
      ++one;
    }
    fill_arrays(one, three);
    follow(record_);
    for (char index = 'A'; index <= last_char_; ++index) {
      if (kind == classify(index, 'C')) {
        kind = next_kind(Kind::First);
        strcpy(second_string_, "DHRYSTONE PROGRAM, 3'RD STRING");
        two = runs_;
        number_ = runs_;
      }
    }
    two *= one;
    one = two / three;
    two = 7 * (two - three) - one;
    adjust(one);
    result_ = one;
    ++runs_;
  }

  // Whether the passes so far have computed what they must.
  [[nodiscard]] bool is_as_expected() const {
    return flag_ && result_ == 5 && first_char_ == 'A' && last_char_ == 'B' &&
           record_.next->number == 18 && table_[8][7] == runs_;
  }

 private:
  enum class Kind { First, Second, Third, Fourth, Fifth };
  struct Record {
    Record* next = nullptr;
    Kind discriminant = Kind::First, kind = Kind::Third;
    int number = 40;
    char text[31] = "DHRYSTONE PROGRAM, SOME STRING";
  };

  [[gnu::noinline]] void assign_globals() {
    first_char_ = 'A';
    flag_ = false;
    const bool first = first_char_ == 'A';
    flag_ = flag_ || first;
    last_char_ = 'B';
  }

  [[gnu::noinline]] static void scale(int one, int two, int& result) { result = two + one + 2; }

  [[gnu::noinline]] void fill_arrays(int one, int value) {
    const int at = one + 5;
    line_[at] = value;
    line_[at + 1] = line_[at];
    line_[at + 30] = at;
    for (int index = at; index <= at + 1; ++index) table_[at][index] = at;
    table_[at][at - 1] += 1;
    table_[at + 20][at] = line_[at];
    number_ = 5;
  }

  [[gnu::noinline]] void follow(Record& record) {
    Record& next = *record.next;
    next.kind = record.kind;
    next.discriminant = Kind::First;
    memcpy(next.text, record.text, sizeof next.text);
    record.number = 5;
    next.number = record.number;
    if (next.discriminant == Kind::First) {
      next.number = 6;
      next.kind = next_kind(record.kind);
      scale(next.number, 10, next.number);
    }
  }

  [[gnu::noinline]] Kind classify(char one, char two) {
    if (one != two) return Kind::First;
    first_char_ = one;
    return Kind::Second;
  }

  [[gnu::noinline]] Kind next_kind(Kind kind) const {
    switch (kind) {
      case Kind::First:
        return Kind::First;
      case Kind::Second:
        return number_ > 100 ? Kind::First : Kind::Fourth;
      case Kind::Third:
        return Kind::Second;
      default:
        return Kind::Third;
    }
  }

  [[gnu::noinline]] bool compare_strings(const char* one, const char* two) {
    int index = 2;
    char found = 'A';
    while (index <= 2) {
      if (classify(one[index], two[index + 1]) == Kind::First) {
        found = 'A';
        ++index;
      } else {
        ++index;
      }
    }
    if (found == 'R') return true;
    return strcmp(one, two) > 0;
  }

  [[gnu::noinline]] void adjust(int& value) const {
    int step = value + 10;
    if (first_char_ == 'A') {
      --step;
      value = step - number_ + (number_ == 5 ? 1 : 0);
    }
    if (value > 5) value = 5;
  }

  Record other_{}, record_{.next = &other_};
  bool flag_ = false;
  char first_char_ = 'A', last_char_ = 'B';
  int number_ = 0, result_ = 0, runs_ = 0;
  int line_[50] = {};
  int table_[50][50] = {};
  char first_string_[31] = "DHRYSTONE PROGRAM, 1'ST STRING", second_string_[31] = {};
};
