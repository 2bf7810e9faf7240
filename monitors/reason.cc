// Reasons: putting facts into words.
#include "monitors/reason.h"

#include <fmt/format.h>

#include "monitors/http_answer.h"

namespace sluice::monitors {

std::string duration_text(Duration duration) {
  const double seconds = to_seconds(duration);
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 10) return fmt::format("{:.2g} s", seconds);
  return fmt::format("{:.0f} s", seconds);
}

std::string wall_text(std::chrono::sys_seconds wall) {
  const auto day = std::chrono::floor<std::chrono::days>(wall);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(wall - day);
  return fmt::format("{:04}/{:02}/{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count(), time.seconds().count());
}

std::string printable(std::string_view bytes, std::size_t length_max) {
  std::string text(bytes.substr(0, length_max));
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '.';
  }
  if (bytes.size() > length_max) text += "…";
  return text;
}

std::string answer_text(std::string_view answer) {
  const std::string line = printable(first_line(answer));
  return fmt::format("{} byte{}{}{}", answer.size(), answer.size() == 1 ? "" : "s", line.empty() ? "" : ": ", line);
}

std::string close_text(CloseReason reason, std::string_view detail, bool connected) {
  switch (reason) {
    case CloseReason::eof:
      return "connection closed without an answer";
    case CloseReason::refused:
      return "connection refused";
    case CloseReason::reset:
      return connected ? "connection reset before a match" : "connection reset";
    case CloseReason::unreachable:
      return "host unreachable";
    case CloseReason::timed_out:
      return "connection timed out";
    case CloseReason::local_error:
      return fmt::format("probe not possible here: {}", detail);
  }
  __builtin_unreachable();
}

}  // namespace sluice::monitors
