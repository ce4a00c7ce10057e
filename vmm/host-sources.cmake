# The monitor's sources that also run on the host, in unit tests and fuzzers: those that execute no
# privileged instruction.
list(APPEND MEZZO_VMM_HOST_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/arch/armv7/decode.cpp
  ${CMAKE_CURRENT_LIST_DIR}/arch/armv7/liveness.cpp
  ${CMAKE_CURRENT_LIST_DIR}/arch/armv7/patch.cpp
  ${CMAKE_CURRENT_LIST_DIR}/arch/armv7/stub_code.cpp
  ${CMAKE_CURRENT_LIST_DIR}/arch/armv7/stubs.cpp
  ${CMAKE_CURRENT_LIST_DIR}/arch/ia32/decode.cpp
  ${CMAKE_CURRENT_LIST_DIR}/arch/ia32/descriptor.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core/checksum.cpp
  ${CMAKE_CURRENT_LIST_DIR}/diag/log.cpp)
