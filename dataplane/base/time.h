// Time as a value: every machine takes `Instant now` as its first argument and never reads a clock itself.
//
// Called by: everybody. Runs on: any thread. Follows: -.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

using Duration = std::chrono::nanoseconds;

// A clock that nobody can read: it only gives Instant its type. The worker and the control thread read the real one
// (CLOCK_MONOTONIC) once a turn; tests and the simulator make Instants up.
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};

// Nanoseconds since an arbitrary start, monotonic.
using Instant = MonotonicClock::time_point;

inline constexpr Instant kInstantMax = Instant::max();

constexpr Instant instant_ns(std::int64_t ns) { return Instant(Duration(ns)); }
constexpr std::int64_t to_ns(Instant instant) { return instant.time_since_epoch().count(); }
constexpr double to_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

using namespace std::chrono_literals;  // 5s, 200ms

}  // namespace sluice
