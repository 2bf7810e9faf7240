// The wall clock as RFC 3339 text, quickly: "2026-11-25T10:15:30.123456Z".
//
// Called by: control/daemon. Runs on: any thread. Tested by: tests/control/daemon/access_line_test.cc
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <string>

namespace sluice::daemon {

inline void append_wall_time(std::string& out, std::chrono::system_clock::time_point at) {
  const auto us = std::chrono::floor<std::chrono::microseconds>(at);
  const auto day = std::chrono::floor<std::chrono::days>(us);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(us - day);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                 time.minutes().count(), time.seconds().count(), time.subseconds().count());
}

inline std::string wall_text(std::chrono::system_clock::time_point at) {
  std::string out;
  append_wall_time(out, at);
  return out;
}

}  // namespace sluice::daemon
