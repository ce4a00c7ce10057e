// What stands between a guest's console and its user: lines, keys, the typist.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.hpp"
#include "run/escape_keys.hpp"
#include "run/line_prefixer.hpp"
#include "run/script.hpp"
#include "run/terminal.hpp"

namespace mezzo::run {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(LinePrefixer, CompletesLinesFromPiecesOfAnySize) {
  LinePrefixer lines("a | ");
  EXPECT_THAT(lines.feed("he"), IsEmpty());
  EXPECT_THAT(lines.feed("llo\r"), IsEmpty());
  EXPECT_THAT(lines.feed("\nworld\n\nrest"), ElementsAre("a | hello\n", "a | world\n", "a | \n"));
  EXPECT_EQ(lines.unfinished(), "rest");
  EXPECT_EQ(lines.flush(), "a | rest\n");
  EXPECT_EQ(lines.flush(), "");
}

TEST(LinePrefixer, KeepsCharactersWholeThatArriveInTwoPieces) {
  LinePrefixer lines("");
  EXPECT_THAT(lines.feed("gr\xc3"), IsEmpty());
  EXPECT_THAT(lines.feed("\xbc"
                         "n\n"),
              ElementsAre("gr\xc3\xbcn\n"));
}

TEST(LinePrefixer, BreaksEndlessLinesBetweenCharacters) {
  LinePrefixer lines("");
  const std::string filler(LinePrefixer::kMaxLine - 1, 'x');
  const auto out = lines.feed(filler + "\xc3\xbc" + "y\n");
  EXPECT_THAT(out, ElementsAre(filler + "\xc3\xbc\n", "y\n"));
}

TEST(LinePrefixer, LetsNoGuestMoveTheCursor) {
  LinePrefixer lines("");
  EXPECT_THAT(lines.feed("\x1b[2J\x1b[1;3"), IsEmpty());
  EXPECT_THAT(lines.feed("1mred\x1b[0m\a\x1b"
                         "7 tab\there\n"),
              ElementsAre("red tab\there\n"));
}

TEST(LinePrefixer, BackspaceTakesAWholeCharacter) {
  LinePrefixer lines("");
  EXPECT_THAT(lines.feed("\ba\xc3\xbc\b\bbc\n"), ElementsAre("bc\n"));
}

TEST(ConsolePrefix, HasColourOnlyIfAsked) {
  EXPECT_EQ(console_prefix("ab", 0, 4, false), "ab   | ");
  EXPECT_THAT(console_prefix("ab", 0, 4, true), HasSubstr("\033["));
  EXPECT_NE(console_prefix("x", 0, 1, true), console_prefix("x", 1, 1, true));
}

KeyEvent forward(const std::string& bytes) { return {.key = Key::Forward, .bytes = bytes}; }
KeyEvent key(Key which) { return {.key = which}; }

TEST(EscapeKeys, PassesOrdinaryBytesOn) {
  EscapeKeys keys;
  EXPECT_THAT(keys.feed("ls -l\r\x03\x04"), ElementsAre(forward("ls -l\r\x03\x04")));
}

TEST(EscapeKeys, ThreeTimesCtrlAIsTheNextConsole) {
  EscapeKeys keys;
  EXPECT_THAT(keys.feed("\x01"), IsEmpty());
  EXPECT_THAT(keys.feed("\x01"), IsEmpty());
  EXPECT_THAT(keys.feed("\x01"), ElementsAre(key(Key::Next)));
  EXPECT_THAT(keys.feed("x"), ElementsAre(forward("x")));
  EXPECT_THAT(keys.feed("a\x01\x01\x01"
                        "b"),
              ElementsAre(forward("a"), key(Key::Next), forward("b")));
}

TEST(EscapeKeys, LettersAfterCtrlAAreCommands) {
  EscapeKeys keys;
  EXPECT_THAT(keys.feed("\x01q\x01"
                        "d\x01w\x01h\x01?"),
              ElementsAre(key(Key::Quit), key(Key::Detach), key(Key::Watch), key(Key::Help),
                          key(Key::Help)));
  EXPECT_THAT(keys.feed("\x01"
                        "2"),
              ElementsAre(KeyEvent{.key = Key::Select, .console = 1}));
  EXPECT_THAT(keys.feed("\x01"
                        "9"),
              ElementsAre(forward("\x01"
                                  "9")));
}

TEST(EscapeKeys, CtrlACanReachTheGuest) {
  EscapeKeys keys;
  EXPECT_THAT(keys.feed("\x01"
                        "a"),
              ElementsAre(forward("\x01")));
  EXPECT_THAT(keys.feed("\x01\x01k"), ElementsAre(forward("\x01\x01k")));
}

// A clock that the tests move.
class ScriptTest : public testing::Test {
 protected:
  Script script(std::string_view text) { return Script(parse_script(text, "test.script")); }
  // The guest writes `bytes`; returns what is typed in answer.
  std::string answer(Script& script, std::string_view bytes) {
    script.output(bytes, now_);
    return script.input(now_);
  }
  void pass(std::chrono::seconds time) { now_ += time; }

  Time now_{std::chrono::hours(1)};
};

TEST_F(ScriptTest, TypesALineAtEachPromptAndAsksForTheStatus) {
  Script typist = script("one\n\n  \ntwo\n");
  EXPECT_EQ(answer(typist, "booting # 1\n"), "");
  EXPECT_EQ(answer(typist, "alpha:/# \x1b[6n"), "one\n");
  EXPECT_EQ(answer(typist, "one\r\n"), "");
  EXPECT_EQ(answer(typist, "output\r\nalpha:/"), "");
  EXPECT_EQ(answer(typist, "# "), "two\n");
  EXPECT_EQ(answer(typist, "two\r\nalpha:/# "), "echo mezzo-status:$?\n");
  EXPECT_FALSE(typist.done());
  EXPECT_EQ(answer(typist, "echo mezzo-status:$?\r\nmezzo-status:3\r\nalpha:/# "), "");
  EXPECT_TRUE(typist.done());
  EXPECT_EQ(typist.exit_status(), 3);
}

TEST_F(ScriptTest, DoesNotTakeTheOldPromptOrTheEchoForANewPrompt) {
  Script typist = script("echo '# '\nlast\n");
  EXPECT_EQ(answer(typist, "$ "), "echo '# '\n");
  EXPECT_EQ(typist.input(now_), "");
  EXPECT_EQ(answer(typist, "echo '# "), "");
  EXPECT_EQ(answer(typist, "'\r\n# \r\n$ "), "last\n");
}

TEST_F(ScriptTest, ContinuesCompoundCommands) {
  Script typist = script("for i in 1\ndo echo\ndone\n");
  EXPECT_EQ(answer(typist, "# "), "for i in 1\n");
  EXPECT_EQ(answer(typist, "for i in 1\r\n> "), "do echo\n");
}

TEST_F(ScriptTest, KnowsPowerOffAsTheLastLineFromAnEarlyDeath) {
  Script planned = script("poweroff -f\n");
  EXPECT_EQ(answer(planned, "# "), "poweroff -f\n");
  planned.stopped();
  EXPECT_TRUE(planned.done());
  EXPECT_EQ(planned.exit_status(), 0);

  Script early = script("one\ntwo\n");
  EXPECT_EQ(answer(early, "# "), "one\n");
  early.stopped();
  EXPECT_TRUE(early.done());
  EXPECT_EQ(early.exit_status(), std::nullopt);
  EXPECT_EQ(early.waiting_for(), "the prompt before `two`");
}

TEST_F(ScriptTest, PressesEnterIfAKernelMessageHidThePrompt) {
  Script typist = script("one\n");
  EXPECT_EQ(answer(typist, "alpha:/# [    5.0] random: crng init done\r\n"), "");
  pass(std::chrono::seconds(10));
  EXPECT_EQ(typist.input(now_), "\n");
  EXPECT_EQ(answer(typist, "\r\nalpha:/# "), "one\n");
}

TEST_F(ScriptTest, WaitsSendsAndSleeps) {
  Script typist = script("@wait login:\n@send root\n@sleep 2\nid\n");
  EXPECT_EQ(answer(typist, "debian log"), "");
  EXPECT_EQ(answer(typist, "in: "), "");
  EXPECT_EQ(typist.input(now_), "root\n");
  EXPECT_EQ(answer(typist, "root\r\n# "), "");
  pass(std::chrono::seconds(3));
  EXPECT_EQ(typist.input(now_), "");
  EXPECT_EQ(typist.input(now_), "id\n");
}

TEST(ParseScript, RefusesUnknownDirectivesWithTheirPlace) {
  try {
    static_cast<void>(parse_script("ok\n@hurry\n", "x.script"));
    FAIL() << "was accepted";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("x.script:2"));
  }
  EXPECT_THROW(static_cast<void>(parse_script("@sleep soon", "x")), UserError);
  EXPECT_THROW(static_cast<void>(parse_script("@wait", "x")), UserError);
}

}  // namespace
}  // namespace mezzo::run
