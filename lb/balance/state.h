// What several algorithms share: something per worker on a cache line of its own, and admission during slow ramp.
//
// Called by: lb/balance. Runs on: workers. Tested by: tests/lb/balance/slow_ramp_test.cc
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lb/balance/balance.h"

namespace sluice::lb::balance {

template <typename T>
struct alignas(64) OnOwnLine {
  T value{};
};
template <typename T>
using PerWorker = std::vector<OnOwnLine<T>>;

// How much of its share a member takes: 1 but while it ramps up.
inline float ramp_fraction(const Member& member, Instant now) {
  if (!member.ramping(now)) return 1.0f;
  constexpr float kLeast = 0.01f;
  const auto whole = static_cast<float>((member.ramp_end - member.ramp_start).count());
  const float part = static_cast<float>((now - member.ramp_start).count()) / whole;
  return part < kLeast ? kLeast : part;
}

// Whether a member uses this turn of its own: `turn` counts a worker's picks, and the multiples of the golden ratio
// spread evenly, so that any run of turns has about its fraction.
inline bool takes_turn(const Member& member, Instant now, std::uint32_t turn) {
  if (!member.ramping(now)) return true;
  const auto spread = static_cast<float>(turn * 0x9e3779b9u) * 0x1p-32f;
  return spread < ramp_fraction(member, now);
}

// When a worker is to look at the ramps again: every 50 ms until the last one has ended, and once then.
class RampClock {
 public:
  explicit RampClock(unsigned workers) : next_(workers) {}
  void until(Instant end) { end_ = std::max(end_, end); }
  bool is_due(unsigned worker, Instant now) {
    Instant& next = next_[worker].value.at;
    if (end_ == Instant::min() || now < next) [[likely]]
      return false;
    next = now >= end_ ? kInstantMax : now + kStep;
    return true;
  }

 private:
  static constexpr Duration kStep = 50ms;
  struct Next {
    Instant at{Instant::min()};
  };
  Instant end_{Instant::min()};
  PerWorker<Next> next_;
};

}  // namespace sluice::lb::balance
