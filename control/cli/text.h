// Text for people: aligned tables, numbers with K/M/G, times as routers print them.
//
// Called by: control/cli/render_*. Runs on: sluicectl. Tested by: tests/control/cli/text_test.cc
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::cli {

// Columns as wide as their widest cell, two spaces apart; numbers to the right.
class Table {
 public:
  enum class Align : std::uint8_t { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // Precondition: as many cells as columns.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  // Title line, a rule, then the rows; no spaces at line ends.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "  Availability     : available\n"; labels padded to `width`.
std::string field(std::string_view label, std::string_view value, std::size_t width = 26);

std::string human(double value);            // 999 -> "999", 1234 -> "1.2K", 5.6e9 -> "5.6G"
std::string clock_time(double seconds);     // "00:22:53", "1d02h33m", "3w4d05h"
std::string short_seconds(double seconds);  // "0.4s", "12s", "3m05s", "2h11m"
// Unprintable bytes as escapes (\r \n \t \xHH), so that what came from outside cannot steer the terminal.
std::string printable(std::string_view text);

}  // namespace sluice::cli
