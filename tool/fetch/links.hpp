// What a guest's initramfs needs for its ends of links: the SLIP driver, the program that attaches
// it to the serial port, and the commands that bring the interface up.
#pragma once

#include <filesystem>

#include "system/model.hpp"

namespace mezzo::fetch {

// Adds all that to `spec`, the initramfs of `partition` of `system`; nothing if it has no link.
//   slip_program  guest/slip as built
void add_links(const system::System& system, const system::Partition& partition,
               const std::filesystem::path& slip_program, system::InitramfsSpec& spec);

}  // namespace mezzo::fetch
