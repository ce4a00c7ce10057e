// How an instruction reaches memory, as far as translation and rights depend on it.
#pragma once

#include <cstdint>

namespace mezzo::mem {

enum class Access : std::uint8_t { Read, Write, Execute };

// Of the guest's own mode, or of an access that asks for a process's rights (ARM's LDRT).
enum class Privilege : std::uint8_t { Kernel, User };

}  // namespace mezzo::mem
