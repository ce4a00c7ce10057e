// The supervisor call by which a guarded run ends; for code and assembly.
#pragma once

#define GUEST_LEAVE 0x1eaf
