// A checker for the part of JSON Schema that doc/result.schema.json uses: type, enum, required,
// properties, additionalProperties, items, $ref to "#/$defs/NAME".
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mezzo::test {

// One line for each violation; empty if `value` follows `schema`.
[[nodiscard]] std::string violations(const nlohmann::json& value, const nlohmann::json& schema);

}  // namespace mezzo::test
