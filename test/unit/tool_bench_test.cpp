// The benchmark's reading of what guests and the plugin say, and its comparison of results.
#include <gtest/gtest.h>

#include "abi/status.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/places.hpp"
#include "bench/claims.hpp"
#include "bench/counts.hpp"
#include "bench/guest/operations.hpp"
#include "bench/lmbench.hpp"
#include "bench/plugin/table.hpp"
#include "bench/report.hpp"
#include "bench/result.hpp"
#include "bench/suite.hpp"
#include "command/prepare.hpp"
#include "support/json_schema.hpp"

namespace mezzo::bench {
namespace {

const LmbenchRow& row(std::string_view name) {
  for (const LmbenchRow& known : lmbench_rows()) {
    if (known.name == name) return known;
  }
  throw std::out_of_range(std::string(name));
}

const Suite& suite(std::string_view name) {
  for (const Suite& known : suites()) {
    if (known.name == name) return known;
  }
  throw std::out_of_range(std::string(name));
}

TEST(Lmbench, ReadsEachKindOfAnswer) {
  EXPECT_DOUBLE_EQ(*lmbench_figure(row("null"), "Simple syscall: 0.3744 microseconds\n"), 374.4);
  EXPECT_DOUBLE_EQ(*lmbench_figure(row("context switch 2p/0k"), "\n\"size=0k ovr=3.16\n2 5.24\n"),
                   5240);
  EXPECT_DOUBLE_EQ(*lmbench_figure(row("mmap"), "4.194304 105\n"), 105000);
  EXPECT_DOUBLE_EQ(*lmbench_figure(row("pipe bandwidth"), "Pipe bandwidth: 800.00 MB/sec\n"),
                   1'250'000);
}

TEST(Lmbench, HasNoFigureWithoutANumber) {
  EXPECT_FALSE(lmbench_figure(row("null"), "lat_syscall: not found\n"));
  EXPECT_FALSE(lmbench_figure(row("null"), ""));
  EXPECT_FALSE(lmbench_figure(row("null"), "Simple syscall: 0.0000 microseconds\n"));
}

TEST(Lmbench, QuickScriptIsAPartOfTheWhole) {
  const std::string quick = lmbench_script(true), all = lmbench_script(false);
  EXPECT_NE(quick.find("run 'fork+exit'"), std::string::npos);
  EXPECT_EQ(quick.find("run 'mmap'"), std::string::npos);
  EXPECT_NE(all.find("run 'mmap'"), std::string::npos);
}

TEST(BenchConsole, RowsAreSplitAmongOtherWords) {
  const Console console = parse_console(
      "booting\r\n@kernel Linux 6.1 i686\r\n@begin null\r\nSimple: 1\r\n@status 0\r\nnoise\r\n"
      "@begin pipe\r\nfailed\r\n@status 3\r\n@missing hello\r\n@end\r\n");
  EXPECT_EQ(console.kernel, "Linux 6.1 i686");
  ASSERT_EQ(console.rows.size(), 2u);
  EXPECT_EQ(console.rows[0].name, "null");
  EXPECT_EQ(console.rows[0].output, "Simple: 1\n");
  EXPECT_EQ(console.rows[0].status, 0);
  EXPECT_EQ(console.rows[1].status, 3);
  EXPECT_EQ(console.missing, std::vector<std::string>{"hello"});
  EXPECT_TRUE(console.ended);
}

TEST(BenchConsole, ARowMayBeOpen) {
  const Console console = parse_console("@begin null\nSimple");
  ASSERT_EQ(console.rows.size(), 1u);
  EXPECT_EQ(console.rows[0].status, -1);
  EXPECT_FALSE(console.ended);
}

TEST(BenchConsole, AStatusWithoutARowIsNoise) {
  EXPECT_TRUE(parse_console("@status 0\n@status 1\n").rows.empty());
}

TEST(BenchSuite, AMissingHelperIsAnErrorAndNoFigure) {
  Console console = parse_console("@missing hello\n@begin null\nSimple: 1 us\n@status 0\n@end\n");
  EXPECT_THROW(suite("lmbench").figures({.console = console}), UserError);
  console.missing.clear();
  EXPECT_EQ(suite("lmbench").figures({.console = console})["null"]["instructions"], 1000);
}

TEST(BenchSuite, AFailedRowIsAnError) {
  EXPECT_THROW(
      suite("lmbench").figures({.console = parse_console("@begin null\n1\n@status 1\n@end\n")}),
      UserError);
  EXPECT_THROW(
      suite("micro").figures({.console = parse_console("@begin micro\n@status 1\n@end\n")}),
      UserError);
}

// Two occurrences of `null-syscall` (region 1) in domains user, kernel and monitor.
Json counts() {
  return Json::parse(R"({"domains": ["user", "kernel", "monitor"], "sensitive": ["write_cr3"],
    "cpus": [{"regions": {"1": {"occurrences": 2, "instructions": [10, 20, 30],
      "transitions": [0, 0, 1, 0, 0, 3, 0, 0, 0], "sensitive": [0, 6, 4],
      "root_switches": 5, "pages": 0}}}]})");
}

TEST(BenchCounts, FiguresAreMeansOfAnOccurrence) {
  const Json figures = operation_figures(counts())["null-syscall"];
  EXPECT_EQ(figures["instructions"], 30);
  EXPECT_EQ(figures["user"], 5);
  EXPECT_EQ(figures["kernel"], 10);
  EXPECT_EQ(figures["monitor"], 15);
  EXPECT_EQ(figures["monitor entries"], 2);
  EXPECT_EQ(figures["root switches"], 2.5);
  EXPECT_EQ(figures["of the kernel"]["write_cr3"], 3);
}

TEST(BenchCounts, WhatWasNotLookedAtIsLeftOut) {
  EXPECT_FALSE(operation_figures(counts())["null-syscall"].contains("pages after root switches"));
  EXPECT_FALSE(operation_figures(counts())["null-syscall"].contains("of the programs"));
  Json more = counts();
  more["sensitive"][0] = "int";
  more["cpus"][0]["regions"]["1"]["pages"] = 8;
  more["cpus"][0]["regions"]["1"]["sensitive"] = {2, 0, 0};
  const Json figures = operation_figures(more)["null-syscall"];
  EXPECT_EQ(figures["pages after root switches"], 4);
  EXPECT_EQ(figures["of the programs"]["int"], 1);
}

TEST(BenchCounts, ExitsAreCountedByCause) {
  Json more = counts();
  EXPECT_FALSE(operation_figures(more)["null-syscall"].contains("exits"));
  more["events"] = {"cps", "wait"};
  more["cpus"][0]["regions"]["1"]["events"] = {4, 0};
  more["cpus"][0]["regions"]["1"]["event_instructions"] = {100, 0, 6};
  const Json figures = operation_figures(more)["null-syscall"];
  EXPECT_EQ(figures["exits"], Json({{"cps", 2}}));
  EXPECT_EQ(figures["monitor by exit"], Json({{"cps", 50}}));
}

TEST(BenchCounts, ARunWithoutMarkersIsAnError) {
  Json none = counts();
  none["cpus"][0]["regions"] = Json::object();
  EXPECT_THROW((void)operation_figures(none), UserError);
}

Json result(double native, double mezzo) {
  const auto cell = [](const char* machine, double value) {
    return Json{{"suite", "lmbench"},
                {"machine", machine},
                {"figures", {{"null", {{"instructions", value}}}}}};
  };
  return {{"schema", kSchema}, {"cells", {cell("native", native), cell("mezzo", mezzo)}}};
}

TEST(BenchCompare, EqualResultsDoNotDiffer) {
  const Comparison comparison = compare(result(100, 101), result(100, 101), 1);
  EXPECT_EQ(comparison.text, "");
  EXPECT_EQ(comparison.regressions, 0);
}

TEST(BenchCompare, MoreOfMezzoIsARegressionBeyondTheThreshold) {
  EXPECT_EQ(compare(result(100, 1000), result(100, 1009), 1).regressions, 0);
  EXPECT_EQ(compare(result(100, 1000), result(100, 1011), 1).regressions, 1);
  EXPECT_EQ(compare(result(100, 1000), result(100, 900), 1).regressions, 0);
  EXPECT_NE(compare(result(100, 1000), result(100, 900), 1).text, "");
}

TEST(BenchCompare, MoreEntriesAreARegressionOtherPartsAreNot) {
  const auto with = [](const char* figure, int value) {
    Json changed = result(100, 1000);
    changed["cells"][1]["figures"]["null"][figure] = value;
    return changed;
  };
  EXPECT_EQ(compare(with("monitor entries", 1), with("monitor entries", 2), 1).regressions, 1);
  EXPECT_EQ(compare(with("kernel", 1), with("kernel", 2), 1).regressions, 0);
}

TEST(BenchCompare, AnOperationMayHaveASlashInItsName) {
  const auto with = [](int value) {
    Json changed = result(100, 1000);
    changed["cells"][1]["figures"]["context switch 2p/0k"] = {{"instructions", value}};
    return changed;
  };
  EXPECT_EQ(compare(with(1000), with(1100), 1).regressions, 1);
}

TEST(BenchResult, AnErrorMayHaveBytesOfAGuestInIt) {
  const Json broken = {{"missing", {{{"why", "it said \xff"}}}}};
  EXPECT_TRUE(Json::accept(text_of(broken)));
}

TEST(BenchTable, NamesWhatOnlyOneMachineHas) {
  Json both = result(200, 202);
  both["cells"][1]["figures"]["null-hypercall"] = {{"instructions", 15}};
  EXPECT_NE(table_of(both).find("null-hypercall"), std::string::npos);
}

TEST(BenchCompare, ANativeFigureIsNoRegression) {
  EXPECT_EQ(compare(result(100, 1000), result(200, 1000), 1).regressions, 0);
}

TEST(BenchTable, ShowsRatios) {
  const std::string table = table_of(result(200, 202));
  EXPECT_NE(table.find("1.010"), std::string::npos) << table;
}

TEST(BenchSuites, RunWhereTheyMakeSense) {
  for (const Machine& machine : machines()) {
    EXPECT_EQ(suite("realtime").runs_on(machine), machine.realtime != nullptr) << machine.name;
    if (machine.realtime != nullptr) {
      for (const char* other : {"micro", "monitor", "two-guests", "armv7"}) {
        EXPECT_FALSE(suite(other).runs_on(machine)) << machine.name;
      }
      continue;
    }
    const bool plain = machine.neighbour == nullptr;
    const bool i386 = machine.architecture == std::string_view("i386");
    EXPECT_EQ(suite("micro").runs_on(machine), plain && !machine.is_armv7()) << machine.name;
    EXPECT_EQ(suite("armv7").runs_on(machine), machine.is_armv7()) << machine.name;
    EXPECT_EQ(suite("armv7-lmbench").runs_on(machine),
              machine.is_armv7() && machine.variant == nullptr)
        << machine.name;
    EXPECT_EQ(suite("two-guests").runs_on(machine), !plain) << machine.name;
    EXPECT_EQ(suite("monitor").runs_on(machine), plain && i386) << machine.name;
  }
}

TEST(BenchMachines, AreComparedWithTheirLike) {
  const auto baseline = [](std::string_view name) -> std::string_view {
    for (const Machine& machine : machines()) {
      if (name == machine.name) return baseline_of(machine).name;
    }
    return "";
  };
  EXPECT_EQ(baseline("native"), "native");
  EXPECT_EQ(baseline("mezzo"), "native");
  EXPECT_EQ(baseline("xen"), "native-amd64");
  EXPECT_EQ(baseline("beside-idle"), "beside-idle");
  EXPECT_EQ(baseline("beside-flood"), "beside-idle");
  EXPECT_EQ(baseline("mezzo-armv7"), "native-armv7");
  EXPECT_EQ(baseline("armv7-strict"), "native-armv7");
}

const Machine& machine(std::string_view name) {
  for (const Machine& known : machines()) {
    if (known.name == name) return known;
  }
  throw std::out_of_range(std::string(name));
}

// The plugin knows no cause: it is told where the monitor counts each.
TEST(BenchDomains, OnArmTheMonitorsCountersAreEvents) {
  const auto table = count::parse_table(domains_of(machine("mezzo-armv7"), Guest::Linux)).value();
  const auto named = [&](std::uint64_t address) { return table.domains[table.domain_of(address)]; };
  EXPECT_EQ(named(0x10000), "user");
  EXPECT_EQ(named(0xbf000000), "kernel");  // modules
  EXPECT_EQ(named(0xbfe00000), "stubs");
  EXPECT_EQ(named(0xc0208000), "kernel");
  EXPECT_EQ(named(0xffa00000), "monitor");
  EXPECT_EQ(named(0xffbfffff), "monitor");
  EXPECT_EQ(named(0xffff0008), "kernel");  // vectors
  ASSERT_EQ(table.events.size(), static_cast<std::size_t>(status::Armv7Exit::Count));
  EXPECT_EQ(table.events[0].name, "supervisor_call");
  EXPECT_EQ(table.domains[table.events[0].domain], "monitor");
  EXPECT_EQ(table.events[1].address - table.events[0].address, 8u);
  EXPECT_TRUE(
      count::parse_table(domains_of(machine("native-armv7"), Guest::Linux))->events.empty());
}

class BenchReport : public testing::Test {
 protected:
  BenchReport() { base::write_file(parts_.echarts, "charts(/*@report*/)"); }
  void write_page(std::string_view page) { base::write_file(parts_.folder / "report.html", page); }

  base::TemporaryDirectory directory_{std::filesystem::temp_directory_path()};
  ReportParts parts_{.folder = directory_.path(), .echarts = directory_.path() / "echarts.js"};
};

TEST_F(BenchReport, HasEverythingInItAndEndsNoScriptTooSoon) {
  write_page(
      "<a>/*@echarts*/<b>/*@result*/<c>/*@published*/<d>/*@armv7*//*@realtime*//*@report*/<e>");
  base::write_file(parts_.folder / "published.json", R"({"x": "</script>"})");
  base::write_file(parts_.folder / "armv7.js", "arm();");
  base::write_file(parts_.folder / "realtime.js", "ticks();");
  base::write_file(parts_.folder / "report.js", "draw()");
  EXPECT_EQ(report_of({{"why", "</script>"}}, parts_),
            R"(<a>charts(/*@report*/)<b>{
  "why": "<\/script>"
}
<c>{"x": "<\/script>"}<d>arm();ticks();draw()<e>)");
}

TEST_F(BenchReport, APartThatIsMissingIsNamed) {
  base::write_file(parts_.folder / "published.json", "{}");
  base::write_file(parts_.folder / "armv7.js", "arm();");
  base::write_file(parts_.folder / "realtime.js", "ticks();");
  base::write_file(parts_.folder / "report.js", "draw()");
  write_page("/*@echarts*/ /*@result*/ /*@armv7*/ /*@realtime*/ /*@report*/");
  EXPECT_THROW((void)report_of({}, parts_), UserError);
  write_page("/*@echarts*/ /*@result*/ /*@published*/ /*@armv7*/ /*@realtime*/ /*@report*/");
  EXPECT_NO_THROW((void)report_of({}, parts_));
  std::filesystem::remove(parts_.echarts);
  EXPECT_THROW((void)report_of({}, parts_), UserError);
}

// The figures that the repository keeps are of the documented form, and the report's texts name
// machines and operations that there are.
TEST(BenchResult, TheReferenceFollowsTheSchema) {
  const auto source = base::source_directory();
  const auto read = [&](const char* name) {
    return nlohmann::json::parse(base::read_file(source / name));
  };
  const nlohmann::json reference = read("bench/reference.json");
  EXPECT_EQ(test::violations(reference, read("doc/bench.schema.json")), "");
  for (const auto& cell : reference["cells"]) {
    const std::string name = cell["suite"];
    EXPECT_TRUE(suite(name).runs_on(machine(cell["machine"].get<std::string>()))) << name;
  }
  for (const char* table : {"native", "virtual", "expected"}) {
    for (const auto& [operation, ignored] :
         read("bench/report/published.json")["armv7"][table].items()) {
      EXPECT_NE(std::ranges::find(kOperations, operation), kOperations.end()) << operation;
    }
  }
}

// `null-syscall` on the bare board and on Mezzo, and `compute`, of which the peer costs nothing
// either.
Json armv7_result(double native, double mezzo) {
  const auto cell = [](const char* machine, double value) {
    return Json{{"suite", "armv7"},
                {"machine", machine},
                {"figures",
                 {{"null-syscall", {{"instructions", value}}},
                  {"compute", {{"instructions", 1000}}},
                  {"mmap", {{"instructions", value}}}}}};
  };
  return {{"cells", {cell("native-armv7", native), cell("mezzo-armv7", mezzo)}}};
}

Json expectations() {
  return {{"armv7",
           {{"native", {{"null-syscall", 100}, {"compute", 10}}},
            {"virtual", {{"null-syscall", 2000}, {"compute", 10}}},
            {"expected", {{"null-syscall", 2.0}, {"compute", 1.0}}},
            {"times_better", 8}}}};
}

TEST(BenchClaims, EachIsMetOrNot) {
  const auto claim = [](double mezzo) {
    return armv7_claims(armv7_result(100, mezzo), expectations())[0];
  };
  EXPECT_EQ(claim(200),
            Json::parse(R"({"operation": "null-syscall", "ratio": 2.0, "expected": 2.0, "met": true,
                            "peer": 20.0, "times better": 10.0, "peer met": true})"));
  EXPECT_EQ(claim(210)["met"], false);
  EXPECT_EQ(claim(250)["peer met"], true);  // exactly eight times
  EXPECT_EQ(claim(260)["peer met"], false);
}

TEST(BenchClaims, AreMadeOnlyOfWhatIsKnown) {
  const Json claims = armv7_claims(armv7_result(100, 200), expectations());
  ASSERT_EQ(claims.size(), 3u);
  EXPECT_EQ(claims[1]["operation"], "compute");
  EXPECT_EQ(claims[1]["met"], true);
  EXPECT_FALSE(claims[1].contains("peer met"));  // eight times better than native is nothing
  EXPECT_EQ(claims[2], Json({{"operation", "mmap"}, {"ratio", 2.0}}));
  Json one = armv7_result(100, 200);
  one["cells"].erase(0);
  EXPECT_TRUE(armv7_claims(one, expectations()).empty());
}

TEST(BenchClaims, ArePrintedAndCounted) {
  Json one = armv7_result(100, 210);
  EXPECT_EQ(claims_text(one), "");
  one["claims"] = armv7_claims(one, expectations());
  const std::string text = claims_text(one);
  EXPECT_NE(
      text.find(
          "null-syscall               2.100     2.000  not met    20.0           9.5      met\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("2 of 3 expectations are met.\n"), std::string::npos) << text;
}

TEST(BenchClaims, ThePublishedTableIsReadOrNamed) {
  const base::TemporaryDirectory directory(std::filesystem::temp_directory_path());
  base::write_file(directory.path() / "published.json", std::string_view("no JSON"));
  EXPECT_THROW((void)read_published(directory.path()), UserError);
  EXPECT_EQ(read_published(base::source_directory() / "bench" / "report")["armv7"]["times_better"],
            8);
}

TEST(BenchResult, OtherSchemasAreRefused) {
  const base::TemporaryDirectory directory(std::filesystem::temp_directory_path());
  const auto file = directory.path() / "result.json";
  base::write_file(file, result(1, 2).dump());
  EXPECT_EQ(read_result(file)["schema"], kSchema);
  Json other = result(1, 2);
  other["schema"] = kSchema + 1;
  base::write_file(file, other.dump());
  EXPECT_THROW((void)read_result(file), UserError);
  base::write_file(file, std::string_view("no result"));
  EXPECT_THROW((void)read_result(file), UserError);
}

}  // namespace
}  // namespace mezzo::bench
