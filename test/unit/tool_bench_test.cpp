// The benchmark's reading of what guests and the plugin say, and its comparison of results.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "bench/counts.hpp"
#include "bench/lmbench.hpp"
#include "bench/report.hpp"
#include "bench/result.hpp"
#include "bench/suite.hpp"

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
  EXPECT_NE(quick.find("run 'pipe'"), std::string::npos);
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
  EXPECT_THROW(suite("lmbench").figures(console, {}), UserError);
  console.missing.clear();
  EXPECT_EQ(suite("lmbench").figures(console, {})["null"]["instructions"], 1000);
}

TEST(BenchSuite, AFailedRowIsAnError) {
  EXPECT_THROW(suite("lmbench").figures(parse_console("@begin null\n1\n@status 1\n@end\n"), {}),
               UserError);
  EXPECT_THROW(suite("micro").figures(parse_console("@begin micro\n@status 1\n@end\n"), {}),
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
    const bool plain = machine.neighbour == nullptr;
    const bool i386 = machine.architecture == std::string_view("i386");
    EXPECT_EQ(suite("micro").runs_on(machine), plain) << machine.name;
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
}

class BenchReport : public testing::Test {
 protected:
  BenchReport() { base::write_file(parts_.echarts, "charts(/*@report*/)"); }
  void write_page(std::string_view page) { base::write_file(parts_.folder / "report.html", page); }

  base::TemporaryDirectory directory_{std::filesystem::temp_directory_path()};
  ReportParts parts_{.folder = directory_.path(), .echarts = directory_.path() / "echarts.js"};
};

TEST_F(BenchReport, HasEverythingInItAndEndsNoScriptTooSoon) {
  write_page("<a>/*@echarts*/<b>/*@result*/<c>/*@published*/<d>/*@report*/<e>");
  base::write_file(parts_.folder / "published.json", R"({"x": "</script>"})");
  base::write_file(parts_.folder / "report.js", "draw()");
  EXPECT_EQ(report_of({{"why", "</script>"}}, parts_),
            R"(<a>charts(/*@report*/)<b>{
  "why": "<\/script>"
}
<c>{"x": "<\/script>"}<d>draw()<e>)");
}

TEST_F(BenchReport, APartThatIsMissingIsNamed) {
  base::write_file(parts_.folder / "published.json", "{}");
  base::write_file(parts_.folder / "report.js", "draw()");
  write_page("/*@echarts*/ /*@result*/ /*@report*/");
  EXPECT_THROW((void)report_of({}, parts_), UserError);
  write_page("/*@echarts*/ /*@result*/ /*@published*/ /*@report*/");
  EXPECT_NO_THROW((void)report_of({}, parts_));
  std::filesystem::remove(parts_.echarts);
  EXPECT_THROW((void)report_of({}, parts_), UserError);
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
