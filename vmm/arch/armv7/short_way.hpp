// Ways of their own for the exits that are most frequent of those that need C++. Each is what
// trap.cpp does, for the case that nothing else is due: no other partition shares the processor,
// and the guest mostly goes on with the tables and rights that it has. Where a function returns
// false, nothing has happened that doing it again would not do, and the long way has to answer.
#pragma once

#include "arch/armv7/exit.hpp"

namespace mezzo::armv7 {

// An access of the guest's user mode has been refused. True if the guest goes on by the frame: with
// an entry that it lacked, or in its kernel's handler behind Linux' vector stub.
[[nodiscard]] bool answer_process_abort(Cpu& cpu, Frame& frame, const Refused& refused);

// An access of the guest's kernel has been refused. True if all it lacked was an entry; else
// `refused` may have the shadow tables' `answer`.
[[nodiscard]] bool answer_kernel_miss(Cpu& cpu, const Frame& frame, Refused& refused,
                                      ShadowPaging::MissResult& answer);

// An undefined instruction of the guest's kernel; frame.pc is behind it. True if it was maintenance
// of caches or of the TLB, and is done.
[[nodiscard]] bool answer_maintenance(Cpu& cpu, Frame& frame);

}  // namespace mezzo::armv7
