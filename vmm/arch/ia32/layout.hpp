// The constants of layout.h for C++.
#pragma once

#include <cstdint>

#include "abi/plan.hpp"
#include "arch/ia32/layout.h"

namespace mezzo::ia32::layout {

inline constexpr std::uint32_t kWindow = MEZZO_WINDOW;
inline constexpr std::uint32_t kImageLoad = MEZZO_IMAGE_LOAD;
inline constexpr std::uint32_t kCpuArea = MEZZO_CPU_AREA;
inline constexpr std::uint32_t kGdtWindow = MEZZO_GDT_WINDOW;
inline constexpr std::uint32_t kPhysicalWindow = MEZZO_PHYSICAL_WINDOW;
inline constexpr std::uint32_t kLocalApic = MEZZO_LOCAL_APIC;
inline constexpr std::uint32_t kHpet = MEZZO_HPET;
inline constexpr std::uint32_t kIoApic = MEZZO_IO_APIC;
inline constexpr std::uint32_t kApStart = MEZZO_AP_START;

inline constexpr std::uint16_t kMonitorCs = MEZZO_MONITOR_CS;
inline constexpr std::uint16_t kMonitorDs = MEZZO_MONITOR_DS;
inline constexpr std::uint16_t kMonitorTss = MEZZO_MONITOR_TSS;
inline constexpr std::uint16_t kSpareCs = MEZZO_SPARE_CS;
inline constexpr std::uint16_t kSpareDs = MEZZO_SPARE_DS;
inline constexpr std::uint16_t kSpareSs = MEZZO_SPARE_SS;
inline constexpr std::uint16_t kGuestLdt = MEZZO_GUEST_LDT;  // of a partition that shares its CPU

static_assert(kWindow == plan::kMonitorWindow);
static_assert(kCpuArea >= kWindow + plan::kMonitorSize);

}  // namespace mezzo::ia32::layout
