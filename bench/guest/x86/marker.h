// The marker of operations.hpp for assembly: of an arrival.
#pragma once

#define MEZZO_MARKER 0x4d5a0000
#define MEZZO_MARK_ARRIVAL .byte 0x0f, 0x1f, 0x80; .long MEZZO_MARKER | 3 << 12
