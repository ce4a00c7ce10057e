// The constants of layout.h for C++.
#pragma once

#include <cstdint>

#include "arch/armv7/layout.h"
#include "arch/armv7/registers.hpp"

namespace mezzo::armv7::layout {

inline constexpr std::uint32_t kWindow = MEZZO_WINDOW;
inline constexpr std::uint32_t kWindowSize = 0x00200000;
inline constexpr std::uint32_t kCpuArea = MEZZO_CPU_AREA;
inline constexpr std::uint32_t kPrivatePage = MEZZO_PRIVATE_PAGE;
inline constexpr std::uint32_t kFrame = MEZZO_FRAME;
inline constexpr std::uint32_t kSharedPage = MEZZO_SHARED_PAGE;
inline constexpr std::uint32_t kShared = MEZZO_SHARED;

static_assert(kPrivatePage + 0x1000 == kWindow + kWindowSize);
static_assert(sizeof(Frame) <= MEZZO_FRAME_STACK && MEZZO_FRAME_STACK + 4 <= MEZZO_FRAME_SCRATCH &&
              MEZZO_FRAME_SCRATCH + 8 <= MEZZO_FRAME_ROOM);
static_assert(MEZZO_FRAME_ROOM % 8 == 0);
static_assert(offsetof(Frame, pc) == MEZZO_FRAME_PC);
static_assert(offsetof(Frame, cpsr) == MEZZO_FRAME_CPSR);

}  // namespace mezzo::armv7::layout
