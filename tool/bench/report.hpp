// The report: one HTML page with everything in it, drawn by bench/report/report.js.
#pragma once

#include <filesystem>
#include <string>

#include "bench/suite.hpp"

namespace mezzo::bench {

struct ReportParts {
  std::filesystem::path folder;   // bench/report in the checkout: page, script, published figures
  std::filesystem::path echarts;  // Apache ECharts, as one script
};

// The page for `result` (doc/benchmark.md). Throws UserError if a part is missing.
[[nodiscard]] std::string report_of(const Json& result, const ReportParts& parts);

}  // namespace mezzo::bench
