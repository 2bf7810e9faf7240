// Text for people; see text.h.
#include "control/cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::cli {
namespace {

// Columns on a terminal, near enough: one for each UTF-8 code point.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void append_row(std::string& out, const std::vector<std::string>& cells, const std::vector<Table::Column>& columns,
                const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string pad(widths[i] - width_of(cells[i]), ' ');
    if (i > 0) line += "  ";
    line += columns[i].align == Table::Align::right ? pad + cells[i] : cells[i] + pad;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line + "\n";
}

}  // namespace

std::string Table::text() const {
  std::vector<std::size_t> widths;
  std::vector<std::string> titles;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, width_of(row[i]));
    widths.push_back(width);
    titles.push_back(columns_[i].title);
  }
  std::string out;
  append_row(out, titles, columns_, widths);
  std::size_t total = 2 * (columns_.size() - 1);
  for (const std::size_t width : widths) total += width;
  out += std::string(total, '-') + "\n";
  for (const auto& row : rows_) append_row(out, row, columns_, widths);
  return out;
}

std::string field(std::string_view label, std::string_view value, std::size_t width) {
  std::string line = fmt::format("  {:<{}} : {}", label, width, value);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string human(double value) {
  constexpr std::string_view kUnits = "KMGTPE";
  if (!(std::abs(value) >= 999.5)) {
    return value == std::floor(value) || value >= 99.95 ? fmt::format("{:.0f}", value) : fmt::format("{:.1f}", value);
  }
  std::size_t unit = 0;
  value /= 1000;
  while (std::abs(value) >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f}{}", value, kUnits[unit]);
}

std::string clock_time(double seconds) {
  const auto total = static_cast<std::uint64_t>(std::max(0.0, seconds));
  const std::uint64_t days = total / 86400, hours = total / 3600 % 24, minutes = total / 60 % 60;
  if (days >= 7) return fmt::format("{}w{}d{:02}h", days / 7, days % 7, hours);
  if (days > 0) return fmt::format("{}d{:02}h{:02}m", days, hours, minutes);
  return fmt::format("{:02}:{:02}:{:02}", hours, minutes, total % 60);
}

std::string short_seconds(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f}s", std::max(0.0, seconds));
  const auto total = static_cast<std::uint64_t>(seconds);
  if (total < 60) return fmt::format("{}s", total);
  if (total < 3600) return fmt::format("{}m{:02}s", total / 60, total % 60);
  if (total < 86400) return fmt::format("{}h{:02}m", total / 3600, total / 60 % 60);
  return fmt::format("{}d{:02}h", total / 86400, total / 3600 % 24);
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r')
      out += "\\r";
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

}  // namespace sluice::cli
