// Tables, numbers and times as people read them.
#include "control/cli/text.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

TEST(Table, AlignsColumnsAndLeavesNoTrailingSpaces) {
  Table table({{"Name"}, {"Count", Table::Align::right}, {"Reason"}});
  table.add({"a", "1", ""});
  table.add({"longer", "1000", "ü"});
  EXPECT_EQ(table.text(),
            "Name    Count  Reason\n"
            "---------------------\n"
            "a           1\n"
            "longer   1000  ü\n");
}

TEST(Human, FewDigits) {
  EXPECT_EQ(human(0), "0");
  EXPECT_EQ(human(0.25), "0.2");
  EXPECT_EQ(human(12.34), "12.3");
  EXPECT_EQ(human(999), "999");
  EXPECT_EQ(human(999.7), "1.0K");
  EXPECT_EQ(human(1234), "1.2K");
  EXPECT_EQ(human(999'960), "1.0M");
  EXPECT_EQ(human(5.6e9), "5.6G");
  EXPECT_EQ(human(1e21), "1000.0E");
}

TEST(ClockTime, AsRoutersPrintIt) {
  EXPECT_EQ(clock_time(0), "00:00:00");
  EXPECT_EQ(clock_time(1373.9), "00:22:53");
  EXPECT_EQ(clock_time(86399), "23:59:59");
  EXPECT_EQ(clock_time(95580), "1d02h33m");
  EXPECT_EQ(clock_time(604800.0 * 3 + 86400 * 4 + 3600 * 5), "3w4d05h");
  EXPECT_EQ(clock_time(-1), "00:00:00");
}

TEST(ShortSeconds, AsShortAsItMaySay) {
  EXPECT_EQ(short_seconds(0.44), "0.4s");
  EXPECT_EQ(short_seconds(12.9), "12s");
  EXPECT_EQ(short_seconds(185), "3m05s");
  EXPECT_EQ(short_seconds(7860), "2h11m");
  EXPECT_EQ(short_seconds(200000), "2d07h");
}

TEST(Printable, NothingThatSteersATerminal) {
  EXPECT_EQ(printable("GET /\r\n\t\x1b[31m\x7f ü"), "GET /\\r\\n\\t\\x1b[31m\\x7f ü");
}

}  // namespace
}  // namespace sluice::cli
